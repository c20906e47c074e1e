"""A document: the texts in it that are to be translated, and the file with their translations filled in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nmt.errors import NMTError
from nmt.inference.documents.text import Edit, EncodedText, Unit, apply_edits
from nmt.log import logger

Fill = Literal["missing", "unfinished", "all"]
"""Which units are translated: those without a translation, also those that are marked as unfinished, or all."""


@dataclass
class UnitCounts:
    """Units of a document by what was done with them."""

    missing: int = 0
    """Had no translation."""
    unfinished: int = 0
    """Had a translation that was marked as fuzzy, new or the like."""
    finished: int = 0
    """Had a translation."""
    excluded: int = 0
    """Not for translation: marked so, obsolete, without text, or without the source language."""
    skipped: int = 0
    """Were to be translated, but the translation could not be written."""

    def chosen(self, fill: Fill) -> int:
        """Return the number of units that are translated."""
        return self.missing + self.unfinished * (fill != "missing") + self.finished * (fill == "all")


@dataclass
class Document:
    """A document of any kind.

    Attributes:
        name: The file, for messages.
        encoded: Its text.
        units: What is to be translated, in order.
        counts: Numbers of units.
        structure: Returns all of a text but the translations, to check that nothing else changes.
        edits: Further changes that the translations require.
        references: Whether characters that the encoding lacks can be written as XML character references.
    """

    name: str
    encoded: EncodedText
    units: list[Unit]
    counts: UnitCounts
    structure: Callable[[str], object]
    edits: list[Edit] = field(default_factory=list)
    references: bool = False

    @property
    def lines(self) -> list[str]:
        """What the translator gets: one line per line of each unit."""
        return [line for unit in self.units for line in unit.lines]

    def fill(self, translations: Sequence[str]) -> bytes:
        """Return the file with translations filled in, and everything else byte for byte as it was.

        Args:
            translations: The translation of each of `lines`.

        Raises:
            DataError: The encoding of the file lacks a character of a translation.
            NMTError: Something else than translations would change.
        """
        text = self.encoded.text
        edits = []
        place = 0
        for unit in self.units:
            edit = unit.edit(translations[place : place + len(unit.lines)])
            place += len(unit.lines)
            if edit is None:
                self.counts.skipped += 1
                logger.warning("%s, line %d: left as it is: the inline elements do not fit", self.name, unit.line)
            else:
                edits.append(edit)
        if len(translations) != place:
            raise ValueError(f"{len(translations)} translations of {place} lines")
        filled = apply_edits(text, [*edits, *self.edits] if edits else [])
        if self.structure(filled) != self.structure(text):
            raise NMTError(f"{self.name}: the translations would change more than translations. Please report this.")
        return self.encoded.encode(filled, name=self.name, references=self.references)
