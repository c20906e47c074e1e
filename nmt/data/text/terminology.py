"""Terminology: how the terms of a source text are to be translated.

A file has a term a line: the source term, a tab, the target term. Terms are found as whole words, exactly as they are
written; of terms that overlap the longest counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from nmt.data.text.lines import read_lines
from nmt.errors import DataError


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
