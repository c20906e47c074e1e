"""What is measured on a run: the validation of its best model, as `metrics.jsonl` has it. No test set is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.runs import Measured
from nmt.config import Config
from nmt.errors import DataError
from nmt.inference.find_model import find_model
from nmt.inference.model_file import load_model
from nmt.training.run_folder import RunFolder

SCORES = ("bleu", "chrf", "loss")


def measure_run(config: Config, folder: Path) -> Measured:
    """Read what the validation of the best model gave, and what the run took.

    Raises:
        DataError: The run has no validation.
        NMTError: It has no model, or one that cannot be read.
    """
    run = RunFolder(folder.name)
    best = best_validation(run.metrics)
    state = json.loads((run.last / "state.json").read_text("utf-8"))["train_state"]
    model = load_model(find_model(folder))
    return {
        **{name: best.get(name) for name in SCORES},
        "best_update": best["update"],
        "best_epoch": best["epoch"],
        "updates": state["update"],
        "training_seconds": state["seconds"],
        "parameters": sum(weight.numel() for weight in model.weights.values()),
    }


def best_validation(metrics: Path) -> dict[str, Any]:
    """Return the record of the validation that chose the model of a run.

    Raises:
        DataError: There is none.
    """
    records = [json.loads(line) for line in metrics.read_text("utf-8").split("\n") if line.strip()]
    best = [record for record in records if record["kind"] == "valid" and record["best"]]
    if not best:
        raise DataError(f"{metrics}: no validation of this run gave a score")
    return dict(best[-1])  # each of them was the best so far
