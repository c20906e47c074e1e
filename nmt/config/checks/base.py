"""What a contradiction is, and how checks find options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nmt.config.problems import KeyPath
from nmt.config.schema import Config


@dataclass(frozen=True)
class Contradiction:
    """Options that do not fit together; `paths` names them, the one to complain about first."""

    paths: tuple[KeyPath, ...]
    text: str
    hint: str
    switched_off: bool = False
    """The first option is set but has no effect, because of the second one."""


Check = Callable[[Config], Iterator[Contradiction]]


def key(path: str) -> KeyPath:
    """`data.train.0.source` as a key path."""
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))


def value_at(config: Config, path: KeyPath) -> Any:
    """The value of an option."""
    value: Any = config
    for part in path:
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value
