"""Folders that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".building"


@contextlib.contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces `final` when the block ends without an error.

    After an error, the folder and the parent folders made for it are removed. Temporary folders of killed processes are
    removed too.

    Raises:
        OSError: The folder cannot be made or renamed.
    """
    created = _make_parents(final.parent)
    _remove_abandoned(final.parent)
    temporary = final.parent / f"{PREFIX}-{_host()}-{os.getpid()}-{final.name}"
    try:
        temporary.mkdir()
        yield temporary
        _sync(temporary)
        _replace(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in created:
            with contextlib.suppress(OSError):  # other processes may use it by now
                folder.rmdir()
        raise


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder and its parents, and return those that were missing, innermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _replace(temporary: Path, final: Path) -> None:
    old = temporary.with_name(temporary.name + ".old")
    if final.exists():
        final.rename(old)
    temporary.rename(final)
    _sync_folder(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with open(path, "rb") as stream:
            os.fsync(stream.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # other systems cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders of processes of this machine that have ended."""
    if os.name != "posix":
        return  # other systems have no harmless way to check whether a process is alive
    for folder in parent.glob(f"{PREFIX}-{_host()}-*"):
        process = folder.name.removeprefix(f"{PREFIX}-{_host()}-").split("-")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _host() -> str:
    return "".join(character for character in socket.gethostname() if character.isalnum())
