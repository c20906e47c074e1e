"""Measures how fast a configuration trains on this machine, beside what the machine's matrix products can do.

The two are measured in turns in one process, because a machine's speed changes from minute to minute.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from itertools import islice
from pathlib import Path

import torch

from nmt import log
from nmt.config import load_config
from nmt.data.batching import Batch, Position
from nmt.data.preprocess import prepare
from nmt.device import choose_device, choose_dtype, keep_freed_memory, set_threads
from nmt.model import Seq2Seq, build_model
from nmt.training.batches import make_batches
from nmt.training.learner import Learner

PEAK_SIZE = 2048
ROUNDS = 5


def matrix_speed(device: torch.device, dtype: torch.dtype) -> float:
    """Return the speed of a square matrix product in floating point operations a second, the best of a few."""
    left, right = (torch.randn(PEAK_SIZE, PEAK_SIZE, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        float((left @ right)[0, 0])  # Reading a number waits for the device.
        seconds.append(time.perf_counter() - began)
    return float(2 * PEAK_SIZE**3 / min(seconds))


def useful_operations(model: Seq2Seq, batch: Batch) -> int:
    """Return the operations of `batch` forwards and backwards: 6 for each weight and real position it is applied to.

    Embedding tables are looked up, not multiplied; the output layer is a multiplication even where it is tied. The
    products of attention itself, element-wise work and padding are not counted.
    """
    sources = int(batch.source_lengths.sum())
    tables = {id(model.encoder.embeddings.table.weight), id(model.decoder.embeddings.table.weight)}
    encoder = sum(weight.numel() for weight in model.encoder.parameters() if id(weight) not in tables)
    decoder = sum(weight.numel() for weight in model.decoder.parameters() if id(weight) not in tables)
    return 6 * (encoder * sources + (decoder + model.output.weight.numel()) * batch.target_tokens)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__)
    parser.add_argument("config", type=Path, help="a configuration whose text is there")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="options in place of the file's")
    parser.add_argument("--updates", type=int, default=60, help="updates to measure (default 60)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    log.setup(level=30)
    config = load_config(options.config, options.overrides)
    device = choose_device(config.training.device)
    dtype = choose_dtype(config.training.precision, device)
    set_threads(config.training.threads)
    keep_freed_memory()
    torch.manual_seed(config.seed)
    prepared = prepare(config)
    tokenizers = prepared.tokenizers
    model = build_model(config.model, source_size=tokenizers.source.size, target_size=tokenizers.target.size).to(device)
    learner = Learner(model=model, options=config.training, total_updates=10**6, device=device, dtype=dtype)
    stream = make_batches(config, prepared)
    warmup = 5
    batches = [batch for batch, _ in islice(stream.iterate(Position(0, 0, 0)), options.updates + warmup)]
    for number, batch in enumerate(batches[:warmup], 1):
        learner.update([batch], number)

    peaks, speeds, shares = [], [], []
    part = -(-options.updates // ROUNDS)
    for first in range(warmup, len(batches), part):
        peak = matrix_speed(device, dtype)
        began = time.perf_counter()
        for number, batch in enumerate(batches[first : first + part], first + 1):
            learner.update([batch], number)
        seconds = time.perf_counter() - began
        group = batches[first : first + part]
        peaks.append(peak)
        speeds.append(sum(batch.target_tokens for batch in group) / seconds)
        shares.append(sum(useful_operations(model, batch) for batch in group) / seconds / peak)
    result = {
        "precision": "bf16" if dtype == torch.bfloat16 else "fp32",
        "threads": torch.get_num_threads(),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "matrix_product_gflops": round(statistics.median(peaks) / 1e9, 1),
        "target_tokens_per_second": round(statistics.median(speeds)),
        "share_of_matrix_product_speed": round(statistics.median(shares), 4),
    }
    if options.json:
        json.dump(result, sys.stdout)
        print()
    else:
        for name, value in result.items():
            print(f"{name:<32}{value}")


if __name__ == "__main__":
    main()
