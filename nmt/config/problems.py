"""Problems of a configuration and their places. They are collected, so that all are reported at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nmt.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""The path of keys to an option: ``("data", "train", 0, "weight")`` is written ``data.train.0.weight``."""


def dotted(path: KeyPath) -> str:
    """Return a key path as users write it."""
    return ".".join(shorten(str(part)) for part in path)


START_HINT = "`nmt config init` writes a configuration to start from"

SHOWN_OVERRIDE = 200
"""Longest override in a message, in characters."""


@dataclass(frozen=True)
class Place:
    """The place where a value was written.

    Attributes:
        file: the file.
        line: the line from 1, 0 for the file as a whole, or the number of the override.
        override: the text of the override, if the value comes from the command line.
        depth: 0 in the file itself, 1 in its base, 2 in the base of its base.
    """

    file: str
    line: int = 0
    override: str | None = None
    depth: int = 0

    @property
    def precedence(self) -> int:
        """A number that is lower for places whose values replace those of other places."""
        return self.depth if self.override is None else -1

    def __str__(self) -> str:
        if self.override is not None:
            return f"override '{shorten(self.override, limit=SHOWN_OVERRIDE)}'"
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Problem:
    """One problem, with a hint how to correct it."""

    place: Place
    path: KeyPath
    text: str
    hint: str | None = None

    def render(self, margin: str) -> str:
        """Return the problem on one line and its hint on the next, indented by `margin`."""
        where = f"{self.place}: {dotted(self.path)}: " if self.path else f"{self.place}: "
        hint = f"\n{margin}    hint: {self.hint}" if self.hint else ""
        return f"{margin}{where}{self.text}{hint}"


class ConfigSyntaxError(Exception):
    """A file or value that cannot be parsed, with the one problem that is reported for it."""

    def __init__(self, place: Place, text: str, hint: str | None, path: KeyPath = ()) -> None:
        super().__init__(text)
        self.problem = Problem(place, path, text, hint)


SHOWN_PROBLEMS = 20
"""Most problems that an error lists."""


def config_error(file: str, problems: Iterable[Problem]) -> ConfigError:
    """Return one error that lists the problems: first those of the file, then of its bases, then of overrides."""

    def order(problem: Problem) -> tuple[bool, int, int]:
        place = problem.place
        return place.override is not None, place.depth, place.line

    ordered = sorted(dict.fromkeys(problems), key=order)
    if len(ordered) == 1:
        return ConfigError(ordered[0].render("").lstrip())
    lines = [problem.render("  ") for problem in ordered[:SHOWN_PROBLEMS]]
    if len(ordered) > SHOWN_PROBLEMS:
        lines.append(f"  and {len(ordered) - SHOWN_PROBLEMS:,} more")
    return ConfigError("\n".join([f"{len(ordered):,} problems in {file}:", *lines]))


def show(value: Any) -> str:
    """Return a value as messages quote it: short, on one line, spelled as in YAML."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"a section ({shorten(', '.join(map(str, value)))})" if value else "an empty section"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return shorten(json.dumps(value, ensure_ascii=False), keep='"')
    return shorten(str(value))


def shorten(text: str, *, keep: str = "", limit: int = 70) -> str:
    """Return at most `limit` characters of a text, followed by `keep` if it was shortened."""
    return text if len(text) <= limit else f"{text[: limit - 3]}...{keep}"
