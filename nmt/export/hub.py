"""Lays out a model as a folder for model hubs: model file, card, licence and checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.data.atomic_folder import atomic_folder, require_own_folder
from nmt.data.folder_lock import lock_folder
from nmt.export.model_card import model_card
from nmt.inference.find_model import MODEL_NAME
from nmt.inference.model_file import ModelFile, write_model
from nmt.terminal import on_one_line

CARD, LICENSE, CHECKSUMS = "README.md", "LICENSE", "SHA256SUMS"
FILES = (MODEL_NAME, CARD, LICENSE, CHECKSUMS)


def export_hub(
    model: ModelFile, folder: Path, tests: Sequence[Mapping[str, Any]] = (), *, overwrite: bool = False
) -> None:
    """Write a folder that is ready to upload. It appears when it is complete.

    The model file is written again, so that it has names of files but no folders. `nmt.load` and every command read the
    folder as they read the folder of a run.

    Args:
        model: The model.
        folder: A folder that does not exist, or an empty one.
        tests: Results of test sets for the card; see `nmt.export.model_card.read_scores`.
        overwrite: Whether an earlier export in the folder may be replaced.

    Raises:
        UsageError: The folder has other files, or another process writes it.
        CheckpointError: The model cannot be written.
    """
    require_own_folder(folder, FILES, CHECKSUMS, overwrite=overwrite)
    with lock_folder(folder), atomic_folder(folder.resolve()) as temporary:
        write_model(model, temporary / MODEL_NAME)
        (temporary / CARD).write_bytes(model_card(model, tests).encode())
        if model.config.license is not None:
            name = on_one_line(model.config.license)
            (temporary / LICENSE).write_bytes(f"This model is published under the licence {name}.\n".encode())
        digests = {path.name: _digest(path) for path in sorted(temporary.iterdir())}
        lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
        (temporary / CHECKSUMS).write_bytes(lines.encode())


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()
