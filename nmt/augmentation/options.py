"""Options that distillation and back-translation share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class AugmentationOptions:
    """How synthetic text is made and where it goes."""

    drop: tuple[str, ...]
    """Quality flags; a hypothesis with one of them is not used."""
    output: Path | None = None
    """Folder of text and configuration; None: data/NAME with a suffix."""
    precision: str | None = None
    device: str | None = None
    threads: int | None = None
    """Options of the models that translate; None: their own."""
    processes: int = 1
    """Number of processes that translate."""
    train: bool = True
    """Train the new run. False: make text and configuration only."""
    overwrite: bool = False
    """Replace text that was made in another way, and the run."""

    def __post_init__(self) -> None:
        """Check that the options fit together.

        Raises:
            UsageError: They do not.
        """
        if self.processes > 1 and (self.threads is not None or self.device == "cuda"):
            other = "--threads" if self.threads is not None else "--device cuda"
            raise UsageError(f"--processes cannot be used with {other}: each process computes on one processor thread")

    def speed(self) -> dict[str, Any]:
        """Return the decoding options that change speed only."""
        return {"device": self.device, "threads": self.threads}
