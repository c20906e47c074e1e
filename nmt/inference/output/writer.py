"""Writes translations as they come, and resumes an interrupted output file."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from nmt.data.streams import PACKED, open_output, open_whole, read_bytes, salvage_bytes
from nmt.errors import DataError
from nmt.inference.output.formats import Format
from nmt.log import logger, progress, shows_progress

FLUSH_SECONDS = 1.0
"""Output is flushed this often, so that little is lost when the process is killed."""


def write_blocks(blocks: Iterable[str], output: Path, *, append: bool) -> None:
    """Write texts as they come. The file is created with the first one: an error before that leaves no file.

    Args:
        blocks: Whole lines.
        output: A file, compressed by its suffix; ``-`` is standard output.
        append: Whether to append to the file.

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
                stream.flush()  # a person may be waiting for it
                flushed = now


class WrittenOutput(NamedTuple):
    """The complete part of an output file."""

    lines: int
    """Number of lines of the text whose translations are complete."""
    size: int
    """Size of these translations in bytes, uncompressed."""


def continue_file(output: Path, format: Format) -> int:
    """Truncate an output file after its last complete translation, and return the number of translated lines.

    Raises:
        DataError: The file has another format, or cannot be read or written.
    """
    if not output.exists():
        return 0
    written = _inspect(output, format)
    truncate_output(output, written.size)
    return written.lines


def truncate_output(output: Path, size: int) -> None:
    """Keep the first `size` bytes of an output, counted uncompressed.

    Raises:
        DataError: The file cannot be read or written.
    """
    if output.suffix.lower() in PACKED:
        # A compressed stream cannot be continued in the middle: it is compressed again.
        with open_whole(output) as stream:
            for chunk in _first(salvage_bytes(output), size):
                stream.write(chunk)
        return
    try:
        os.truncate(output, size)
    except OSError as error:
        raise DataError(f"{output}: {error.strerror}.") from error


def count_translated(output: Path, format: Format) -> int:
    """Return the number of lines that an output has translations of, complete or not.

    Raises:
        DataError: The file has another format, or cannot be read.
    """
    written = _inspect(output, format)
    return written.lines + 1 if format in ("tsv", "moses") and output.stat().st_size else written.lines


def _inspect(output: Path, format: Format) -> WrittenOutput:
    """Return the complete part. Of an n-best list the last line's hypotheses are not, because some may be missing."""
    size = lines = 0
    complete, current = WrittenOutput(0, 0), -1
    for number, line in enumerate(_whole_lines(salvage_bytes(output)), 1):
        if format in ("tsv", "moses"):
            line_number = _line_number(output, number, line, format)
            if line_number != current:
                complete, current = WrittenOutput(lines, size), line_number
                lines += 1
        else:
            lines += 1
        size += len(line)
    return complete if format in ("tsv", "moses") else WrittenOutput(lines, size)


def _line_number(output: Path, number: int, line: bytes, format: Format) -> int:
    field = line.split(b"\t" if format == "tsv" else b" ||| ", 1)[0]
    if not field.isdigit():
        raise DataError(
            f"{output}, line {number}: not in the format {format}. --resume requires the format of the first run."
        )
    return int(field)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that have a line break, with it."""
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


def with_progress(blocks: Iterable[str], file: Path, *, skipped: int) -> Iterator[str]:
    """Pass the output of each line on, and report progress.

    Args:
        blocks: The output of each line.
        file: The text.
        skipped: Number of lines that an earlier run has translated.
    """
    with ProgressReport([file]) as report:
        report.skip(skipped)
        yield from report.follow(blocks)


class ProgressReport:
    """Reports the progress of a translation: lines done, speed, and time left."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Take the texts. Their lines are counted in a thread, if they are regular files."""
        self._count = _LineCount(files)
        self._start = self._shown = time.monotonic()
        self._skipped = self._done = 0

    def __enter__(self) -> ProgressReport:
        """Show a bar in a terminal, otherwise log lines."""
        self._stack = contextlib.ExitStack()
        self._bar = self._stack.enter_context(progress(None, "translate", "lines"))
        return self

    def __exit__(self, *error: object) -> None:
        """Hide the bar, or log the last line."""
        self._stack.close()
        if not shows_progress() and error[0] is None:
            total = self._skipped + self._done
            logger.info("%s", _sentence(self._skipped, self._done, total, time.monotonic() - self._start))

    def skip(self, lines: int) -> None:
        """Count lines that an earlier run has translated."""
        self._skipped += lines

    def follow(self, blocks: Iterable[str]) -> Iterator[str]:
        """Pass the output of each line on, and count the lines."""
        for block in blocks:
            yield block
            self._done += 1
            self._bar.update(1)
            now = time.monotonic()
            if shows_progress():
                if self._count.lines is not None:
                    left = self._count.lines - self._skipped
                    setattr(self._bar, "total", left)  # noqa: B010 (a bar of tqdm, seen as a protocol)
            elif now > self._shown + LOG_SECONDS:
                logger.info("%s", _sentence(self._skipped, self._done, self._count.lines, now - self._start))
                self._shown = now


def _sentence(skipped: int, done: int, total: int | None, seconds: float) -> str:
    """Return the progress as a sentence."""
    speed = done / max(seconds, 1e-9)
    if total is None:
        return f"{skipped + done:,} lines translated, {speed:,.1f} lines/s"
    left = max(0, total - skipped - done)
    text = f"{skipped + done:,} of {total:,} lines translated, {speed:,.1f} lines/s"
    return f"{text}, about {left / speed:,.0f} s left" if left and speed > 0 else text


class _LineCount:
    """Counts the lines of files in a thread."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.lines: int | None = None
        if all(file.is_file() for file in files):
            threading.Thread(target=self._count, args=(files,), name="nmt-counter", daemon=True).start()

    def _count(self, files: Sequence[Path]) -> None:
        total = 0
        for file in files:
            last = b"\n"
            try:
                for chunk in read_bytes(file):
                    total += chunk.count(b"\n")
                    last = chunk[-1:]
            except DataError:  # the reader of the text reports it
                return
            total += last != b"\n"
        self.lines = total
