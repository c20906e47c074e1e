"""The counters of a training run: the numbers of one update, of a report, and of the whole run.

A checkpoint keeps a `TrainState` beside the learner and the random generators.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nmt.data.batching import Position
from nmt.training.diagnosis import TextFacts, ValidationRecord
from nmt.training.improvement import Mark


class UpdateStats(NamedTuple):
    """The numbers of one update."""

    negative_log_likelihood: float
    """Sum over the target pieces, in nats."""
    tokens: int
    """Number of target pieces."""
    gradient_norm: float
    """Before clipping."""
    applied: bool
    """False when a gradient was infinite or undefined: the weights have not changed."""
    components: dict[str, tuple[float, int]]
    """Other components of the loss, by name: the sum and the count of its mean."""


@dataclass
class LogWindow:
    """Sums over the updates since the last report."""

    loss: float = 0.0
    """Negative log-likelihood, in nats."""
    tokens: int = 0
    gradient_norm: float = 0.0
    updates: int = 0
    skipped: int = 0
    seconds: float = 0.0
    components: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Other components of the loss: the sum and the count of its mean."""

    def add(self, stats: UpdateStats) -> None:
        """Add the numbers of one update."""
        if stats.applied:
            self.loss += stats.negative_log_likelihood
            self.tokens += stats.tokens
            self.gradient_norm += stats.gradient_norm
            add_components(self.components, stats.components)
            self.updates += 1
        else:
            self.skipped += 1


@dataclass
class TrainState:
    """The counters and records of a run."""

    update: int = 0
    position: Position = field(default_factory=lambda: Position(0, 0, 0))
    """Position of the next batch in the training data."""
    seconds: float = 0.0
    """Time of updates and validations, including that before the run was resumed."""
    best_score: float = -math.inf
    """Score of the best validation, negated if lower is better."""
    best_update: int = 0
    stale_validations: int = 0
    """Validations since training last made progress."""
    validated_update: int = 0
    """Update of the last validation."""
    validation_due: bool = False
    """The checkpoint was written before the validation of its update, which a resumed run makes first."""
    best: Mark = field(default_factory=Mark)
    """The best model."""
    progress: Mark = field(default_factory=Mark)
    """The best validation of training, without averages that are only validated at the end."""
    lowest_loss: float = math.inf
    """Lowest loss of a validation of training, in nats per piece."""
    kept: list[tuple[int, float]] = field(default_factory=list)
    """Update and rank of the models of `keep_best`, best first."""
    consecutive_skipped: int = 0
    """Updates skipped in a row because of infinite or undefined gradients."""
    window: LogWindow = field(default_factory=LogWindow)
    train_loss: float = 0.0
    """Negative log-likelihood of the training text since the last validation, in nats."""
    train_tokens: int = 0
    """Number of target pieces in `train_loss`."""
    history: list[ValidationRecord] = field(default_factory=list)
    """All validations so far."""
    warned: list[str] = field(default_factory=list)
    """Names of the findings of the last validation."""

    def advance(self, position: Position, seconds: float) -> None:
        """Count one update that took `seconds`; `position` is that of the batch after it."""
        self.update += 1
        self.position = position
        self.add_seconds(seconds)

    def add_seconds(self, seconds: float) -> None:
        """Count time of updates."""
        self.seconds += seconds
        self.window.seconds += seconds

    def add(self, stats: UpdateStats) -> None:
        """Add the numbers of an update that has been counted."""
        self.consecutive_skipped = 0 if stats.applied else self.consecutive_skipped + 1
        self.window.add(stats)
        if stats.applied:
            self.train_loss += stats.negative_log_likelihood
            self.train_tokens += stats.tokens

    def take_train_loss(self) -> float | None:
        """Return the mean training loss since the last call, in nats per piece; None without an update."""
        loss = self.train_loss / self.train_tokens if self.train_tokens else None
        self.train_loss, self.train_tokens = 0.0, 0
        return loss

    @classmethod
    def restored(cls, saved: dict[str, Any]) -> TrainState:
        """Return the state of which `dataclasses.asdict` made `saved`."""
        history = [
            ValidationRecord(**{**record, "text": None if record["text"] is None else TextFacts(**record["text"])})
            for record in saved["history"]
        ]
        nested: dict[str, Any] = {
            "position": Position(**saved["position"]),
            "window": LogWindow(**saved["window"]),
            "history": history,
        }
        if "best" in saved:
            nested |= {"best": Mark(**saved["best"]), "progress": Mark(**saved["progress"])}
            nested["kept"] = [(update, score) for update, score in saved["kept"]]
        elif history:  # a run of an earlier version
            mark = Mark(score=saved["best_score"], loss=min(record.loss for record in history))
            nested |= {"best": mark, "progress": mark, "lowest_loss": mark.loss}
        return cls(**{**saved, **nested})


def add_components(sums: dict[str, tuple[float, int]], more: Mapping[str, tuple[float, int]]) -> None:
    """Add `more` to `sums`: loss components by name, each a sum and a count."""
    for name, (total, count) in more.items():
        old_total, old_count = sums.get(name, (0.0, 0))
        sums[name] = (old_total + total, old_count + count)
