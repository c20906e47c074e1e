"""How time grows with the length of sentences, the vocabulary, the batch and the corpus: points, and a line.

The line is time = a + b * size by least squares of the relative error, so that small sizes count as much as large
ones; R2 is the share of the points' variance that it explains.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmark.clock import interleaved, medians, seconds_of
from benchmark.decoding import model_file, searcher
from benchmark.options import Options
from benchmark.preprocessing import QUICK_VOCABULARY, VOCABULARY, WHOLE, Corpus
from benchmark.shapes import Shape, configuration, network, shape_of
from benchmark.synthetic import draw_ids, even_batch
from nmt.data.batching import Batch
from nmt.data.tokenizer import Tokenizers
from nmt.device import choose_dtype
from nmt.inference.constraints import SearchJob
from nmt.training.learner import Learner

SENTENCES = 64
LENGTH = 15
BATCH_TOKENS = 2048
CORPUS_REPETITIONS = 2


class Sizes(NamedTuple):
    """Where the curves are measured."""

    lengths: Sequence[int]
    vocabularies: Sequence[int]
    batches: Sequence[int]
    corpora: Sequence[int]


NORMAL = Sizes(
    (5, 10, 20, 50, 100, 200),
    (4000, 8000, 16000, 32000, 64000),
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    (10_000, 30_000, 100_000),
)
QUICK = Sizes((5, 10, 20), (400, 800, 1600), (1, 2, 4), (100, 200, 400))
FULL_CORPORA = (10_000, 30_000, 100_000, 300_000, 1_000_000, 5_000_000)


class Line(NamedTuple):
    """time = constant + slope * size, in seconds."""

    constant: float
    slope: float
    r_squared: float


def fit(sizes: Sequence[float], seconds: Sequence[float]) -> Line:
    """Return the line through points (size, seconds), by least squares of the relative error."""
    x, y = np.asarray(sizes, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    matrix = np.stack([np.ones_like(x), x], axis=1)
    (constant, slope), *_ = np.linalg.lstsq(matrix / y[:, np.newaxis], np.ones_like(y), rcond=None)
    variance = ((y - y.mean()) ** 2).sum()
    residual = ((y - constant - slope * x) ** 2).sum()
    return Line(float(constant), float(slope), float(1 - residual / variance) if variance > 0 else 1.0)


def measure_growth(options: Options, device: torch.device) -> list[dict[str, Any]]:
    """Return a row of points and constants for each curve."""
    sizes = QUICK if options.quick else NORMAL
    if options.full:
        sizes = sizes._replace(corpora=FULL_CORPORA)
    shape = shape_of("S", quick=options.quick)
    rows = []
    for what, unit, curve in (
        ("training, an update of equal sentences of so many pieces, a sentence", "pieces", _training_lengths),
        ("training, an update over so many vocabulary pieces", "vocabulary pieces", _training_vocabularies),
        (f"training, an update of so many sentences of {LENGTH} pieces", "sentences", _training_batches),
        (f"decoding, beam 5, {SENTENCES} sentences of so many pieces, a sentence", "pieces", _decoding_lengths),
        (
            f"decoding, beam 5, {SENTENCES} sentences over so many vocabulary pieces",
            "vocabulary pieces",
            _decoding_vocabularies,
        ),
        (f"decoding, beam 5, a batch of so many sentences of {LENGTH} pieces", "sentences", _decoding_batches),
    ):
        print(f"growth: {what}", file=sys.stderr)
        points = medians(interleaved(curve(shape, sizes, device), rounds=options.rounds))
        rows.append(_row(what, unit, points))
    for what, points in _corpora(sizes.corpora, options).items():
        rows.append(_row(what, "pairs", points))
    return rows


def _row(what: str, unit: str, points: dict[int, float]) -> dict[str, Any]:
    line = fit(list(points), list(points.values()))
    return {
        "what": what,
        "unit": unit,
        "points": [[size, round(seconds, 6)] for size, seconds in points.items()],
        "constant_seconds": line.constant,
        "seconds_per_unit": line.slope,
        "r_squared": round(line.r_squared, 4),
    }


Tasks = dict[int, Callable[[], float]]


def _learner(shape: Shape, device: torch.device) -> Learner:
    config = configuration(shape)
    dtype = choose_dtype("auto", device)
    model = network(config, shape).to(device)
    return Learner(model=model, options=config.training, total_updates=10**6, device=device, dtype=dtype)


def _update_task(learner: Learner, batch: Batch, device: torch.device, *, of: int = 1) -> Callable[[], float]:
    """Return what measures an update on `batch`, in seconds divided by `of`."""
    learner.update([batch], 1)  # warm-up

    def measure() -> float:
        return seconds_of(lambda: learner.update([batch], 1), device) / of

    return measure


def _training_lengths(shape: Shape, sizes: Sizes, device: torch.device) -> Tasks:
    learner = _learner(shape, device)
    tasks = {}
    for length in sizes.lengths:
        count = max(1, BATCH_TOKENS // length)
        batch = even_batch(count, length=length, vocabulary=shape.vocabulary, seed=length)
        tasks[length] = _update_task(learner, batch, device, of=count)
    return tasks


def _training_vocabularies(shape: Shape, sizes: Sizes, device: torch.device) -> Tasks:
    tasks = {}
    for vocabulary in sizes.vocabularies:
        batch = even_batch(BATCH_TOKENS // LENGTH, length=LENGTH, vocabulary=vocabulary, seed=1)
        tasks[vocabulary] = _update_task(_learner(shape._replace(vocabulary=vocabulary), device), batch, device)
    return tasks


def _training_batches(shape: Shape, sizes: Sizes, device: torch.device) -> Tasks:
    learner = _learner(shape, device)
    return {
        count: _update_task(learner, even_batch(count, length=LENGTH, vocabulary=shape.vocabulary, seed=count), device)
        for count in sizes.batches
    }


def _search_task(shape: Shape, device: torch.device, *, count: int, length: int, of: int = 1) -> Callable[[], float]:
    """Return what measures the translation of `count` sentences of `length` pieces, in seconds divided by `of`."""
    # Room enough that even the longest sentences are searched in one batch.
    room = count * max(1, length // 25)
    search = searcher(
        model_file(shape, seed=1), beam_size=5, batch_sentences=room, precision="auto", device=device.type
    )
    generator = np.random.default_rng(length)
    ids = draw_ids(count * length, vocabulary=shape.vocabulary, generator=generator).reshape(count, length).tolist()
    jobs = [SearchJob(tuple(row)) for row in ids]
    search.search(jobs[:1])  # warm-up

    def measure() -> float:
        return seconds_of(lambda: search.search(jobs), device) / of

    return measure


def _decoding_lengths(shape: Shape, sizes: Sizes, device: torch.device) -> Tasks:
    return {
        length: _search_task(shape, device, count=SENTENCES, length=length, of=SENTENCES) for length in sizes.lengths
    }


def _decoding_vocabularies(shape: Shape, sizes: Sizes, device: torch.device) -> Tasks:
    return {
        vocabulary: _search_task(shape._replace(vocabulary=vocabulary), device, count=SENTENCES, length=LENGTH)
        for vocabulary in sizes.vocabularies
    }


def _decoding_batches(shape: Shape, sizes: Sizes, device: torch.device) -> Tasks:
    return {count: _search_task(shape, device, count=count, length=LENGTH) for count in sizes.batches}


def _corpora(sizes: Sequence[int], options: Options) -> dict[str, dict[int, float]]:
    """Return the seconds of each pass for each size: the best of two. The subword model is that of the smallest one."""
    found: dict[str, dict[int, float]] = {}
    tokenizers: Tokenizers | None = None
    for pairs in sizes:
        print(f"growth: {pairs:,} pairs", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            vocabulary = QUICK_VOCABULARY if options.quick else VOCABULARY
            corpus = Corpus(Path(folder), pairs, vocabulary=vocabulary, seed=options.seed, tokenizers=tokenizers)
            tokenizers = corpus.tokenizers
            tasks: dict[str, Callable[[], float]] = {
                "filters": corpus.filter,
                "encoding, 2 threads": partial(corpus.encode, 2),
                WHOLE: corpus.prepare,
                "batching, an epoch": corpus.batch,
            }
            for what, seconds in interleaved(tasks, rounds=CORPUS_REPETITIONS).items():
                found.setdefault(what, {})[pairs] = min(seconds)
    return found
