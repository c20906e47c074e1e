"""Arrays on disk: appended to, then memory-mapped. A file holds the numbers alone, in the machine's byte order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nmt.errors import DataError


class ArrayWriter:
    """Appends to a file of numbers of one type."""

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._stream = open(path, "wb")  # noqa: SIM115 (closed by `close`)

    def add(self, values: NDArray[Any]) -> None:
        """Appends numbers, converted to the file's type."""
        self._stream.write(np.ascontiguousarray(values, dtype=self._dtype).data)

    def close(self) -> None:
        """Syncs to disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def discard(self) -> None:
        """Closes the file as it is; does nothing after `close`."""
        self._stream.close()


def map_array(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """The numbers in a file, memory-mapped for reading.

    Raises:
        DataError: The file is missing or does not hold whole numbers of this type.
    """
    item = np.dtype(dtype).itemsize
    try:
        size = path.stat().st_size
        if size % item:
            raise DataError(f"{path}: is damaged; its size is not a multiple of {item} bytes.")
        if size == 0:  # which cannot be mapped
            return np.zeros(0, dtype=dtype)
        return np.memmap(path, dtype=dtype, mode="r")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
