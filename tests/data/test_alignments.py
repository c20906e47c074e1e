"""Word alignments: read, filtered with their pairs, stored, and turned into links between pieces."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import make_config, make_model, make_pairs, write_pairs, write_text
from exercise.corpus import make_corpus
from nmt.config.schema import Config
from nmt.data.alignments import Linker, Links, PieceWords, parse_links
from nmt.data.batching import Batch, Batches, Position
from nmt.data.preprocess.preprocess import PreprocessedData, preprocess
from nmt.data.special_tokens import EOS
from nmt.data.store import make_rows
from nmt.data.tokenizer import WORD_START, SubwordModel, Tokenizers
from nmt.errors import DataError

PAIRS = make_pairs(120, seed=5, longest=9)
Alignment = list[list[tuple[int, int]]]


def random_alignment(pairs: list[tuple[str, str]], *, seed: int) -> Alignment:
    """Links drawn at random: words with several, one or none; every fifth pair has no link at all."""
    generator = random.Random(seed)
    alignment = []
    for number, (source, target) in enumerate(pairs):
        every = [(i, j) for i in range(len(source.split())) for j in range(len(target.split()))]
        alignment.append(sorted(generator.sample(every, len(every) // 3)) if number % 5 else [])
    return alignment


def write_alignment(path: Path, alignment: Alignment) -> str:
    return write_text(path, [" ".join(f"{i}-{j}" for i, j in links) for links in alignment])


def aligned_config(folder: Path, pairs: list[tuple[str, str]], alignment: Alignment, **options: Any) -> Config:
    corpus = write_pairs(folder, "train", pairs)
    corpus["alignment"] = write_alignment(folder / "train.align", alignment)
    return make_config(folder, [corpus], **options)


def batches_of(preprocessed: PreprocessedData, *, sampling: float = 0.0) -> list[Batch]:
    batches = Batches(
        preprocessed.train,
        preprocessed.tokenizers,
        batch_tokens=300,
        batch_sentences=None,
        shuffle_window=50,
        sampling=sampling,
        seed=3,
        weights=[1.0] * (len(preprocessed.train.bounds) - 1),
        aligned=True,
    )
    found = []
    for batch, position in batches.iterate(Position(0, 0, 0)):
        found.append(batch)
        if position.epoch == 1:
            return found
    raise AssertionError


def words_of(model: SubwordModel, ids: list[int]) -> list[int]:
    """The word of each piece, counted one by one."""
    word, words = -1, []
    for place, piece in enumerate(model.pieces(ids)):
        word += place == 0 or piece.startswith(WORD_START)
        words.append(word)
    return words


def naive_links(batch: Batch, models: Tokenizers, alignment: dict[tuple[str, str], list[tuple[int, int]]]) -> set[Any]:
    """(row, target place, source place, share) of all links of a batch, from its text."""
    found = set()
    for row in range(len(batch)):
        source = batch.source[row, : batch.source_lengths[row] - 1].tolist()
        target = batch.target_output[row, : batch.target_lengths[row] - 1].tolist()
        text = models.source.decode([source])[0], models.target.decode([target])[0]
        source_words, target_words = words_of(models.source, source), words_of(models.target, target)
        for place, target_word in enumerate(target_words):
            linked = [i for i, word in enumerate(source_words) if (word, target_word) in alignment[text]]
            found |= {(row, place, i, float(np.float32(1 / len(linked)))) for i in linked}
    return found


def as_set(links: Links | None) -> set[Any]:
    assert links is not None
    columns = (links.rows, links.targets, links.sources, links.shares)
    found = list(zip(*(column.tolist() for column in columns), strict=True))
    assert len(set(found)) == len(found)
    return set(found)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("sampling", [0.0, 0.2])
def test_links_of_words_become_links_of_pieces_however_they_are_cut(tmp_path: Path, kind: str, sampling: float) -> None:
    alignment = random_alignment(PAIRS, seed=1)
    preprocessed = preprocess(aligned_config(tmp_path, PAIRS, alignment, tokenizer={"kind": kind}))
    by_text = dict(zip(PAIRS, alignment, strict=True))
    seen = 0
    for batch in batches_of(preprocessed, sampling=sampling):
        links = as_set(batch.links)
        assert links == naive_links(batch, preprocessed.tokenizers, by_text)
        seen += len(links)
    assert seen > 1000
    assert preprocessed.report["corpora"][0]["alignment"] == {
        "links": sum(map(len, alignment)),
        "pairs_with_links": sum(map(bool, alignment)),
        "pairs_not_matched": 0,
    }


def test_batches_without_links_are_as_they_were(tmp_path: Path) -> None:
    preprocessed = preprocess(aligned_config(tmp_path, PAIRS, random_alignment(PAIRS, seed=1)))
    options: dict[str, Any] = {"batch_tokens": 300, "batch_sentences": None, "shuffle_window": 50, "sampling": 0.0}
    plain = Batches(preprocessed.train, preprocessed.tokenizers, **options, seed=3, weights=[1.0])
    first, _ = next(plain.iterate(Position(0, 0, 0)))
    assert first.links is None
    assert np.array_equal(first.source, batches_of(preprocessed)[0].source)
    assert plain.largest().links is None


def test_filtered_pairs_take_their_links_with_them(tmp_path: Path) -> None:
    long = " ".join(["dog"] * 90)
    pairs = [*PAIRS[:40], ("", "leer"), PAIRS[3], (long, long), ("\x01 x", "y"), *PAIRS[40:]]
    by_text = dict(zip(PAIRS, random_alignment(PAIRS, seed=2), strict=True))
    alignment = [by_text.get(pair, [(0, 0)]) for pair in pairs]
    for max_pieces in (300, 6):
        config = aligned_config(
            tmp_path, pairs, alignment, filters={"max_words": 80, "max_pieces": max_pieces, "drop_identical": False}
        )
        preprocessed = preprocess(config)
        assert len(preprocessed.train) <= len(PAIRS)
        assert (len(preprocessed.train) < len(PAIRS)) == (max_pieces == 6)
        for batch in batches_of(preprocessed):
            assert as_set(batch.links) == naive_links(batch, preprocessed.tokenizers, by_text)


def test_a_corpus_with_alignment_beside_others_and_a_tag(tmp_path: Path) -> None:
    first, second, third = PAIRS[:40], PAIRS[40:80], PAIRS[80:]
    alignment = random_alignment(second, seed=3)
    corpora = [write_pairs(tmp_path, name, part) for name, part in (("a", first), ("b", second), ("c", third))]
    corpora[1] |= {"alignment": write_alignment(tmp_path / "b.align", alignment), "tag": "<bt>"}
    preprocessed = preprocess(make_config(tmp_path, corpora))
    by_text: dict[tuple[str, str], list[tuple[int, int]]] = {pair: [] for pair in [*first, *third]}
    for (source, target), links in zip(second, alignment, strict=True):
        by_text[f"<bt> {source}", target] = [(i + 1, j) for i, j in links]
    batches = batches_of(preprocessed)
    assert sum(len(as_set(batch.links)) for batch in batches) > 300
    for batch in batches:
        assert as_set(batch.links) == naive_links(batch, preprocessed.tokenizers, by_text)
    assert ["alignment" in corpus for corpus in preprocessed.report["corpora"]] == [False, True, False]


def test_no_alignment_anywhere_gives_no_links(tmp_path: Path) -> None:
    preprocessed = preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)]))
    assert all(not as_set(batch.links) for batch in batches_of(preprocessed))


def test_the_fingerprint_knows_the_alignment(tmp_path: Path) -> None:
    corpus = write_pairs(tmp_path, "train", PAIRS)
    without = preprocess(make_config(tmp_path, [corpus]))
    alignment = random_alignment(PAIRS, seed=1)
    first = preprocess(aligned_config(tmp_path, PAIRS, alignment))
    again = preprocess(aligned_config(tmp_path, PAIRS, alignment))
    other = preprocess(aligned_config(tmp_path, PAIRS, random_alignment(PAIRS, seed=9)))
    assert first.fingerprint == again.fingerprint
    assert len({without.fingerprint, first.fingerprint, other.fingerprint}) == 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0-0 1:1", "'1:1' is not a link"),
        ("0-0 -1-1", "'-1-1' is not a link"),
        ("0-0 1-1-1", "is not a link"),
        ("0-99", r"target word 99, but the target has \d words"),
        ("99-0", r"source word 99, but the source has \d words"),
    ],
)
def test_a_bad_link_names_file_and_line(tmp_path: Path, line: str, says: str) -> None:
    config = aligned_config(tmp_path, PAIRS, random_alignment(PAIRS, seed=1))
    file = tmp_path / "train.align"
    lines = file.read_text(encoding="utf-8").split("\n")
    file.write_text("\n".join([*lines[:6], line, *lines[7:]]), encoding="utf-8")
    with pytest.raises(DataError, match=rf"train\.align, line 7: .*{says}"):
        preprocess(config)
    assert not (tmp_path / "preprocessed").exists()


def test_unequal_files_are_an_error_that_counts(tmp_path: Path) -> None:
    config = aligned_config(tmp_path, PAIRS, random_alignment(PAIRS, seed=1)[:-1])
    with pytest.raises(DataError, match=r"train\.align has 119 lines, but .*train\.source has 120"):
        preprocess(config)


def test_links_stand_once_and_in_order() -> None:
    assert parse_links(" 2-1 0-0\t2-1 ", source_words=3, target_words=2) == [(0, 0), (2, 1)]
    assert parse_links("", source_words=3, target_words=2) == []


def test_words_that_the_subword_model_sees_otherwise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A zero-width space is a space to a rule of SentencePiece, and no white space to Python."""
    caplog.set_level(logging.INFO, logger="nmt")
    pairs = [*PAIRS, ("red dog\u200bcat tree", "roter Hund Baum")]
    alignment: Alignment = [[] for _ in PAIRS] + [[(0, 0), (1, 1), (2, 2)]]
    preprocessed = preprocess(
        aligned_config(tmp_path, pairs, alignment, tokenizer={"byte_fallback": False, "normalization": "nmt_nfkc"})
    )
    (batch,) = [batch for batch in batches_of(preprocessed) if as_set(batch.links)]
    row = int(batch.links.rows[0]) if batch.links else 0
    source, target = batch.source[row].tolist(), batch.target_output[row].tolist()
    source, target = source[: source.index(EOS)], target[: target.index(EOS)]
    source_words = words_of(preprocessed.tokenizers.source, source)
    target_words = words_of(preprocessed.tokenizers.target, target)
    linked = {(source_words[s], target_words[t]) for _, t, s, _ in as_set(batch.links)}
    assert linked == {(0, 0), (1, 1), (2, 1), (3, 2)}
    assert "alignment: 3 links in 1 pairs" in caplog.text


def test_words_that_cannot_be_matched_are_left_out() -> None:
    model = make_model(["the red dog"] * 20, normalization="nmt_nfkc")
    assert PieceWords(model).match(["the", "dog"], 2) == [range(1), range(1, 2)]
    assert PieceWords(model).match(["the", "dog\u200bdog"], 3) == [range(1), range(1, 3)]
    assert PieceWords(model).match(["the", "dog"], 3) is None


def test_a_line_without_spaces_is_one_word() -> None:
    model = make_model(["我们今天去看电影"] * 20, byte_fallback=False, vocabulary_size=40)
    pieces = make_rows(model.encode(["我们今天去看电影"]), np.int64)
    links = Linker(Tokenizers(model, model)).link(make_rows([[0, 0]], np.int64), pieces, pieces)
    count = int(pieces.lengths[0])
    assert {(s, t) for _, t, s, _ in as_set(links)} == {(s, t) for s in range(count) for t in range(count)}


def test_the_exercise_corpus_aligns(tmp_path: Path) -> None:
    make_corpus(folder=tmp_path, seed=1, sizes={"train": 300})
    files = {"source": "train.en", "target": "train.de", "alignment": "train.align"}
    preprocessed = preprocess(make_config(tmp_path, [{name: str(tmp_path / file) for name, file in files.items()}]))
    found = preprocessed.report["corpora"][0]["alignment"]
    assert found["pairs_not_matched"] == 0
    assert found["pairs_with_links"] == len(preprocessed.train)
    for batch in batches_of(preprocessed):
        linked = {(row, place) for row, place, *_ in as_set(batch.links)}
        assert len(linked) > 0.7 * (batch.target_tokens - len(batch))
