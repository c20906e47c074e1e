"""Reports of a run: log lines, records in `metrics.jsonl`, and the curves of trackers."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from nmt.log import logger
from nmt.small_files import parse_json, regular_lines
from nmt.training.tracking import Tracker, finite_numbers


def duration(seconds: float) -> str:
    """Format `seconds` as 45s, 12m30s or 3h05m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def perplexity(loss: float) -> float:
    """Return exp(`loss`), or infinity if that is too large for a float."""
    return math.exp(loss) if loss < 700 else math.inf


class Reporter:
    """Writes each record of a run to the log, the metrics file and the trackers."""

    def __init__(
        self,
        *,
        metrics: Path,
        tensorboard: Tracker | None = None,
        trackers: Sequence[Tracker] = (),
        resumed_update: int | None = None,
    ) -> None:
        """Open the metrics file. The trackers are closed with the reporter.

        Args:
            metrics: The metrics file, which has the records up to the checkpoint.
            tensorboard: The curves of TensorBoard. None writes none.
            trackers: Other trackers.
            resumed_update: Update of the checkpoint from which the run resumes. TensorBoard, which has forgotten its
                points, gets those of this update from the metrics file.
        """
        self._file: TextIO = metrics.open("a", encoding="utf-8", newline="\n")
        self._trackers = [*([] if tensorboard is None else [tensorboard]), *trackers]
        if tensorboard is not None and resumed_update is not None:
            self._repeat(metrics, resumed_update, tensorboard)

    @property
    def position(self) -> int:
        """Size of the metrics file in bytes."""
        self._file.flush()
        return os.fstat(self._file.fileno()).st_size

    def flush(self) -> None:
        """Write everything to the disk, before a checkpoint that counts on it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        for tracker in self._trackers:
            tracker.flush()

    @staticmethod
    def _repeat(metrics: Path, update: int, tracker: Tracker) -> None:
        """Send the records of an update to a tracker."""
        for line in regular_lines(metrics):
            record = parse_json(line)
            kind, number, _ = record.pop("kind"), record.pop("update"), record.pop("epoch")
            if number == update:
                _draw(tracker, kind, number, {name: value for name, value in record.items() if value is not None})

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        for tracker in self._trackers:
            tracker.close(finished=error is None)

    def train(
        self,
        *,
        update: int,
        epoch: int,
        loss: float,
        learning_rate: float,
        gradient_norm: float,
        components: dict[str, float],
        speed: float,
        skipped: int,
        remaining: float | None,
    ) -> None:
        """Report the updates since the last report.

        Args:
            update: Number of the last update.
            epoch: Number of finished epochs.
            loss: Mean negative log-likelihood, in nats per piece.
            learning_rate: Learning rate of the last update.
            gradient_norm: Mean norm before clipping.
            components: Means of other components of the loss: `guided_alignment` (nats per linked piece),
                `coverage_loss` and `r_drop` (nats per piece), `scheduled_sampling` (share of predicted input pieces),
                `expected_risk` (per sentence), `parent_l2` (squared distance from the parent's weights).
            speed: Target pieces per second.
            skipped: Number of skipped updates.
            remaining: Estimate of the remaining seconds, if known.
        """
        logger.info(
            "epoch %d  update %d  loss %.3f  perplexity %.2f%s  learning rate %.2g  gradient %.2f  %s tokens/s%s%s",
            epoch + 1,  # The log counts from one, the metrics file counts finished epochs.
            update,
            loss,
            perplexity(loss),
            "".join(f"  {name} {value:.4g}" for name, value in components.items()),
            learning_rate,
            gradient_norm,
            f"{speed:,.0f}",
            f"  {skipped} updates skipped" if skipped else "",
            f"  at most {duration(remaining)} left" if remaining is not None else "",
        )
        self._write(
            "train",
            update,
            epoch,
            {
                "loss": loss,
                "perplexity": perplexity(loss),
                "learning_rate": learning_rate,
                "gradient_norm": gradient_norm,
                **components,
                "target_tokens_per_second": speed,
                "skipped_updates": skipped,
            },
        )

    def valid(
        self, *, update: int, epoch: int, scores: dict[str, float], seconds: float, best: bool, significant: bool
    ) -> None:
        """Report a validation.

        Args:
            update: Number of updates.
            epoch: Number of the epoch.
            scores: The scores by metric.
            seconds: Duration.
            best: Whether it is the best so far.
            significant: Whether the score that selects models can be told from noise.
        """
        shown = "  ".join(f"{name} {value:.2f}" for name, value in scores.items())
        logger.info(
            "validation at update %d  %s  (%s)%s", update, shown, duration(seconds), "  best so far" if best else ""
        )
        self._write("valid", update, epoch, {**scores, "seconds": seconds, "best": best, "significant": significant})

    def warning(self, *, update: int, epoch: int, name: str, text: str) -> None:
        """Report a finding of `nmt.training.diagnosis`."""
        logger.warning("%s: %s", name, text)
        self._write("warning", update, epoch, {"name": name, "text": text})

    def _write(self, kind: str, update: int, epoch: int, values: dict[str, Any]) -> None:
        record = {"kind": kind, "update": update, "epoch": epoch, **values}
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in record.items()
        }
        self._file.write(json.dumps(finite) + "\n")
        self._file.flush()
        for tracker in self._trackers:
            _draw(tracker, kind, update, values)


def _draw(tracker: Tracker, kind: str, update: int, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, str):
            tracker.text(f"{kind}/{name}", value, update)
    if numbers := finite_numbers(kind, values):
        tracker.numbers(numbers, update)
