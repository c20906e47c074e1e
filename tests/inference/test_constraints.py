"""Prefixes, required and avoided phrases, terminology and sampling, from text to text."""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from nmt.config.schema import TokenizerConfig
from nmt.data.special_tokens import EOS
from nmt.data.text_form import TextForm
from nmt.data.tokenizer import SubwordModel
from nmt.data.tokenizer_training import train_subwords
from nmt.data.words import PhraseFinder
from nmt.errors import DataError, UsageError
from nmt.inference.constraints import Terminology, read_terminology
from nmt.inference.streaming import SourceLine
from nmt.inference.translator import Translation, Translator
from nmt.search.phrase_automaton import MATCHED, TokenSymbols, compile_phrases
from tiny_translator import WORDS, tiny_translator

REQUIRED = [(), ("green house",), ("zebra", "dog"), ("Ωλ",), ("the", "cat .")]
LINES = [" ".join(random.Random(line).choices(WORDS.split(), k=2 + line % 5)) for line in range(12)]


def words(text: str) -> str:
    """The words and full stops of a text; strange characters, which are several pieces, are parts of words."""
    return " ".join(["", *re.findall("[\\w\\x80-\\U0010ffff]+|[.]", text), ""])


def texts(translator: Translator, lines: Any) -> list[str]:
    return [translation.text for translation in translator.translate(lines)]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_required_phrases_are_in_the_text_in_any_batch(beam_size: int) -> None:
    requests = [SourceLine(line, required=REQUIRED[number % 5]) for number, line in enumerate(LINES)]
    found = texts(tiny_translator(beam_size=beam_size), requests)
    for request, text in zip(requests, found, strict=True):
        assert all(words(phrase) in words(text) for phrase in request.required)
    assert texts(tiny_translator(beam_size=beam_size, batch_sentences=1), requests[::-1]) == found[::-1]
    plain = texts(tiny_translator(beam_size=beam_size), LINES)
    assert found[::5] == plain[::5]


def test_a_translation_starts_with_its_prefix() -> None:
    requests = [SourceLine(line, prefix="the big zebra", required=("cat",)) for line in LINES[:4]]
    for text in texts(tiny_translator(beam_size=3), requests):
        assert text.startswith("the big zebra")
        assert " cat " in words(text)


def test_avoided_phrases_do_not_occur() -> None:
    translator = tiny_translator(beam_size=4, n_best=4)
    common = [word for word in WORDS.split() if any(f" {word} " in words(text) for text in texts(translator, LINES))]
    assert common
    steered = list(translator.with_constraints(avoid=common[:3]).translate(LINES))
    for translation in steered:
        for candidate in translation.hypotheses:
            assert not any(f" {word} " in words(candidate.text) for word in common[:3])
    assert texts(translator, LINES) != [translation.text for translation in steered]


def test_terms_are_translated_by_the_terminology() -> None:
    terminology = Terminology({"dog": "Hund", "the dog": "der Hund", "green": "grün"})
    translator = tiny_translator(beam_size=3).with_constraints(terminology=terminology)
    one, two, three, four = texts(translator, ["a dog sees", "the dog sees", "hotdog", "a green dog"])
    assert " Hund " in words(one)
    assert " der Hund " in words(two)
    assert "Hund" not in three
    assert " grün " in words(four)
    assert " Hund " in words(four)


def test_terms_are_whole_words_and_the_longest_counts() -> None:
    terminology = Terminology({"ork": "Ork", "big ork": "Riese", "東京": "Tokio"})
    assert terminology.targets("an ork, orkstadt") == ("Ork",)
    assert terminology.targets("a big ork and an ork") == ("Riese", "Ork")
    assert terminology.targets("orkstadt") == ()
    assert terminology.targets("在東京都") == ("Tokio",)


def test_a_terminology_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "terms.tsv"
    path.write_text("dog\tHund\n\nbig  dog\tgroßer Hund\ndog\tHund\n", encoding="utf-8")
    assert read_terminology(path).targets("big dog") == ("großer Hund",)
    for text, message in (
        ("dog", "expected a source term"),
        ("a\tb\tc", "expected"),
        ("a\tb\na\tc", "two translations"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message) as error:
            read_terminology(path)
        assert f"{path}:" in str(error.value)


def test_a_blank_phrase_is_refused() -> None:
    with pytest.raises(UsageError, match="empty after tokenization"):
        tiny_translator().with_constraints(avoid=[" "])


def test_terms_are_not_found_inside_words_of_any_script() -> None:
    terms = {
        "राम": "Frau",
        "नदी": "Fluss",
        "ქალი": "Frau",
        "ቤት": "Haus",
        "Đức": "deutsch",
        "می": "er",
        "ก": "k",
        "사람": "Mensch",
    }
    terminology = Terminology(terms)
    for text in ("रामायण", "नदीमुख", "ქალიშვილი", "ቤትህ", "Đứck", "می\u200cخواهم", "กำ"):
        assert terminology.targets(text) == (), text
    for text in ("यह राम है", "ქალი.", "nước Đức", "그 사람들은", "กา"):
        assert len(terminology.targets(text)) == 1, text


def test_canonically_equal_terms_and_texts_are_equal(tmp_path: Path) -> None:
    terms = {"café": "Lehrer", "Đức": "deutsch", "각": "je"}
    composed = Terminology(terms)
    decomposed = Terminology({unicodedata.normalize("NFD", term): target for term, target in terms.items()})
    text = "The café is Đức, 각."
    for terminology in (composed, decomposed):
        for form in ("NFC", "NFD"):
            assert terminology.targets(unicodedata.normalize(form, text)) == tuple(terms.values())
    path = tmp_path / "terms.tsv"
    path.write_text("café\ta\ncafe\u0301\tb\n", encoding="utf-8")
    with pytest.raises(DataError, match="two translations"):
        read_terminology(path)


def test_phrases_are_written_verbatim_or_refused() -> None:
    # The tiny vocabulary maps compatibility forms.
    for line in (SourceLine("a dog", required=("10²",)), SourceLine("a dog", prefix="½")):
        with pytest.raises(UsageError, match="instead"):
            texts(tiny_translator(), [line])
    with pytest.raises(UsageError, match="the model writes '102' instead"):
        tiny_translator().with_constraints(avoid=["10²"])
    (text,) = texts(tiny_translator(), [SourceLine("a dog", required=("cafe\u0301",))])
    assert "café" in text


def test_samples_depend_on_the_line_and_the_seed_alone() -> None:
    options: dict[str, Any] = {"sampling": True, "n_best": 3}
    found = list(tiny_translator(**options).translate(LINES))
    alone = list(tiny_translator(**options, batch_sentences=1).translate(LINES[::-1]))[::-1]

    def drawn(translations: list[Translation]) -> list[list[str]]:
        return [[candidate.text for candidate in translation.hypotheses] for translation in translations]

    assert drawn(found) == drawn(alone)
    assert all(len(translation.hypotheses) == 3 for translation in found)
    assert drawn(list(tiny_translator(**options, seed=7).translate(LINES))) != drawn(found)


def test_n_best_lists_have_n_different_texts() -> None:
    for translation in tiny_translator(beam_size=6, n_best=3).translate(LINES):
        found = [candidate.text for candidate in translation.hypotheses]
        assert len(found) == len(set(found)) <= 3
        assert [c.score for c in translation.hypotheses] == sorted(c.score for c in translation.hypotheses)[::-1]


def test_long_lines_have_a_required_phrase_once() -> None:
    [text] = texts(
        tiny_translator(beam_size=2, max_source_pieces=10), [SourceLine("the dog " * 12, required=("zebra",))]
    )
    assert " zebra " in words(text)


THAI = ["กา", "กำ", "ก", "ที่", "ท", "ไก่", "aกb", "ab"]


@pytest.mark.parametrize("right_to_left", [False, True])
def test_a_required_phrase_never_ends_before_a_mark_of_its_last_letter(right_to_left: bool) -> None:
    lines = [first + second for first in THAI for second in THAI]
    model, _ = train_subwords(
        lines * 3, options=TokenizerConfig(vocabulary_size=330), symbols=[], what="test", form=TextForm()
    )
    model = SubwordModel(model.model_bytes, right_to_left=right_to_left)
    symbols = TokenSymbols(model)
    for text in (*THAI, *lines):
        for phrase in THAI:
            automaton = compile_phrases([symbols.phrase(phrase)], symbols, required=True)
            state = 0
            for piece in [*model.encode([text])[0], EOS]:
                state = int(automaton.next_state[state, piece])
            assert (state == MATCHED) == (PhraseFinder([phrase]).find(text) != []), (phrase, text)


def test_thai_words_are_required_with_their_marks() -> None:
    """An avoided phrase is avoided with further marks, too."""
    model, _ = train_subwords(THAI * 9, options=TokenizerConfig(vocabulary_size=330), symbols=[], what="test")
    symbols = TokenSymbols(model)
    for required in (True, False):
        automaton = compile_phrases([symbols.phrase("ท")], symbols, required=required)
        state = 0
        for piece in model.encode(["ที่"])[0]:
            state = int(automaton.next_state[state, piece])
        assert (state == MATCHED) == (not required)
