"""Runs of the experiment that `write_toy_experiment` writes, and what they leave behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from nmt.config import load_config
from nmt.training import train


def run(*overrides: str, **options: Any) -> Path:
    """Train toy.yaml of the current folder; `options` are those of `train`."""
    arguments: dict[str, Any] = {"resume": False, "overwrite": False, "init_from": None}
    return train(load_config(Path("toy.yaml"), overrides), **(arguments | options))


def records(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The metrics of a run, of one kind or all, without what the clock says."""
    clocks = ("seconds", "target_tokens_per_second")
    lines = map(json.loads, (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    chosen = [line for line in lines if kind in (None, line["kind"])]
    return [{key: value for key, value in line.items() if key not in clocks} for line in chosen]


def newest_tensors(path: Path) -> dict[str, Tensor]:
    """Everything in the newest checkpoint, by part and name."""
    every = {}
    for part in ("weights", "optimizer", "average", "random"):
        for name, value in load_file(path / "last" / f"{part}.safetensors").items():
            every[f"{part}.{name}"] = value
    return every
