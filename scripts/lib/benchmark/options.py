"""What the user asks the benchmark for."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from nmt.device import choose_device, keep_freed_memory, set_threads

PARTS = ("training", "decoding", "startup", "preprocessing", "growth", "safety", "scaling", "workers", "peers", "gpu")
DEFAULT_PARTS = tuple(part for part in PARTS if part not in ("scaling", "workers", "peers", "gpu"))
"""`scaling` and `workers` require several cores or GPUs, `peers` installs other toolkits, and `gpu` requires a CUDA
device."""


@dataclass(frozen=True)
class Options:
    """The command line, understood.

    Attributes:
        parts: What to measure, of `PARTS`.
        shapes: Which networks, of `benchmark.shapes.SHAPES`.
        rounds: How many times everything is measured; figures are medians over these.
        seed: Of everything random.
        device: "auto", "cpu" or "cuda".
        quick: A rehearsal with tiny networks and texts.
        full: Growth over corpora of up to 5 million pairs, not 100,000.
    """

    parts: tuple[str, ...]
    shapes: tuple[str, ...]
    rounds: int
    seed: int
    device: str
    quick: bool
    full: bool

    @property
    def seconds(self) -> float:
        """A measurement of one round takes at least this long."""
        return 0.0 if self.quick else 1.0


def set_up(device: str) -> torch.device:
    """Prepare this process for measuring as `nmt train` does, and return the device.

    Threads are those of OMP_NUM_THREADS where it is set, else one for each core.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    set_threads(int(threads) if threads.isdigit() and int(threads) else None)
    keep_freed_memory()
    return choose_device(device)
