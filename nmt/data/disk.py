"""Free disk space, and what a file system does not promise."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""The mounted file systems of Linux, see proc(5)."""
IN_MEMORY = {"tmpfs", "ramfs"}
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "fuse.sshfs"}
"""Types whose locks may not reach other machines, or whose writes may be delayed."""
OBJECT_STORES = {"fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.goofys", "fuse.blobfuse", "fuse.blobfuse2"}
"""Types that have neither locks nor a renaming that is complete or not done at all."""
_OCTAL = re.compile(r"\\([0-7]{3})")


def existing_parent(folder: Path) -> Path:
    """Return the folder, or the nearest folder above it that exists."""
    folder = Path(os.path.realpath(folder))
    return next((parent for parent in (folder, *folder.parents) if parent.is_dir()), Path(folder.anchor))


def free_bytes(folder: Path) -> int | None:
    """Return the free space where `folder` is or will be; None if the file system does not report it."""
    try:
        usage = shutil.disk_usage(existing_parent(folder))
    except OSError:
        return None
    return usage.free if usage.total > 0 else None


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder. A file with several names counts once. 0 if there is no folder."""
    sizes = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(parent, name))
            except OSError:
                continue
            sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())


def show_bytes(size: float) -> str:
    """Return a size with a decimal unit, such as 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def file_system_risk(folder: Path) -> str | None:
    """Return what the file system of a folder does not promise, as a sentence; None if nothing is known."""
    kind = file_system_type(existing_parent(folder))
    if kind in IN_MEMORY:
        return f"the file system ({kind}) is in memory. Its files are lost when the machine stops"
    if kind in OBJECT_STORES:
        return f"the file system ({kind}) has no locks and may show incomplete files. Copy the run there after training"
    if kind in NETWORK:
        return (
            f"the file system ({kind}) is on the network. Its locks may not reach other machines. Make sure that only "
            "one machine at a time writes there"
        )
    return None


def file_system_type(folder: Path) -> str | None:
    """Return the type of the file system of a folder, such as ext4; None if the system does not report it."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    found, depth = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of several file systems that are mounted at one place, the last one is visible.
        if (folder == point or point in folder.parents) and len(point.parts) >= depth:
            found, depth = after.split(" ")[0], len(point.parts)
    return found
