"""Bounded reading of small files and of JSON, which may be damaged or hostile, and checksums inside small texts."""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from nmt.errors import DataError

MAX_SMALL_BYTES = 1 << 24
"""Largest small file, and longest JSON text, in bytes."""
MAX_DEPTH = 64
"""Deepest nesting of JSON."""
_SHOWN_KEY = 40
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class JSONError(ValueError):
    """JSON that cannot be used. The message is a short sentence without a final dot."""


def special_kind(path: Path | str) -> str | None:
    """Return what `path` is if it is not a regular file, such as "a folder"; None for a regular file.

    Raises:
        OSError: The path does not exist or is not accessible.
    """
    mode = os.stat(path).st_mode
    return next((name for check, name in _KINDS if check(mode)), None)


def open_regular(path: Path | str) -> io.BufferedReader:
    """Open a regular file for reading. The call never waits, as the opening of a pipe would.

    Raises:
        DataError: The path is a folder, pipe, socket or device.
        OSError: The file cannot be opened.
    """
    kind = special_kind(path)
    if kind is not None:
        raise DataError(f"{path}: expected a regular file, found {kind}.")
    return open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)), "rb")


def read_small_file(path: Path | str) -> bytes:
    """Return the bytes of a file of at most `MAX_SMALL_BYTES`. The pipe of another command is read too.

    Raises:
        DataError: The path is a folder, named pipe, socket or device, or the file is larger.
        OSError: The file cannot be read.
    """
    piped = special_kind(path) == "a pipe" and not os.path.exists(os.path.realpath(path))
    with open(path, "rb") if piped else open_regular(path) as stream:
        content = stream.read(MAX_SMALL_BYTES + 1)
    if len(content) > MAX_SMALL_BYTES:
        raise DataError(f"{path}: larger than {MAX_SMALL_BYTES >> 20} MiB. Check that this is the right file.")
    return content


def regular_lines(path: Path | str) -> Iterator[str]:
    """Yield the lines of a regular file with their line ends. Bytes that are not UTF-8 become U+FFFD.

    Raises:
        DataError: The file cannot be read, or a line is longer than `MAX_SMALL_BYTES`.
    """
    try:
        with open_regular(path) as stream:
            while line := stream.readline(MAX_SMALL_BYTES + 1):
                if len(line) > MAX_SMALL_BYTES:
                    raise DataError(f"{path}: a line is longer than {MAX_SMALL_BYTES >> 20} MiB. Is this a text file?")
                yield line.decode(errors="replace")
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror or error}).") from error


def read_json(path: Path | str, *, strict: bool = True) -> Any:
    """Return the value in a small JSON file; see `parse_json`.

    Raises:
        DataError: The file cannot be read or is not JSON.
    """
    try:
        return parse_json(read_small_file(path), strict=strict)
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror or error}).") from error
    except JSONError as error:
        raise DataError(f"{path}: the file is damaged or not JSON: {error}.") from error


def parse_json(text: str | bytes, *, strict: bool = True) -> Any:
    """Return the value of a JSON text of at most `MAX_SMALL_BYTES` and `MAX_DEPTH` levels.

    Args:
        text: The text; bytes are UTF-8.
        strict: Refuse numbers that are not finite, repeated keys and halves of surrogate pairs. Without it, the result
            is that of Python's reader.

    Raises:
        JSONError: The text cannot be used.
    """
    if len(text) > MAX_SMALL_BYTES:
        raise JSONError(f"it is longer than {MAX_SMALL_BYTES >> 20} MiB")
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        if _is_too_deep(text):
            raise JSONError(f"it is nested more than {MAX_DEPTH} levels deep")
        if not strict:
            return json.loads(text)
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise JSONError(
            f"{error.msg[:1].lower()}{error.msg[1:]} at line {error.lineno}, column {error.colno}"
        ) from None
    except UnicodeDecodeError as error:
        raise JSONError(f"the byte at offset {error.start} is not UTF-8") from None
    except UnicodeEncodeError:
        raise JSONError("a text has half of a surrogate pair") from None
    except RecursionError:
        raise JSONError("it is nested too deeply") from None
    except JSONError:
        raise
    except ValueError:  # Python limits the digits of integers
        raise JSONError("a number has too many digits") from None
    return value


def finite_number(value: object) -> float:
    """Return a number of a JSON text.

    Raises:
        TypeError: The value is not a number.
        ValueError: The number is not finite, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    try:
        number = float(value)
    except OverflowError:
        raise ValueError from None
    if not math.isfinite(number):
        raise ValueError
    return number


def _is_too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif mark in "]}":
            depth -= 1
    return False


def _refuse(constant: str) -> NoReturn:
    raise JSONError(f"the number {constant} is not finite")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise JSONError(f"the number {digits[:_SHOWN_KEY]} is too large")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise JSONError(f"the key {repeated[:_SHOWN_KEY]!r} occurs twice")
    return values


def seal(content: bytes, key: str) -> bytes:
    """Return a JSON object with its checksum: the CRC-32 of its bytes, in which the checksum is 00000000.

    Args:
        content: The bytes, with the member `key` whose value is "00000000".
        key: The name of the member.
    """
    start, end = _seal_span(content, key) or (0, 0)
    return content[:start] + f"{zlib.crc32(content):08x}".encode() + content[end:]


def is_sealed(content: bytes, key: str) -> bool | None:
    """Return whether the checksum in the bytes is right; None if they have none; see `seal`."""
    span = _seal_span(content, key)
    if span is None:
        return None
    start, end = span
    blank = zlib.crc32(content[end:], zlib.crc32(b"0" * (end - start), zlib.crc32(content[:start])))
    return content[start:end] == f"{blank:08x}".encode()


def _seal_span(content: bytes, key: str) -> tuple[int, int] | None:
    found = re.search(rb'"' + re.escape(key.encode()) + rb'":\s*"([^"]*)"', content)
    return None if found is None else found.span(1)
