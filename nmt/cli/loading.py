"""Loads the models that a command works with. The slow imports happen here, after the check that the models exist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.inference.find_model import find_models

if TYPE_CHECKING:
    from nmt.inference.model_file import ModelFile


def load_models(models: Sequence[Path] | None) -> list[ModelFile]:
    """Load the models of an ensemble. Without models, load the one that `find_model` finds.

    Raises:
        UsageError: there is no model.
        CheckpointError: a file is not a model file, or is damaged.
    """
    paths = find_models(models or None)
    from nmt.inference.model_file import load_model

    return [load_model(path) for path in paths]


def open_model(model: Path | None) -> ModelFile:
    """Load a single model; see `load_models`."""
    (loaded,) = load_models(None if model is None else [model])
    return loaded
