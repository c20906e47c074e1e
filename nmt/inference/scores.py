"""A translation to score, and what comes of it. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A line and a translation of it."""

    source: str
    target: str
    pieces: list[str] | None = None
    """The pieces of the target; None: the best ones of its text."""

    def __len__(self) -> int:
        return len(self.source) + len(self.target)


@dataclass(frozen=True)
class Score:
    """What a model thinks of one translation."""

    source: str
    target: str
    log_probability: float
    """Sum over the pieces and EOS."""
    mean: float
    """The same for each piece, EOS included: exp(-mean) is the perplexity."""
    score: float
    """The log-probability after length normalisation: what `nmt translate` ranks by."""
    pieces: list[str]
    """Of the target; U+2581 stands for a space."""
    piece_log_probabilities: list[float]
    """Of each piece, and of EOS at the end."""
