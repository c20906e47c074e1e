"""Read and write bytes of files, packed or unpacked by their suffix. ``-`` is a standard stream."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol, cast

from nmt.data.atomic_file import replace_file
from nmt.errors import DataError

STANDARD_STREAM = "-"
PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of compressed files."""
CHUNK_BYTES = 1 << 20
PACKED_CHUNK_BYTES = 1 << 14  # small, because a chunk of .zst is unpacked as a whole


def describe(path: Path | str) -> str:
    """Return the name of an input file in messages."""
    return "standard input" if str(path) == STANDARD_STREAM else str(path)


def read_bytes(path: Path | str) -> Iterator[bytes]:
    """Yield the unpacked bytes of a file in chunks. Standard input is yielded as it arrives.

    Args:
        path: A file, unpacked if its name ends in .gz, .bz2, .xz or .zst. ``-`` is standard input.

    Raises:
        DataError: The file is missing, a folder or unreadable, or its packed data is damaged or incomplete.
    """
    with _errors_named(path), contextlib.ExitStack() as stack:
        if str(path) == STANDARD_STREAM:
            if sys.stdin is None:
                raise DataError("Standard input is closed. Name a file instead.")
            yield from _chunks(cast(io.BufferedReader, sys.stdin.buffer).read1)
            return
        raw = stack.enter_context(open(path, "rb"))
        suffix = Path(path).suffix.lower()
        if suffix == ".gz":
            yield from _chunks(stack.enter_context(gzip.GzipFile(fileobj=raw, mode="rb")).read)
        elif suffix == ".bz2":
            yield from _chunks(stack.enter_context(bz2.BZ2File(raw)).read)
        elif suffix == ".xz":
            yield from _chunks(stack.enter_context(lzma.LZMAFile(raw)).read)
        elif suffix == ".zst":
            yield from _unpack_zstandard(raw)
        else:
            yield from _chunks(raw.read1)


def salvage_bytes(path: Path | str) -> Iterator[bytes]:
    """Yield the unpacked bytes of a file in chunks, up to the place where its packed data is damaged or ends.

    Raises:
        DataError: The file is missing, a folder or unreadable.
    """
    make = _UNPACKERS.get(Path(path).suffix.lower())
    with _errors_named(path), open(path, "rb") as raw:
        if make is None:
            yield from _chunks(raw.read1)
            return
        unpacker = make()
        while packed := raw.read(PACKED_CHUNK_BYTES):
            while packed:
                unpacker = make() if unpacker.eof else unpacker
                try:
                    chunk = unpacker.decompress(packed)
                except Exception:  # each library has its own class
                    return
                packed = unpacker.unused_data if unpacker.eof else b""
                if chunk:
                    yield chunk


@contextlib.contextmanager
def open_output(path: Path | str, *, append: bool = False) -> Iterator[IO[bytes]]:
    """Open a file for results that are written as they arrive, packed by suffix. They stay if the writer fails.

    Args:
        path: The file. ``-`` is standard output.
        append: Whether to write after the existing content. A packed file must be complete.

    Raises:
        DataError: The file cannot be written.
    """
    if str(path) == STANDARD_STREAM:
        if sys.stdout is None:
            raise DataError("Standard output is closed. Name a file instead.")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    _check_folder(path)
    with (
        _errors_named(path),
        open(path, "ab" if append else "wb") as raw,
        _packed(raw, Path(path).suffix.lower()) as stream,
    ):
        yield stream


@contextlib.contextmanager
def open_whole(path: Path | str) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only when the block ends without an error; packed by suffix.

    The bytes are in a temporary file beside it until then. A failure or an interruption leaves an earlier file
    unchanged.

    Raises:
        DataError: The file cannot be written.
    """
    final = Path(os.path.realpath(path))
    if str(path) == STANDARD_STREAM or (final.exists() and not final.is_file()):  # a pipe or device: nothing to replace
        with open_output(path) as stream:
            yield stream
        return
    _check_folder(path)
    with _errors_named(path), replace_file(final) as raw, _packed(raw, Path(path).suffix.lower()) as stream:
        yield stream


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears under its name when it is complete.

    Raises:
        DataError: It cannot be written.
    """
    with open_whole(path) as stream:
        stream.write(content)


def write_json(path: Path, content: Any) -> None:
    """Write a value as JSON into a file that appears when it is complete.

    Raises:
        DataError: It cannot be written.
    """
    write_whole(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _check_folder(path: Path | str) -> None:
    folder = Path(path).parent
    if not folder.is_dir():
        raise DataError(f"{path}: no such folder: {folder}.")


@contextlib.contextmanager
def _errors_named(path: Path | str) -> Iterator[None]:
    """Turn the errors of the system and of the packers into errors that name the file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{describe(path)}: no such file.") from error
    except IsADirectoryError as error:
        raise DataError(f"{describe(path)}: is a folder, not a file.") from error
    except PermissionError as error:
        raise DataError(f"{describe(path)}: permission denied.") from error
    except (EOFError, zlib.error, lzma.LZMAError, _DamagedError) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if error.errno is None:  # not from the system: from gzip or bz2
            raise _damaged(path, error) from error
        raise DataError(f"{describe(path)}: {error.strerror}.") from error


def _damaged(path: Path | str, error: Exception) -> DataError:
    return DataError(f"{describe(path)}: the packed data is damaged or incomplete ({error}).")


class _DamagedError(Exception):
    """Packed data that zstandard cannot unpack."""


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(CHUNK_BYTES):
        yield chunk


class _Unpacker(Protocol):
    """The common interface of `compression.zstd` (Python 3.14) and the zstandard package."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _unpack_zstandard(raw: IO[bytes]) -> Iterator[bytes]:
    """Unpack frame by frame. The readers of the zstandard package accept incomplete files without an error."""
    unpacker: _Unpacker | None = None
    while packed := raw.read(PACKED_CHUNK_BYTES):
        while packed:
            unpacker = _new_unpacker() if unpacker is None or unpacker.eof else unpacker
            try:
                chunk = unpacker.decompress(packed)
            except Exception as error:  # each library has its own class
                raise _DamagedError(str(error)) from error
            packed = unpacker.unused_data if unpacker.eof else b""
            if chunk:
                yield chunk
    if unpacker is not None and not unpacker.eof:
        raise EOFError("the last frame has no end")


def _new_unpacker() -> _Unpacker:
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.ZstdDecompressor()
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()


_UNPACKERS: dict[str, Callable[[], _Unpacker]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lzma.LZMADecompressor,
    ".zst": _new_unpacker,
}


@contextlib.contextmanager
def _packed(raw: IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    """Yield a stream that packs into `raw`. The same text gives the same bytes, without names or times."""
    if suffix == ".gz":
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as stream:
            yield stream  # type: ignore[misc]
    elif suffix == ".bz2":
        with bz2.BZ2File(raw, "wb") as stream:
            yield stream
    elif suffix == ".xz":
        with lzma.LZMAFile(raw, "wb") as stream:
            yield stream
    elif suffix == ".zst":
        with _zstandard_writer(raw) as stream:
            yield stream
    else:
        yield raw


def _zstandard_writer(raw: IO[bytes]) -> contextlib.AbstractContextManager[IO[bytes]]:
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.ZstdFile(raw, "wb")
    import zstandard

    return zstandard.ZstdCompressor().stream_writer(raw, closefd=False)
