"""Results: the translation of a line with its n-best list, and the score of a given translation."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hypothesis:
    """One translation of a line, from its n-best list."""

    text: str
    ids: list[int]
    """Target ids without BOS and EOS, in the order in which the model wrote them."""
    pieces: list[str]
    """Target pieces in the order of the text; U+2581 marks a space."""
    score: float
    """The ranking score: the log-probability after length normalization, plus the penalties of the search. The score of
    a line that was translated in segments is the mean of their scores."""
    log_probability: float
    """Sum over the pieces and EOS."""
    piece_log_probabilities: list[float]
    """Of each piece in `pieces`, then of EOS. A line that was translated in segments has one EOS per segment."""
    finished: bool
    """False if the hypothesis was ended at the length limit."""
    segments: list[list[int]] = field(default_factory=list)
    """The target ids of each segment of the line; concatenated, they are `ids`."""


@dataclass(frozen=True)
class Translation:
    """The translation of one line."""

    text: str
    """The best translation, on one line; empty for a blank line."""
    hypotheses: list[Hypothesis]
    """The n-best list: hypotheses with different texts, best first; empty for a blank line.

    There are at most `n_best`: fewer if the search found fewer, or if several had the same text. For a line that was
    translated in segments these are the combinations of segment hypotheses with the greatest sum of scores. Samples
    are neither sorted nor merged.
    """
    source_segments: list[list[int]] = field(default_factory=list)
    """The source ids of each segment of the line, without EOS. Protected items are left out, or are a symbol."""
    line: int = field(default=0, compare=False)
    """Line number from 1."""
    source: str = field(default="", compare=False)
    """The line that was translated."""
    familiarity_flags: tuple[str, ...] = field(default=(), compare=False)
    """`unknown_words` and `wrong_script`, if they hold for the line and its best translation."""


@dataclass(frozen=True)
class SentencePair:
    """A source line and a translation to score."""

    source: str
    target: str
    pieces: list[str] | None = None
    """The pieces of the target. None: the best segmentation of its text."""

    def __len__(self) -> int:
        return len(self.source) + len(self.target)


@dataclass(frozen=True)
class TranslationScore:
    """The score of one translation under a model."""

    source: str
    target: str
    log_probability: float
    """Sum over the pieces and EOS."""
    mean: float
    """Mean over the pieces and EOS; exp(-mean) is the perplexity."""
    score: float
    """The log-probability after length normalization, by which `nmt translate` ranks."""
    pieces: list[str]
    """Target pieces; U+2581 marks a space."""
    piece_log_probabilities: list[float]
    """Of each piece, then of EOS."""
