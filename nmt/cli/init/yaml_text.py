"""A configuration as a list of options with comments, which can be changed and written as YAML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.config.inheritance import recipe_file
from nmt.config.problems import KeyPath

WIDTH = 120


@dataclass(frozen=True)
class YamlEntry:
    """An option of a configuration, or the heading of a section.

    Attributes:
        path: its keys.
        value: its value as YAML, empty for a section.
        comment: the comment.
    """

    path: KeyPath
    value: str
    comment: str


def recipe_entries(file: Path) -> list[YamlEntry]:
    """Return the options of a recipe and its bases, with their comments."""
    entries = _read(file.read_text(encoding="utf-8"))
    base = next((entry.value for entry in entries if entry.path == ("base",)), None)
    if base is None:
        return entries
    below = recipe_file(base) or file.parent / base
    return changed(recipe_entries(below), [entry for entry in entries if entry.path != ("base",)])


def changed(entries: Sequence[YamlEntry], changes: Iterable[YamlEntry]) -> list[YamlEntry]:
    """Return the entries with changes: replace entries of the same path, and add new ones at the end of their section.

    A section keeps its comment if the change has none.
    """
    result = list(entries)
    for change in changes:
        for missing in (change.path[:size] for size in range(1, len(change.path))):
            if not any(entry.path == missing for entry in result):
                result.insert(_end(result, missing[:-1]), YamlEntry(missing, "", ""))
        places = [place for place, entry in enumerate(result) if entry.path == change.path]
        if not places:
            result.insert(_end(result, change.path[:-1]), change)
        elif change.value or change.comment:
            result[places[0]] = change
    return result


def render(entries: Iterable[YamlEntry]) -> str:
    """Return the YAML. Comments of sections, and long comments of options, are above them, other comments behind."""
    lines: list[str] = []
    for entry in entries:
        margin = "  " * (len(entry.path) - 1)
        text = f"{margin}{entry.path[-1]}: {entry.value}".rstrip()
        if len(entry.path) == 1 and lines:
            lines.append("")
        behind = f"{text} # {entry.comment}"
        if entry.comment and (len(behind) > WIDTH or not entry.value):
            lines += textwrap.wrap(entry.comment, WIDTH, initial_indent=f"{margin}# ", subsequent_indent=f"{margin}# ")
            behind = text
        lines.append(behind if entry.comment else text)
    return "\n".join(lines) + "\n"


def _end(entries: Sequence[YamlEntry], section: KeyPath) -> int:
    """Return the position after the last entry of a section."""
    return max((place + 1 for place, entry in enumerate(entries) if entry.path[: len(section)] == section), default=0)


def _read(text: str) -> list[YamlEntry]:
    """Return the entries of a recipe, with one option per line, two spaces per level, and comments above or behind.

    A comment before a blank line belongs to the file.
    """
    entries: list[YamlEntry] = []
    above: list[str] = []
    path: list[str] = []
    for line in text.splitlines():
        content = line.strip()
        if not content:
            above = []
        elif content.startswith("#"):
            above.append(content.removeprefix("#").strip())
        else:
            key, _, rest = content.partition(":")
            value, _, behind = rest.partition(" #")
            path = [*path[: (len(line) - len(line.lstrip())) // 2], key]
            comment = " ".join([*above, behind.strip()]).strip()
            entries.append(YamlEntry(tuple(path), value.strip(), comment))
            above = []
    return entries
