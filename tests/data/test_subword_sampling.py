"""Subword sampling: the same text in other pieces, drawn the same way in every process."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_files import WORDS, make_model, make_pairs
from nmt.data.store import Rows, make_rows
from nmt.data.subword_sampling import SubwordSampler
from nmt.data.tokenizer import SubwordModel

SENTENCES = [target for _, target in make_pairs(200, seed=3, longest=8)]
MODELS = {
    kind: make_model(SENTENCES, kind=kind, user_symbols=["<tag>"], vocabulary_size=340) for kind in ("bpe", "unigram")
}


def rows_of(model: SubwordModel, lines: list[str]) -> Rows:
    return make_rows(model.encode(lines), np.uint16)


def texts(model: SubwordModel, rows: Rows) -> list[str]:
    starts, lengths = rows.starts.tolist(), rows.lengths.tolist()
    return model.decode([rows.ids[a : a + n].tolist() for a, n in zip(starts, lengths, strict=True)])


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_text_stays_and_the_pieces_change(kind: str) -> None:
    model = MODELS[kind]
    stored = rows_of(model, SENTENCES)
    sampler = SubwordSampler(model, strength=0.2)
    first, again, other = (sampler.sample(stored, key=key) for key in (1, 1, 2))
    assert texts(model, first) == SENTENCES
    assert np.array_equal(first.ids, again.ids)
    assert not np.array_equal(first.ids, other.ids)
    assert first.lengths.sum() > stored.lengths.sum()
    assert np.array_equal(first.starts, np.cumsum(first.lengths) - first.lengths)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@given(lines=st.lists(st.text(min_size=1, max_size=30).filter(lambda text: text.strip() != ""), min_size=1, max_size=5))
@settings(max_examples=40)
def test_any_text_survives(kind: str, lines: list[str]) -> None:
    model = MODELS[kind]
    lines = [line for line in [*lines, "der <tag> Hund", "a<tag>b"] if model.encode([line])[0]]
    stored = rows_of(model, lines)
    sampled = SubwordSampler(model, strength=0.3).sample(stored, key=7)
    assert texts(model, sampled) == texts(model, stored)


def test_draws_do_not_differ_from_process_to_process(tmp_path: Path) -> None:
    model = MODELS["bpe"]
    (tmp_path / "model").write_bytes(model.model_bytes)
    here = SubwordSampler(model, strength=0.2).sample(rows_of(model, SENTENCES), key=5).ids.tolist()
    code = f"""
import sys
from pathlib import Path
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]!r}
from test_subword_sampling import SENTENCES, rows_of
from nmt.data.subword_sampling import SubwordSampler
from nmt.data.tokenizer import SubwordModel
model = SubwordModel(Path({str(tmp_path / "model")!r}).read_bytes())
print(SubwordSampler(model, strength=0.2).sample(rows_of(model, SENTENCES), key=5).ids.tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == str(here)


def test_dropout_leaves_merges_out_at_its_rate() -> None:
    model = MODELS["bpe"]
    stored = rows_of(model, SENTENCES)
    none = SubwordSampler(model, strength=0.0).sample(stored, key=1)
    assert np.array_equal(none.ids, stored.ids)
    every = SubwordSampler(model, strength=1.0).sample(stored, key=1)
    assert every.lengths.sum() == sum(len(line) + 1 for line in SENTENCES)


def textbook_dropout(
    ids: dict[str, int], scores: Sequence[float], text: str, dropout: float, generator: random.Random
) -> tuple[int, ...]:
    """Provilkov et al. 2020, algorithm 1: each time, the best of the merges that are not left out."""
    symbols = list(text)
    while True:
        pairs = [(ids.get(symbols[place] + symbols[place + 1]), place) for place in range(len(symbols) - 1)]
        left = [
            (-scores[piece], place) for piece, place in pairs if piece is not None and generator.random() >= dropout
        ]
        if not left:
            return tuple(ids[symbol] for symbol in symbols)
        place = min(left)[1]
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_bpe_draws_are_those_of_the_textbook(dropout: float) -> None:
    model = MODELS["bpe"]
    text = "\u2581" + max((word for line in SENTENCES for word in line.split()), key=len)
    ours, generator = SubwordSampler(model, strength=dropout), random.Random(1)
    drawn = Counter(ours._merges.sample(text, random.Random(2), count=5_000))
    ids = {piece: number for number, piece in enumerate(model.pieces(range(model.size))) if model.is_learned(number)}
    scores = model.scores()
    expected = Counter(textbook_dropout(ids, scores, text, dropout, generator) for _ in range(5_000))
    assert len(expected) > 5
    for word in drawn.keys() | expected.keys():
        assert abs(drawn[word] - expected[word]) < 5 * math.sqrt(expected[word] + 1) + 20, word


def test_unigram_draws_follow_the_probabilities() -> None:
    model = MODELS["unigram"]
    word = WORDS[2][1]
    best = model.best_segmentations("\u2581" + word, count=3)
    scores = np.array([sum(model.scores()[piece] for piece in ids) for ids in best])
    every = model.best_segmentations("\u2581" + word, count=64)
    weights = np.exp(0.5 * np.array([sum(model.scores()[piece] for piece in ids) for ids in every]))
    stored = rows_of(model, [word] * 4000)
    sampled = SubwordSampler(model, strength=0.5).sample(stored, key=3)
    drawn = [tuple(sampled.ids[a : a + n].tolist()) for a, n in zip(sampled.starts, sampled.lengths, strict=True)]
    assert scores[0] >= scores[1]
    for ids, share in zip(every, weights / weights.sum(), strict=True):
        assert abs(drawn.count(ids) / 4000 - share) < 0.04
