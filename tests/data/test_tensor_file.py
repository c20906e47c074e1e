"""Safetensors files with checksums: other programs read them, and every changed bit is noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from damaged_files import flip
from nmt.data.tensor_file import RawTensor, check_tensors, write_tensors
from nmt.errors import CheckpointError

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([1, -2], dtype=np.int64),
    "none": np.zeros((0, 4), dtype=np.int8),
    "one": np.array(True),
}
TYPES = {"float32": "F32", "int64": "I64", "int8": "I8", "bool": "BOOL"}


def write(path: Path) -> bytes:
    raw = {name: RawTensor(TYPES[str(one.dtype)], one.shape, memoryview(one.tobytes())) for name, one in ARRAYS.items()}
    with open(path, "wb") as stream:
        write_tensors(stream, raw, {"note": 'a "header_crc32":"12345678" in a text'})
    return path.read_bytes()


def test_other_programs_read_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a")
    read = load_file(tmp_path / "a")
    assert read.keys() == ARRAYS.keys()
    assert all(np.array_equal(read[name], value) and read[name].dtype == value.dtype for name, value in ARRAYS.items())
    with safe_open(tmp_path / "a", framework="np") as stream:
        assert set(stream.metadata()) == {"note", "header_crc32", "data_crc32"}
    assert check_tensors(tmp_path / "a").has_checksums


def check_and_load(path: Path) -> None:
    check_tensors(path)
    load_file(path)


def test_flipped_bits_are_noticed(tmp_path: Path) -> None:
    content = write(tmp_path / "a")
    for bit in range(0, 8 * len(content), 5):  # each bit of some byte, as 5 and 8 have no common factor
        (tmp_path / "a").write_bytes(flip(content, bit))
        with pytest.raises((CheckpointError, SafetensorError)):
            check_and_load(tmp_path / "a")


def test_the_identity_depends_on_every_part(tmp_path: Path) -> None:
    identities = set()
    for array, note in ((np.zeros(3), "a"), (np.ones(3), "a"), (np.zeros(3), "b")):
        save_file({"x": array}, tmp_path / "x", {"note": note})
        checked = check_tensors(tmp_path / "x")
        assert not checked.has_checksums
        identities.add(checked.identity)
    assert len(identities) == 3


def test_a_long_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes((1 << 40).to_bytes(8, "little") + b'{"a": ')
    with pytest.raises(CheckpointError, match="header has"):
        check_tensors(tmp_path / "a")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    for path in (tmp_path, "/dev/zero"):
        with pytest.raises(CheckpointError, match="expected a model file, found a"):
            check_tensors(Path(path))
