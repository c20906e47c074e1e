"""Averaged weights: the model that is validated and shipped is steadier than the one that is trained.

One interface for all kinds: `after_update` on every update, `at_validation` for the weights to validate,
`after_validation` with the score they got, `final` for weights that are worth one more validation at the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nmt.config.schema import AveragingConfig
from nmt.errors import CheckpointError, UsageError
from nmt.inference.find_model import MODEL_NAME
from nmt.inference.model_file import ModelFile, load_model, save_model

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


def make_average(options: AveragingConfig) -> NoAverage:
    """Return the average that `options` ask for."""
    if options.kind == "ema":
        return MovingAverage(options.decay)
    if options.kind == "none":
        return NoAverage()
    return SnapshotAverage(count=options.count, best=options.kind == "best")


WEIGHTS_NAME = "weights.safetensors"
CHECKPOINTS = "checkpoints"


class AveragedWeights(NamedTuple):
    """One of the sets of weights."""

    name: str
    weights: Weights


def checkpoints_of(run: Path) -> dict[int, Path]:
    """Return the checkpoints of a run by their update, oldest first.

    Raises:
        UsageError: There are none.
    """
    found = {
        int(path.name.removeprefix("update-")): path
        for path in (run / CHECKPOINTS).glob("update-*")
        if (path / WEIGHTS_NAME).is_file()
    }
    if not found:
        raise UsageError(f"{run}: the run has no checkpoints under {CHECKPOINTS}; name model files instead")
    return dict(sorted(found.items()))


def choose_checkpoints(
    checkpoints: Mapping[int, Path], *, last: int | None, best: int | None, goodness: Mapping[int, float]
) -> list[Path]:
    """Return some of a run's checkpoints, oldest first.

    Args:
        checkpoints: By update.
        last: How many of the last ones.
        best: How many of those that were validated best; neither of the two: all.
        goodness: What the validation at an update found, larger being better.

    Raises:
        UsageError: There are not as many.
    """
    chosen = list(checkpoints)
    wanted = last if last is not None else best
    if best is not None:
        chosen = sorted((update for update in chosen if update in goodness), key=lambda update: -goodness[update])[
            :best
        ]
    elif last is not None:
        chosen = chosen[-last:]
    if wanted is not None and len(chosen) < wanted:
        measured = " with a validation" if best is not None else ""
        raise UsageError(
            f"the run keeps {len(chosen)} checkpoints{measured}, not {wanted}: ask for fewer, and train with a larger "
            "training.keep_checkpoints to have more"
        )
    return [checkpoints[update] for update in sorted(chosen)]


def base_model(path: Path) -> ModelFile:
    """Return the model whose configuration, subword models and shortlist an average gets: itself, or its run's best.

    Args:
        path: A model file, the folder of a run, or that of a checkpoint.
    """
    if path.is_dir():
        path = path / MODEL_NAME if (path / MODEL_NAME).exists() else path.parent.parent / MODEL_NAME
    return load_model(path)


def read_part(path: Path) -> AveragedWeights:
    """Read the weights of a model file, of the best model of a run, or of a checkpoint.

    Raises:
        CheckpointError: They cannot be read.
    """
    if not (path / WEIGHTS_NAME).is_file():
        return AveragedWeights(str(path), base_model(path).weights)
    try:
        return AveragedWeights(str(path), load_file(path / WEIGHTS_NAME))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: the checkpoint cannot be read: {error}") from error


def average(base: ModelFile, parts: Sequence[AveragedWeights]) -> ModelFile:
    """Return `base` with the mean of the weights of `parts`.

    Raises:
        UsageError: There are fewer than two, or they are not weights of one network; both are named.
    """
    if len(parts) < 2:
        raise UsageError("an average needs at least two sets of weights: name more, or a run with more checkpoints")
    shapes = {name: value.shape for name, value in parts[0].weights.items()}
    for part in parts[1:]:
        other = {name: value.shape for name, value in part.weights.items()}
        different = sorted(name for name in shapes.keys() | other.keys() if shapes.get(name) != other.get(name))
        if different:
            raise UsageError(
                f"{parts[0].name} and {part.name} have no mean: they are not of the same network ({different[0]} "
                "differs). Average checkpoints of one run; different models translate together with several --model"
            )
    return dataclasses.replace(
        base,
        weights=mean_weights([part.weights for part in parts]),
        provenance={**base.provenance, "averaged": [part.name for part in parts]},
    )


def check_subwords(bases: Mapping[str, ModelFile]) -> None:
    """Make sure that models cut text into the same pieces.

    Raises:
        UsageError: Two do not; both are named.
    """
    (first, expected), *others = bases.items()
    for name, file in others:
        for side in ("source", "target"):
            if getattr(file.tokenizers, side).fingerprint != getattr(expected.tokenizers, side).fingerprint:
                raise UsageError(f"{first} and {name} have no mean: their subword models of the {side} differ")


def save(file: ModelFile, path: Path, *, scores: Mapping[str, float] | None) -> None:
    """Write an averaged model, with the scores it got on the validation set in place of those of its base.

    Raises:
        CheckpointError: The file cannot be written.
    """
    validation = {} if scores is None else {"validation": dict(scores)}
    save_model(
        path,
        weights=file.weights,
        config=file.config,
        tokenizers=file.tokenizers,
        provenance={**file.provenance, **validation},
        shortlist=file.shortlist,
    )
