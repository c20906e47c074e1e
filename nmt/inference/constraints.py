"""What is wanted of single lines, as text: how their translations start, and which phrases they have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.lines import read_lines
from nmt.data.special_tokens import UNK
from nmt.data.tokenizer import SubwordModel
from nmt.errors import DataError, UsageError
from nmt.inference.search_options import NO_CONSTRAINTS, Constraints, PhraseCompiler


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


class ConstraintCompiler:
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
        self.phrases = PhraseCompiler(target, avoid)

    def of(self, request: Request, texts: Sequence[str]) -> list[Constraints]:
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
            found.append(self._wish(prefix, phrases) if prefix or phrases else NO_CONSTRAINTS)
        return found

    def _wish(self, prefix: str, phrases: Sequence[str]) -> Constraints:
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
        return Constraints(tuple(ids), required, tuple(dict.fromkeys(pieces)))


class Terminology:
    """Source terms and their translations."""

    def __init__(self, terms: Mapping[str, str]) -> None:
        """Keep the terms: source to target, none of them blank."""
        self._terms = dict(terms)
        longest_first = sorted(self._terms, key=lambda term: (-len(term), term))
        self._pattern = re.compile("|".join(map(_whole, longest_first)) or "(?!)")

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(self._terms)

    def targets(self, source: str) -> tuple[str, ...]:
        """Return the translations of the terms in a text, each once."""
        return tuple(dict.fromkeys(self._terms[match.group()] for match in self._pattern.finditer(source)))


def _whole(term: str) -> str:
    """Return the pattern of a term that no word character touches, where the term itself ends in one."""
    before = r"(?<!\w)" if _is_bounded(term[0]) else ""
    after = r"(?!\w)" if _is_bounded(term[-1]) else ""
    return before + re.escape(term) + after


def _is_bounded(character: str) -> bool:
    """Return whether a character belongs to a word that spaces separate from others (letters before CJK and Thai)."""
    return re.match(r"\w", character) is not None and not "\u0e00" <= character <= "\u0eff" and character < "\u1000"


def read_terminology(path: Path | str) -> Terminology:
    """Read a file of terms; blank lines are left out.

    Raises:
        DataError: A line is not two texts with a tab between them, or a term has two translations.
    """
    terms: dict[str, str] = {}
    for number, line in enumerate(read_lines(path, keep_broken=False), 1):
        if not line.strip():
            continue
        columns = [" ".join(column.split()) for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise DataError(f"{path}:{number}: expected a source term, a tab and a target term, found {line!r}")
        source, target = columns
        if terms.setdefault(source, target) != target:
            raise DataError(f"{path}:{number}: {source!r} has another translation above: {terms[source]!r}; keep one")
    return Terminology(terms)
