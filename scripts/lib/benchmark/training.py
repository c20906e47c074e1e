"""How fast networks train: target pieces a second, the share of the machine's peak, beside the textbook version.

All variants of a shape are in one process and take turns: in each round the peak is measured, then each variant makes
updates for at least a second. A figure is the median over the rounds. Memory and the time of each part are measured
elsewhere, so that they do not disturb: see `benchmark.training_parts`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from benchmark import training_parts
from benchmark.clock import interleaved, rate_of
from benchmark.options import Options
from benchmark.peak import QUICK_SIZE, SIZE, both_speeds
from benchmark.shapes import Shape, configuration, network, shape_of, useful_operations
from benchmark.synthetic import Pairs, draw_pairs, stand_in_tokenizers, stream, write_store
from benchmark.textbook import TextbookTrainer, textbook_batches
from nmt.data.batches.batching import Batch, Batches, Position
from nmt.device import choose_dtype, native_bf16
from nmt.training.learner import Learner

BATCH_TOKENS, QUICK_BATCH_TOKENS = 4096, 256
PAIRS, QUICK_PAIRS = 20_000, 300


class Variant(NamedTuple):
    """One way to train a shape."""

    textbook: bool
    placement: str
    input_feeding: bool
    precision: str

    @property
    def name(self) -> str:
        """In words."""
        if self.textbook:
            return "textbook"
        return f"{self.placement}{', input feeding' if self.input_feeding else ''}, {self.precision}"


TEXTBOOK = Variant(True, "top", True, "fp32")


class Trainee(Protocol):
    """Something that learns from one batch after another."""

    def batch(self) -> Batch:
        """Return the next batch."""

    def update(self, batch: Batch) -> None:
        """Learn from it."""


class Ours:
    """The toolkit's network and learner, on batches of the toolkit's stream."""

    def __init__(self, variant: Variant, shape: Shape, batches: Batches, *, device: torch.device, seed: int) -> None:
        config = configuration(
            shape, placement=variant.placement, input_feeding=variant.input_feeding, seed=seed, max_updates=10**6
        )
        self.model = network(config, shape).to(device)
        dtype = choose_dtype(variant.precision, device)
        self.learner = Learner(
            model=self.model, options=config.training, total_updates=10**6, device=device, dtype=dtype
        )
        self._batches = batches.iterate(Position(0, 0, 0))
        self._updates = 0

    def batch(self) -> Batch:
        """Return the next batch."""
        return next(self._batches)[0]

    def update(self, batch: Batch) -> None:
        """Learn from it."""
        self._updates += 1
        self.learner.update([batch], self._updates)


class Textbook:
    """The textbook model, on batches in the order of the corpus."""

    def __init__(self, shape: Shape, pairs: Pairs, *, batch_tokens: int, device: torch.device, seed: int) -> None:
        torch.manual_seed(seed)
        self.trainer = TextbookTrainer(shape, device=device)
        self._batches: Iterator[Batch] = cycle(textbook_batches(pairs, batch_tokens=batch_tokens))

    def batch(self) -> Batch:
        """Return the next batch."""
        return next(self._batches)

    def update(self, batch: Batch) -> None:
        """Learn from it."""
        self.trainer.update(batch)


class Data(NamedTuple):
    """What is learnt from."""

    pairs: Pairs
    batches: Batches
    batch_tokens: int


def make_data(folder: Path, shape: Shape, *, quick: bool, seed: int) -> Data:
    """Draw the pairs and write their store to `folder`."""
    pairs = draw_pairs(QUICK_PAIRS if quick else PAIRS, vocabulary=shape.vocabulary, seed=seed)
    store = write_store(folder, pairs, vocabulary=shape.vocabulary)
    batch_tokens = QUICK_BATCH_TOKENS if quick else BATCH_TOKENS
    tokenizers = stand_in_tokenizers(shape.vocabulary)
    return Data(pairs, stream(store, tokenizers, batch_tokens=batch_tokens, seed=seed), batch_tokens)


def make_trainee(variant: Variant, shape: Shape, data: Data, *, device: torch.device, seed: int) -> Ours | Textbook:
    """Return what trains as `variant` says."""
    if variant.textbook:
        return Textbook(shape, data.pairs, batch_tokens=data.batch_tokens, device=device, seed=seed)
    return Ours(variant, shape, data.batches, device=device, seed=seed)


def variants(shape: Shape, device: torch.device, skipped: list[str]) -> list[Variant]:
    """Return the variants of `shape`, the textbook first; what cannot be measured is put to `skipped`."""
    placements, feeding, precisions = ["top", "bottom"], [False, True], ["fp32", "bf16"]
    if shape.decoder_layers == 1:
        placements = ["top"]
        skipped.append("training: a decoder of one layer has no placement of attention but one")
    if not native_bf16(device):
        precisions = ["fp32"]
        skipped.append("training in bf16: this machine does not compute it natively")
    return [TEXTBOOK] + [Variant(False, p, f, n) for p in placements for f in feeding for n in precisions]


def measure_training(options: Options, device: torch.device, skipped: list[str]) -> list[dict[str, Any]]:
    """Return a row of figures for each shape and variant."""
    rows = []
    for name in options.shapes:
        shape = shape_of(name, quick=options.quick)
        chosen = variants(shape, device, skipped)
        with tempfile.TemporaryDirectory() as folder:
            data = make_data(Path(folder), shape, quick=options.quick, seed=options.seed)
            speeds, shares = _speeds(chosen, shape, data, options=options, device=device)
        for variant in chosen:
            print(f"training: parts and memory of {name} {variant.name}", file=sys.stderr)
            apart = training_parts.in_a_process(name, variant._asdict(), options)
            rows.append(
                {
                    "shape": name,
                    "variant": variant.name,
                    **variant._asdict(),
                    "target_tokens_per_second": round(speeds[variant], 1),
                    "over_textbook": round(speeds[variant] / speeds[TEXTBOOK], 2),
                    "share_of_peak": None if variant.textbook else round(shares[variant], 4),
                    **apart,
                }
            )
    return rows


def _speeds(
    chosen: list[Variant], shape: Shape, data: Data, *, options: Options, device: torch.device
) -> tuple[dict[Variant, float], dict[Variant, float]]:
    """Return target pieces a second, and useful operations as a share of the peak of the variant's number format."""
    peaks: dict[str, float] = {}
    shares: dict[Variant, list[float]] = {variant: [] for variant in chosen}

    def measure_peak() -> None:
        peaks.update(both_speeds(device, size=QUICK_SIZE if options.quick else SIZE))

    def task(variant: Variant) -> Callable[[], float]:
        trainee = make_trainee(variant, shape, data, device=device, seed=options.seed)
        trainee.update(trainee.batch())  # warm-up
        operations_per_token = 0.0

        def one_update() -> float:
            nonlocal operations_per_token
            batch = trainee.batch()
            trainee.update(batch)
            if isinstance(trainee, Ours):
                operations_per_token = useful_operations(trainee.model, batch) / batch.target_tokens
            return batch.target_tokens

        def one_round() -> float:
            speed = rate_of(one_update, device, seconds=options.seconds)
            shares[variant].append(speed * operations_per_token / peaks[variant.precision])
            return speed

        return one_round

    print(f"training: {len(chosen)} variants in {options.rounds} rounds", file=sys.stderr)
    tasks = {variant: task(variant) for variant in chosen}
    found = interleaved(tasks, rounds=options.rounds, before_round=measure_peak)
    return (
        {variant: statistics.median(values) for variant, values in found.items()},
        {variant: statistics.median(values) for variant, values in shares.items()},
    )
