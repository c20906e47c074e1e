"""What a command leaves in its folder, without what depends on the clock, and whether every file is whole."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
import zstandard

CLOCKS = {
    "seconds",
    "target_tokens_per_second",
    "training_seconds",
    "minutes",
    "created",
    "command",
    "commit",
    "crc32",  # of a state with seconds
    "header_crc32",
    "date",
    "sentences_per_second",
    "metrics_bytes",  # the length of numbers of seconds
}
"""Keys whose values depend on the clock, or on how the command was typed."""
LOGS = (".log",)
State = dict[str, Any]


def read_state(folder: Path) -> State:
    """Return the content of all files in a folder, by name; see `CLOCKS`.

    The lock file of a killed process has no effect: the lock ended with the process.
    """
    return {
        str(path.relative_to(folder)): _content(path)
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or not path.is_dir()) and not (path.name[0] == "." and path.suffix == ".lock")
    }


def differences(expected: State, found: State) -> list[str]:
    """Return how two states differ, one line for each file."""
    lines = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name}: missing")
        elif name not in expected:
            lines.append(f"{name}: not in the undisturbed folder")
        elif expected[name] != found[name]:
            lines.append(f"{name}: {_difference(expected[name], found[name])}")
    return lines


def _difference(expected: Any, found: Any, path: str = "") -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected.keys() | found.keys():
            if expected.get(key) != found.get(key):
                return _difference(expected.get(key), found.get(key), f"{path}.{key}" if path else str(key))
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (old, new) in enumerate(zip(expected, found, strict=True)):
            if old != new:
                return _difference(old, new, f"{path}[{number}]")
    return f"{path} {str(expected)[:120]!r} in the undisturbed folder, {str(found)[:120]!r} now".strip()


def _content(path: Path) -> Any:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    data = path.read_bytes()
    try:
        if path.suffix in LOGS:
            return "log"
        if path.suffix == ".safetensors":
            return _safetensors(data)
        if path.name == "metrics.jsonl":
            return [_without_clocks(json.loads(line)) for line in data.splitlines()]
        if path.suffix == ".json":
            return _without_clocks(json.loads(data))
    except (ValueError, KeyError, IndexError) as error:
        return f"unreadable: {error}"
    if path.suffix in UNPACK:  # the compressed bytes depend on where a stream was resumed
        return hashlib.sha256(UNPACK[path.suffix](data)).hexdigest()
    return data.decode() if len(data) < 20_000 and data.isascii() else hashlib.sha256(data).hexdigest()


def _without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_clocks(one) for key, one in value.items() if key not in CLOCKS}
    return [_without_clocks(one) for one in value] if isinstance(value, list) else value


def _safetensors(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    content: dict[str, Any] = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        raw = data[8 + size + start : 8 + size + end]
        if len(raw) != end - start:
            raise ValueError(f"{name} is incomplete")
        content[name] = [entry["dtype"], entry["shape"], hashlib.sha256(raw).hexdigest()]
    for key, text in metadata.items():
        if key in CLOCKS:
            continue
        content[f"metadata.{key}"] = _without_clocks(json.loads(text)) if text[:1] == "{" else text
    return content


# ------------------------------------------------------------------------------------------------------- whole files


def corrupt_files(folder: Path, growing: Mapping[str, bytes] = {}) -> list[str]:
    """Return what is wrong with the files under their final names, right after a kill.

    Args:
        folder: The folder of the command.
        growing: The complete content of files that grow line by line. Their complete lines must be a part of it.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.is_dir():
            parts = () if path.name.startswith("sweep-") else PARTS.get(path.parent.name, ())
            missing = [part for part in parts if not (path / part).exists()]
            found += [f"{name}: without {part}" for part in missing]
            continue
        if name in growing:
            if not _is_beginning(path, growing[name]):
                found.append(f"{name}: its lines are not the first ones of the whole output")
            continue
        try:
            _check_whole(path)
        except (ValueError, KeyError, yaml.YAMLError) as error:
            found.append(f"{name}: {error}")
    return found


PARTS = {
    "checkpoints": (
        "state.json",
        "weights.safetensors",
        "optimizer.safetensors",
        "average.safetensors",
        "random.safetensors",
    ),
    "preprocessed": ("store.json", "report.json", "source.ids", "target.ids", "source.model"),
    "runs": ("config.yaml", "source.model"),
}
"""Files of the folders in a folder."""


def _check_whole(path: Path) -> None:
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        _safetensors(data)
    elif path.suffix == ".json":
        json.loads(data)
    elif path.suffix == ".yaml":
        if not isinstance(yaml.safe_load(data), dict):
            raise ValueError("not a configuration")
    elif path.suffix == ".jsonl":
        for line in data.splitlines(keepends=True):
            if line.endswith(b"\n"):  # the last line may be incomplete
                json.loads(line)
    elif path.suffix == ".model" and not data:
        raise ValueError("empty")


def _is_beginning(path: Path, whole: bytes) -> bool:
    content = b"".join(_salvage(path))
    complete = content[: content.rfind(b"\n") + 1]
    return whole.startswith(complete)


def unpack(path: Path) -> bytes:
    """Return the content of a file, decompressed by its suffix."""
    data = path.read_bytes()
    return UNPACK[path.suffix](data) if path.suffix in UNPACK else data


def _salvage(path: Path) -> Iterator[bytes]:
    """Yield the beginning of a file that may be compressed and incomplete."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        while data:
            stream = zlib.decompressobj(31)
            try:
                yield stream.decompress(data)
            except zlib.error:
                return
            data = stream.unused_data
        return
    yield data


def _unpack_zst(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
        return stream.read()


UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": _unpack_zst,
}
