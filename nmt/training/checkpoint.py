"""Checkpoints: the state from which a run is resumed bit for bit.

A checkpoint is a folder of safetensors files and one JSON file. It is written under a temporary name, synced and
renamed, so the newest checkpoint is complete whenever the machine stops.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nmt.errors import CheckpointError

FORMAT = 1
_STATE = "state.json"
_PARTS = ("weights", "optimizer", "average", "random")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run between two updates."""

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    average: dict[str, Tensor]
    random: dict[str, Tensor]
    """States of torch's random generators, by device."""
    state: dict[str, Any]
    """Counters, position in the training data, learning rate, best score: plain JSON."""


def random_states() -> dict[str, Tensor]:
    """Return the states of torch's random generators."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random(states: dict[str, Tensor]) -> None:
    """Set torch's random generators to `states`."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def sync_folder(folder: Path) -> None:
    """Write the file names in `folder` to disk, where the system supports it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as `folder`, atomically.

    Raises:
        CheckpointError: The disk is full or not writable. Earlier checkpoints are unchanged.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for part in _PARTS:
            tensors: dict[str, Tensor] = getattr(checkpoint, part)
            path = temporary / f"{part}.safetensors"
            save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path)
            _sync_file(path)
        state = temporary / _STATE
        state.write_text(json.dumps({"format": FORMAT, **checkpoint.state}), encoding="utf-8")
        _sync_file(state)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
        sync_folder(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"cannot write checkpoint {folder}: {error}. Earlier checkpoints are intact. Free disk space, then resume "
            f"the run with --resume"
        ) from error


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint `folder`.

    Raises:
        CheckpointError: A file is missing or damaged, or of another format.
    """
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        parts = {part: load_file(folder / f"{part}.safetensors") for part in _PARTS}
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"cannot read checkpoint {folder}: {error}") from error
    if state.pop("format", None) != FORMAT:
        raise CheckpointError(
            f"{folder}: this version of nmt cannot read the checkpoint, which has another format. Resume the run with "
            f"the version that wrote it"
        )
    return Checkpoint(**parts, state=state)
