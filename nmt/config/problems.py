"""What is wrong with a configuration, and where: collected first, so that all of it is reported at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nmt.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Where an option stands: ``("data", "train", 0, "weight")`` is written ``data.train.0.weight``."""


def dotted(path: KeyPath) -> str:
    """The key path as users write it."""
    return ".".join(str(part) for part in path)


@dataclass(frozen=True)
class Place:
    """Where a value was written: a line of a file (0: the file as a whole), or an override, the `line`th.

    `depth` is 0 in the file that was asked for, 1 in its base, 2 in that one's base.
    """

    file: str
    line: int = 0
    override: str | None = None
    depth: int = 0

    @property
    def rank(self) -> int:
        """Who wins: of two values for one option, the one of the lower rank."""
        return self.depth if self.override is None else -1

    def __str__(self) -> str:
        if self.override is not None:
            return f"override '{self.override}'"
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    place: Place
    path: KeyPath
    text: str
    hint: str | None = None

    def render(self, margin: str) -> str:
        """The problem on one line, its hint on the next, indented by `margin`."""
        where = f"{self.place}: {dotted(self.path)}: " if self.path else f"{self.place}: "
        hint = f"\n{margin}    hint: {self.hint}" if self.hint else ""
        return f"{margin}{where}{self.text}{hint}"


class ConfigSyntaxError(Exception):
    """Text that cannot be read at all; carries the one problem that can be told."""

    def __init__(self, place: Place, text: str, hint: str | None, path: KeyPath = ()) -> None:
        super().__init__(text)
        self.problem = Problem(place, path, text, hint)


def config_error(file: str, problems: Iterable[Problem]) -> ConfigError:
    """One error that lists all problems, in the order of the file, then those of its bases, overrides last."""

    def order(problem: Problem) -> tuple[bool, int, int]:
        place = problem.place
        return place.override is not None, place.depth, place.line

    ordered = sorted(dict.fromkeys(problems), key=order)
    if len(ordered) == 1:
        return ConfigError(ordered[0].render("").lstrip())
    lines = "\n".join(problem.render("  ") for problem in ordered)
    return ConfigError(f"{len(ordered)} problems in {file}:\n{lines}")


def show(value: Any) -> str:
    """A value as a message quotes it: short, on one line, in YAML's own spelling."""
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
    """At most `limit` characters of a text, closed with `keep` when it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 3]}...{keep}"
