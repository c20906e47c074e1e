"""Lines of text on disk between two passes: one file of bytes, one of offsets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data.storage.arrays import ArrayWriter, map_array

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
    """Lines that a `TextWriter` wrote, for passes from first to last."""

    def __init__(self, folder: Path, name: str) -> None:
        """Opens them.

        Raises:
            DataError: Files are missing or damaged.
        """
        self._path = folder / BYTES_NAME.format(name=name)
        self._offsets = map_array(folder / OFFSETS_NAME.format(name=name), np.int64)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def size(self) -> int:
        """Bytes of all lines."""
        return int(self._offsets[-1])

    def sizes(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """The bytes of the lines with these numbers."""
        sizes: NDArray[np.int64] = self._offsets[indices + 1] - self._offsets[indices]
        return sizes

    def lines(self, indices: NDArray[Any]) -> list[str]:
        """The lines with these numbers, which ascend and are close together: all between them is read at once.

        The bytes are not memory-mapped, since a pass over the whole corpus would fill memory with it.
        """
        if not len(indices):
            return []
        starts, ends = self._offsets[indices].tolist(), self._offsets[indices + 1].tolist()
        with open(self._path, "rb") as stream:
            stream.seek(starts[0])
            view = memoryview(stream.read(ends[-1] - starts[0]))
        first = starts[0]
        return [str(view[start - first : end - first], "utf-8") for start, end in zip(starts, ends, strict=True)]
