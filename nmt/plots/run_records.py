"""What runs have written about their training: `metrics.jsonl`, read while it may still be growing. Needs no torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from nmt.errors import DataError, UsageError
from nmt.inference.find_model import LATEST, RUNS
from nmt.log import logger

METRICS_NAME = "metrics.jsonl"
SHOWN_RUNS = 8


class Series(NamedTuple):
    """How one number went."""

    updates: list[int]
    values: list[float]


class Warned(NamedTuple):
    """Something that training warned of."""

    update: int
    name: str
    """Such as overfitting."""


class RunRecords(NamedTuple):
    """What a run has written."""

    name: str
    folder: Path
    train: dict[str, Series]
    """By name: loss, perplexity, learning_rate, target_tokens_per_second and so on."""
    valid: dict[str, Series]
    """By name: loss, perplexity, bleu, chrf and so on."""
    warnings: list[Warned]
    """What training warned of, in its order."""


def find_metrics(given: str | None) -> Path:
    """Return the metrics file that is meant.

    Args:
        given: A run under runs/, the folder of a run, or a metrics file; None: the newest run.

    Raises:
        UsageError: There is no such run.
        DataError: The run has no metrics.
    """
    if given is None:
        return _newest()
    path = Path(given)
    if path.is_file():
        if path.suffix != ".jsonl":
            raise UsageError(f"{given} is no run: name one under {RUNS}, its folder, or its {METRICS_NAME}")
        return path
    folders = [folder for folder in (path, RUNS / given) if folder.is_dir()]
    if not folders:
        raise UsageError(f"{given}: there is no such run{_existing()}")
    for folder in folders:
        if (folder / METRICS_NAME).is_file():
            return folder / METRICS_NAME
    raise DataError(f"{folders[-1]} has no {METRICS_NAME} yet. It appears with the first report of training.")


def read_records(path: Path) -> RunRecords:
    """Read a metrics file. A last line that is not whole yet is left out.

    Raises:
        DataError: The file cannot be read, or there is nothing in it yet.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}.") from error
    folder = path.parent
    found: dict[str, dict[str, Series]] = {"train": {}, "valid": {}}
    warnings = []
    for number, line in enumerate(lines, 1):
        record = _parse(line)
        if record is not None and record["kind"] == "warning":
            warnings.append(Warned(record["update"], str(record.get("name"))))
        elif record is not None:
            _add(found[record["kind"]], record)
        elif line.strip() and number < len(lines):
            logger.warning("%s, line %d: not a record of training, left out", path, number)
    if not any(found.values()):
        raise DataError(f"{path} has nothing to plot yet. The first record comes with the first report of training.")
    return RunRecords(folder.resolve().name, folder, found["train"], found["valid"], warnings)


def _newest() -> Path:
    latest = LATEST / METRICS_NAME
    if latest.is_file():
        named = RUNS / LATEST.resolve().name / METRICS_NAME  # says which run it is
        return named if named.is_file() else latest
    every = [path for path in RUNS.glob(f"*/{METRICS_NAME}") if path.is_file()]
    if not every:
        raise UsageError(
            f"There is no run to plot: none under {RUNS} has a {METRICS_NAME}. Train one with `nmt train`."
        )
    return max(every, key=lambda path: (path.stat().st_mtime_ns, str(path)))


def _existing() -> str:
    names = sorted({path.parent.name for path in RUNS.glob(f"*/{METRICS_NAME}")} - {LATEST.name})
    if not names:
        return f", and none under {RUNS} that could be plotted"
    more = ", ..." if len(names) > SHOWN_RUNS else ""
    return f"; under {RUNS} there are {', '.join(names[:SHOWN_RUNS])}{more}"


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    known = isinstance(record, dict) and record.get("kind") in ("train", "valid", "warning")
    return record if known and isinstance(record.get("update"), int) else None


def _add(series: dict[str, Series], record: dict[str, Any]) -> None:
    """Add the numbers of a record; one that was not finite is null there, and has no point."""
    for name, value in record.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name not in ("update", "epoch") and number and math.isfinite(value):
            updates, values = series.setdefault(name, Series([], []))
            updates.append(record["update"])
            values.append(float(value))
