"""Canonical forms, invisible characters, and text that the subword model gives back."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.schema import TokenizerConfig
from nmt.data.preprocess.round_trip import Change, count_round_trips, differences
from nmt.data.text_form import TextForm, learn_form, normalize
from nmt.data.tokenizer import SubwordModel, read_form, with_form
from nmt.data.tokenizer_training import train_subwords
from nmt.data.words import comparable

LETTERS = (
    "aeouAx dsghcđơưâêọé\u0300\u0301\u0303\u0309\u0323\u0307\u031b\u09af\u09bc\u09be\u09c7\u1037\u1039"
    "\u1100\u1161\u11a8가\u212b"
)
TEXTS = st.text(alphabet=LETTERS + "\u00ad\u200b\u200c\u200d\u200f\ufe0f👩🚀\u00a0\u3000\t", max_size=12)

VERBATIM = {
    "numbers": ["10² m³ H₂O", "1½ cups", "№5 ™ 1º"],
    "Cantonese full-width marks": ["好日子！", "真係？", "先，等等。", "\u3000開頭"],
    "Bengali": ["বড় মেয়ে"],
    "Punjabi": ["ਸ਼ਹਿਰ ਜ਼ਮੀਨ"],
    "Thai": ["น้ำ", "คำ", "ทำงาน"],
    "Lao": ["ນ້ຳ", "ຄຳ"],
    "Khmer": ["ខ្ញុំ\u200bទៅ\u200bសាលា"],
    "Persian": ["می\u200cخواهم کتاب\u200cها"],
    "Telugu": ["సాఫ్ట్\u200cవేర్"],
    "Sinhala": ["ශ්\u200dරී"],
    "Ghomala": ["Msə\u030cŋwi ke\u030c ní\u0301ŋ ti\u0301suŋ".replace("\u00ed", "i\u0301")],
    "Burmese marks in typing order": ["မြန်မာ နိုင်ငံ\u1039\u1037 တစ်\u1039\u1037"],
    "Hebrew marks in typing order": ["\u05e9\u05bc\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd"],
    "French spaces": ["Quoi\u202f? «\u00a0Oui\u00a0»"],
    "Pashto marks of direction": ["هغه ولاړ.\u200e \u200e 2\u200f\u200e دی", "دی \u200e30 \u200e‘\u200e"],
    "Hebrew marks of direction": ["ערוץ CBS\u200f, אל \u200f@Me"],
    "emoji": ["👩\u200d🚀 ❤\ufe0f 1\ufe0f\u20e3 🏴\U000e0067\U000e0062\U000e007f 👍🏽"],
}


def train(lines: Sequence[str], **options: object) -> SubwordModel:
    config = TokenizerConfig.model_validate({"vocabulary_size": 400, **options})
    model, _ = train_subwords(
        list(lines) * 20, options=config, symbols=[], what="test", form=learn_form(list(lines) * 20)
    )
    return model


@pytest.mark.parametrize("name", VERBATIM)
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_text_of_the_target_is_given_back(name: str, kind: str) -> None:
    lines = VERBATIM[name]
    model = train(lines, kind=kind)
    assert model.decode(model.encode(lines)) == lines
    assert count_round_trips(model, lines).changed == 0


def test_canonically_equivalent_lines_are_segmented_alike() -> None:
    """A Vietnamese line composed, decomposed, and as a keyboard types it: base letters composed, tones not."""
    composed = "Việt Nam đường"
    typed = "Viê\u0323t Nam đươ\u0300ng"
    model = train([composed])
    rows = model.encode([composed, unicodedata.normalize("NFD", composed), typed])
    assert rows[0] == rows[1] == rows[2]
    assert model.decode(rows) == [composed] * 3


@given(TEXTS)
def test_normalization_is_the_same_for_all_spellings(text: str) -> None:
    normal = normalize(text)
    assert normalize(normal) == normal
    assert unicodedata.is_normalized("NFC", normal)
    assert normalize(unicodedata.normalize("NFD", text)) == normal
    assert comparable(f"  {text} ") == comparable(unicodedata.normalize("NFD", text))


@given(st.lists(TEXTS, max_size=4))
def test_words_are_normalized_independently(words: list[str]) -> None:
    assert normalize(" ".join(words)) == " ".join(map(normalize, words))


@given(st.lists(TEXTS, max_size=6), TEXTS)
def test_the_learned_form_is_canonically_equivalent(lines: list[str], text: str) -> None:
    form = learn_form(lines)
    assert unicodedata.normalize("NFC", form.write(text)) == unicodedata.normalize("NFC", text)
    assert TextForm.load(form.dump()) == form


def test_a_rare_spelling_is_not_taken_over() -> None:
    form = learn_form(["é"] * 3 + ["e\u0301"])
    assert form == TextForm("NFC")
    assert learn_form(["é"] + ["e\u0301"] * 3).form == "NFD"
    mixed = learn_form(["\u09af\u09bc"] * 3 + ["\u09df", "é"])
    assert mixed.write("\u09af\u09bc é") == "\u09af\u09bc é"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The tea\u00adcher re\u00adads", "The teacher reads"),
        ("zero\u200bwidth", "zerowidth"),
        ("\ufeffstart", "start"),
        ("word\u2060joiner", "wordjoiner"),
        ("Latin\u200c and Ки\u200dрил", "Latin and Кирил"),
        ("left\u200e and\u200f right", "left and right"),
        ("letter\ufe0f", "letter"),
        ("שלום\u200f!", "שלום\u200f!"),
        ("क्\u200dष", "क्\u200dष"),
        ("葛\U000e0100", "葛\U000e0100"),
        ("a\tb\x85c", "a b c"),
    ],
)
def test_invisible_characters(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_soft_hyphens_do_not_change_the_pieces() -> None:
    model = train(["The teacher reads a book."])
    first, second = model.encode(["The tea\u00adcher re\u00adads a bo\u00adok.", "The teacher reads a book."])
    assert first == second


def test_white_space_that_is_not_in_the_vocabulary_is_a_space() -> None:
    model = train(["a b c", "ab bc"])
    plain, *others = model.encode(["a b", "a\u00a0b", "a\u3000b", "a\u202fb", "a\tb"])
    assert all(row == plain for row in others)
    french = train(["a\u00a0b"])
    assert french.decode(french.encode(["a\u00a0b a b"])) == ["a\u00a0b a b"]


@pytest.mark.parametrize("normalization", ["nmt_nfkc", "nfkc", "identity"])
def test_other_normalizations_are_those_of_sentencepiece(normalization: str) -> None:
    """Models of earlier versions have no form, and segment as before."""
    model = train(["10² ab e\u0301"], normalization=normalization)
    assert model.form is None
    written = model.decode(model.encode(["10² ab e\u0301"]))[0]
    assert written == ("10² ab e\u0301" if normalization == "identity" else "102 ab é")


def test_the_form_is_part_of_the_model_file() -> None:
    form = TextForm("NFD", {"\u09af\u09bc": "\u09df"})
    plain = train(["some text"], normalization="identity").model_bytes
    assert read_form(plain) is None
    for size in (0, 1, 40):
        form = TextForm("NFC", {chr(0x4E00 + number): "x" for number in range(size)})
        assert read_form(with_form(plain, form)) == form
    model = SubwordModel(with_form(plain, form))
    assert model.pieces(range(model.size)) == SubwordModel(plain).pieces(range(model.size))
    assert model.fingerprint != SubwordModel(plain).fingerprint


def test_lines_that_are_not_given_back_are_counted() -> None:
    lines = ["10² x", "10² y", "1½", "plain", "two  spaces "]
    model = train(lines, normalization="nmt_nfkc")
    found = count_round_trips(model, lines)
    assert (found.lines, found.changed) == (5, 3)
    assert found.changes[0] == Change("²", "2", 2)
    assert count_round_trips(train(lines), lines).changed == 0


def test_tabs_and_runs_of_spaces_are_not_changes() -> None:
    lines = ["one\ttwo", "one two\t", "\tone  two ", "ខ្ញុំ\u200b\u200bទៅ", "one\x0btwo\u2028"]
    for normalization in ("nfc", "nmt_nfkc"):
        found = count_round_trips(train([*lines, "one two"], normalization=normalization), lines[:3])
        assert (found.changed, found.changes) == (0, ())
    assert count_round_trips(train(lines), lines).changed == 0


def test_spaces_are_no_part_of_a_change() -> None:
    lines = ["one  two²  three\t"]
    assert count_round_trips(train(lines, normalization="nmt_nfkc"), lines).changes == (Change("²", "2", 1),)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("လိမ\u1037\u1039မည", "လိမ\u1039\u1037မည", ("\u1037\u1039", "\u1039\u1037")),
        ("\u09ac\u09a1\u09bc\u09af", "\u09ac\u09dc\u09af", ("\u09a1\u09bc", "\u09dc")),
        ("ab\u200bc", "abc", ("\u200b", "")),
        ("10²", "102", ("²", "2")),
    ],
)
def test_a_change_is_named_once(before: str, after: str, change: tuple[str, str]) -> None:
    assert differences(before, after) == [change]


@given(TEXTS, TEXTS)
def test_differences_are_the_parts_that_differ(before: str, after: str) -> None:
    found = differences(before, after)
    assert bool(found) == (before != after)
    assert all(one in before and other in after and one != other for one, other in found)


def test_marks_of_direction_are_kept_if_the_target_has_them() -> None:
    marked, plain = ["נחמד CBS\u200f, טוב"], ["נחמד CBS, טוב"]
    assert learn_form(marked).all_marks
    assert learn_form([*marked, *plain * 999]).all_marks
    assert not learn_form([*marked, *plain * 1000]).all_marks
    assert not learn_form(["שלום\u200f!"]).all_marks, "such marks are always kept"
    assert train(plain).decode(train(plain).encode(marked)) == plain
    assert TextForm.load(b'{"form": "NFC", "spelling": {}}') == TextForm()
    assert TextForm().dump() == b'{"form": "NFC", "spelling": {}}', "earlier versions read it"


def test_a_mark_of_direction_never_divides_a_word() -> None:
    """A joint model reads the source with the marks of its target."""
    model = train(["נחמד CBS\u200f, טוב", "teacher"])
    assert model.form is not None
    assert model.form.all_marks
    plain, *others = model.encode(["teacher 10", "tea\u200echer 10", "teach\u200f\u200eer 1\u200e0"])
    assert others == [plain, plain]
    assert normalize("\u200eteacher\u200f", all_marks=True) == "\u200eteacher\u200f"


def test_runs_of_zero_width_spaces_are_one() -> None:
    """A hardly trained model of Khmer writes one after another."""
    for normalization in ("nfc", "identity"):
        model = train(VERBATIM["Khmer"], normalization=normalization)
        ids = model.encode(VERBATIM["Khmer"])[0]
        space = [piece for piece in ids if "\u200b" in model.pieces([piece])[0]]
        (text,) = model.decode([ids[:2] + space * 20])
        assert "\u200b\u200b" not in text
    assert model.form is None
    assert normalize("ខ្ញុំ\u200b\u00ad\u200b\u200bទៅ") == "ខ្ញុំ\u200bទៅ"


def test_orders_of_marks() -> None:
    marks = ["\u0323", "\u0301", "\u0307"]
    texts = ["x" + "".join(order) for order in itertools.permutations(marks)]
    assert len({comparable(text) for text in texts}) == 2  # two marks above: their order has a meaning


@pytest.mark.parametrize(("own", "others", "kept"), [(9, 1, True), (7, 3, True), (6, 4, False), (1, 1, False)])
def test_a_spelling_must_be_far_more_frequent_than_that_of_the_form(own: int, others: int, kept: bool) -> None:
    composed, normal = "\u095c", "\u0921\u093c"
    assert unicodedata.normalize("NFC", composed) == normal
    form = learn_form([f"ल{composed}का"] * own + [f"ल{normal}का"] * others + ["लकी"] * 20)
    assert form.write(f"क{normal}") == f"क{composed if kept else normal}"
