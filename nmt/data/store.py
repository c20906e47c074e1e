"""The store: the ids of all training pairs in memory-mapped files, so that memory does not grow with the corpus."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nmt.data.special_tokens import EOS
from nmt.data.streams import CHUNK_BYTES
from nmt.errors import DataError
from nmt.small_files import JSONError, is_sealed, parse_json, read_small_file, seal

SIDES = ("source", "target")
LINKS = "links"
FACTS = "store.json"
CHECKSUM, FILE_CHECKSUMS = "crc32", "files_crc32"
"""The keys of the facts for the checksum of the facts, see `seal`, and for those of all files, by name."""
MAX_SHORT_VOCABULARY = 1 << 16  # ids of a larger vocabulary take four bytes
COUNTED_IDS = 1 << 22  # ids that are counted at once; bounds memory
GATHERED_ROWS = 1 << 16  # rows whose positions are computed at once; bounds memory


class Rows(NamedTuple):
    """Rows of ids of unequal length in one array.

    Attributes:
        ids: The ids of all rows.
        starts: Position of the first id of each row; int64 [rows].
        lengths: Number of ids of each row; int64 [rows].
    """

    ids: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def select(self, indices: NDArray[Any]) -> Rows:
        """Copy the rows with these numbers into one array without gaps, in this order."""
        starts, lengths = self.starts[indices], self.lengths[indices].astype(np.int64)
        ends = np.cumsum(lengths)
        pieces = [np.zeros(0, dtype=self.ids.dtype)]
        for first in range(0, len(indices), GATHERED_ROWS):
            part = slice(first, first + GATHERED_ROWS)
            new_starts = ends[part] - lengths[part]
            positions = np.repeat(starts[part] - (new_starts - new_starts[0]), lengths[part])
            positions += np.arange(len(positions))
            pieces.append(self.ids[positions])
        return Rows(np.concatenate(pieces), ends - lengths, lengths)


def make_rows(rows: Sequence[Sequence[int]], dtype: type[np.generic]) -> Rows:
    """Copy lists of ids into one array."""
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    ids = np.fromiter(chain.from_iterable(rows), dtype=dtype, count=int(lengths.sum()))
    return Rows(ids, np.cumsum(lengths) - lengths, lengths)


class StoreWriter:
    """Writes a store block by block."""

    def __init__(self, folder: Path, *, source_size: int, target_size: int, link_size: int | None = None) -> None:
        """Start an empty store in an existing folder.

        Args:
            folder: The folder of the files.
            source_size: Size of the source vocabulary.
            target_size: Size of the target vocabulary.
            link_size: Most words of a sentence, if pairs have links between words.
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
        """Append pairs: ids of sources and targets, and links (source word, target word, ...) if the store has them."""
        for number, rows in enumerate(ids if links is None else (*ids, links)):
            self._ids[number].add(rows.ids)
            self._lengths[number].add(rows.lengths)
            self._offsets[number].add(self._ends[number] + np.cumsum(rows.lengths))
            self._ends[number] += len(rows.ids)
        self._pairs += len(ids[0].lengths)

    def close(self, bounds: Sequence[int]) -> None:
        """Write all files to disk.

        Args:
            bounds: The first pair of each corpus, then the number of pairs.
        """
        for arrays in (*self._ids, *self._offsets, *self._lengths):
            arrays.close()
        facts = {
            "pairs": self._pairs,
            "bounds": list(bounds),
            "id_types": [np.dtype(kind).str for kind in self._dtypes],
            "ids": self._ends[: len(SIDES)],
            FILE_CHECKSUMS: {
                arrays.path.name: f"{arrays.checksum:08x}" for arrays in (*self._ids, *self._offsets, *self._lengths)
            },
            CHECKSUM: "0" * 8,
        }
        if self._link_type is not None:
            facts["links"] = {"type": np.dtype(self._link_type).str, "numbers": self._ends[-1]}
        (self._folder / FACTS).write_bytes(seal(json.dumps(facts).encode(), CHECKSUM))


class Store:
    """The ids of all training pairs, memory-mapped.

    Attributes:
        source_lengths: Pieces of each source, without EOS; int32.
        target_lengths: Pieces of each target, without EOS; int32.
        bounds: The first pair of each corpus, then the number of pairs. The pairs of a corpus are consecutive.
    """

    def __init__(self, folder: Path) -> None:
        """Open a store.

        Raises:
            DataError: Files are missing or damaged.
        """
        try:
            facts = _read_facts(folder)
            self.bounds: tuple[int, ...] = tuple(map(int, facts["bounds"]))
            source_type, target_type = map(_checked_type, facts["id_types"])
            pairs, ids = facts["pairs"], facts["ids"]
            links: dict[str, Any] | None = facts.get("links")
            if links is not None:
                links = {"type": _checked_type(links["type"]), "numbers": links["numbers"]}
        except (DataError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{folder}: is not a complete store of training pairs. Run `nmt preprocess` again."
            ) from error
        id_types = (source_type, target_type)
        self._ids = [map_array(folder / f"{side}.ids", kind) for side, kind in zip(SIDES, id_types, strict=True)]
        self._offsets = [map_array(folder / f"{side}.offsets", np.int64) for side in SIDES]
        self.source_lengths, self.target_lengths = (map_array(folder / f"{side}.lengths", np.int32) for side in SIDES)
        sizes = [len(self.source_lengths), len(self.target_lengths)]
        if [*map(len, self._ids)] != ids or {*sizes, *(len(offsets) - 1 for offsets in self._offsets)} != {pairs}:
            raise DataError(
                f"{folder}: is damaged, because its files have other sizes than written. Run `nmt preprocess` again."
            )
        self._links = None if links is None else _read_links(folder, links, pairs)

    def __len__(self) -> int:
        return len(self.source_lengths)

    def source_ids(self, index: int) -> NDArray[Any]:
        """Return the ids of one source, without EOS."""
        return self._row(0, index)

    def target_ids(self, index: int) -> NDArray[Any]:
        """Return the ids of one target, without BOS and EOS."""
        return self._row(1, index)

    def rows(self, indices: NDArray[Any]) -> tuple[Rows, Rows]:
        """Copy the ids of these pairs into memory: sources and targets. Ascending numbers are read fastest."""
        source, target = (
            Rows(ids, offsets, lengths).select(indices)
            for ids, offsets, lengths in zip(
                self._ids, self._offsets, (self.source_lengths, self.target_lengths), strict=True
            )
        )
        return source, target

    def links(self, indices: NDArray[Any]) -> Rows | None:
        """Copy the links of these pairs into memory (source word, target word, ...); None if the store has no links."""
        return None if self._links is None else self._links.select(indices)

    def count_target_pieces(self, size: int) -> NDArray[np.int64]:
        """Count each of `size` pieces in all targets, with one EOS for each target."""
        counts = self._count(1, size)
        counts[EOS] += len(self)
        return counts

    def count_source_pieces(self, size: int) -> NDArray[np.int64]:
        """Count each of `size` pieces in all sources, without EOS."""
        return self._count(0, size)

    def _count(self, side: int, size: int) -> NDArray[np.int64]:
        counts = np.zeros(size, dtype=np.int64)
        ids = self._ids[side]
        for first in range(0, len(ids), COUNTED_IDS):
            counts += np.bincount(ids[first : first + COUNTED_IDS], minlength=size)
        return counts

    def _row(self, side: int, index: int) -> NDArray[Any]:
        start, end = self._offsets[side][index], self._offsets[side][index + 1]
        return np.asarray(self._ids[side][start:end])


def _read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of a store.

    Raises:
        DataError: The file is missing or damaged.
    """
    path = folder / FACTS
    try:
        content = read_small_file(path)
        facts = parse_json(content)
    except (OSError, JSONError) as error:
        raise DataError(f"{path}: the file cannot be read ({error}).") from error
    intact = is_sealed(content, CHECKSUM)
    if not isinstance(facts, dict) or intact is False or (intact is None and FILE_CHECKSUMS in facts):
        raise DataError(f"{path}: the file is damaged.")
    return facts


def damaged_files(folder: Path) -> list[Path] | None:
    """Return the files of a store whose checksums are wrong; None if an earlier version wrote it without checksums.

    All files are read, which `Store` does not do.

    Raises:
        DataError: The facts about the store are missing or damaged.
    """
    recorded = _read_facts(folder).get(FILE_CHECKSUMS)
    if recorded is None:
        return None
    return [
        folder / name for name, checksum in recorded.items() if _file_checksum(folder / Path(name).name) != checksum
    ]


def _file_checksum(path: Path) -> str | None:
    checksum = 0
    try:
        with open(path, "rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                checksum = zlib.crc32(chunk, checksum)
    except OSError:
        return None
    return f"{checksum:08x}"


def _checked_type(name: object) -> str:
    """Return a type of ids.

    Raises:
        ValueError: The name is not that of such a type.
    """
    if name not in ("<u2", "<u4"):
        raise ValueError
    return str(name)


def _read_links(folder: Path, facts: dict[str, Any], pairs: int) -> Rows:
    ids = map_array(folder / f"{LINKS}.ids", facts["type"])
    offsets = map_array(folder / f"{LINKS}.offsets", np.int64)
    lengths = map_array(folder / f"{LINKS}.lengths", np.int32)
    if (len(ids), len(offsets) - 1, len(lengths)) != (facts["numbers"], pairs, pairs):
        raise DataError(
            f"{folder}: is damaged, because its files have other sizes than written. Run `nmt preprocess` again."
        )
    return Rows(ids, offsets[:-1], lengths)


def _id_type(size: int) -> type[np.generic]:
    return np.uint16 if size <= MAX_SHORT_VOCABULARY else np.uint32


class ArrayWriter:
    """Appends numbers of one type to a file."""

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self.path = path
        self.checksum = 0
        """CRC-32 of all bytes so far."""
        self._dtype = np.dtype(dtype)
        self._stream = open(path, "wb")  # noqa: SIM115 (closed by `close`)

    def add(self, values: NDArray[Any]) -> None:
        """Append numbers, converted to the type of the file."""
        data = np.ascontiguousarray(values, dtype=self._dtype).data
        self.checksum = zlib.crc32(data, self.checksum)
        self._stream.write(data)

    def close(self) -> None:
        """Write to disk and close."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def discard(self) -> None:
        """Close the file without syncing it. No effect after `close`."""
        self._stream.close()


def map_array(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """Map the numbers of a file into memory for reading.

    Raises:
        DataError: The file is missing, or its size is not a multiple of the size of the type.
    """
    item = np.dtype(dtype).itemsize
    try:
        size = path.stat().st_size
        if size % item:
            raise DataError(f"{path}: is damaged, because its size is not a multiple of {item} bytes.")
        if size == 0:  # an empty file cannot be mapped
            return np.zeros(0, dtype=dtype)
        return np.memmap(path, dtype=dtype, mode="r")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error


BYTES_NAME = "{name}.text"
OFFSETS_NAME = "{name}.text_offsets"


class TextWriter:
    """Writes lines of text for `TextReader`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._bytes = ArrayWriter(folder / BYTES_NAME.format(name=name), np.uint8)
        self._offsets = ArrayWriter(folder / OFFSETS_NAME.format(name=name), np.int64)
        self._offsets.add(np.zeros(1, dtype=np.int64))
        self._end = 0

    def add(self, lines: Sequence[str]) -> None:
        """Append lines."""
        together = "".join(lines)
        texts: Sequence[str | bytes] = lines if together.isascii() else [line.encode() for line in lines]
        sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        self._bytes.add(np.frombuffer(together.encode(), dtype=np.uint8))
        self._offsets.add(self._end + np.cumsum(sizes))
        self._end += int(sizes.sum())

    def close(self) -> int:
        """Write to disk and close, and return the size of all lines in bytes."""
        self._bytes.close()
        self._offsets.close()
        return self._end


class TextReader:
    """Reads the lines of a `TextWriter`, in passes from first to last."""

    def __init__(self, folder: Path, name: str) -> None:
        """Open the files.

        Raises:
            DataError: Files are missing or damaged.
        """
        self._path = folder / BYTES_NAME.format(name=name)
        self._offsets = map_array(folder / OFFSETS_NAME.format(name=name), np.int64)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def size(self) -> int:
        """Size of all lines in bytes."""
        return int(self._offsets[-1])

    def sizes(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """Return the sizes in bytes of the lines with these numbers."""
        sizes: NDArray[np.int64] = self._offsets[indices + 1] - self._offsets[indices]
        return sizes

    def lines(self, indices: NDArray[Any]) -> list[str]:
        """Return the lines with these numbers, which ascend and are close together: all lines between them are read.

        The bytes are not memory-mapped, because a pass over the whole corpus would fill the memory.
        """
        if not len(indices):
            return []
        starts, ends = self._offsets[indices].tolist(), self._offsets[indices + 1].tolist()
        with open(self._path, "rb") as stream:
            stream.seek(starts[0])
            data = stream.read(ends[-1] - starts[0])
        first = starts[0]
        if data.isascii():
            text = data.decode("ascii")
            return [text[start - first : end - first] for start, end in zip(starts, ends, strict=True)]
        return [data[start - first : end - first].decode() for start, end in zip(starts, ends, strict=True)]
