"""Which model file is meant."""

from __future__ import annotations

import os
from pathlib import Path

from nmt.errors import UsageError
from nmt.log import logger

MODEL_NAME = "best.safetensors"
RUNS = Path("runs")
LATEST = RUNS / "latest"
VARIABLE = "NMT_MODEL"


def find_model(given: Path | None) -> Path:
    """Return the model file that is meant, and log which it is if it was not named.

    Args:
        given: A model file, or the folder of a run, whose best model it is. None: what the environment variable
            NMT_MODEL names, or else the best model of the newest run under runs/.

    Raises:
        UsageError: There is no such model.
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


def _model_at(path: Path, origin: str = "") -> Path:
    if path.is_dir():
        model = path / MODEL_NAME
        if not model.is_file():
            raise UsageError(f"{path}{origin}: the folder has no {MODEL_NAME}; has its training reached a validation?")
        return model
    if not path.exists():
        raise UsageError(f"{path}{origin}: there is no such model file or run folder.")
    return path


def _newest_model() -> Path:
    """Return the model of the run that `runs/latest` points to, or the newest model of all runs."""
    latest = LATEST / MODEL_NAME
    if latest.is_file():
        named = RUNS / LATEST.resolve().name / MODEL_NAME  # says which run it is
        return named if named.is_file() and named.samefile(latest) else latest
    models = [model for model in RUNS.glob(f"*/{MODEL_NAME}") if model.is_file()]
    if not models:
        raise UsageError(
            f"There is no model: no --model is given, {VARIABLE} is not set, and no run under {RUNS}{os.sep} has a "
            f"{MODEL_NAME}. Train one with `nmt train`, or name one with --model."
        )
    return max(models, key=lambda model: (model.stat().st_mtime_ns, str(model)))
