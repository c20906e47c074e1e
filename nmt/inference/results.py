"""What becomes of a line: its translation, with alternatives, scores and pieces."""

from __future__ import annotations

from dataclasses import dataclass, field

from nmt.log import logger

SHOWN_LINES = 10


@dataclass(frozen=True)
class Hypothesis:
    """One of the translations of a line."""

    text: str
    ids: list[int]
    """Target pieces, without BOS and EOS, in the order in which the model wrote them."""
    pieces: list[str]
    """The same as strings, in the order of the text; U+2581 stands for a space."""
    score: float
    """What candidates are ranked by: the log-probability after length normalisation (and the search's penalties). Of a
    line that was translated in parts, the mean of the scores of its parts."""
    log_probability: float
    """Sum over the pieces and EOS."""
    piece_log_probabilities: list[float]
    """Of each of `pieces`, and of EOS at the end (of each part, where a line was translated in parts)."""
    finished: bool
    """False if it was cut at the length limit."""
    parts: list[list[int]] = field(default_factory=list)
    """The target pieces of each part of the line; in a row, they are `ids`."""


@dataclass(frozen=True)
class Translation:
    """What became of one line."""

    text: str
    """The best translation, on one line; empty for a blank line."""
    hypotheses: list[Hypothesis]
    """The best translations with different texts, best first: at most `n_best`, fewer where the search ended fewer or
    several had the same text; none for a blank line. Of a line that was translated in parts, the best ways to choose a
    translation of each part: those with the greatest sum of scores. Samples stay as they were drawn: `n_best`, in
    order."""
    source_parts: list[list[int]] = field(default_factory=list)
    """The source pieces of each part of the line, without EOS; what was protected is not in them, or as a symbol."""


BLANK = Translation("", [])


class LongLines:
    """Tells about lines that were translated in parts: the first one at once, how many there were at the end."""

    def __init__(self, text: str = "") -> None:
        """Take what messages call the text, such as "validation set"; empty where it can only be one."""
        self._prefix = text and f"{text}: "
        self._count = 0
        self._first: list[int] = []

    def report(self, number: int, *, pieces: int, parts: int) -> None:
        """Say that line `number` was too long."""
        if not self._count:
            logger.warning(
                "%sline %d has %d pieces, more than the model was trained on: translated in %d parts",
                self._prefix,
                number,
                pieces,
                parts,
            )
        self._count += 1
        if len(self._first) < SHOWN_LINES:
            self._first.append(number)

    def summarize(self) -> None:
        """Say how many there were, if more than one."""
        if self._count > 1:
            shown = ", ".join(map(str, self._first))
            more = ", ..." if self._count > len(self._first) else ""
            logger.warning(
                "%s%d over-long lines were translated in parts: %s%s", self._prefix, self._count, shown, more
            )


@dataclass(frozen=True)
class SentencePair:
    """A line and a translation of it."""

    source: str
    target: str
    pieces: list[str] | None = None
    """The pieces of the target; None: the best ones of its text."""

    def __len__(self) -> int:
        return len(self.source) + len(self.target)


@dataclass(frozen=True)
class TranslationScore:
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
