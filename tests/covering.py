"""Covering arrays: few rows of options with every pair of values that can stand together (all-pairs testing)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def covering_rows(
    values: Mapping[str, Sequence[Any]], allowed: Callable[[Row], bool], *, base: Row, seed: int = 1, tries: int = 12
) -> list[Row]:
    """Greedily make rows that cover all pairs of values.

    Args:
        values: The values of each option.
        allowed: Whether a whole row makes sense.
        base: A row from which most pairs can be reached by changing these two values alone.
        seed: Of the order in which options are filled.
        tries: Random rows tried for a pair that `base` does not allow, before it counts as impossible.
    """
    generator = random.Random(seed)
    missing = {
        frozenset([(a, x), (b, y)]) for a, b in itertools.combinations(values, 2) for x in values[a] for y in values[b]
    }
    rows = []
    for pair in sorted(missing, key=lambda pair: sorted(map(repr, pair))):
        if pair not in missing:
            continue
        row = _start(dict(pair), values, allowed, base, generator, tries)
        if row is not None:
            _fill(row, dict(pair), values, allowed, missing, generator)
            rows.append(row)
            missing -= _pairs(row)
        missing.discard(pair)
    return rows


def _pairs(row: Row) -> set[frozenset[tuple[str, Any]]]:
    return {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}


def _start(
    pair: Row,
    values: Mapping[str, Sequence[Any]],
    allowed: Callable[[Row], bool],
    base: Row,
    generator: random.Random,
    tries: int,
) -> Row | None:
    row = {**base, **pair}
    for _ in range(tries):
        if allowed(row):
            return row
        few = generator.sample(sorted(values), k=len(values) // 3)
        row = {**base, **{name: generator.choice(values[name]) for name in few}, **pair}
    return None


def _fill(
    row: Row,
    fixed: Row,
    values: Mapping[str, Sequence[Any]],
    allowed: Callable[[Row], bool],
    missing: set[frozenset[tuple[str, Any]]],
    generator: random.Random,
) -> None:
    """Give each other option of `row` the allowed value that covers most of what is missing."""
    for name in generator.sample(sorted(set(values) - set(fixed)), k=len(values) - len(fixed)):

        def gain(value: Any, name: str = name) -> int:
            others = (item for item in row.items() if item[0] != name)
            return sum(frozenset([(name, value), other]) in missing for other in others)

        for value in sorted(values[name], key=gain, reverse=True):
            if allowed({**row, name: value}):
                row[name] = value
                break
