"""Makes an input that shows a fault smaller (delta debugging, Zeller & Hildebrandt 2002)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(data: bytes, fails: Callable[[bytes], bool], *, tests: int = 200) -> bytes:
    """Return a part of `data` that still fails: first of its lines, then of its bytes.

    Args:
        data: An input that fails.
        fails: Whether an input fails in the same way.
        tests: Most calls of `fails`.
    """
    left = [tests]

    def counted(parts: Sequence[bytes]) -> bool:
        left[0] -= 1
        return left[0] >= 0 and fails(b"".join(parts))

    parts = [line + b"\n" for line in data.split(b"\n")]
    parts[-1] = parts[-1][:-1]
    parts = _minimize([part for part in parts if part], counted)
    size = max(1, sum(map(len, parts)) // 64)
    content = b"".join(parts)
    while left[0] > 0:
        pieces = _minimize([content[start : start + size] for start in range(0, len(content), size)], counted)
        content = b"".join(pieces)
        if size == 1:
            break
        size = max(1, size // 4)
    return content


def revert(original: bytes, changed: bytes, fails: Callable[[bytes], bool], *, tests: int = 100) -> bytes:
    """Return `changed` with as many of its different bytes as possible like in `original`, for a binary file."""
    if len(original) != len(changed):
        return changed
    places = [place for place, (old, new) in enumerate(zip(original, changed, strict=True)) if old != new]
    left = [tests]

    def build(chosen: Sequence[int]) -> bytes:
        result = bytearray(original)
        for place in chosen:
            result[place] = changed[place]
        return bytes(result)

    def counted(chosen: Sequence[int]) -> bool:
        left[0] -= 1
        return left[0] >= 0 and fails(build(chosen))

    return build(_minimize(places, counted))


def _minimize(parts: list[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return a subset of the parts that fails and of which no part can be left out, if there are enough tests."""
    count = 2
    while len(parts) >= 2:
        size = -(-len(parts) // count)
        for start in range(0, len(parts), size):
            rest = parts[:start] + parts[start + size :]
            if fails(rest):
                parts, count = rest, max(2, count - 1)
                break
        else:
            if count >= len(parts):
                break
            count = min(len(parts), 2 * count)
    return parts
