"""The store: the ids of all training pairs on disk, memory-mapped, so that memory does not grow with the corpus."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nmt.data.special_tokens import EOS
from nmt.errors import DataError

SIDES = ("source", "target")
LINKS = "links"
LARGEST_SHORT_VOCABULARY = 1 << 16  # ids of a larger one take four bytes
COUNTED_IDS = 1 << 22  # ids that are counted at once; bounds memory
GATHER_ROWS = 1 << 16  # rows whose positions are computed at once; bounds memory


class Rows(NamedTuple):
    """Rows of ids of unequal length, one after another in one array."""

    ids: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def select(self, indices: NDArray[Any]) -> Rows:
        """Copies these rows together, in this order."""
        starts, lengths = self.starts[indices], self.lengths[indices].astype(np.int64)
        ends = np.cumsum(lengths)
        pieces = [np.zeros(0, dtype=self.ids.dtype)]
        for first in range(0, len(indices), GATHER_ROWS):
            part = slice(first, first + GATHER_ROWS)
            before = ends[part] - lengths[part]  # where each row starts in the copy
            positions = np.repeat(starts[part] - (before - before[0]), lengths[part])
            positions += np.arange(len(positions))
            pieces.append(self.ids[positions])
        return Rows(np.concatenate(pieces), ends - lengths, lengths)


def make_rows(rows: Sequence[Sequence[int]], dtype: type[np.generic]) -> Rows:
    """Puts lists of ids into one array."""
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    ids = np.fromiter(chain.from_iterable(rows), dtype=dtype, count=int(lengths.sum()))
    return Rows(ids, np.cumsum(lengths) - lengths, lengths)


class StoreWriter:
    """Writes a store, block by block."""

    def __init__(self, folder: Path, *, source_size: int, target_size: int, link_size: int | None = None) -> None:
        """Starts an empty store in an existing folder.

        Args:
            folder: Where the files go.
            source_size: Number of source pieces there are.
            target_size: Number of target pieces there are.
            link_size: Most words of a sentence, if pairs come with links between words.
        """
        self._folder = folder
        self._dtypes = [_id_type(source_size), _id_type(target_size)]
        self._ids = [ArrayWriter(folder / f"{side}.ids", kind) for side, kind in zip(SIDES, self._dtypes, strict=True)]
        self._offsets = [ArrayWriter(folder / f"{side}.offsets", np.int64) for side in SIDES]
        self._lengths = [ArrayWriter(folder / f"{side}.lengths", np.int32) for side in SIDES]
        self._ends = [0, 0]
        self._pairs = 0
        self._link_type = None if link_size is None else _id_type(link_size)
        if self._link_type is not None:
            self._ids.append(ArrayWriter(folder / f"{LINKS}.ids", self._link_type))
            self._offsets.append(ArrayWriter(folder / f"{LINKS}.offsets", np.int64))
            self._lengths.append(ArrayWriter(folder / f"{LINKS}.lengths", np.int32))
            self._ends.append(0)
        for offsets in self._offsets:
            offsets.add(np.zeros(1, dtype=np.int64))

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *error: object) -> None:
        for arrays in (*self._ids, *self._offsets, *self._lengths):
            arrays.discard()

    def __len__(self) -> int:
        return self._pairs

    def add(self, ids: tuple[Rows, Rows], links: Rows | None = None) -> None:
        """Appends pairs: ids of sources and targets, and the links (source word, target word, ...) if there are any."""
        for number, rows in enumerate(ids if links is None else (*ids, links)):
            self._ids[number].add(rows.ids)
            self._lengths[number].add(rows.lengths)
            self._offsets[number].add(self._ends[number] + np.cumsum(rows.lengths))
            self._ends[number] += len(rows.ids)
        self._pairs += len(ids[0].lengths)

    def close(self, bounds: Sequence[int]) -> None:
        """Syncs to disk.

        Args:
            bounds: Where each corpus starts, and where the last one ends.
        """
        for arrays in (*self._ids, *self._offsets, *self._lengths):
            arrays.close()
        facts = {
            "pairs": self._pairs,
            "bounds": list(bounds),
            "id_types": [np.dtype(kind).str for kind in self._dtypes],
            "ids": self._ends[: len(SIDES)],
        }
        if self._link_type is not None:
            facts["links"] = {"type": np.dtype(self._link_type).str, "numbers": self._ends[-1]}
        (self._folder / "store.json").write_text(json.dumps(facts), encoding="utf-8")


class Store:
    """The ids of all training pairs, memory-mapped.

    Attributes:
        source_lengths: Pieces of each source, without EOS; int32.
        target_lengths: Pieces of each target, without EOS; int32.
        bounds: Where each corpus starts, and where the last one ends; the pairs of a corpus are together.
    """

    def __init__(self, folder: Path) -> None:
        """Opens a store.

        Raises:
            DataError: Files are missing or damaged.
        """
        try:
            facts = json.loads((folder / "store.json").read_text(encoding="utf-8"))
            self.bounds: tuple[int, ...] = tuple(facts["bounds"])
            id_types: list[str] = facts["id_types"]
            pairs, ids = facts["pairs"], facts["ids"]
            links: dict[str, Any] | None = facts.get("links")
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{folder}: is not a complete store of training pairs.") from error
        self._ids = [map_array(folder / f"{side}.ids", kind) for side, kind in zip(SIDES, id_types, strict=True)]
        self._offsets = [map_array(folder / f"{side}.offsets", np.int64) for side in SIDES]
        self.source_lengths, self.target_lengths = (map_array(folder / f"{side}.lengths", np.int32) for side in SIDES)
        sizes = [len(self.source_lengths), len(self.target_lengths)]
        if [*map(len, self._ids)] != ids or {*sizes, *(len(offsets) - 1 for offsets in self._offsets)} != {pairs}:
            raise DataError(f"{folder}: is damaged; its files do not have the sizes they were written with.")
        self._links = None if links is None else _read_links(folder, links, pairs)

    def __len__(self) -> int:
        return len(self.source_lengths)

    def source_ids(self, index: int) -> NDArray[Any]:
        """The ids of one source, without EOS."""
        return self._row(0, index)

    def target_ids(self, index: int) -> NDArray[Any]:
        """The ids of one target, without BOS and EOS."""
        return self._row(1, index)

    def rows(self, indices: NDArray[Any]) -> tuple[Rows, Rows]:
        """Copies the ids of these pairs into memory: sources and targets. Ascending numbers are read fastest."""
        source, target = (
            Rows(ids, offsets, lengths).select(indices)
            for ids, offsets, lengths in zip(
                self._ids, self._offsets, (self.source_lengths, self.target_lengths), strict=True
            )
        )
        return source, target

    def links(self, indices: NDArray[Any]) -> Rows | None:
        """Copies the links of these pairs into memory: source word, target word, ...; None if none are kept."""
        return None if self._links is None else self._links.select(indices)

    def count_target_pieces(self, size: int) -> NDArray[np.int64]:
        """How often each of `size` pieces stands in all targets, EOS at the end of each."""
        counts = np.zeros(size, dtype=np.int64)
        ids = self._ids[1]
        for first in range(0, len(ids), COUNTED_IDS):
            counts += np.bincount(ids[first : first + COUNTED_IDS], minlength=size)
        counts[EOS] += len(self)
        return counts

    def _row(self, side: int, index: int) -> NDArray[Any]:
        start, end = self._offsets[side][index], self._offsets[side][index + 1]
        return np.asarray(self._ids[side][start:end])


def _read_links(folder: Path, facts: dict[str, Any], pairs: int) -> Rows:
    ids = map_array(folder / f"{LINKS}.ids", facts["type"])
    offsets = map_array(folder / f"{LINKS}.offsets", np.int64)
    lengths = map_array(folder / f"{LINKS}.lengths", np.int32)
    if (len(ids), len(offsets) - 1, len(lengths)) != (facts["numbers"], pairs, pairs):
        raise DataError(f"{folder}: is damaged; its files do not have the sizes they were written with.")
    return Rows(ids, offsets[:-1], lengths)


def _id_type(size: int) -> type[np.generic]:
    return np.uint16 if size <= LARGEST_SHORT_VOCABULARY else np.uint32


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


class TextReader:
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
