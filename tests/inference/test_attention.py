"""Attention weights by forced decoding: equal to those of the search's steps, by word, as alignments."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.data.alignments import parse_links
from nmt.data.special_tokens import BOS, EOS
from nmt.errors import UsageError
from nmt.inference.attention import AttentionExtractor, LineAttention
from nmt.inference.attention_map import (
    END,
    AttentionMap,
    Units,
    line_words,
    pharaoh,
    piece_units,
    word_spans,
    word_weights,
)
from nmt.inference.hardware import Processor
from nmt.inference.model_file import load_model
from nmt.inference.translator import Translator
from tiny_translator import save_tiny_model, tiny_tokenizers

LINES = ["the red dog sleeps .", "", "a cat sees the house and hears a man .", " \t", "the old woman runs ."]
ARCHITECTURES: list[dict[str, Any]] = [
    {"attention": {"score": "dot"}},
    {"attention": {"score": "general", "placement": "bottom"}},
    {"attention": {"score": "additive"}, "decoder": {"hidden_size": 24, "layers": 2}},
]


def attender(folder: Path, **model: Any) -> AttentionExtractor:
    save_tiny_model(folder / "model.safetensors", **model)
    return AttentionExtractor(load_model(folder / "model.safetensors"), decoding={"device": "cpu"})


def seen(found: list[LineAttention | None]) -> list[LineAttention]:
    return [one for one in found if one is not None]


@pytest.mark.parametrize("model", ARCHITECTURES, ids=lambda model: model["attention"]["score"])
def test_the_weights_equal_those_of_single_steps(tmp_path: Path, model: dict[str, Any]) -> None:
    found = seen(list(attender(tmp_path, **model).attend(LINES)))
    file = load_model(tmp_path / "model.safetensors")
    network, tokenizers = file.network(Processor(1)), tiny_tokenizers()
    assert [one.line for one in found] == [1, 3, 5]
    for one in found:
        source = [*tokenizers.source.encode([one.source])[0], EOS]
        target = Translator.from_models([file], decoding={"device": "cpu"}).translate([one.source])
        ids = next(target).hypotheses[0].ids
        memory = network.encode(np.array([source]), np.array([len(source)]))
        state = network.init_state(memory)
        rows = []
        for piece in (BOS, *ids):
            step = network.step(np.array([piece]), state, memory)
            assert step.weights is not None
            state = step.state
            rows.append(step.weights[0])
        assert one.pieces.weights == pytest.approx(np.stack(rows), abs=1e-5)
        assert one.pieces.source.texts == [*tokenizers.source.pieces(source[:-1]), END]
        assert one.pieces.target.texts == [*tokenizers.target.pieces(ids), END]


def test_rows_sum_to_one_for_pieces_and_words(tmp_path: Path) -> None:
    for one in seen(list(attender(tmp_path).attend(LINES))):
        for attention in (one.pieces, one.words):
            assert attention.weights.shape == (len(attention.target.texts), len(attention.source.texts))
            assert attention.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        assert one.words.source.texts == [*one.source.split(), END]


def test_translations_equal_those_of_the_translator(tmp_path: Path) -> None:
    found = list(attender(tmp_path).attend(LINES))
    translator = Translator.load(tmp_path / "model.safetensors", decoding={"device": "cpu"})
    assert ["" if one is None else one.translation for one in found] == [
        translation.text for translation in translator.translate(LINES)
    ]


def test_attention_of_a_given_translation(tmp_path: Path) -> None:
    targets = ["a dog .", "x", "the cat", "y", "  "]
    found = list(attender(tmp_path).attend(LINES, targets))
    assert [one and one.translation for one in found] == ["a dog .", None, "the cat", None, None]
    first = found[0]
    assert first is not None
    assert first.words.target.texts == ["a", "dog", ".", END]


def test_the_weights_do_not_depend_on_neighbours(tmp_path: Path) -> None:
    one_by_one = attender(tmp_path)
    together = seen(list(one_by_one.attend(LINES)))
    for attended in together:
        alone = seen(list(one_by_one.attend([attended.source])))[0]
        assert alone.pieces.weights == pytest.approx(attended.pieces.weights, abs=1e-5)


def test_a_long_line_has_attention_in_segments(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = "the red dog sleeps and the cat runs . " * 12
    with caplog.at_level(logging.WARNING, logger="nmt"):
        one = seen(list(attender(tmp_path).attend(["a dog", line])))[1]
    assert one.segments > 1
    assert f"more than the model was trained on: translated in {one.segments} segments" in caplog.text
    translator = Translator.load(tmp_path / "model.safetensors", decoding={"device": "cpu"})
    assert one.translation == next(translator.translate([line])).text
    for attention in (one.pieces, one.words):
        assert len(attention.source.ends) == len(attention.target.ends) == one.segments
        assert attention.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        first = min(attention.source.ends) + 1, min(attention.target.ends) + 1
        assert not attention.weights[: first[1], first[0] :].any()
        assert not attention.weights[first[1] :, : first[0]].any()


def test_a_model_without_attention_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no attention: model\.attention\.score is none"):
        attender(tmp_path, attention={"score": "none"})


# ------------------------------------------------------------------------------------------------------- alignments


def units(*texts: str) -> Units:
    return Units([*texts, END], frozenset([len(texts)]))


def test_words_begin_at_the_mark_of_a_space() -> None:
    assert word_spans(units("▁the", "▁do", "g", "s", ".")) == [range(0, 1), range(1, 5), range(5, 6)]
    assert word_spans(units("dog", "▁", "s", "▁", "▁a")) == [range(0, 1), range(1, 3), range(3, 5), range(5, 6)]
    two_parts = Units(["▁a", END, "b", "c", END], frozenset([1, 4]))
    assert word_spans(two_parts) == [range(0, 1), range(1, 2), range(2, 4), range(4, 5)]
    assert word_spans(units()) == [range(0, 1)]


def test_word_weights_are_sums_over_source_pieces_and_means_over_target_pieces() -> None:
    weights = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.0, 0.5, 0.5]], dtype=np.float32)
    # Source words: pieces 0 and 1, piece 2. Target words: piece 0, pieces 1 and 2.
    found = word_weights(weights, [range(0, 2), range(2, 3)], [range(0, 1), range(1, 3)])
    assert found == pytest.approx(np.array([[0.3, 0.7], [(0.6 + 0.5) / 2, (0.4 + 0.5) / 2]]))
    assert found.dtype == np.float32


def test_links_do_not_count_eos() -> None:
    weights = np.array([[0.1, 0.7, 0.2], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.9, 0.0, 0.1]], dtype=np.float32)
    attention = AttentionMap(units("a", "b"), units("x", "y", "z"), weights)
    # z looks most at the end of the source, the end of the target at a: neither is linked.
    assert attention.links() == [(0, 1), (1, 0)]
    assert pharaoh(attention.links()) == "0-1 1-0"
    assert pharaoh([]) == ""


def test_links_count_over_segments() -> None:
    parts = Units(["a", END, "b", END], frozenset([1, 3]))
    assert AttentionMap(parts, parts, np.eye(4, dtype=np.float32)).links() == [(0, 0), (1, 1)]


LINES_OF_WORDS = [
    "The tea\u200bcher reads a book.",
    "\u200b the \u200b dog \u00ad",
    "می\u200cخواهم",
    "ខ្ញុំ\u200bស្រឡាញ់\u200bភាសា ខ្មែរ",
    "the cat\u00a0sees ½ ① house",
    "dog " * 60 + "東京" * 40,
]


@pytest.mark.parametrize("line", LINES_OF_WORDS)
def test_alignments_count_the_words_of_the_raw_line(tmp_path: Path, line: str) -> None:
    extractor = attender(tmp_path)
    target = "a man\u200bhears \u2003 the old"
    for found in seen([*extractor.attend([line], [target]), *extractor.attend([line])]):
        sides = (found.words.source, line), (found.words.target, found.translation)
        for words, text in sides:
            assert [word for index, word in enumerate(words.texts) if index not in words.ends] == text.split()
        links = pharaoh(found.words.links())
        counts = {"source_words": len(line.split()), "target_words": len(found.translation.split())}
        assert parse_links(links, **counts) == found.words.links()
        assert found.words.weights.shape == (len(found.words.target.texts), len(found.words.source.texts))


def test_pieces_belong_to_the_word_with_their_characters() -> None:
    subwords = tiny_tokenizers().source

    def grouped(line: str, ids: list[int]) -> list[str]:
        pieces = piece_units([*ids, EOS], subwords)
        groups = line_words(pieces, line.split(), subwords)
        assert sorted(index for group in groups for index in group) == list(range(len(pieces.texts)))
        return ["".join(pieces.texts[index] for index in group).replace("▁", "") for group in groups]

    masked = subwords.encode(["the red sleeps"])[0]
    assert grouped("the red {0} sleeps", masked)[3:] == ["sleeps", END]
    assert grouped("the house sleeps", subwords.encode(["the ho use sleeps"])[0]) == ["the", "house", "sleeps", END]
    assert grouped("the house \u200b sleeps", subwords.encode(["the house sleeps"])[0]) == [
        "the",
        "house",
        "",
        "sleeps",
        END,
    ]


def test_pieces_of_a_text_without_words_belong_to_no_word() -> None:
    subwords = tiny_tokenizers().source
    ids = [number for number, piece in enumerate(subwords.pieces(range(subwords.size))) if piece.strip("▁")][-1:]
    pieces = piece_units([*ids, EOS], subwords)
    assert line_words(pieces, [], subwords) == [[1]]
