"""Translations on their way into a file: as they come, and on where an earlier run stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from nmt.data.text.streams import open_output, open_whole, salvage_bytes
from nmt.errors import DataError
from nmt.inference.files.formats import Format

FLUSH_SECONDS = 1.0
"""What has been translated is in the file so soon, whatever happens then."""

PACKED = (".gz", ".bz2", ".xz", ".zst")


def write_blocks(blocks: Iterable[str], output: Path, *, append: bool) -> None:
    """Write texts as they come. The file is made when the first one is there: an error before that leaves nothing.

    Args:
        blocks: Whole lines.
        output: A file, packed by its suffix; ``-`` is standard output.
        append: Write behind what is there.

    Raises:
        DataError: The file cannot be written.
    """
    blocks = iter(blocks)
    first = list(islice(blocks, 1))
    interactive = str(output) == "-"
    with open_output(output, append=append) as stream:
        flushed = time.monotonic()
        for block in chain(first, blocks):
            stream.write(block.encode())
            now = time.monotonic()
            if interactive or now > flushed + FLUSH_SECONDS:
                stream.flush()  # somebody may be waiting for it
                flushed = now


class Done(NamedTuple):
    """What an output file holds already."""

    lines: int
    """How many lines of the text have all their translations in it."""
    size: int
    """How many unpacked bytes these translations are."""


def continue_file(output: Path, format: Format) -> int:
    """Leave only whole translations in a file that was cut anywhere, and return of how many lines of the text.

    Raises:
        DataError: The file is of another format, or cannot be read or written.
    """
    if not output.exists():
        return 0
    done = _inspect(output, format)
    if output.suffix.lower() in PACKED:
        # What is packed cannot go on in the middle: it is packed anew, and the rest goes behind that.
        with open_whole(output) as stream:
            for chunk in _first(salvage_bytes(output), done.size):
                stream.write(chunk)
    else:
        os.truncate(output, done.size)
    return done.lines


def _inspect(output: Path, format: Format) -> Done:
    """Return what is whole: of an n-best list all but the last line's candidates, of which some may be missing."""
    size = lines = 0
    start, current = Done(0, 0), -1
    for number, line in enumerate(_whole_lines(salvage_bytes(output)), 1):
        if format in ("tsv", "moses"):
            found = _line_number(output, number, line, format)
            if found != current:
                start, current = Done(lines, size), found
                lines += 1
        else:
            lines += 1
        size += len(line)
    return start if format in ("tsv", "moses") else Done(lines, size)


def _line_number(output: Path, number: int, line: bytes, format: Format) -> int:
    field = line.split(b"\t" if format == "tsv" else b" ||| ", 1)[0]
    if not field.isdigit():
        raise DataError(
            f"{output}, line {number}: this is no {format} list; --resume needs the format of the first run."
        )
    return int(field)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give lines with their ends, but for a last one without."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)


def _first(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        if size <= 0:
            return
        yield chunk[:size]
        size -= len(chunk)
