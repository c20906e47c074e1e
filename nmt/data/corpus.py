"""Parallel text: pairs of lines from two files, or from one with a tab between the sides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nmt.config.schema import PairConfig
from nmt.data.lines import BYTE_ORDER_MARK, read_lines
from nmt.data.streams import STANDARD_STREAM, read_bytes
from nmt.errors import DataError, UnequalLines


class Contents(NamedTuple):
    """What a text file holds, told from one look at all of its unpacked bytes."""

    lines: int
    digest: str


class Malformed(NamedTuple):
    """A line of a TSV file that does not have exactly one tab."""

    line: str


def inspect_file(path: Path | str) -> Contents:
    """Counts the lines of a text file and hashes its text, packed or not.

    Raises:
        DataError: The file cannot be read.
    """
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
    return Contents(lines=lines, digest=digest.hexdigest())


def paths(pair: PairConfig) -> tuple[str, ...]:
    """The files of a pair: the TSV file, or source and target.

    Raises:
        DataError: Neither, both, or standard input, which can be read only once.
    """
    if pair.tsv is not None and pair.source is None and pair.target is None:
        files: tuple[str, ...] = (pair.tsv,)
    elif pair.source is not None and pair.target is not None and pair.tsv is None:
        files = (pair.source, pair.target)
    else:
        raise DataError("Parallel text is either `source` and `target`, or `tsv`.")
    if STANDARD_STREAM in files:
        raise DataError("Parallel text cannot come from standard input (`-`): it is read more than once.")
    return files


def inspect_pair(pair: PairConfig) -> tuple[Contents, ...]:
    """Looks at the files of a pair, and makes sure that they have the same number of lines.

    Raises:
        DataError: A file cannot be read, or the two files are of unequal length.
    """
    files = paths(pair)
    for file in files:
        if Path(file).exists() and not Path(file).is_file() and not Path(file).is_dir():
            raise DataError(f"{file}: is not a regular file; parallel text is read more than once.")
    contents = tuple(inspect_file(file) for file in files)
    if contents[0].lines != contents[-1].lines:
        raise UnequalLines(files[0], contents[0].lines, files[-1], contents[-1].lines)
    return contents


def read_parallel(pair: PairConfig) -> list[tuple[str, str]]:
    """Reads all pairs of a validation or test set, as they are: (source, target).

    Raises:
        DataError: A file cannot be read, has a line that is not UTF-8 or (TSV) without exactly one tab, the two files
            are of unequal length, or there is no line.
    """
    inspect_pair(pair)
    files = paths(pair)
    if len(files) == 2:
        pairs = list(zip(read_lines(files[0], keep_broken=False), read_lines(files[1], keep_broken=False), strict=True))
    else:
        pairs = []
        for number, line in enumerate(read_lines(files[0], keep_broken=False), start=1):
            source, tab, target = line.partition("\t")
            if not tab or "\t" in target:
                raise DataError(
                    f"{files[0]}, line {number}: {line.count(chr(9)) + 1} columns; a line must have two, source and "
                    "target, with one tab between them."
                )
            pairs.append((source, target))
    if not pairs:
        raise DataError(f"{' and '.join(files)}: no lines.")
    return pairs


def read_training(pair: PairConfig) -> Iterator[tuple[str, str] | Malformed]:
    """Gives the pairs of a training corpus one by one, in bounded memory, for the filters to judge.

    Lines that are not UTF-8 have lone surrogates for the bad bytes. A TSV line without exactly one tab comes as
    `Malformed`.

    Raises:
        DataError: A file cannot be read, or the two files are of unequal length.
    """
    files = paths(pair)
    if len(files) == 1:
        for line in read_lines(files[0], keep_broken=True):
            source, tab, target = line.partition("\t")
            yield (source, target) if tab and "\t" not in target else Malformed(line)
        return
    sides = [read_lines(file, keep_broken=True) for file in files]
    try:
        yield from zip(*sides, strict=True)
    except ValueError:
        counts = [inspect_file(file).lines for file in files]
        raise UnequalLines(files[0], counts[0], files[1], counts[1]) from None
