"""Files that are replaced as a whole, and the names of temporary files and folders.

A temporary name holds the host and the process, so that a later process can remove what a killed one has left. It also
holds random characters, and the file is created exclusively, so that nobody can put a link in its place.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PREFIX = ".building"
OLD = ".old"
"""Suffix of a folder that was renamed aside while a new one takes its name."""
_SHOWN_NAME = 100
"""Characters of the final name in a temporary one: file names have at most 255 bytes."""


@contextlib.contextmanager
def replace_file(path: Path | str) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes replace the file when the block ends without an error.

    The bytes are written beside the file, synced and renamed. An existing file keeps its permissions, its owner where
    the system allows it, and the symbolic link that names it. A new file has the permissions of the umask.

    Raises:
        OSError: The file cannot be written. An earlier file is unchanged.
    """
    final = Path(os.path.realpath(path))
    remove_abandoned(final.parent)
    temporary = temporary_name(final)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        with open(handle, "wb") as stream:
            _keep_attributes(final, handle)
            yield stream
            stream.flush()
            os.fsync(handle)
        os.replace(temporary, final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(final.parent)


def write_file(path: Path | str, content: bytes) -> None:
    """Replace a file; see `replace_file`."""
    with replace_file(path) as stream:
        stream.write(content)


def temporary_name(final: Path) -> Path:
    """Return an unused random name beside `final`."""
    return final.with_name(f"{PREFIX}-{_host()}-{os.getpid()}-{secrets.token_hex(6)}-{final.name[:_SHOWN_NAME]}")


def remove_abandoned(parent: Path) -> None:
    """Remove temporary files and folders of processes of this machine that have ended.

    A folder that was renamed aside gets its name back if no new folder has taken it.
    """
    if os.name != "posix" or not parent.is_dir():
        return  # other systems have no harmless way to check whether a process is alive
    start = f"{PREFIX}-{_host()}-"
    for path in list(parent.glob(f"{start}*")):
        process, _, rest = path.name.removeprefix(start).partition("-")
        if not process.isdecimal() or is_alive(int(process)):
            continue
        final = parent / rest.partition("-")[2].removesuffix(OLD)
        with contextlib.suppress(OSError):
            if path.name.endswith(OLD) and not final.exists():
                path.rename(final)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Write the names of the files in `folder` to the disk, where the system supports it."""
    if os.name != "posix":
        return  # other systems cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
            os.fsync(handle)
    finally:
        os.close(handle)


def is_alive(process: int) -> bool:
    """Return whether a process of this machine exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _keep_attributes(final: Path, handle: int) -> None:
    """Give a new file the permissions and the owner of the file that it replaces."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        old = final.stat()
        if not stat.S_ISREG(old.st_mode):
            return
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            with contextlib.suppress(OSError):
                os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, stat.S_IMODE(old.st_mode))


def _host() -> str:
    return "".join(character for character in socket.gethostname() if character.isalnum())
