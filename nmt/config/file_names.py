"""Decides which names may become names of files and folders, and which part of a path a model file keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.config.introspection import find
from nmt.config.problems import KeyPath, show
from nmt.config.schema import Config
from nmt.errors import UsageError
from nmt.terminal import UNSAFE

MAX_BYTES = 150
FORBIDDEN = re.compile(r'[/\\:*?"<>|\n\t]')
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)", re.IGNORECASE)
"""Names of devices on Windows, with any suffix."""


def name_problem(name: str) -> tuple[str, str] | None:
    """Return why a text cannot be a file name on every system, with a hint, or None if it can."""
    if not name.strip():
        return "found an empty name", "write a name such as baseline-1"
    if FORBIDDEN.search(name) or UNSAFE.search(name):
        return f"{show(name)} cannot be the name of a folder", 'leave out / \\ : * ? " < > | and control characters'
    if name != name.strip() or name.startswith((".", "-")) or name.endswith("."):
        return f"{show(name)} starts or ends with a dot, a dash or a space", "start and end with a letter or a digit"
    if RESERVED.match(name):
        return f"{show(name)} is the name of a device on Windows", "choose another name"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return f"found a name of more than {MAX_BYTES} bytes", "shorten it"
    return None


def path_in(folder: Path, name: str) -> Path:
    """Return the path of the file `name` inside `folder`. Every name that is not a path becomes one here.

    Raises:
        UsageError: The name would lead out of the folder, or cannot be a file name on every system.
    """
    problem = name_problem(name)
    if problem is not None:
        raise UsageError(f"a file in {folder} cannot have this name: {problem[0]}. Hint: {problem[1]}.")
    return folder / name


def last_part(path: str) -> str:
    """Return the last part of a path of any system."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def without_folders(config: Config) -> Config:
    """Return a configuration whose paths have no folders, as a model file stores it.

    Two files of one text that have the same name become `source/NAME` and `target/NAME`.
    """
    tree = config.model_dump()
    return Config.model_validate(tree) if _strip(tree, ()) else config


def _strip(section: dict[str, Any], path: KeyPath) -> bool:
    """Replace the paths in a section by names. Return whether there was a path with folders."""
    found = False
    before = section.get("source"), section.get("target")
    for key, value in section.items():
        inner = (*path, key)
        if isinstance(value, dict):
            found |= _strip(value, inner)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    found |= _strip(item, (*inner, index))
        elif isinstance(value, str) and last_part(value) != value:
            option = find(inner)
            if option is not None and option.path is not None:
                section[key], found = last_part(value), True
    if before[0] != before[1] and section.get("source") == section.get("target") is not None:
        section |= {side: f"{side}/{section[side]}" for side in ("source", "target")}
    return found


def provenance_without_folders(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the origin of a model with names instead of paths, and with the command alone instead of its arguments."""
    found = dict(provenance)
    if isinstance(command := found.get("command"), list):
        found["command"] = [last_part(str(word)) for word in command[:2]]
    if isinstance(averaged := found.get("averaged"), list):
        found["averaged"] = [last_part(str(path)) for path in averaged]
    if isinstance(parent := found.get("init_from"), str):
        found["init_from"] = last_part(parent)
    if isinstance(inner := found.get("parent"), dict):
        found["parent"] = provenance_without_folders(inner)
    return found
