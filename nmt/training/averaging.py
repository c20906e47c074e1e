"""Averages of weights: during training, and over checkpoints or model files.

All kinds of averages during training have one interface: `after_update` after each update, `at_validation` for the
weights to validate, `after_validation` with their score, and `final` for weights to validate at the end of training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.config.schema import AveragingConfig
from nmt.errors import UsageError
from nmt.inference.ensemble import languages_of
from nmt.inference.find_model import (
    CHECKPOINTS,
    MODEL_NAME,
    WEIGHTS_NAME,
    find_model,
    is_checkpoint,
    run_of_checkpoint,
)
from nmt.inference.model_file import VALIDATION, VALIDATION_SIGNATURES, ModelFile, load_model, save_model
from nmt.inference.torch_tensors import raw_tensors, read_tensors

Weights = dict[str, Tensor]


def copy_weights(weights: Weights) -> Weights:
    """Return copies, which training does not change."""
    return {name: value.detach().clone() for name, value in weights.items()}


def mean_weights(snapshots: list[Weights]) -> Weights:
    """Return the mean of several sets of weights, exact where all are equal."""
    first, *others = snapshots
    return {
        name: value + torch.stack([torch.zeros_like(value), *(weights[name] - value for weights in others)]).mean(0)
        for name, value in first.items()
    }


class NoAverage:
    """No average: the trained weights themselves."""

    def after_update(self, weights: Weights, update: int) -> None:
        """Record the weights after `update`."""

    def at_validation(self, weights: Weights) -> Weights:
        """Return the weights to validate, given the trained ones."""
        return weights

    def after_validation(self, weights: Weights, score: float) -> None:
        """Record the score of the validated weights (larger is better)."""

    def restart(self, weights: Weights) -> None:
        """Start again from `weights` instead of those of the last update."""

    def final(self) -> Weights | None:
        """Return weights to validate at the end of training; None: there are none."""
        return None

    def tensors(self) -> Weights:
        """Return the state for a checkpoint."""
        return {}

    def restore(self, tensors: Weights) -> None:
        """Load the result of `tensors`."""


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
    """Mean of snapshots taken at validations: the `count` last ones, or those with the best scores.

    `best` ranks snapshots by the score of each alone, so their mean is validated at the end only.
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

    def after_validation(self, weights: Weights, score: float) -> None:
        if self.best:
            ranked = sorted([*self.snapshots, (score, copy_weights(weights))], key=lambda pair: -pair[0])
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
        for number, (score, snapshot) in enumerate(self.snapshots):
            named[f"{number}.score"] = torch.tensor(score, dtype=torch.float64)
            named |= {f"{number}.{name}": value for name, value in snapshot.items()}
        return named

    def restore(self, tensors: Weights) -> None:
        numbers = sorted({int(name.split(".", 1)[0]) for name in tensors})
        self.snapshots = [
            (
                float(tensors[f"{number}.score"]),
                {
                    name.split(".", 1)[1]: value
                    for name, value in tensors.items()
                    if name.startswith(f"{number}.") and name != f"{number}.score"
                },
            )
            for number in numbers
        ]


def make_average(options: AveragingConfig) -> NoAverage:
    """Return the average of `options`."""
    if options.kind == "ema":
        return MovingAverage(options.decay)
    if options.kind == "none":
        return NoAverage()
    return SnapshotAverage(count=options.count, best=options.kind == "best")


class AveragedWeights(NamedTuple):
    """A set of weights to average."""

    name: str
    """Path of its file or folder."""
    weights: Weights


def checkpoints_of(run: Path) -> dict[int, Path]:
    """Return the checkpoints of a run by update, oldest first.

    Raises:
        UsageError: The run has no checkpoints.
    """
    found = {
        int(path.name.removeprefix("update-")): path
        for path in (run / CHECKPOINTS).glob("update-*")
        if (path / WEIGHTS_NAME).is_file()
    }
    if not found:
        raise UsageError(f"{run}: the run has no checkpoints in {CHECKPOINTS}/. Name model files instead")
    return dict(sorted(found.items()))


def choose_checkpoints(
    checkpoints: Mapping[int, Path], *, last: int | None, best: int | None, scores: Mapping[int, tuple[float, float]]
) -> list[Path]:
    """Return some of a run's checkpoints, oldest first.

    Args:
        checkpoints: The checkpoints by update.
        last: Number of checkpoints to take from the end.
        best: Number of checkpoints to take by validation score. Without `last` and `best`: all.
        scores: Rank of the validation by update: larger is better, and the second number decides between equal ones.

    Raises:
        UsageError: The run has fewer checkpoints.
    """
    chosen = list(checkpoints)
    wanted = last if last is not None else best
    if best is not None:
        validated = (update for update in chosen if update in scores)
        chosen = sorted(validated, key=lambda update: scores[update], reverse=True)[:best]
    elif last is not None:
        chosen = chosen[-last:]
    if wanted is not None and len(chosen) < wanted:
        kind = " with a validation" if best is not None else ""
        raise UsageError(
            f"the run has {len(chosen)} checkpoints{kind}, fewer than {wanted}. Average fewer, or set "
            "training.keep_checkpoints higher before training"
        )
    return [checkpoints[update] for update in sorted(chosen)]


def base_model(path: Path) -> ModelFile:
    """Return the model that gives an average its configuration, tokenizers and shortlist.

    Args:
        path: A model file, or the folder of a run or of a checkpoint. For a folder, the best model of the run, or the
            checkpoint of a run that has no model yet.
    """
    file = find_model(path)
    best = run_of_checkpoint(file) / MODEL_NAME
    return load_model(best if is_checkpoint(file) and best.is_file() else file)


def read_weights(path: Path) -> AveragedWeights:
    """Read the weights of a model file, of the best model of a run, or of a checkpoint.

    Raises:
        CheckpointError: The file cannot be read.
    """
    file = find_model(path)
    weights = read_tensors(file).tensors if is_checkpoint(file) else load_model(file).weights
    return AveragedWeights(str(path), weights)


def average_models(base: ModelFile, models: Sequence[AveragedWeights]) -> ModelFile:
    """Return `base` with the mean of the weights of `models`.

    Raises:
        UsageError: There are fewer than two models, or two of them have different networks.
    """
    if len(models) < 2:
        raise UsageError("an average requires at least two sets of weights. Name more, or a run with more checkpoints")
    shapes = {name: value.shape for name, value in models[0].weights.items()}
    for model in models[1:]:
        other = {name: value.shape for name, value in model.weights.items()}
        different = sorted(name for name in shapes.keys() | other.keys() if shapes.get(name) != other.get(name))
        if different:
            raise UsageError(
                f"cannot average {models[0].name} and {model.name}: their networks are different ({different[0]} "
                "differs). Average checkpoints of one run, or use the models as an ensemble with several --model"
            )
    return dataclasses.replace(
        base,
        tensors=raw_tensors(mean_weights([model.weights for model in models])),
        provenance={**base.provenance, "averaged": [model.name for model in models]},
    )


def check_same_task(bases: Mapping[str, ModelFile]) -> None:
    """Check that models translate the same languages with the same tokenizers in the same direction.

    Raises:
        UsageError: Two models do not.
    """
    (first, expected), *others = bases.items()
    for name, file in others:
        for what, value in _task(file).items():
            if value != _task(expected)[what]:
                raise UsageError(f"cannot average {first} and {name}: their {what} are different")


def _task(file: ModelFile) -> dict[str, object]:
    return {
        "languages": languages_of(file),
        "source tokenizers": file.tokenizers.source.fingerprint,
        "target tokenizers": file.tokenizers.target.fingerprint,
        "orders of target pieces (data.right_to_left)": file.config.data.right_to_left,
    }


def save_average(file: ModelFile, path: Path, *, scores: Mapping[str, float] | None) -> None:
    """Write an averaged model with its scores on the validation set. None: they are not known.

    Raises:
        CheckpointError: The file cannot be written.
    """
    # The stored ones are those of the base model, perhaps of another version of sacreBLEU.
    provenance = {
        key: value for key, value in file.provenance.items() if key not in (VALIDATION, VALIDATION_SIGNATURES)
    }
    if scores is not None:
        provenance[VALIDATION] = dict(scores)
    save_model(
        path,
        weights=file.tensors,
        config=file.config,
        tokenizers=file.tokenizers,
        provenance=provenance,
        shortlist=file.shortlist,
    )
