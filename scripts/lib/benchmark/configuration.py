"""How fast a configuration trains on its own data: `scripts/benchmark CONFIG [key=value...]`.

Matrix products and updates are measured in turns in one process, because a machine's speed changes from minute to
minute.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from benchmark.peak import matrix_speed
from benchmark.shapes import useful_operations
from nmt.config import load_config
from nmt.data.batching import Position
from nmt.data.preprocess.preprocess import preprocess
from nmt.device import choose_device, choose_dtype, keep_freed_memory, set_threads
from nmt.model import build_model
from nmt.training.batch_tensors import make_batches
from nmt.training.learner import Learner

ROUNDS = 5
WARMUP = 5


def measure_configuration(file: Path, overrides: Sequence[str], *, updates: int) -> dict[str, Any]:
    """Return the speed of `updates` updates of the configuration `file`, and its share of the machine's."""
    config = load_config(file, overrides)
    device = choose_device(config.training.device)
    dtype = choose_dtype(config.training.precision, device)
    set_threads(config.training.threads)
    keep_freed_memory()
    torch.manual_seed(config.seed)
    preprocessed = preprocess(config)
    tokenizers = preprocessed.tokenizers
    model = build_model(config.model, source_size=tokenizers.source.size, target_size=tokenizers.target.size).to(device)
    learner = Learner(model=model, options=config.training, total_updates=10**6, device=device, dtype=dtype)
    stream = make_batches(config, preprocessed)
    batches = [batch for batch, _ in islice(stream.iterate(Position(0, 0, 0)), updates + WARMUP)]
    for number, batch in enumerate(batches[:WARMUP], 1):
        learner.update([batch], number)

    precision = "bf16" if dtype == torch.bfloat16 else "fp32"
    peaks, speeds, shares = [], [], []
    part = -(-updates // ROUNDS)
    for first in range(WARMUP, len(batches), part):
        peak = matrix_speed(device, precision)
        began = time.perf_counter()
        for number, batch in enumerate(batches[first : first + part], first + 1):
            learner.update([batch], number)
        seconds = time.perf_counter() - began
        group = batches[first : first + part]
        peaks.append(peak)
        speeds.append(sum(batch.target_tokens for batch in group) / seconds)
        shares.append(sum(useful_operations(model, batch) for batch in group) / seconds / peak)
    return {
        "precision": precision,
        "threads": torch.get_num_threads(),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "matrix_product_gflops": round(statistics.median(peaks) / 1e9, 1),
        "target_tokens_per_second": round(statistics.median(speeds)),
        "share_of_matrix_product_speed": round(statistics.median(shares), 4),
    }
