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
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nmt.data.atomic_folder import atomic_folder
from nmt.errors import CheckpointError

FORMAT = 1
_STATE = "state.json"
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
                    tensors: dict[str, Tensor] = getattr(checkpoint, part)
                    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path)
                    path.chmod(temporary.stat().st_mode & 0o666)  # safetensors ignores the umask
            (temporary / _STATE).write_text(json.dumps({"format": FORMAT, **checkpoint.state}), encoding="utf-8")
    except (OSError, SafetensorError) as error:
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
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        parts = {part: load_file(folder / f"{part}.safetensors") for part in PARTS}
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"cannot read checkpoint {folder}: {error}") from error
    if state.pop("format", None) != FORMAT:
        raise CheckpointError(
            f"{folder}: this version of nmt cannot read the checkpoint, which has another format. Resume the run with "
            f"the version that wrote it"
        )
    return Checkpoint(**parts, state=state)
