from __future__ import annotations

import pickle
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from data_files import make_model, make_pairs
from nmt.config.schema import TokenizerConfig
from nmt.data.preprocess.encode_pass import SubwordSegmenter, WordSegmenter, make_segmenter
from nmt.data.special_tokens import BOS, EOS, PAD, UNK
from nmt.data.tokenizer import SubwordModel
from nmt.data.tokenizer_training import train_subwords, user_symbols
from nmt.errors import ConfigError, DataError
from tiny_translator import tiny_subword_model

LINES = [line for pair in make_pairs(300, seed=1, longest=12) for line in pair]
KINDS = ("unigram", "bpe")


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> SubwordModel:
    return make_model(LINES, kind=request.param, normalization="identity", user_symbols=["<bt>", "New York"])


@pytest.fixture(scope="module", params=KINDS)
def spaceless(request: pytest.FixtureRequest) -> SubwordModel:
    return make_model(LINES, kind=request.param, user_symbols=["<bt>"])


def test_a_line_alone_is_encoded_as_in_a_long_list(model: SubwordModel) -> None:
    texts = [*LINES, "New York <bt>x", "\u00e9\u4e00 \U0001f600", ""]
    assert [row for text in texts for row in model.encode([text])] == model.encode(texts)


@pytest.mark.parametrize("kind", KINDS)
def test_text_comes_back(kind: str) -> None:
    model = make_model(LINES, kind=kind)
    ids = model.encode(LINES)
    assert model.decode(ids) == LINES
    assert {PAD, UNK, BOS, EOS}.isdisjoint(piece for row in ids for piece in row)
    assert max(max(row) for row in ids) < model.size
    assert ids == model.encode(LINES, threads=3)


def rows_of(segmenter: SubwordSegmenter, lines: list[str]) -> list[list[int]]:
    rows = segmenter.rows(lines)
    starts_and_lengths = zip(rows.starts.tolist(), rows.lengths.tolist(), strict=True)
    return [rows.ids[start : start + length].tolist() for start, length in starts_and_lengths]


@given(st.lists(st.text(max_size=40).map(lambda text: text.replace("\n", " ")), max_size=4))
def test_word_by_word_is_as_line_by_line(spaceless: SubwordModel, lines: list[str]) -> None:
    segmenter = make_segmenter(spaceless, threads=1)
    assert isinstance(segmenter, WordSegmenter)
    for block in (lines, [*LINES[:3], *lines, "", "<bt> a<bt>", lines[0] if lines else ""]):
        assert rows_of(segmenter, block) == spaceless.encode(block)


def test_symbols_with_spaces_are_found_line_by_line(model: SubwordModel) -> None:
    lines = ["in New York", "New", "York New York"]
    assert rows_of(make_segmenter(model, threads=2), lines) == model.encode(lines)


def test_words_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.data.preprocess.encode_pass.MAX_WORDS", 5)
    model = make_model(LINES)
    segmenter = make_segmenter(model, threads=1)
    for line in LINES[:20]:
        assert rows_of(segmenter, [line]) == model.encode([line])


def test_rare_words_are_forgotten_and_frequent_words_are_not_segmented_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most, frequent = 40, [f"word{number}" for number in range(10)]
    monkeypatch.setattr("nmt.data.preprocess.encode_pass.MAX_WORDS", most)
    segmented: list[str] = []
    known: set[str] = set()

    def segment(words: list[str]) -> list[list[int]]:
        segmented.extend(words)
        assert known.isdisjoint(words)
        known.update(words)
        return [[len(word), *map(ord, word)] for word in words]

    def forget(words: Iterable[str]) -> None:
        for word in words:
            known.remove(word)

    segmenter = WordSegmenter(segment, forget)
    for number in range(100):
        lines = [" ".join([*frequent, f"{number}a"]), "", f"{number}b {number // 9}c {frequent[0]}"]
        expected = [[piece for word in line.split() for piece in (len(word), *map(ord, word))] for line in lines]
        assert rows_of(segmenter, lines)[0] == expected[0]
        assert rows_of(segmenter, lines)[2] == expected[2]
        assert len(known) <= most + 4
    assert all(segmented.count(word) == 1 for word in frequent)


@pytest.mark.parametrize("right_to_left", [False, True])
@given(
    st.lists(
        st.text(
            st.sampled_from("a\u00e9e\u0301x<>unk0x4\u2581 \n\r\u200b\u2028\u6f22\ud800") | st.characters(), max_size=8
        )
    )
)
def test_restored_texts_are_decoded_texts(spaceless: SubwordModel, right_to_left: bool, texts: list[str]) -> None:
    model = SubwordModel(spaceless.model_bytes, right_to_left=right_to_left)
    for lines in (texts, [*texts, *LINES[:20], "<unk>", "<0x41>", "\u2581a", "<bt>a"]):
        ids = model.encode(lines)
        assert model.restore(lines, ids) == model.decode(ids)


def test_ascii_text_is_normalised_as_single_lines_are() -> None:
    model = make_model(LINES)
    for lines in (["a dog", "a\tdog"], ["a dog", "b\x7f"], ["a", "b"], ["a\x1c", "b"]):
        assert model.normalize(lines) == [model.normalize([line, "\u00e9"])[0] for line in lines]


@given(st.lists(st.text(max_size=40), max_size=4))
def test_byte_fallback_brings_any_text_back(model: SubwordModel, lines: list[str]) -> None:
    """Spaces at the ends and between words are the model's to normalise; U+2581 stands for a space."""

    def normal(line: str) -> str:
        return " ".join(word for word in line.replace("\u2581", " ").split(" ") if word)

    ids = model.encode(lines)
    assert not any(UNK in row for row in ids)
    decoded = model.decode(ids)
    assert len(decoded) == len(lines)
    expected = [normal(line).replace("\n", " ").replace("\r", " ") for line in lines]
    assert [text.split(" ") for text in map(normal, decoded)] == [normal(text).split(" ") for text in expected]


@pytest.mark.parametrize("kind", KINDS)
@given(st.text(max_size=40))
def test_default_normalization_keeps_visible_text(kind: str, text: str) -> None:
    model = make_model(LINES[:20], kind=kind) if (kind, "default") not in _models else _models[kind, "default"]
    _models[kind, "default"] = model
    visible = [character for character in text if unicodedata.category(character)[0] in "LN" and ord(character) < 0x250]
    decoded = unicodedata.normalize("NFKC", model.decode(model.encode([text]))[0])
    for character in visible:
        assert unicodedata.normalize("NFKC", character) in decoded


_models: dict[tuple[str, str], SubwordModel] = {}


@pytest.mark.parametrize(
    "text",
    ["<unk> <s> </s> <pad>", "<0x41>", "say <bt> twice <bt>", "in New York city", "tab\there", "\u2585", "a\x00b"],
)
def test_text_that_looks_like_symbols_survives(model: SubwordModel, text: str) -> None:
    ids = model.encode([text])
    assert model.decode(ids) == [text]
    assert {PAD, UNK, BOS, EOS}.isdisjoint(ids[0])


def test_the_sign_for_a_space_becomes_one(model: SubwordModel) -> None:
    assert model.decode(model.encode(["red\u2581dog"])) == ["red dog"]


def test_symbols_are_one_piece(model: SubwordModel) -> None:
    assert model.pieces(model.encode(["<bt> dog"])[0]).count("<bt>") == 1
    assert "New\u2581York" in model.pieces(model.encode(["a New York dog"])[0])


def test_decoding_never_makes_lines(model: SubwordModel) -> None:
    pieces = {piece: number for number, piece in enumerate(model.pieces(range(model.size)))}
    ids = [pieces["<0x41>"], pieces["<0x0A>"], pieces["<0x42>"], pieces["<0x0D>"]]
    assert model.decode([ids, [], [PAD, BOS, EOS], [pieces["<0xFF>"]]]) == ["A B ", "", "", "\ufffd"]


def test_lone_surrogates_are_replaced(model: SubwordModel) -> None:
    assert model.decode(model.encode(["a \udce9 dog"])) == ["a ? dog"]


def test_models_travel_as_bytes(model: SubwordModel) -> None:
    for copy in (SubwordModel(model.model_bytes), pickle.loads(pickle.dumps(model))):
        assert copy.fingerprint == model.fingerprint
        assert copy.encode(LINES[:5]) == model.encode(LINES[:5])


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(DataError, match="not a SentencePiece model"):
        SubwordModel(b"junk")
    with pytest.raises(DataError, match="not a SentencePiece model"):
        SubwordModel(b"")


def test_models_with_other_ids_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("\n".join(LINES), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "other"), vocab_size=100, minloglevel=2, hard_vocab_limit=False
    )
    with pytest.raises(DataError, match=r"\(-1, 0, 1, 2\)"):
        SubwordModel((tmp_path / "other.model").read_bytes())


# -------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "lines", [["a"], ["a b", "c"], ["hello world", "this is", "a b c", "d e f", "g h"], ["一二三"]]
)
@pytest.mark.parametrize("byte_fallback", [True, False])
def test_tiny_corpora(caplog: pytest.LogCaptureFixture, kind: str, lines: list[str], byte_fallback: bool) -> None:
    model = make_model(lines, kind=kind, vocabulary_size=8000, byte_fallback=byte_fallback)
    assert model.size < 400
    assert model.decode(model.encode(lines)) == lines
    assert f"The test vocabulary has {model.size} pieces instead of 8000" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 3, 20, 265])
def test_vocabularies_too_small_for_the_characters_say_how_many_are_needed(kind: str, size: int) -> None:
    with pytest.raises(DataError, match=r"tokenizer\.vocabulary_size \d+ is too small .* at least \d+") as caught:
        make_model(LINES, kind=kind, vocabulary_size=size)
    needed = int(str(caught.value).split("at least ")[1].split(".")[0])
    assert make_model(LINES, kind=kind, vocabulary_size=needed).size == needed


@pytest.mark.parametrize("lines", [[], ["\u2581"], ["\t"], ["\u2585"]])
def test_nothing_to_learn_from(lines: list[str]) -> None:
    with pytest.raises(DataError, match="test"):
        make_model(lines)


def test_training_is_repeatable_and_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    for kind in KINDS:
        assert make_model(LINES, kind=kind).fingerprint == make_model(LINES, kind=kind).fingerprint
    assert capfd.readouterr() == ("", "")


def test_lines_too_long_to_train_on_are_counted() -> None:
    options = TokenizerConfig(vocabulary_size=300)
    _, seen = train_subwords([*LINES, "é" * 3000, "x" * 5000], options=options, symbols=[], what="test")
    assert (seen.lines, seen.too_long) == (len(LINES), 2)


def test_tags_are_symbols_too() -> None:
    options = TokenizerConfig(user_symbols=["<a>", "<b>"])
    assert user_symbols(options, ["<bt>", None, "<a>"]) == ["<a>", "<b>", "<bt>"]


@pytest.mark.parametrize("symbol", ["", " ", "a\nb", "<s>", "</s>", "<unk>", "<pad>", "<0x0A>"])
def test_symbols_that_cannot_be(symbol: str) -> None:
    options: dict[str, Any] = {"user_symbols": [symbol]}
    with pytest.raises(ConfigError):
        user_symbols(TokenizerConfig.model_validate(options), [])


def test_a_model_with_a_piece_that_is_not_utf8_is_refused() -> None:
    data = tiny_subword_model().model_bytes
    word = "\u2581house".encode()
    assert word in data
    with pytest.raises(DataError, match="not a SentencePiece model"):
        SubwordModel(data.replace(word, b"\xe2\xc8" + word[2:]))


def test_many_rows_are_decoded_as_few_are() -> None:
    model = make_model(["the old dog sees a red house", "schön über den Baum"] * 20)
    rows = [[], *model.encode(["the dog", "a  house", "über", "", "schön sees"]), [1], []] * 9
    assert model.decode(rows) == [model.decode([row])[0] for row in rows]
