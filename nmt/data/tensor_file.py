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
import mmap
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from nmt.config.problems import shorten
from nmt.errors import CheckpointError, DataError
from nmt.small_files import is_sealed, open_regular, seal, special_kind

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


class ChecksumReport(NamedTuple):
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


class MappedFile(NamedTuple):
    """The content of a safetensors file, mapped into memory."""

    tensors: dict[str, RawTensor]
    metadata: dict[str, str]
    checked: ChecksumReport
    mapping: mmap.mmap
    offsets: dict[str, int]
    """Where each tensor begins in the file."""

    def release(self) -> None:
        """Free the memory of pages that have been read. They are read again when they are needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED)


def map_tensors(path: Path) -> MappedFile:
    """Check a safetensors file and map it into memory.

    Raises:
        CheckpointError: The file is missing, damaged, incomplete or of another kind.
    """
    checked = check_tensors(path)
    with _explained(path):
        return _map(path, checked)


def _map(path: Path, checked: ChecksumReport) -> MappedFile:
    with safe_open(path, framework="np") as stream:  # checks all offsets
        metadata = stream.metadata() or {}
    with open_regular(path) as stream:
        # The mapping is private. Writable memory saves the warning of torch about read-only memory.
        mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    start = 8 + int.from_bytes(mapping[:8], "little")
    header = json.loads(mapping[8:start])
    data = memoryview(mapping)[start:]
    tensors, offsets = {}, {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape, (first, last) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if dtype not in ITEM_BYTES:
            raise DataError(f"the tensor {shorten(name)} has the type {dtype}, which is not supported")
        tensors[name], offsets[name] = RawTensor(dtype, shape, data[first:last]), start + first
    return MappedFile(tensors, metadata, checked, mapping, offsets)


_NUMPY_TYPES = {
    "F64": "<f8",
    "I64": "<i8",
    "F32": "<f4",
    "I32": "<i4",
    "F16": "<f2",
    "BF16": "<u2",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def as_array(raw: RawTensor) -> NDArray[Any]:
    """Return a tensor as an array that shares its memory. bf16, which numpy does not have, is converted to float32."""
    array = np.frombuffer(raw.data, dtype=_NUMPY_TYPES[raw.dtype]).reshape(raw.shape)
    if raw.dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def as_raw(array: NDArray[Any]) -> RawTensor:
    """Return an array of integers or floats as a tensor that shares its memory."""
    contiguous = np.ascontiguousarray(array)
    dtype = next(name for name, code in _NUMPY_TYPES.items() if np.dtype(code) == contiguous.dtype)
    return RawTensor(dtype, contiguous.shape, contiguous.reshape(-1).view(np.uint8).data)


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


def check_tensors(path: Path) -> ChecksumReport:
    """Check the checksums of a safetensors file.

    The whole file is read once. A file without checksums is accepted.

    Raises:
        CheckpointError: The file is missing, damaged, incomplete or of another kind.
    """
    with _explained(path):
        return _check(path)


def _check(path: Path) -> ChecksumReport:
    with open_regular(path) as stream:
        length = stream.read(8)
        size = int.from_bytes(length, "little")
        if size > MAX_HEADER_BYTES and len(length) == 8 and stream.peek(1)[:1] == b"{":
            raise CheckpointError(f"{path}: the file is damaged: its header has {size:,} bytes. Copy it again.")
        with safe_open(path, framework="numpy"):  # the tensors fill the rest of the file
            pass
        header = length + stream.read(min(size, MAX_HEADER_BYTES))
        checksum = 0
        for chunk in _chunks(stream):
            checksum = zlib.crc32(chunk, checksum)
    identity = f"{zlib.crc32(header):08x}{checksum:08x}"
    intact = is_sealed(header, HEADER_CHECKSUM)
    recorded = f'"{DATA_CHECKSUM}":"'.encode()
    start = header.find(recorded) + len(recorded)
    if intact is None and start < len(recorded):
        return ChecksumReport(identity, has_checksums=False)
    if not intact:
        raise _damaged(path, "its header")
    if header[start : start + 8] != identity[8:].encode():
        raise _damaged(path, "its tensors")
    return ChecksumReport(identity, has_checksums=True)


def _damaged(path: Path, part: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: the file is damaged: the checksum of {part} is wrong. Copy the file again, or use another one."
    )


def _chunks(stream: io.BufferedReader) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    while count := stream.readinto(buffer):
        yield buffer[:count]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the errors of reading a file into one message that says what is wrong with it."""
    try:
        yield
    except (SafetensorError, DataError, OSError) as error:
        raise CheckpointError(_why_unreadable(path, error)) from error


def _why_unreadable(path: Path, error: Exception) -> str:
    """Return a message for a file that is not a complete safetensors file."""
    try:
        kind = special_kind(path)
        if kind is not None:
            return f"{path}: expected a model file, found {kind}."
        with open(path, "rb") as stream:
            start = stream.read(16)
    except FileNotFoundError:
        return f"{path}: no such file."
    except OSError as reason:
        return f"{path}: the file cannot be read: {reason.strerror or reason}."
    if not start:
        return f"{path}: the file is empty."
    if start[8:9] != b"{" and start.startswith((b"PK\x03\x04", b"\x80")):
        return (
            f"{path}: this is a PyTorch or pickle file. It is not loaded, because loading could run code from it. "
            "Use a model file of nmt (best.safetensors)."
        )
    if start[8:9] == b"{":
        return f"{path}: the file is damaged or incomplete. Copy it again. ({error})"
    return f"{path}: this is not a model file. Use a model file of nmt (best.safetensors)."
