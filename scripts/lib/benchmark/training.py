"""How fast networks train: target pieces a second, the share of the machine's peak, beside the textbook version.

All variants of a shape are in one process and take turns: in each round the peak is measured, then each variant makes
updates for at least a second. A figure is the median over the rounds. Memory and the time of each part are measured
elsewhere, so that they do not disturb: see `benchmark.training_parts`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmark import training_parts
from benchmark.clock import interleaved, rate_of
from benchmark.options import Options
from benchmark.peak import QUICK_SIZE, SIZE, both_speeds
from benchmark.shapes import Shape, shape_of, useful_operations
from benchmark.trainees import TEXTBOOK, Data, Ours, Variant, make_data, make_trainee
from nmt.device import native_bf16


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
