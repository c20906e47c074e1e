"""Checks that the input files of a configuration exist and can be read."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from nmt.config.conflicts import Conflict, every_pair
from nmt.config.conflicts.base import key
from nmt.config.problems import KeyPath, shorten, show
from nmt.config.schema import PAIR_FILES, Config

MADE_BY = {
    "data/exercise": "scripts/fetch_data exercise",
    "data/multi30k": "scripts/fetch_data multi30k",
    "data/multi30k-long": "scripts/fetch_data multi30k-long",
    "data/korean": "scripts/fetch_data korean",
}
"""Folders of corpora, and the scripts that create them."""


def missing_files(config: Config, config_file: Path) -> Iterator[Conflict]:
    """Yield a conflict for each input file that cannot be read. Paths are relative to the current folder."""
    for path, pair in every_pair(config):
        for side in PAIR_FILES:
            file = getattr(pair, side)
            if file is None:
                continue
            problem = file_problem(file, config_file)
            if problem is not None:
                yield Conflict(((*path, side),), *problem)
    for path, file in other_files(config):
        problem = file_problem(file, config_file)
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


def file_problem(file: str, config_file: Path) -> tuple[str, str] | None:
    """Return why `file` cannot be read as text, with a hint, or None if it can."""
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
            return f"no such file: {show(file)}", _similar(Path(file), config_file)
        if not os.path.isfile(file):
            return f"{show(file)} is a pipe or device, which can be read only once", "write the text to a file first"
    except ValueError:
        return f"{show(file)} cannot be a path", "write the path of a text file"
    if not os.access(file, os.R_OK):
        return f"no permission to read {show(file)}", f"chmod u+r {shorten(file)}"
    return None


def _similar(file: Path, config_file: Path) -> str:
    """Return a hint about another place of the file."""
    for made, script in MADE_BY.items():
        if file.parent == Path(made):
            return f"run {script}"
    beside = config_file.parent / file
    if not file.is_absolute() and beside.is_file():
        return f"paths are relative to the current folder: write {beside}"
    try:
        names = [entry.name for entry in file.parent.iterdir() if entry.is_file()]
    except OSError:
        folder = file.parent
        while folder != folder.parent and not folder.exists():
            folder = folder.parent
        return f"no such folder: {file.parent}. Paths are relative to the current folder, {Path.cwd()}"
    near = difflib.get_close_matches(file.name, names, n=2, cutoff=0.7)
    if near:
        return f"did you mean {' or '.join(str(file.parent / name) for name in near)}?"
    return f"paths are relative to the current folder, {Path.cwd()}"
