"""What is translated in many ways: lines, the options of a search, and what is wanted of the translations.

What translations must start with, have or avoid is made of what the model writes by itself: words from the translation
of the line that follows. So no constraint is met by chance, and the model has pieces for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nmt.inference.streaming import SourceLine

Steered = Literal["prefixes", "required", "avoid", "terminology"]

SHORTEST_WORD = 4
"""Letters of the words that constraints are made of."""
AVOIDED, TERMS = 10, 20
"""How many words are avoided, and how many source words are translated by terminology."""


class Mode(NamedTuple):
    """A kind of search."""

    name: str
    options: Mapping[str, Any]
    """Decoding options; those left out are the model's."""
    steered: Steered | None = None
    ensemble: bool = False


BEAM = {"beam_size": 5, "n_best": 1, "sampling": False, "precision": "fp32"}
MODES = (
    Mode("greedy", {**BEAM, "beam_size": 1}),
    Mode("beam", BEAM),
    Mode("sampling", {**BEAM, "sampling": True, "n_best": 3, "seed": 7}),
    Mode("prefixes", BEAM, "prefixes"),
    Mode("required", BEAM, "required"),
    Mode("avoid", BEAM, "avoid"),
    Mode("terminology", BEAM, "terminology"),
    Mode("ensemble", BEAM, ensemble=True),
)


class Case(NamedTuple):
    """Lines to be translated, and how."""

    mode: Mode
    models: tuple[Path, ...]
    """One, or those of an ensemble."""
    requests: list[SourceLine]
    """A line each, and what is wanted of its translation."""
    avoid: list[str]
    terms: dict[str, str]

    def picked(self, numbers: Sequence[int]) -> Case:
        """Return the same with these lines, in this order."""
        return self._replace(requests=[self.requests[number] for number in numbers])


def make_case(mode: Mode, models: Sequence[Path], lines: Sequence[str], written: Sequence[str]) -> Case:
    """Make a case of lines.

    Args:
        mode: How to translate.
        models: Those that there are.
        lines: The text.
        written: Some translation of it by the first model; constraints are made of its words.
    """
    requests, avoid, terms = [SourceLine(line) for line in lines], [], {}
    following = [*written[1:], *written[:1]]
    if mode.steered == "prefixes":
        requests = [SourceLine(line, prefix=" ".join(other.split()[:2])) for line, other in _paired(lines, following)]
    elif mode.steered == "required":
        requests = [SourceLine(line, required=_longest(other)) for line, other in _paired(lines, following)]
    elif mode.steered == "avoid":
        avoid = _frequent(written, AVOIDED)
    elif mode.steered == "terminology":
        targets = list(dict.fromkeys(word for other in reversed(written) for word in _longest(other)))
        terms = dict(zip(_frequent(lines, TERMS), targets, strict=False))
    return Case(mode, tuple(models if mode.ensemble else models[:1]), requests, avoid, terms)


def _paired(lines: Sequence[str], others: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(lines, others, strict=True))


def _words(text: str) -> list[str]:
    """Return the words of a text that constraints may be made of, without the marks around them."""
    words = [word.strip(".,:;!?\"'()-") for word in text.split()]
    return [word for word in words if len(word) >= SHORTEST_WORD and word.isalpha()]


def _longest(text: str) -> tuple[str, ...]:
    """Return the longest word of a text; nothing if none is long."""
    return tuple(sorted(_words(text), key=len)[-1:])


def _frequent(texts: Sequence[str], most: int) -> list[str]:
    """Return the most frequent words; of equals, the first ones."""
    return [word for word, _ in Counter(word for text in texts for word in _words(text)).most_common(most)]
