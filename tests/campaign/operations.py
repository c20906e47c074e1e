"""The operations of a process on its files: recorded, checked for order, and the moments at which it is killed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from campaign.forks import Kill

NAMES = {
    "os.rename": "rename",
    "os.remove": "unlink",
    "os.rmdir": "rmdir",
    "os.mkdir": "mkdir",
    "os.truncate": "truncate",
    "os.link": "link",
    "os.symlink": "symlink",
    "os.chmod": "chmod",
}
"""Events of Python's audit hooks and the operations that they announce."""
TEMPORARY = re.compile(r"\.building-[^-/]*-\d+-[0-9a-f]+-")
"""The part of a temporary name that is different each time."""
DELETING = ("unlink", "rmdir", "truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


CLOCK_NANOSECONDS = 20_000_000
"""Times of files are this much coarser than the clock."""


class Operation(NamedTuple):
    """An operation on a file."""

    name: str
    path: str
    """Relative to the folder of the command, without the random part of temporary names."""


class Watch:
    """Watches the operations of this process on the files of a folder.

    Audit hooks cannot be removed, so this is for processes that end soon.

    Attributes:
        operations: The operations so far.
        active: Whether operations are counted.
    """

    def __init__(self, folder: Path, kill: Kill | None, *, check: bool) -> None:
        self.operations: list[Operation] = []
        self.active = True
        self._folder = os.path.realpath(folder)
        self._process = os.getpid()
        self._kill = kill
        self._check = _Discipline() if check else None
        self._fsync = os.fsync
        os.fsync = self._synced
        sys.addaudithook(self._hook)

    def finish(self) -> list[str]:
        """Return what was wrong with the order of operations."""
        return [] if self._check is None else self._check.finish(self._folder)

    def _synced(self, handle: Any) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        path = os.readlink(f"/proc/self/fd/{number}")
        self._note("fsync", path)
        self._fsync(number)
        if self._check is not None:
            self._check.synced(number, path)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active or os.getpid() != self._process:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and isinstance(path, (str, bytes, os.PathLike)):
                truncated = bool(flags & os.O_TRUNC)
                self._note("create" if truncated else "open", os.fspath(path))
                if truncated and self._check is not None:
                    self._check.truncated(os.fspath(path), self._folder)
        elif event in NAMES:
            path = arguments[0]
            if event == "os.symlink":
                path = arguments[1]
            if isinstance(path, int):
                path = os.readlink(f"/proc/self/fd/{path}")
            # A relative path may belong to an open folder, as in shutil.rmtree.
            relative = event in ("os.remove", "os.rmdir") and arguments[1] != -1
            self._note(NAMES[event], os.fspath(path), relative=relative)
            if event == "os.rename" and self._check is not None:
                self._check.renamed(*(os.path.abspath(os.fspath(name)) for name in arguments[:2]))

    def _note(self, name: str, path: str | bytes, *, relative: bool = False) -> None:
        text = os.fsdecode(path)
        if not self.active or os.getpid() != self._process:
            return
        if not relative:
            text = os.path.abspath(text)
            if not text.startswith(self._folder + os.sep):
                return
            text = text[len(self._folder) + 1 :]
        self.operations.append(Operation(name, TEMPORARY.sub(".building-", text)))
        if self._kill is None:
            return
        if len(self.operations) == self._kill.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if self._kill.fault is not None:
            self._fail(self._kill, name, text)
        elif len(self.operations) == self._kill.operation:
            os.kill(os.getpid(), signal.SIGKILL)

    def _fail(self, kill: Kill, name: str, path: str) -> None:
        """Raise the error of an operation. A disk stays full and a folder stays read-only; EIO happens once."""
        position, fault = len(self.operations), str(kill.fault)
        if fault in MISHAPS:
            if position == kill.operation:
                self.active = False
                MISHAPS[fault](Path(self._folder))
            return
        lasting = fault != "EIO" and position >= (kill.operation or 0)
        if position == kill.operation or (lasting and not (fault == "ENOSPC" and name in DELETING)):
            number = getattr(errno, fault)
            raise OSError(number, os.strerror(number), path)


def _vanish(folder: Path) -> None:
    for name in ("runs", "preprocessed"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _replace(folder: Path) -> None:
    """Replace the texts by others, half as long."""
    for path in [*folder.glob("*.en"), *folder.glob("*.de")]:
        content = path.read_bytes().splitlines(keepends=True)
        (folder / "new").write_bytes(b"".join(reversed(content[: len(content) // 2])))
        os.replace(folder / "new", path)


def _truncate(folder: Path) -> None:
    """Truncate the texts in place."""
    for path in [*folder.glob("*.en"), *folder.glob("*.de")]:
        os.truncate(path, path.stat().st_size // 2)


MISHAPS = {"the folders vanish": _vanish, "the texts are replaced": _replace, "the texts are truncated": _truncate}
"""What other people do in the folder of a command."""


def is_temporary(path: str) -> bool:
    """Return whether a path is that of a temporary file or inside a temporary folder."""
    return any(part.startswith(".building-") for part in Path(path).parts)


class _Discipline:
    """Checks what a power failure needs: content is synced before it gets its name, then the name is synced."""

    def __init__(self) -> None:
        self._synced: dict[tuple[int, int], tuple[int, int]] = {}
        self._names: dict[str, str] = {}
        """Folders that must still be synced, with the name that was renamed there."""
        self._problems: list[str] = []
        self._start = time.time_ns() - CLOCK_NANOSECONDS

    def synced(self, handle: int, path: str) -> None:
        status = os.fstat(handle)
        self._synced[status.st_dev, status.st_ino] = (status.st_size, status.st_mtime_ns)
        self._names.pop(path, None)

    def truncated(self, path: str | bytes, folder: str) -> None:
        name = os.path.abspath(os.fsdecode(path))
        if name.startswith(folder + os.sep) and not is_temporary(name):
            try:
                status = os.stat(name)
            except OSError:
                return
            if status.st_size and stat.S_ISREG(status.st_mode):
                self._problems.append(f"truncated in place: {name[len(folder) + 1 :]}")

    def renamed(self, old: str, new: str) -> None:
        if is_temporary(new) or os.path.islink(old):
            return
        files = [os.path.join(root, name) for root, _, names in os.walk(old) for name in names] or [old]
        for path in files:
            status = os.stat(path, follow_symlinks=False)
            known = self._synced.get((status.st_dev, status.st_ino))
            if (
                stat.S_ISREG(status.st_mode)
                and status.st_mtime_ns > self._start
                and known != (status.st_size, status.st_mtime_ns)
            ):
                self._problems.append(f"renamed before it was synced: {new}: {os.path.relpath(path, old)}")
        self._names[os.path.dirname(new)] = new

    def finish(self, folder: str) -> list[str]:
        unsynced = [f"renamed, but its folder was not synced: {name}" for name in self._names.values()]
        return [TEMPORARY.sub(".building-", text.replace(folder + os.sep, "")) for text in self._problems + unsynced]
