"""Checks whether files are intact: models, checkpoints, runs and preprocessed data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from nmt.data.preprocess.preprocess import SOURCE_MODEL, TARGET_MODEL
from nmt.data.store import FACTS, damaged_files
from nmt.data.tokenizer import SubwordModel
from nmt.errors import DataError, NMTError, UsageError
from nmt.inference.find_model import MODEL_NAME
from nmt.inference.hardware import Processor
from nmt.inference.model_file import load_model
from nmt.small_files import read_small_file
from nmt.training.checkpoint import STATE, has_checksums, load_checkpoint


class Verified(NamedTuple):
    """The result of the check of a file or folder."""

    path: str
    state: str
    """intact, damaged, or "no checksum" for a readable file that has none."""
    reason: str
    """The reason why it is damaged, or empty."""


def verify(path: Path) -> Iterator[Verified]:
    """Read files as a whole and check them.

    Args:
        path: A model file, or the folder of a run, of a checkpoint or of preprocessed data.

    Raises:
        UsageError: The path does not exist, or is of another kind.
    """
    models = [*path.glob("*.safetensors"), *path.glob("models/*.safetensors")]
    checkpoints = sorted(path.glob("checkpoints/update-*"))
    if path.is_file():
        yield _verified(path, _check_model)
    elif (path / FACTS).exists():
        yield _verified(path, _check_data)
        yield from _verify_tokenizers(path)
    elif (path / STATE).exists():
        yield _verified(path, _check_checkpoint)
    elif models or checkpoints:
        for model in sorted(models):
            yield _verified(model, _check_model)
        for checkpoint in checkpoints:
            yield _verified(checkpoint, _check_checkpoint)
        yield from _verify_tokenizers(path)
    else:
        raise UsageError(f"{path}: not a model file, and not a run, checkpoint or folder of preprocessed data.")


def _verify_tokenizers(folder: Path) -> Iterator[Verified]:
    for name in (SOURCE_MODEL, TARGET_MODEL):
        if (folder / name).exists():
            yield _verified(folder / name, _check_tokenizer)


def _verified(path: Path, check: Callable[[Path], bool]) -> Verified:
    """Run a check. It returns whether the file has checksums, and raises an error if the file is damaged."""
    try:
        return Verified(str(path), "intact" if check(path) else "no checksum", "")
    except NMTError as error:
        return Verified(str(path), "damaged", str(error).removeprefix(f"{path}: "))


def _check_model(path: Path) -> bool:
    model = load_model(path)
    model.network(Processor())
    return model.has_checksums


def _check_checkpoint(folder: Path) -> bool:
    load_checkpoint(folder)
    return has_checksums(folder)


def _check_data(folder: Path) -> bool:
    damaged = damaged_files(folder)
    if damaged:
        names = ", ".join(path.name for path in damaged)
        raise DataError(f"the checksums of {names} are wrong. Delete the folder and run `nmt preprocess` again.")
    return damaged is not None


def _check_tokenizer(path: Path) -> bool:
    """Check a subword model, which has no checksum but is in the best model of its run too."""
    try:
        content = read_small_file(path)
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror or error}).") from error
    SubwordModel(content)
    best = path.parent / MODEL_NAME
    if not best.exists():
        return False
    tokenizers = load_model(best).tokenizers
    same = content == (tokenizers.source if path.name == SOURCE_MODEL else tokenizers.target).model_bytes
    if not same:
        raise DataError(f"the file is not the subword model of {best}. Copy it again.")
    return True
