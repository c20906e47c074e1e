"""Safetensors files with checksums: model files and the parts of checkpoints.

A file has two checksums in its metadata, each the CRC-32 of bytes of the file as eight hexadecimal digits:

    header_crc32    the length of the header and the header itself, in which this checksum is 00000000
    data_crc32      the bytes of all tensors

CRC-32 finds every error of up to 32 consecutive bits, and all but one in four billion of other errors. It does not
protect from someone who changes a file on purpose. Files of earlier versions have no checksums and are accepted.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

from nmt.errors import CheckpointError
from nmt.small_files import is_sealed, open_regular, seal

HEADER_CHECKSUM, DATA_CHECKSUM = "header_crc32", "data_crc32"
ITEM_BYTES = {
    "F64": 8,
    "I64": 8,
    "F32": 4,
    "I32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Types of the format that are written, with the bytes of an element."""
MAX_HEADER_BYTES = 1 << 26
"""Longest header. The largest part is the subword models."""
_CHUNK_BYTES = 1 << 20


class Checked(NamedTuple):
    """What the checksums of a file say."""

    identity: str
    """16 digits that depend on every byte of the file."""
    has_checksums: bool
    """False for a file of an earlier version."""


class RawTensor(NamedTuple):
    """A tensor as bytes."""

    dtype: str
    """A key of `ITEM_BYTES`."""
    shape: tuple[int, ...]
    data: memoryview
    """The elements in row-major order, little-endian."""


def write_tensors(stream: IO[bytes], tensors: Mapping[str, RawTensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file with checksums. Equal content is written as equal bytes.

    Raises:
        OSError: The stream cannot be written.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-ITEM_BYTES[item[1].dtype], item[0]))
    checksum, end, entries = 0, 0, {}
    for name, (dtype, shape, data) in ordered:
        checksum = zlib.crc32(data, checksum)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + data.nbytes]}
        end += data.nbytes
    sealed = {**metadata, HEADER_CHECKSUM: "0" * 8, DATA_CHECKSUM: f"{checksum:08x}"}
    header = json.dumps({"__metadata__": sealed, **entries}, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    stream.write(seal(len(header).to_bytes(8, "little") + header, HEADER_CHECKSUM))
    for _, tensor in ordered:
        stream.write(tensor.data)


def check_tensors(path: Path) -> Checked:
    """Check the checksums of a safetensors file.

    The whole file is read once. A file without checksums is accepted. A file whose header has no valid length is left
    to the reader of the format, which explains the damage.

    Raises:
        CheckpointError: A checksum is wrong or missing, or the header is too long.
        DataError: The path is not a regular file.
        OSError: The file cannot be read.
    """
    with open_regular(path) as stream:
        length = stream.read(8)
        size = int.from_bytes(length, "little")
        if size > MAX_HEADER_BYTES and len(length) == 8 and stream.peek(1)[:1] == b"{":
            raise CheckpointError(f"{path}: the file is damaged: its header has {size:,} bytes. Copy it again.")
        header = length + stream.read(min(size, MAX_HEADER_BYTES))
        checksum = 0
        for chunk in _chunks(stream):
            checksum = zlib.crc32(chunk, checksum)
    identity = f"{zlib.crc32(header):08x}{checksum:08x}"
    intact = is_sealed(header, HEADER_CHECKSUM)
    recorded = f'"{DATA_CHECKSUM}":"'.encode()
    start = header.find(recorded) + len(recorded)
    if intact is None and start < len(recorded):
        return Checked(identity, has_checksums=False)
    if not intact:
        raise _damaged(path, "its header")
    if header[start : start + 8] != identity[8:].encode():
        raise _damaged(path, "its tensors")
    return Checked(identity, has_checksums=True)


def _damaged(path: Path, part: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: the file is damaged: the checksum of {part} is wrong. Copy the file again, or use another one."
    )


def _chunks(stream: io.BufferedReader) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    while count := stream.readinto(buffer):
        yield buffer[:count]
