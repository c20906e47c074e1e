"""Reader of the metrics of a run, `metrics.jsonl`, which training may still be writing. Does not import torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from nmt.errors import DataError, UsageError
from nmt.inference.find_model import LATEST, RUNS
from nmt.log import logger
from nmt.small_files import JSONError, parse_json, regular_lines

METRICS_NAME = "metrics.jsonl"
MAX_SHOWN_RUNS = 8
MAX_SHOWN_LINES = 3


class Series(NamedTuple):
    """The values of one metric over the course of training."""

    updates: list[int]
    values: list[float]


class TrainingWarning(NamedTuple):
    """A warning that training gave."""

    update: int
    name: str
    """For example overfitting."""


class RunRecords(NamedTuple):
    """The metrics and warnings of a run."""

    name: str
    folder: Path
    train: dict[str, Series]
    """Training metrics by key: loss, perplexity, learning_rate, target_tokens_per_second and others."""
    valid: dict[str, Series]
    """Validation metrics by key: loss, perplexity, bleu, chrf and others."""
    warnings: list[TrainingWarning]
    """In order of time."""
    noisy: frozenset[int] = frozenset()
    """Updates with a validation whose score cannot be told from noise, so that the loss selects models."""


def find_metrics(run: str | None) -> Path:
    """Return the path of the metrics file of a run.

    Args:
        run: Name of a run in runs/, folder of a run, or metrics file. None selects the newest run.

    Raises:
        UsageError: The run does not exist.
        DataError: The run has no metrics.
    """
    if run is None:
        return _newest_metrics()
    path = Path(run)
    if path.is_file():
        if path.suffix != ".jsonl":
            raise UsageError(f"{run!r} is not a run. Name a run in {RUNS}, its folder, or its {METRICS_NAME}.")
        return path
    folders = [folder for folder in (path, RUNS / run) if folder.is_dir()]
    if not folders:
        raise UsageError(f"Run {run!r} does not exist. {_existing_runs()}")
    for folder in folders:
        if (folder / METRICS_NAME).is_file():
            return folder / METRICS_NAME
    raise DataError(f"{folders[-1]} has no {METRICS_NAME} yet. Training writes it with its first report.")


def read_records(path: Path) -> RunRecords:
    """Read a metrics file. Skips invalid lines with a warning, and an incomplete last line without.

    Raises:
        DataError: The file cannot be read, or contains no metrics yet.
    """
    lines = list(regular_lines(path))
    folder = path.parent
    series: dict[str, dict[str, Series]] = {"train": {}, "valid": {}}
    warnings = []
    noisy = set()
    skipped = 0
    for number, line in enumerate(lines, 1):
        record = _parse(line)
        if record is not None and record["kind"] == "warning":
            warnings.append(TrainingWarning(record["update"], str(record.get("name"))))
        elif record is not None:
            _add(series[record["kind"]], record)
            if record.get("significant") is False:
                noisy.add(record["update"])
        elif line.strip() and (number < len(lines) or line.endswith("\n")):
            skipped += 1
            if skipped <= MAX_SHOWN_LINES:
                logger.warning("%s, line %d: skipped, because it is not a valid record", path, number)
    if skipped > MAX_SHOWN_LINES:
        logger.warning("%s: %s invalid records were skipped", path, f"{skipped:,}")
    if not any(series.values()):
        raise DataError(f"{path} contains no metrics yet. Training writes them with its first report.")
    return RunRecords(folder.resolve().name, folder, series["train"], series["valid"], warnings, noisy=frozenset(noisy))


def _newest_metrics() -> Path:
    latest = LATEST / METRICS_NAME
    if latest.is_file():
        named = RUNS / LATEST.resolve().name / METRICS_NAME  # a path with the name of the run
        return named if named.is_file() else latest
    existing = [path for path in RUNS.glob(f"*/{METRICS_NAME}") if path.is_file()]
    if not existing:
        raise UsageError(f"No run in {RUNS} has a {METRICS_NAME}. Train a model first: nmt train CONFIG")
    return max(existing, key=lambda path: (path.stat().st_mtime_ns, str(path)))


def _existing_runs() -> str:
    names = sorted({path.parent.name for path in RUNS.glob(f"*/{METRICS_NAME}")} - {LATEST.name})
    if not names:
        return f"No run in {RUNS} has metrics."
    more = ", ..." if len(names) > MAX_SHOWN_RUNS else ""
    return f"Runs in {RUNS}: {', '.join(names[:MAX_SHOWN_RUNS])}{more}"


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = parse_json(line)
    except JSONError:
        return None
    known = isinstance(record, dict) and record.get("kind") in ("train", "valid", "warning")
    return record if known and isinstance(record.get("update"), int) else None


def _add(series: dict[str, Series], record: dict[str, Any]) -> None:
    """Append the numbers of a record. Training writes null for numbers that are not finite; they are skipped."""
    for name, value in record.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name not in ("update", "epoch") and number and math.isfinite(value):
            updates, values = series.setdefault(name, Series([], []))
            updates.append(record["update"])
            values.append(float(value))
