"""Checks that the input files of a configuration exist and can be read."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt.config.conflicts import Conflict, every_pair
from nmt.config.conflicts.base import key
from nmt.config.paths import search_folder
from nmt.config.problems import KeyPath, Place, shorten, show
from nmt.config.schema import PAIR_FILES, Config

MADE_BY = {
    "data/exercise": "scripts/fetch_data exercise",
    "data/multi30k": "scripts/fetch_data multi30k",
    "data/multi30k-long": "scripts/fetch_data multi30k-long",
    "data/korean": "scripts/fetch_data korean",
}
"""Folders of corpora, and the scripts that create them."""


def missing_files(config: Config, place: Callable[[KeyPath], Place]) -> Iterator[Conflict]:
    """Yield a conflict for each input file that cannot be read.

    Args:
        config: The configuration, whose paths are relative to the current folder.
        place: Returns the place of an option.
    """
    for path, pair in every_pair(config):
        for side in PAIR_FILES:
            file = getattr(pair, side)
            if file is None:
                continue
            problem = file_problem(file, search_folder(place((*path, side))))
            if problem is not None:
                yield Conflict(((*path, side),), *problem)
    for path, file in other_files(config):
        problem = file_problem(file, search_folder(place(path)))
        if problem is not None:
            yield Conflict((path,), *problem)


def other_files(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Yield input files other than parallel text: alignments and vectors."""
    for index, corpus in enumerate(config.data.train):
        if corpus.alignment is not None:
            yield key(f"data.train.{index}.alignment"), corpus.alignment
    initialization = config.model.initialization
    for name in ("source_embeddings", "target_embeddings"):
        file = getattr(initialization, name)
        if file is not None:
            yield key(f"model.initialization.{name}"), file


def file_problem(file: str, other_folder: Path | None) -> tuple[str, str] | None:
    """Return why `file` cannot be read as text, with a hint, or None if it can.

    Args:
        file: The path, from the current folder.
        other_folder: The folder in which the file was looked for too.
    """
    if not file.strip():
        return "found an empty path", "write the path of a text file"
    if file == "-":
        return "standard input can be read only once", "write the text to a file first"
    if "\x00" in file:
        return "found a path with a NUL character", "write the path of a text file"
    try:
        if os.path.isdir(file):
            return f"{show(file)} is a folder, expected a text file", "name the file inside it"
        if not os.path.exists(file):
            return f"no such file: {show(file)}", _similar(Path(file), other_folder)
        if not os.path.isfile(file):
            return f"{show(file)} is a pipe or device, which can be read only once", "write the text to a file first"
    except ValueError:
        return f"{show(file)} cannot be a path", "write the path of a text file"
    if not os.access(file, os.R_OK):
        return f"no permission to read {show(file)}", f"chmod u+r {shorten(file)}"
    return None


def _similar(file: Path, other_folder: Path | None) -> str:
    """Return a hint about another place of the file."""
    for made, script in MADE_BY.items():
        if file.parent == Path(made):
            return f"run {script}"
    folders = [file.parent]
    if other_folder is not None and not file.is_absolute():
        folders.append(other_folder / file.parent)
    near: list[str] = []
    for folder in folders:
        with contextlib.suppress(OSError):
            names = [entry.name for entry in folder.iterdir() if entry.is_file()]
            near += [str(folder / name) for name in difflib.get_close_matches(file.name, names, n=2, cutoff=0.7)]
    if near:
        return f"did you mean {' or '.join(near[:2])}?"
    missing = "" if any(map(os.path.isdir, folders)) else f"no such folder: {file.parent}. "
    if file.is_absolute():
        return f"{missing}Check the path".strip()
    also = "" if other_folder is None else f" and in the folder of the configuration, {other_folder}"
    return f"{missing}Paths are looked for in the current folder, {Path.cwd()}{also}"
