"""The folder of unfinished work. A call that was interrupted leaves it, and the next one continues after its parts.

A part is a folder or a file with facts. It appears under its name when it is complete.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.data.atomic_file import sync_folder, write_file
from nmt.data.atomic_folder import remove_folder, sync_contents
from nmt.data.folder_lock import check_unlocked
from nmt.errors import DataError, NMTError
from nmt.small_files import JSONError, parse_json, read_small_file

PREFIX = ".unfinished-"
PART = ".part"
FACTS = "facts.json"
KEY = "work.json"
WORK_FORMAT = 1
"""Version of the contents. Every change of them, or of what they are computed from, raises it."""


def work_folder(final: Path) -> Path:
    """Return the name of the folder of unfinished work for a folder."""
    return final.with_name(PREFIX + final.name)


def other_work(final: Path) -> list[Path]:
    """Return the folders of unfinished work beside the one for a folder, except those that a process works in."""
    own = work_folder(final)
    found = []
    for path in sorted(final.parent.glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError, NMTError):
            check_unlocked(path.with_name(path.name.removeprefix(PREFIX)))
            if path != own and (path / KEY).is_file():
                found.append(path)
    return found


def open_work(folder: Path, key: str, *, force: bool) -> bool:
    """Make a folder of unfinished work, or keep it if it belongs to the same work.

    Args:
        folder: The folder.
        key: Hash of everything that the work depends on.
        force: Remove earlier work in any case.

    Returns:
        Whether there is earlier work to continue.
    """
    known = finished_facts(folder / KEY)
    if known == {"key": key} and not force:
        return True
    if folder.exists():
        remove_folder(folder)
    folder.mkdir(parents=True)
    write_facts(folder / KEY, {"key": key})
    return False


def count_shards(folder: Path) -> int:
    """Return the number of finished shards of text."""
    return sum(not path.name.endswith(PART) for path in folder.glob("filtered-*"))


@contextlib.contextmanager
def make_part(final: Path) -> Iterator[Path]:
    """Yield an empty folder that gets its name when the block ends without an error."""
    part = final.with_name(final.name + PART)
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    shutil.rmtree(final, ignore_errors=True)  # damaged
    part.mkdir()
    yield part
    sync_contents(part)
    part.rename(final)
    sync_folder(final.parent)


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """Store facts in a file, or in the file of a folder."""
    write_file(path / FACTS if path.is_dir() else path, json.dumps(facts).encode())


def finished_facts(path: Path) -> dict[str, Any] | None:
    """Return the facts of a part; None if it is missing, or was damaged when the machine stopped."""
    try:
        facts = parse_json(read_small_file(path / FACTS if path.is_dir() else path))
    except (OSError, JSONError, DataError):
        return None
    return facts if isinstance(facts, dict) else None


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts of a part that is complete.

    Raises:
        DataError: It is not, because something else has removed or changed it.
    """
    facts = finished_facts(path)
    if facts is None:
        raise DataError(f"{path}: the part is damaged. Delete {path.parent} and run `nmt preprocess` again.")
    return facts
