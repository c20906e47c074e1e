"""The mean of the weights of several checkpoints or model files, as a new model.

Averaged weights are often better than any of those they are made of, as long as these are of one run (or started from
one model): weights of different runs mean different things, and their mean means nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file

from nmt.errors import CheckpointError, UsageError
from nmt.inference.find import MODEL_NAME
from nmt.inference.model_file import ModelFile, load_model, save_model
from nmt.training.weights.averaging import Weights, mean_weights

WEIGHTS_NAME = "weights.safetensors"
CHECKPOINTS = "checkpoints"


class Part(NamedTuple):
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


def read_part(path: Path) -> Part:
    """Read the weights of a model file, of the best model of a run, or of a checkpoint.

    Raises:
        CheckpointError: They cannot be read.
    """
    if not (path / WEIGHTS_NAME).is_file():
        return Part(str(path), base_model(path).weights)
    try:
        return Part(str(path), load_file(path / WEIGHTS_NAME))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: the checkpoint cannot be read: {error}") from error


def average(base: ModelFile, parts: Sequence[Part]) -> ModelFile:
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
