"""What is wanted of single lines, as text: how their translations start, and which phrases they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.data.subwords.tokenizer import SubwordModel
from nmt.data.symbols import UNK
from nmt.data.text.terminology import Terminology
from nmt.errors import UsageError
from nmt.inference.decoding.composition import NO_WISH, Phrases, Wish


@dataclass(frozen=True)
class Request:
    """A line to translate, and what is wanted of its translation."""

    text: str
    prefix: str = ""
    """What the translation starts with. A model that writes from right to left cannot be given one."""
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
    ) -> None:
        """Keep what is given.

        Args:
            target: The subword model of the target side.
            avoid: Phrases that no translation may have.
            terminology: Phrases that translations have if their source has others. None: no such.

        Raises:
            UsageError: A phrase is blank.
        """
        self._target = target
        self._terminology = terminology
        self.phrases = Phrases(target, avoid)

    def of(self, request: Request, texts: Sequence[str]) -> list[Wish]:
        """Return what is wanted of each part of a line, whose source is `texts`.

        Terms are looked for in each part; all else is wanted of the first one.

        Raises:
            UsageError: The model cannot write a phrase, or cannot be given a prefix.
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
        if prefix and self._target.right_to_left:
            raise UsageError(
                "a model that writes from right to left cannot be given a prefix: the beginning of a text is what it "
                "writes last, when all else is settled. Require it as a phrase, which may stand anywhere, or use a "
                "model that writes from left to right"
            )
        ids = self._target.encode([prefix])[0] if prefix else []
        if UNK in ids:
            raise UsageError(f"{prefix!r} cannot be a prefix: the model has no pieces to write it with")
        pieces = [piece for row in self._target.encode(list(phrases)) for piece in row]
        required = tuple(dict.fromkeys(map(self.phrases.required, phrases)))
        return Wish(tuple(ids), required, tuple(dict.fromkeys(pieces)))
