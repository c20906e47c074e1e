"""Loads the models that a command works with. The slow imports happen here, after the check that the models exist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.errors import UsageError
from nmt.inference.find_model import RUN_CONFIG, find_models, find_run

if TYPE_CHECKING:
    from nmt.config.schema import Config, DataConfig
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


def data_of_run(model: Path) -> DataConfig | None:
    """Return the data section of the run that a model file lies in, with the paths of its texts.

    The paths in the model file itself are never followed: it may come from a stranger.

    Returns:
        None if the file is outside of a run folder.

    Raises:
        ConfigError: the configuration of the run cannot be read.
    """
    from nmt.config import load_data

    run = find_run(model)
    return None if run is None else load_data(run / RUN_CONFIG, check_files=False)


def config_with_data(model: ModelFile, needed: str, *, instead: str = "--source and --reference") -> Config:
    """Return the configuration of a model with the data section of its run.

    Args:
        model: the model.
        needed: the text that is read, for the message.
        instead: the options that name the text, for the message.

    Raises:
        UsageError: the model file is outside of a run folder.
        ConfigError: the configuration of the run cannot be read.
    """
    data = data_of_run(model.path)
    if data is None:
        raise UsageError(
            f"{model.path} is not in the folder of a run, so {needed} of its training is not read. Use {instead}."
        )
    return model.config.model_copy(update={"data": data})
