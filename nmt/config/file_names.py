"""Decides which names may become names of files and folders, and which part of a path a model file keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.config.problems import show
from nmt.config.schema import PAIR_FILES, Config, PairConfig
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
    data, initial = config.data, config.model.initialization
    train = [
        corpus.model_copy(update=_names(corpus) | {"alignment": corpus.alignment and last_part(corpus.alignment)})
        for corpus in data.train
    ]
    names = {
        "train": train,
        "valid": data.valid.model_copy(update=_names(data.valid)),
        "test": [test.model_copy(update=_names(test)) for test in data.test],
        "preprocessed_folder": last_part(data.preprocessed_folder),
    }
    vectors = {
        key: value and last_part(value)
        for key in ("source_embeddings", "target_embeddings")
        for value in (getattr(initial, key),)
    }
    model = config.model.model_copy(update={"initialization": initial.model_copy(update=vectors)})
    return config.model_copy(update={"data": data.model_copy(update=names), "model": model})


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


def _names(pair: PairConfig) -> dict[str, str | None]:
    names = {key: path and last_part(path) for key in PAIR_FILES for path in (getattr(pair, key),)}
    if names["source"] and names["source"] == names["target"] and pair.source != pair.target:
        names |= {side: f"{side}/{names[side]}" for side in ("source", "target")}
    return names
