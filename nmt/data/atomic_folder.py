"""Folders that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from nmt.data.atomic_file import OLD, remove_abandoned, sync_folder, temporary_name
from nmt.errors import UsageError


@contextlib.contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces `final` when the block ends without an error.

    After an error, the folder and the parent folders made for it are removed. Temporary folders of killed processes are
    removed too.

    Raises:
        OSError: The folder cannot be made or renamed.
    """
    created = make_parents(final.parent)
    remove_abandoned(final.parent)
    temporary = temporary_name(final)
    try:
        temporary.mkdir()
        yield temporary
        sync_contents(temporary)
        _replace(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        remove_empty(created)
        raise


def remove_folder(folder: Path) -> None:
    """Delete a folder. It loses its name first, so that no half of it is left under this name after a kill."""
    aside = temporary_name(folder)
    with contextlib.suppress(OSError):
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def make_parents(folder: Path) -> list[Path]:
    """Make a folder and its parents, and return those that were missing, innermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Remove those of `folders` that are empty. Other processes may use the rest."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _replace(temporary: Path, final: Path) -> None:
    """Rename an existing folder aside, rename the new one in, then delete the old one.

    At each moment one of them is whole on the disk. A process that is killed between the two renames leaves the old
    folder under a name from which `remove_abandoned` restores it.
    """
    old = temporary.with_name(temporary.name + OLD)
    renamed = final.exists()
    if renamed:
        final.rename(old)
    try:
        temporary.rename(final)
    except BaseException:
        if renamed and not final.exists():
            old.rename(final)
        raise
    sync_folder(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync_contents(folder: Path) -> None:
    """Write the files of a folder and their names to the disk."""
    for path in folder.iterdir():
        if path.is_file():
            with open(path, "rb") as stream:
                os.fsync(stream.fileno())
    sync_folder(folder)


def require_own_folder(folder: Path, names: Collection[str], mark: str, *, overwrite: bool) -> None:
    """Check that a folder does not exist, is empty, or has only an earlier output that may be replaced.

    Args:
        folder: The folder.
        names: The names of all files that the output can have.
        mark: A name that only such an output has.
        overwrite: Whether an earlier output may be replaced.

    Raises:
        UsageError: The folder cannot be replaced.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder. Choose another name.")
    found = {path.name for path in folder.iterdir()}
    if found and (mark not in found or not found <= {*names}):
        raise UsageError(f"{folder} has files that are not an export. Choose another name.")
    if found and not overwrite:
        raise UsageError(f"{folder} exists already. Choose another name, or replace it with --overwrite.")
