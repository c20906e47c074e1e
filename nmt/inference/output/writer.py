"""Translations on their way into a file: as they come, and on where an earlier run stopped."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from nmt.data.streams import open_output, open_whole, read_bytes, salvage_bytes
from nmt.errors import DataError
from nmt.inference.output.formats import Format
from nmt.log import logger, progress, shows_progress

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


class WrittenOutput(NamedTuple):
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


def _inspect(output: Path, format: Format) -> WrittenOutput:
    """Return what is whole: of an n-best list all but the last line's candidates, of which some may be missing."""
    size = lines = 0
    start, current = WrittenOutput(0, 0), -1
    for number, line in enumerate(_whole_lines(salvage_bytes(output)), 1):
        if format in ("tsv", "moses"):
            found = _line_number(output, number, line, format)
            if found != current:
                start, current = WrittenOutput(lines, size), found
                lines += 1
        else:
            lines += 1
        size += len(line)
    return start if format in ("tsv", "moses") else WrittenOutput(lines, size)


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


LOG_SECONDS = 10.0


def with_progress(blocks: Iterable[str], file: Path, *, before: int) -> Iterator[str]:
    """Pass blocks on, each of them the output of a line, and tell how many there were, how fast, and how many are left.

    Args:
        blocks: The output.
        file: The text. Its lines are counted meanwhile, unless it is no regular file.
        before: How many of its lines were done before.
    """
    count = _Count(file)
    start = shown = time.monotonic()
    done = 0
    with progress(None, "translate", "lines") as bar:
        for done, block in enumerate(blocks, 1):
            yield block
            now = time.monotonic()
            bar.update(1)
            if shows_progress():
                if count.lines is not None:
                    setattr(bar, "total", count.lines - before)  # noqa: B010 (a bar of tqdm, seen as a protocol)
            elif now > shown + LOG_SECONDS:
                logger.info("%s", _sentence(before, done, count.lines, now - start))
                shown = now
    if not shows_progress():
        logger.info("%s", _sentence(before, done, before + done, time.monotonic() - start))


def _sentence(before: int, done: int, total: int | None, seconds: float) -> str:
    """Say how far the work has come."""
    speed = done / max(seconds, 1e-9)
    if total is None:
        return f"{before + done:,} lines translated, {speed:,.1f} lines/s"
    left = max(0, total - before - done)
    text = f"{before + done:,} of {total:,} lines translated, {speed:,.1f} lines/s"
    return f"{text}, about {left / speed:,.0f} s left" if left and speed > 0 else text


class _Count:
    """Counts the lines of a file in a thread."""

    def __init__(self, file: Path) -> None:
        self.lines: int | None = None
        if file.is_file():
            threading.Thread(target=self._count, args=(file,), name="nmt-counter", daemon=True).start()

    def _count(self, file: Path) -> None:
        lines, last = 0, b"\n"
        try:
            for chunk in read_bytes(file):
                lines += chunk.count(b"\n")
                last = chunk[-1:]
        except DataError:  # whoever reads it for its text will say so
            return
        self.lines = lines + (last != b"\n")
