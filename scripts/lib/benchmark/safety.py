"""What checksums and locks cost: loading and saving a model file with and without checksums, in turns, and a lock."""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from benchmark.clock import interleaved, seconds_of
from benchmark.options import Options
from benchmark.startup import save_model_file
from nmt.data.folder_lock import lock_folder
from nmt.data.tensor_file import ChecksumReport
from nmt.inference.model_file import load_model, save_model

RUNS, QUICK_RUNS = 21, 1
CPU = torch.device("cpu")


def measure_safety(options: Options) -> list[dict[str, Any]]:
    """Return a row for each operation: medians of several runs in turns, in milliseconds."""
    print("checksums and locks", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model, copy = folder / "model.safetensors", folder / "copy.safetensors"
        save_model_file(model, options)
        file = load_model(model)
        load = partial(load_model, model)
        save = partial(
            *(save_model, copy),
            weights=file.tensors,
            config=file.config,
            tokenizers=file.tokenizers,
            provenance=file.provenance,
            shortlist=file.shortlist,
        )
        tasks = {
            "load, with checksums": partial(seconds_of, load, CPU),
            "load, without checksums": partial(_without_checksums, load),
            "save, with checksums": partial(seconds_of, save, CPU),
            "save, without checksums": partial(_without_checksums, save),
            "lock and release a folder": partial(seconds_of, partial(_lock, folder / "run"), CPU),
        }
        for task in tasks.values():
            task()
        found = interleaved(tasks, rounds=QUICK_RUNS if options.quick else RUNS)
        megabytes = round(model.stat().st_size / 1e6, 1)
    return [
        {"operation": name, "file_mb": megabytes, "milliseconds": round(1000 * statistics.median(seconds), 3)}
        for name, seconds in found.items()
    ]


def _lock(folder: Path) -> None:
    with lock_folder(folder):
        pass


@contextlib.contextmanager
def _no_checksums() -> Iterator[None]:
    unchecked = ChecksumReport("0" * 16, has_checksums=False)
    with (
        patch("nmt.data.tensor_file.check_tensors", lambda path: unchecked),
        patch("nmt.data.tensor_file.zlib", SimpleNamespace(crc32=lambda *_: 0)),
    ):
        yield


def _without_checksums(task: Any) -> float:
    with _no_checksums():
        return seconds_of(task, CPU)
