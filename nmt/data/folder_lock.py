"""Locks on folders: at most one process writes into a run, a folder of preprocessed data or an output folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nmt.data.atomic_file import is_alive
from nmt.data.atomic_folder import make_parents, remove_empty
from nmt.errors import DataError, UsageError
from nmt.log import logger
from nmt.small_files import read_json

POLL_SECONDS = 0.2
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
"""Errors of file systems without locks."""


@contextlib.contextmanager
def lock_folder(folder: Path, *, wait: bool = False, inside: bool = False) -> Iterator[None]:
    """Hold the lock of a folder during the block. The folder need not exist.

    The lock is that of the system (`flock`, which NFS passes on to its server) on the file `.NAME.lock` beside the
    folder, so it ends with the process. The file names the process, the machine and the time. On a file system without
    locks the existence of the file is the lock, and a warning says so.

    Args:
        folder: The folder.
        wait: Wait for another process to release the lock, with one log line, instead of raising an error.
        inside: Put the lock file into the folder, for folders that users choose. Their parents may be read-only.

    Raises:
        UsageError: Another process holds the lock. The message names it.
        DataError: A parent of the folder is a file.
        OSError: The lock file cannot be made.
    """
    folder = Path(os.path.realpath(folder))
    path = folder / ".folder.lock" if inside else folder.with_name(f".{folder.name}.lock")
    created = _make_parents(path.parent)
    waiting = False
    try:
        while (handle := _acquire(path)) is None:
            holder = _describe(path)
            if not wait:
                raise UsageError(
                    f"{_shown(folder)} is in use by {holder}. Wait until it ends, or use another folder or name."
                )
            if not waiting:
                logger.info("%s is in use by %s. Waiting until it ends.", _shown(folder), holder)
                waiting = True
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()  # while the lock is held: a process that opened it before notices in `_acquire`
            os.close(handle)
    finally:
        remove_empty(created)


def _make_parents(folder: Path) -> list[Path]:
    try:
        return make_parents(folder)
    except (FileExistsError, NotADirectoryError) as error:
        file = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), folder)
        raise DataError(
            f"{_shown(file)} is a file, so no folder can be made there. Move the file, or choose another path."
        ) from error


def lock_output(file: Path) -> contextlib.AbstractContextManager[None]:
    """Lock a file that will be written: the run to which it belongs, or else the file itself."""
    file = Path(os.path.realpath(file))
    folder = file.parent
    if (folder / "checkpoints").is_dir() or (folder / "metrics.jsonl").is_file():
        return lock_folder(folder)
    return lock_folder(file)


def check_unlocked(folder: Path) -> None:
    """Refuse a folder that is in use, before the slow part of a command that locks it later.

    Raises:
        UsageError: Another process holds the lock.
    """
    folder = Path(os.path.realpath(folder))
    holder = _read(folder.with_name(f".{folder.name}.lock"))
    if holder and holder.get("process") != os.getpid():
        with lock_folder(folder):
            pass


def _acquire(path: Path) -> int | None:
    """Open the lock file and lock it. None if another process holds the lock."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            held = _lock(handle, path)
        except BaseException:
            os.close(handle)
            raise
        if not held:
            os.close(handle)
            return None
        if _is_current(handle, path):
            os.ftruncate(handle, 0)
            os.write(handle, json.dumps(_this_process()).encode())
            return handle
        os.close(handle)  # the holder has deleted the file after this process opened it


def _lock(handle: int, path: Path) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock_by_existence(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return _lock_by_existence(path)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _lock_by_existence(path: Path) -> bool:
    """Return whether the process that the lock file names has ended; False if it runs on another machine."""
    logger.warning(
        "%s: the file system has no locks. Make sure that only one process at a time writes there.", path.parent
    )
    holder = _read(path)
    if not holder or holder.get("process") == os.getpid():
        return True
    return holder.get("host") == socket.gethostname() and not is_alive(int(holder.get("process", 0)))


def _is_current(handle: int, path: Path) -> bool:
    """Return whether `path` is still the name of the open file."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _this_process() -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}


def _describe(path: Path) -> str:
    """Describe the process that holds a lock."""
    holder = _read(path)
    if not holder:
        return "another process"
    return f"process {holder.get('process')} on {holder.get('host')} since {holder.get('since')}"


def _shown(folder: Path) -> str:
    """Return a folder as a path relative to the current one, if it is inside."""
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
