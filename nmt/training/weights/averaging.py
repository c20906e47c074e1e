"""Averaged weights: the model that is validated and shipped is steadier than the one that is trained.

One interface for all kinds: `after_update` on every update, `at_validation` for the weights to validate,
`after_validation` with the score they got, `final` for weights that are worth one more validation at the end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.config.schema import Averaging

Weights = dict[str, Tensor]


def copy_weights(weights: Weights) -> Weights:
    """Return copies that training will not change."""
    return {name: value.detach().clone() for name, value in weights.items()}


def mean_weights(snapshots: list[Weights]) -> Weights:
    """Return the mean of several sets of weights; where all are equal, exactly that."""
    first, *others = snapshots
    return {
        name: value + torch.stack([torch.zeros_like(value), *(weights[name] - value for weights in others)]).mean(0)
        for name, value in first.items()
    }


class NoAverage:
    """The trained weights themselves."""

    def after_update(self, weights: Weights, update: int) -> None:
        """Take note of the weights after `update`."""

    def at_validation(self, weights: Weights) -> Weights:
        """Return the weights to validate, given those being trained."""
        return weights

    def after_validation(self, weights: Weights, goodness: float) -> None:
        """Take note of what the validated weights were worth (larger is better)."""

    def restart(self, weights: Weights) -> None:
        """Take note that training goes on from `weights`, and not from those of the last update."""

    def final(self) -> Weights | None:
        """Return weights to validate once more when training ends, if there are any."""
        return None

    def tensors(self) -> Weights:
        """Return what a checkpoint must keep."""
        return {}

    def restore(self, tensors: Weights) -> None:
        """Continue from what `tensors` gave."""


class MovingAverage(NoAverage):
    """Exponential moving average: a <- d a + (1 - d) w, with d = min(decay, (1 + n) / (10 + n)) at the n-th update."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: Weights = {}

    def after_update(self, weights: Weights, update: int) -> None:
        if not self.average:
            self.average = copy_weights(weights)
            return
        decay = min(self.decay, (1 + update) / (10 + update))
        torch._foreach_lerp_(list(self.average.values()), [weights[name] for name in self.average], 1 - decay)

    def at_validation(self, weights: Weights) -> Weights:
        return self.average or weights

    def restart(self, weights: Weights) -> None:
        self.average = copy_weights(weights)

    def tensors(self) -> Weights:
        return self.average

    def restore(self, tensors: Weights) -> None:
        self.average = tensors


class SnapshotAverage(NoAverage):
    """Mean of snapshots taken at validations: the `count` last ones, or those that were worth most.

    `best` ranks snapshots by their own score, so their mean can be validated only at the end.
    """

    def __init__(self, *, count: int, best: bool) -> None:
        self.count = count
        self.best = best
        self.snapshots: list[tuple[float, Weights]] = []

    def at_validation(self, weights: Weights) -> Weights:
        if self.best:
            return weights
        self.snapshots = [*self.snapshots, (0.0, copy_weights(weights))][-self.count :]
        return mean_weights([snapshot for _, snapshot in self.snapshots])

    def after_validation(self, weights: Weights, goodness: float) -> None:
        if self.best:
            ranked = sorted([*self.snapshots, (goodness, copy_weights(weights))], key=lambda pair: -pair[0])
            self.snapshots = ranked[: self.count]

    def restart(self, weights: Weights) -> None:
        if not self.best:
            self.snapshots = []

    def final(self) -> Weights | None:
        if self.best and len(self.snapshots) > 1:
            return mean_weights([snapshot for _, snapshot in self.snapshots])
        return None

    def tensors(self) -> Weights:
        named: Weights = {}
        for number, (goodness, snapshot) in enumerate(self.snapshots):
            named[f"{number}.goodness"] = torch.tensor(goodness, dtype=torch.float64)
            named |= {f"{number}.{name}": value for name, value in snapshot.items()}
        return named

    def restore(self, tensors: Weights) -> None:
        numbers = sorted({int(name.split(".", 1)[0]) for name in tensors})
        self.snapshots = [
            (
                float(tensors[f"{number}.goodness"]),
                {
                    name.split(".", 1)[1]: value
                    for name, value in tensors.items()
                    if name.startswith(f"{number}.") and name != f"{number}.goodness"
                },
            )
            for number in numbers
        ]


def make_average(options: Averaging) -> NoAverage:
    """Return the average that `options` ask for."""
    if options.kind == "ema":
        return MovingAverage(options.decay)
    if options.kind == "none":
        return NoAverage()
    return SnapshotAverage(count=options.count, best=options.kind == "best")
