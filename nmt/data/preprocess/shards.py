"""Cuts training corpora into shards of undecoded records, which processes work on.

The cuts are a function of the text alone. Plain text and TSV are only searched for line ends here. Their lines are
decoded by the process that works on the shard. Records of other files are parsed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import CorpusConfig
from nmt.data.corpus import MalformedLine, inspect_file, paths, read_training, split_columns
from nmt.data.lines import BYTE_ORDER_MARK, MAX_LINE_BYTES, decode_lines
from nmt.data.sources import kind_of
from nmt.data.streams import read_bytes
from nmt.errors import DataError, UnequalLines

SHARD_RECORDS = 100_000
SHARD_BYTES = 1 << 26
"""Bytes or characters of a shard, of both sides, after which it ends."""
BLOCK_PAIRS = 10_000
BLOCK_CHARACTERS = 10_000_000
"""Characters of a block, of both sides: a block of very long lines has fewer pairs."""
CUT_BYTES = 1 << 21
"""Bytes of one side that are cut at once. A longer line is cut alone."""

Record = tuple[str, str] | MalformedLine
Part = tuple[bytes, bytes] | bytes | list[Record]
"""Records in one of three forms: lines of both sides, lines of TSV, or parsed records."""


@dataclass(frozen=True)
class RawShard:
    """Some consecutive records of a corpus.

    Attributes:
        number: Its number among the shards of all corpora, from 0.
        corpus: The number of its corpus.
        first: The number of its first record in the corpus, from 1.
        records: Number of records.
        parts: The records.
    """

    number: int
    corpus: int
    first: int
    records: int
    parts: list[Part]

    def blocks(self) -> Iterator[list[Record]]:
        """Yield the decoded records in blocks of bounded size. Bad bytes are lone surrogates."""
        for part in self.parts:
            yield decode(part)


def decode(part: Part) -> list[Record]:
    """Return the records of a part; see `nmt.data.corpus.read_training`."""
    if isinstance(part, list):
        return part
    if isinstance(part, bytes):
        return [split_columns(line) for line in decode_lines(part)]
    return list(zip(*map(decode_lines, part), strict=True))


def cut(corpora: Iterable[CorpusConfig]) -> Iterator[RawShard]:
    """Yield the shards of all corpora. A corpus without records has none.

    Raises:
        DataError: A file cannot be read, or the two files of a corpus are of unequal length.
    """
    number = 0
    for place, corpus in enumerate(corpora):
        first = 1
        parts: list[Part] = []
        records = size = 0
        for part, count, bytes_of_part in _parts(corpus):
            if parts and (records + count > SHARD_RECORDS or size + bytes_of_part > SHARD_BYTES):
                yield RawShard(number, place, first, records, parts)
                number, first, parts, records, size = number + 1, first + records, [], 0, 0
            parts.append(part)
            records += count
            size += bytes_of_part
        if parts:
            yield RawShard(number, place, first, records, parts)
            number += 1


def _parts(corpus: CorpusConfig) -> Iterator[tuple[Part, int, int]]:
    """Yield parts of at most `BLOCK_PAIRS` records with the number of their records and their size."""
    files = paths(corpus)
    if kind_of(corpus) is not None:
        for block in blocks(read_training(corpus)):
            yield block, len(block), sum(sum(map(len, record)) for record in block)
        return
    sides = [_LineCutter(file) for file in files]
    while True:
        ends = [side.ends() for side in sides]
        count = min(map(len, ends))
        if not count:
            break
        taken = [side.take(int(end[count - 1])) for side, end in zip(sides, ends, strict=True)]
        yield (taken[0] if len(taken) == 1 else (taken[0], taken[1])), count, sum(map(len, taken))
    if any(map(len, ends)):
        counts = [inspect_file(file).lines for file in files]
        raise UnequalLines(files[0], counts[0], files[1], counts[1])


def blocks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield records in blocks of at most `BLOCK_PAIRS`, and of about `BLOCK_CHARACTERS` at most."""
    block: list[Record] = []
    characters = 0
    for record in records:
        block.append(record)
        characters += sum(map(len, record))
        if len(block) == BLOCK_PAIRS or characters > BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


class _LineCutter:
    """Cuts the bytes of a file after line ends."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._chunks = read_bytes(path)
        self._buffer = bytearray()
        self._complete = False
        self._lines = 0
        self._fill(len(BYTE_ORDER_MARK))
        if self._buffer.startswith(BYTE_ORDER_MARK):
            del self._buffer[: len(BYTE_ORDER_MARK)]

    def ends(self) -> NDArray[np.int64]:
        """Return the ends of the next lines in bytes: at most `BLOCK_PAIRS` lines, and `CUT_BYTES` or one line.

        Raises:
            DataError: The file cannot be read, or a line is too long.
        """
        self._fill(CUT_BYTES)
        ends = self._find(0, min(CUT_BYTES, len(self._buffer)))
        searched = CUT_BYTES
        while not len(ends) and not (self._complete and searched >= len(self._buffer)):
            if searched >= MAX_LINE_BYTES:
                line = self._lines + 1
                raise DataError(
                    f"{self._path}, line {line}: longer than {MAX_LINE_BYTES >> 20} MiB. Is this a text file?"
                )
            self._fill(searched + CUT_BYTES)
            ends = self._find(searched, searched + CUT_BYTES)[:1]
            searched += CUT_BYTES
        if not len(ends) or (self._complete and len(ends) < BLOCK_PAIRS and len(self._buffer) <= CUT_BYTES):
            rest = len(self._buffer)
            if rest and not self._buffer.endswith(b"\n"):  # the last line has no line end
                ends = np.append(ends, rest)
        return ends[:BLOCK_PAIRS]

    def take(self, size: int) -> bytes:
        """Return the next bytes and continue after them."""
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        self._lines += taken.count(b"\n")
        return taken

    def _find(self, start: int, end: int) -> NDArray[np.int64]:
        view = np.frombuffer(self._buffer, np.uint8)[start:end]
        return np.flatnonzero(view == ord("\n")).astype(np.int64) + (start + 1)

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size and not self._complete:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._complete = True
            else:
                self._buffer += chunk
