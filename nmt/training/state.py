"""Where a run stands: all that changes from update to update, besides the learner and the random generators."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from nmt.data.batching import Position
from nmt.training.diagnosis import TextFacts, ValidationRecord
from nmt.training.learner import UpdateStats, add_components


@dataclass
class LogWindow:
    """Sums since the last report."""

    loss: float = 0.0
    tokens: int = 0
    norm: float = 0.0
    updates: int = 0
    skipped: int = 0
    seconds: float = 0.0
    parts: dict[str, tuple[float, int]] = field(default_factory=dict)
    """What else the loss was made of: sums, and what they are over."""

    def add(self, learned: UpdateStats, seconds: float) -> None:
        """Count one update that took `seconds`."""
        self.seconds += seconds
        if learned.applied:
            self.loss += learned.negative_log_likelihood
            self.tokens += learned.tokens
            self.norm += learned.gradient_norm
            add_components(self.parts, learned.parts)
            self.updates += 1
        else:
            self.skipped += 1


@dataclass
class TrainState:
    """Where a run stands."""

    update: int = 0
    position: Position = field(default_factory=lambda: Position(0, 0, 0))
    seconds: float = 0.0
    """Spent on updates and validations, in earlier sittings too."""
    best: float = -math.inf
    """Goodness of the best validation."""
    best_update: int = 0
    stale: int = 0
    """Validations since the best one."""
    validated: int = 0
    """Update of the last validation."""
    nonfinite: int = 0
    """Updates skipped in a row."""
    window: LogWindow = field(default_factory=LogWindow)
    learnt: float = 0.0
    """Training loss, summed since the last validation."""
    learnt_tokens: int = 0
    """What it is over."""
    history: list[ValidationRecord] = field(default_factory=list)
    """Every validation so far."""
    warned: list[str] = field(default_factory=list)
    """What was found wrong at the last one."""

    def add(self, learned: UpdateStats, position: Position, seconds: float) -> None:
        """Count one update that took `seconds`, and after which `position` comes."""
        self.update += 1
        self.position = position
        self.seconds += seconds
        self.nonfinite = 0 if learned.applied else self.nonfinite + 1
        self.window.add(learned, seconds)
        if learned.applied:
            self.learnt += learned.negative_log_likelihood
            self.learnt_tokens += learned.tokens

    def take_training_loss(self) -> float | None:
        """Return the mean training loss since this was last asked, in nats a piece; None without an update."""
        loss = self.learnt / self.learnt_tokens if self.learnt_tokens else None
        self.learnt, self.learnt_tokens = 0.0, 0
        return loss

    @classmethod
    def restored(cls, saved: dict[str, Any]) -> TrainState:
        """Return what `dataclasses.asdict` made `saved` of. Versions before warnings had less."""
        history = [
            ValidationRecord(**{**seen, "text": None if seen["text"] is None else TextFacts(**seen["text"])})
            for seen in saved.get("history", [])
        ]
        parts = {"position": Position(**saved["position"]), "window": LogWindow(**saved["window"]), "history": history}
        return cls(**{**saved, **parts})
