"""What is wanted of single lines, as text: how their translations start, and which phrases they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.data.terminology import Terminology
from nmt.data.tokenizer import SubwordModel
from nmt.errors import UsageError
from nmt.inference.composition import NO_WISH, Phrases, Wish


@dataclass(frozen=True)
class Request:
    """A line to translate, and what is wanted of its translation."""

    text: str
    prefix: str = ""
    """What the translation starts with."""
    required: tuple[str, ...] = ()
    """Words or phrases that it has."""

    def __len__(self) -> int:
        """Return the number of characters of the line."""
        return len(self.text)


class Wishes:
    """Turns what is wanted of lines into what a search understands."""

    def __init__(
        self,
        target: SubwordModel,
        *,
        avoid: Sequence[str] = (),
        terminology: Terminology | None = None,
        obstacle: str | None = None,
    ) -> None:
        """Keep what is given.

        Args:
            target: The subword model of the target side.
            avoid: Phrases that no translation may have.
            terminology: Phrases that translations have if their source has others. None: no such.
            obstacle: Why this model's search cannot be steered; None: it can.

        Raises:
            UsageError: A phrase is blank, or the search cannot be steered.
        """
        self._target = target
        self._terminology = terminology
        self._obstacle = obstacle
        if avoid or terminology is not None:
            self._refuse()
        self.phrases = Phrases(target, avoid)

    def of(self, request: Request, texts: Sequence[str]) -> list[Wish]:
        """Return what is wanted of each part of a line, whose source is `texts`.

        Terms are looked for in each part; all else is wanted of the first one.

        Raises:
            UsageError: The model cannot write a phrase, or the search cannot be steered.
        """
        found = []
        for number, text in enumerate(texts):
            terms = self._terminology.targets(text) if self._terminology is not None else ()
            first = number == 0
            phrases = (*request.required, *terms) if first else tuple(terms)
            prefix = request.prefix.strip() if first else ""
            found.append(self._wish(prefix, phrases) if prefix or phrases else NO_WISH)
        return found

    def _wish(self, prefix: str, phrases: Sequence[str]) -> Wish:
        self._refuse()
        ids = self._target.encode([prefix])[0] if prefix else []
        return Wish(tuple(ids), tuple(dict.fromkeys(map(self.phrases.required, phrases))))

    def _refuse(self) -> None:
        if self._obstacle is not None:
            raise UsageError(f"prefixes, required and avoided phrases, and terminology cannot be had {self._obstacle}")
