"""Lines of text on disk that can be read by number: one file of bytes, one of offsets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data.arrays import ArrayWriter, map_array

BYTES_NAME = "{name}.text"
OFFSETS_NAME = "{name}.text_offsets"


class TextWriter:
    """Appends lines."""

    def __init__(self, folder: Path, name: str) -> None:
        self._bytes = ArrayWriter(folder / BYTES_NAME.format(name=name), np.uint8)
        self._offsets = ArrayWriter(folder / OFFSETS_NAME.format(name=name), np.int64)
        self._offsets.add(np.zeros(1, dtype=np.int64))
        self._end = 0

    def add(self, lines: Sequence[str]) -> None:
        """Appends lines."""
        encoded = [line.encode() for line in lines]
        sizes = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        self._bytes.add(np.frombuffer(b"".join(encoded), dtype=np.uint8))
        self._offsets.add(self._end + np.cumsum(sizes))
        self._end += int(sizes.sum())

    def close(self) -> None:
        """Syncs to disk."""
        self._bytes.close()
        self._offsets.close()


class Texts:
    """Lines that a `TextWriter` wrote, memory-mapped."""

    def __init__(self, folder: Path, name: str) -> None:
        self._bytes = map_array(folder / BYTES_NAME.format(name=name), np.uint8)
        self._offsets = map_array(folder / OFFSETS_NAME.format(name=name), np.int64)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def size(self) -> int:
        """Bytes of all lines."""
        return len(self._bytes)

    def lines(self, indices: NDArray[Any]) -> list[str]:
        """The lines with these numbers. Ascending numbers are read fastest."""
        starts, ends = self._offsets[indices].tolist(), self._offsets[indices + 1].tolist()
        view = self._bytes.data
        return [str(view[start:end], "utf-8") for start, end in zip(starts, ends, strict=True)]
