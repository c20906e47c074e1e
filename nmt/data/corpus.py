"""Parallel text: pairs of lines from two files, or from one file with both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nmt.config.schema import PairConfig
from nmt.data.lines import BYTE_ORDER_MARK, read_lines
from nmt.data.sources import KINDS, MalformedRecord, kind_of, read_records
from nmt.data.streams import STANDARD_STREAM, read_bytes
from nmt.errors import DataError, UnequalLines
from nmt.small_files import special_kind


class FileFacts(NamedTuple):
    """The size and the hash of a text file.

    Attributes:
        lines: Number of lines.
        digest: SHA-256 of the unpacked bytes, in hexadecimal.
    """

    lines: int
    digest: str


class ParallelText(NamedTuple):
    """A parallel text in memory, and the facts about each of its files."""

    pairs: list[tuple[str, str]]
    files: tuple[FileFacts, ...]


class MalformedLine(NamedTuple):
    """A line or record of a file with both sides that is not a pair of texts."""

    line: str


def inspect_file(path: Path | str) -> FileFacts:
    """Count the lines of a text file and hash its unpacked bytes, in one pass.

    Raises:
        DataError: The file cannot be read.
    """
    if Path(path).exists() and not Path(path).is_dir() and special_kind(path) is not None:
        raise DataError(f"{path}: not a regular file. This text is read more than once.")
    digest = hashlib.sha256()
    lines = size = 0
    tail = b""
    for chunk in read_bytes(path):
        digest.update(chunk)
        lines += chunk.count(b"\n")
        size += len(chunk)
        tail = (tail + chunk[-3:])[-3:]
    only_mark = size == len(BYTE_ORDER_MARK) and tail == BYTE_ORDER_MARK
    if size and not tail.endswith(b"\n") and not only_mark:
        lines += 1  # the last line has no line end
    return FileFacts(lines=lines, digest=digest.hexdigest())


def paths(pair: PairConfig) -> tuple[str, ...]:
    """Return the files of a pair: source and target, or the one file with both sides.

    Raises:
        DataError: The configuration has neither or both, or a file can be read only once (standard input, a pipe).
    """
    single = [file for file in (getattr(pair, kind) for kind in ("tsv", *KINDS)) if file is not None]
    if len(single) == 1 and pair.source is None and pair.target is None:
        files: tuple[str, ...] = (single[0],)
    elif pair.source is not None and pair.target is not None and not single:
        files = (pair.source, pair.target)
    else:
        raise DataError(f"Parallel text is either `source` and `target`, or one of: tsv, {', '.join(KINDS)}.")
    if STANDARD_STREAM in files:
        raise DataError("Parallel text cannot come from standard input (`-`): it is read more than once.")
    for file in files:
        if Path(file).exists() and not Path(file).is_file() and not Path(file).is_dir():
            raise DataError(f"{file} is not a regular file. Parallel text is read more than once.")
    return files


def inspect_pair(pair: PairConfig) -> tuple[FileFacts, ...]:
    """Count the lines of each file of a pair and hash the file, in one pass over each.

    Raises:
        DataError: A file cannot be read, or the two files are of unequal length.
    """
    files = paths(pair)
    if kind_of(pair) is not None:
        digest = hashlib.sha256()
        records = sum(1 for _ in read_records(pair, keep_broken=True, digest=digest))
        return (FileFacts(records, digest.hexdigest()),)
    return _of_equal_length(files, tuple(inspect_file(file) for file in files))


def read_parallel(pair: PairConfig) -> list[tuple[str, str]]:
    """Read all pairs of a validation or test set, unchanged: (source, target).

    Raises:
        DataError: A file cannot be read, has a line that is not UTF-8 or (files with both sides) is not a pair, the
            two files are of unequal length, or there is no line.
    """
    return load_parallel(pair).pairs


def load_parallel(pair: PairConfig) -> ParallelText:
    """Read a validation or test set with the facts about its files, in one pass over each; see `read_parallel`."""
    files = paths(pair)
    if kind_of(pair) is not None:
        return _load_records(pair, files[0])
    digests = [hashlib.sha256() for _ in files]
    sides = [
        list(read_lines(file, keep_broken=False, digest=digest)) for file, digest in zip(files, digests, strict=True)
    ]
    facts = tuple(FileFacts(len(side), digest.hexdigest()) for side, digest in zip(sides, digests, strict=True))
    _of_equal_length(files, facts)
    if not sides[0]:
        raise DataError(f"{' and '.join(files)}: no lines.")
    if len(files) == 2:
        return ParallelText(list(zip(*sides, strict=True)), facts)
    return ParallelText([_columns(files[0], number, line) for number, line in enumerate(sides[0], start=1)], facts)


def _load_records(pair: PairConfig, file: str) -> ParallelText:
    digest = hashlib.sha256()
    pairs = []
    for record in read_records(pair, keep_broken=False, digest=digest):
        if isinstance(record, MalformedRecord):
            raise DataError(f"{file}, line {record.line}: {record.reason}. Correct or remove it.")
        pairs.append(record)
    if not pairs:
        raise DataError(f"{file}: no pairs.")
    return ParallelText(pairs, (FileFacts(len(pairs), digest.hexdigest()),))


def _columns(file: str, number: int, line: str) -> tuple[str, str]:
    source, tab, target = line.partition("\t")
    if not tab or "\t" in target:
        raise DataError(
            f"{file}, line {number}: {line.count(chr(9)) + 1} columns, expected two: source and target with a tab "
            "between them."
        )
    return source, target


def _of_equal_length(files: tuple[str, ...], facts: tuple[FileFacts, ...]) -> tuple[FileFacts, ...]:
    if facts[0].lines != facts[-1].lines:
        raise UnequalLines(files[0], facts[0].lines, files[-1], facts[-1].lines)
    return facts


def read_training(pair: PairConfig) -> Iterator[tuple[str, str] | MalformedLine]:
    """Yield the pairs of a training corpus unfiltered, in bounded memory.

    Bad bytes of lines that are not UTF-8 become lone surrogates. A TSV line without exactly one tab, and a record that
    is not a pair, is yielded as a `MalformedLine`.

    Raises:
        DataError: A file cannot be read, or the two files are of unequal length.
    """
    files = paths(pair)
    if kind_of(pair) is not None:
        for record in read_records(pair, keep_broken=True):
            yield MalformedLine(record.text) if isinstance(record, MalformedRecord) else record
        return
    if len(files) == 1:
        yield from map(split_columns, read_lines(files[0], keep_broken=True))
        return
    sides = [read_lines(file, keep_broken=True) for file in files]
    try:
        yield from zip(*sides, strict=True)
    except ValueError:
        counts = [inspect_file(file).lines for file in files]
        raise UnequalLines(files[0], counts[0], files[1], counts[1]) from None


def split_columns(line: str) -> tuple[str, str] | MalformedLine:
    """Return the pair on a line of TSV."""
    source, tab, target = line.partition("\t")
    return (source, target) if tab and "\t" not in target else MalformedLine(line)
