"""Checkpoints: the state from which a run is resumed bit for bit.

A checkpoint is a folder of safetensors files and one JSON file. It is written under a temporary name, synced and
renamed, so the newest checkpoint is complete whenever the machine stops.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.data.atomic_folder import atomic_folder
from nmt.data.tensor_file import check_tensors, write_tensors
from nmt.errors import CheckpointError, DataError
from nmt.inference.torch_tensors import raw_tensors, read_tensors
from nmt.small_files import JSONError, is_sealed, parse_json, read_small_file, seal

FORMAT = 1
STATE = "state.json"
CHECKSUM = "crc32"
"""The key of the checksum in the state; see `seal`."""
PARTS = ("weights", "optimizer", "average", "random")


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


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, unchanged: tuple[str, ...] = ()) -> None:
    """Write `checkpoint` as `folder`, atomically.

    Args:
        folder: The folder. An existing one is renamed aside and deleted when the new one has its name.
        checkpoint: The state.
        unchanged: Parts that are the same as in the existing folder. They become hard links to its files.

    Raises:
        CheckpointError: The disk is full or not writable. Earlier checkpoints are unchanged.
    """
    try:
        with atomic_folder(folder) as temporary:
            for part in PARTS:
                path = temporary / f"{part}.safetensors"
                if not (part in unchanged and _link(folder / path.name, path)):
                    with open(path, "wb") as stream:
                        write_tensors(stream, raw_tensors(getattr(checkpoint, part)), {})
            state = json.dumps({"format": FORMAT, CHECKSUM: "0" * 8, **checkpoint.state}).encode()
            (temporary / STATE).write_bytes(seal(state, CHECKSUM))
    except OSError as error:
        if any(folder.parent.glob("update-*")):
            advice = "Earlier checkpoints are intact. Free disk space, then resume the run with --resume"
        else:
            advice = "The run has no checkpoint yet. Free disk space, then start it again"
        raise CheckpointError(f"cannot write checkpoint {folder}: {error}. {advice}") from error


def _link(existing: Path, path: Path) -> bool:
    """Make `path` another name of a file. False if the file system cannot do it."""
    try:
        os.link(existing, path)
    except OSError:
        return False
    return True


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint `folder`.

    Raises:
        CheckpointError: A file is missing or damaged, or of another format.
    """
    try:
        content = read_small_file(folder / STATE)
        state = parse_json(content, strict=False)  # the best score of a run without one is infinite
        parts = {part: read_tensors(folder / f"{part}.safetensors") for part in PARTS}
    except (OSError, JSONError, DataError) as error:
        raise CheckpointError(f"{folder}: the checkpoint cannot be read: {error}") from error
    intact = is_sealed(content, CHECKSUM)
    if (
        not isinstance(state, dict)
        or intact is False
        or (intact is None and any(part.checked.has_checksums for part in parts.values()))
    ):
        raise CheckpointError(f"{folder / STATE}: the file is damaged. Use another checkpoint.")
    if state.pop("format", None) != FORMAT:
        raise CheckpointError(
            f"{folder}: this version of nmt cannot read the checkpoint, which has another format. Resume the run with "
            f"the version that wrote it"
        )
    state.pop(CHECKSUM, None)
    return Checkpoint(**{part: content.tensors for part, content in parts.items()}, state=state)


def has_checksums(folder: Path) -> bool:
    """Return whether all files of a checkpoint that can be loaded have checksums; see `load_checkpoint`."""
    return all(check_tensors(folder / f"{part}.safetensors").has_checksums for part in PARTS)
