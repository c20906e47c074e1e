"""Timing on a machine whose speed changes from minute to minute: everything in turns, medians of several rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import torch

Key = TypeVar("Key", bound=Hashable)


def wait(device: torch.device) -> None:
    """Wait until all that was asked of `device` is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(
    tasks: Mapping[Key, Callable[[], float]], *, rounds: int, before_round: Callable[[], None] | None = None
) -> dict[Key, list[float]]:
    """Run each task once a round, in turns, and return what they gave: for each a list of `rounds` numbers.

    Every second round goes backwards, so that no task always comes after the same other one.
    """
    found: dict[Key, list[float]] = {key: [] for key in tasks}
    for number in range(rounds):
        if before_round is not None:
            before_round()
        for key in list(tasks) if number % 2 == 0 else reversed(list(tasks)):
            found[key].append(tasks[key]())
    return found


def medians(figures: Mapping[Key, list[float]]) -> dict[Key, float]:
    """Return the median of each list."""
    return {key: statistics.median(values) for key, values in figures.items()}


def seconds_of(task: Callable[[], object], device: torch.device) -> float:
    """Return how long `task` takes."""
    wait(device)
    began = time.perf_counter()
    task()
    wait(device)
    return time.perf_counter() - began


def rate_of(task: Callable[[], float], device: torch.device, *, seconds: float) -> float:
    """Repeat `task`, which returns how much it did, for at least `seconds`; return how much it does in a second."""
    done = task_seconds = 0.0
    while task_seconds <= seconds:
        wait(device)
        began = time.perf_counter()
        done += task()
        wait(device)
        task_seconds += time.perf_counter() - began
    return done / task_seconds
