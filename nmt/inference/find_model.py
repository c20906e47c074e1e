"""Finds model files: by path, by environment variable, or in the newest run. Imports neither torch nor numpy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nmt.errors import UsageError
from nmt.log import logger

MODEL_SUFFIX = ".safetensors"
MODEL_NAME = f"best{MODEL_SUFFIX}"
RUNS = Path("runs")
LATEST = RUNS / "latest"
VARIABLE = "NMT_MODEL"
RUN_CONFIG = "config.yaml"
KEPT_MODELS = "models"
"""The folder in a run with its best models."""
GRAPHS, GRAPH_SUFFIX = ("encoder", "step", "output"), ".onnx"
"""The files beside a model file of ONNX graphs."""
NO_WEIGHTS = (
    "{} has ONNX graphs, which translate and score but have no weights for this command. Use the model file from which "
    "they were exported."
)
"""An error, with the place of the folder."""
CHECKPOINTS = "checkpoints"
WEIGHTS_NAME, STATE_NAME = "weights.safetensors", "state.json"
"""Files of a checkpoint."""


def find_models(given: Sequence[Path | str] | None) -> list[Path]:
    """Return the model files that `given` names; None: a single one, see `find_model`.

    Raises:
        UsageError: A path does not exist, or no model is named.
    """
    if given is None:
        return [find_model(None)]
    if not given:
        raise UsageError("no model is named.")
    return [find_model(Path(path)) for path in given]


def find_model(given: Path | None) -> Path:
    """Return a model file, and log its path if it was not named.

    Args:
        given: A model file, the folder of a run, which stands for its best model, or the folder of a checkpoint, which
            stands for its file of weights. None: the value of the environment variable NMT_MODEL, or else the best
            model of the newest run under runs/.

    Raises:
        UsageError: The path does not exist, or no model was found.
    """
    if given is not None:
        return _model_at(given)
    named = os.environ.get(VARIABLE)
    if named:
        model = _model_at(Path(named), origin=f" ({VARIABLE})")
        logger.info("model: %s (%s)", model, VARIABLE)
        return model
    model = _newest_model()
    logger.info("model: %s (newest run)", model)
    return model


def find_run(model: Path) -> Path | None:
    """Return the folder of the run that a model file or checkpoint lies in; None: it is outside of a run."""
    folder = model.parent.parent if model.parent.name == KEPT_MODELS else model.parent
    if is_checkpoint(model):
        folder = run_of_checkpoint(model)
    return folder if (folder / RUN_CONFIG).is_file() else None


def is_checkpoint(path: Path) -> bool:
    """Return whether a file has the weights of a checkpoint. `load_model` reads such a file as a model."""
    return path.name == WEIGHTS_NAME and (path.parent / STATE_NAME).is_file()


def run_of_checkpoint(path: Path) -> Path:
    """Return the folder of the run to which a file of weights belongs."""
    return Path(os.path.realpath(path)).parent.parent.parent


def model_to_write(output: Path | None, model: Path) -> Path:
    """Return the file that a command writes: `output`, or else the model itself.

    Raises:
        UsageError: The model is a checkpoint, which no command changes, or a folder of ONNX graphs.
    """
    if all((model.parent / f"{name}{GRAPH_SUFFIX}").is_file() for name in GRAPHS):
        raise UsageError(NO_WEIGHTS.format(model.parent))
    if output is None and is_checkpoint(model):
        raise UsageError(f"{model.parent} is a checkpoint, which is not changed. Name a new model file with -o FILE.")
    return output or model


def _model_at(path: Path, origin: str = "") -> Path:
    if path.is_dir():
        for model in (path / MODEL_NAME, path / WEIGHTS_NAME):
            if model.is_file():
                return model
        advice = "Has its training reached a validation?"
        if (path / "last" / WEIGHTS_NAME).is_file():
            advice = f"Its newest checkpoint is {path / 'last'}."
        raise UsageError(f"{path}{origin}: the folder has no {MODEL_NAME}. {advice}")
    if not path.exists():
        raise UsageError(f"{path}{origin}: no such model file, run folder or checkpoint.")
    return path


def _newest_model() -> Path:
    """Return the model of the run that `runs/latest` points to, or the newest model of all runs."""
    latest = LATEST / MODEL_NAME
    if latest.is_file():
        named = RUNS / LATEST.resolve().name / MODEL_NAME  # the name of the run itself, not of the link
        return named if named.is_file() and named.samefile(latest) else latest
    models = [model for model in RUNS.glob(f"*/{MODEL_NAME}") if model.is_file()]
    if not models:
        raise UsageError(
            f"No model found: none is named, {VARIABLE} is not set, and no run under {RUNS}{os.sep} has a "
            f"{MODEL_NAME}. Train a model with `nmt train`, or name one."
        )
    return max(models, key=lambda model: (model.stat().st_mtime_ns, str(model)))
