r"""The line contract, for every text file that is read or written.

A line is UTF-8 and ends only at ``\n``. One ``\r`` before it and a byte order mark at the start of the file are
dropped. All other characters are text. (Python's own readers also end lines at U+2028, U+0085, form feeds or a lone
carriage return, so the two sides of a parallel corpus would no longer match.)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol

from nmt.data.encodings import suggest_encoding
from nmt.data.streams import STANDARD_STREAM, describe, open_whole, read_bytes
from nmt.errors import DataError
from nmt.log import logger

MAX_LINE_BYTES = 1 << 26  # a longer line is not text, and would be read into memory as a whole
NEARBY_BYTES = 1 << 14
"""Bytes before a bad one from which the encoding is suggested."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
"""Byte order marks of UTF-16 and UTF-32, whose bytes are not lines."""
SURROGATES = re.compile("[\ud800-\udfff]")
SHOWN_LINES = 8


class LineRange(NamedTuple):
    """A block of consecutive lines of a text."""

    first: int = 0
    """Number of lines before the block."""
    last: int | None = None
    """Number of the last line, from 1. None: the block ends with the text."""


ALL_LINES = LineRange()


class Digest(Protocol):
    """A hash object of hashlib."""

    def update(self, data: bytes, /) -> object:
        """Hash more bytes."""


def read_lines(path: Path | str, *, keep_broken: bool, digest: Digest | None = None) -> Iterator[str]:
    """Yield the lines of a text file without their line ends, in bounded memory.

    Args:
        path: A file, unpacked if its name ends in .gz, .bz2, .xz or .zst. ``-`` is standard input.
        keep_broken: Whether to accept lines that are not UTF-8. Their bad bytes become lone surrogates (U+DC80 to
            U+DCFF).
        digest: Updated with all unpacked bytes of the file, if given.

    Raises:
        DataError: The file cannot be read, or has a line that is not UTF-8. The message names the line and the offset.
    """
    return chain.from_iterable(read_blocks(path, keep_broken=keep_broken, digest=digest))


def read_repaired_lines(path: Path | str, *, strict: bool = False, lines: LineRange = ALL_LINES) -> Iterator[str]:
    """Yield the lines of a text to translate. Bytes that are not UTF-8 become U+FFFD.

    At the end, one warning lists such lines and suggests the encoding.

    Args:
        path: A file, or ``-`` for standard input; see `read_lines`.
        strict: Refuse a line that is not UTF-8.
        lines: The lines that are yielded.

    Raises:
        DataError: The file cannot be read, is UTF-16 or UTF-32, or `strict` refuses a line.
    """
    if strict:
        yield from islice(read_lines(path, keep_broken=False), *lines)
        return
    count, shown, sample = 0, [], b""
    for number, line in enumerate(islice(read_lines(path, keep_broken=True), *lines), lines.first + 1):
        if line.isascii() or not SURROGATES.search(line):
            yield line
            continue
        broken = line.encode(errors="surrogateescape")
        if number == 1 and broken.startswith(WIDE_MARKS):
            raise DataError(f"{describe(path)}: not UTF-8. {_how_to_convert(path, broken)}")
        count += 1
        if count <= SHOWN_LINES:
            shown.append(str(number))
        sample += broken[: NEARBY_BYTES - len(sample)]
        yield broken.decode(errors="replace")
    if count:
        logger.warning(
            "%s: %s not UTF-8 (line %s%s). Their bad bytes are read as U+FFFD. %s --strict refuses such lines.",
            describe(path),
            "1 line is" if count == 1 else f"{count:,} lines are",
            ", ".join(shown),
            ", ..." if count > SHOWN_LINES else "",
            _how_to_convert(path, sample),
        )


def without_surrogates(text: str) -> str:
    """Return a text with U+FFFD for lone surrogates, which are not characters and cannot be written."""
    return text if text.isascii() else SURROGATES.sub("\ufffd", text)


def read_blocks(
    path: Path | str, *, keep_broken: bool, digest: Digest | None = None, chunks: Iterable[bytes] | None = None
) -> Iterator[list[str]]:
    """Yield the lines of a text file in lists of about a megabyte of text; see `read_lines`.

    `chunks` are the bytes of the file, if they do not come from `path`, which is then a name for messages.
    """
    first_line, offset = 1, 0
    for block in _whole_lines(path, read_bytes(path) if chunks is None else chunks):
        if digest is not None:
            digest.update(block)
        if offset == 0 and block.startswith(BYTE_ORDER_MARK):
            block = block[len(BYTE_ORDER_MARK) :]
            offset = len(BYTE_ORDER_MARK)
        try:
            lines = _split(block.decode())
        except UnicodeDecodeError as error:
            if not keep_broken:
                line = first_line + block.count(b"\n", 0, error.start)
                advice = _how_to_convert(path, block[max(0, error.start - NEARBY_BYTES) :])
                raise DataError(
                    f"{describe(path)}, line {line}: the byte 0x{block[error.start]:02x} at offset "
                    f"{offset + error.start} is not UTF-8. {advice}"
                ) from None
            lines = _split_broken(block)
        yield lines
        first_line += len(lines)
        offset += len(block)


def decode_lines(block: bytes) -> list[str]:
    """Return the lines in some bytes that end after a line. Bytes that are not UTF-8 become lone surrogates."""
    try:
        return _split(block.decode())
    except UnicodeDecodeError:
        return _split_broken(block)


def write_lines(path: Path | str, lines: Iterable[str]) -> None:
    r"""Write each string and a ``\n`` as UTF-8, packed by suffix. The file appears when it is complete.

    Raises:
        DataError: The file cannot be written.
    """
    with open_whole(path) as stream:
        for line in lines:
            stream.write(line.encode() + b"\n")


def is_blank(line: str) -> bool:
    """Return whether a line is invisible: only spaces of any kind, zero-width and control characters."""
    if not line or line.isspace():
        return True
    if line.isprintable():
        return False
    # A line of millions of equal characters is as fast as its distinct ones.
    return all(character.isspace() or unicodedata.category(character) in ("Cc", "Cf") for character in set(line))


def _how_to_convert(path: Path | str, sample: bytes) -> str:
    """Return advice for a file that is not UTF-8, with its likely encoding."""
    likely = suggest_encoding(sample)
    if likely is None:
        return "Convert the file to UTF-8, with iconv for example."
    file = Path(path).name if str(path) != STANDARD_STREAM else "FILE"
    return f"It may be {likely}. Convert it to UTF-8 and check the result: iconv -f {likely} -t UTF-8 {file} > NEW."


def _whole_lines(path: Path | str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield the bytes of a file in blocks of whole lines. Only the last block may lack its ``\n``."""
    rest: list[bytes] = []
    rest_size = 0
    line = 1
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            block = b"".join([*rest, chunk[:end]])
            yield block
            line += block.count(b"\n")
            rest, rest_size = [], 0
        rest.append(chunk[end:])
        rest_size += len(chunk) - end
        if rest_size > MAX_LINE_BYTES:
            raise DataError(
                f"{describe(path)}, line {line}: longer than {MAX_LINE_BYTES >> 20} MiB. Is this a text file?"
            )
    if rest_size:
        yield b"".join(rest)


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()  # the text ended with a line end
    if "\r" in text:
        lines = [line.removesuffix("\r") for line in lines]
    return lines


def _split_broken(block: bytes) -> list[str]:
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r").decode(errors="surrogateescape") for line in lines]
