"""Finds the files of `nmt translate` with several files, a folder, a pattern or a shard, and names their outputs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.options import STANDARD_STREAM
from nmt.data.streams import read_bytes
from nmt.errors import DataError, UsageError
from nmt.inference.documents import document_kind
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.inference.output.shards import Shard

WILDCARDS = "*?["
SAMPLE_BYTES = 8192


@dataclass(frozen=True)
class FileTask:
    """A file to translate.

    Attributes:
        source: the file.
        name: the name of its translation in the output folder.
        shard: the block of lines of a text that is translated. None means the whole file.
    """

    source: Path
    name: Path
    shard: Shard | None = None


@dataclass(frozen=True)
class BulkInput:
    """The files of a bulk translation.

    Attributes:
        folder: the output folder.
        tasks: the files, in the order of their names.
        lock: the path whose lock keeps another process from the same work.
    """

    folder: Path
    tasks: Sequence[FileTask]
    lock: Path


def is_bulk(files: Sequence[Path], output: Path | None, shard: str | None) -> bool:
    """Return whether the arguments name anything but one whole file that is translated into one file."""
    if shard is not None or len(files) != 1:
        return True
    file = files[0]
    return file.is_dir() or _is_pattern(file) or (output is not None and output.is_dir() and file.is_file())


def find_input(files: Sequence[Path], output: Path | None, shard_text: str | None) -> BulkInput:
    """Find the files to translate, and name their outputs.

    Args:
        files: files, folders or patterns.
        output: the output folder, or the output file of a text that is divided into shards.
        shard_text: the value of --shard.

    Raises:
        UsageError: a file is missing, or the output is not outside of the input.
    """
    from nmt.inference.output.file_record import RECORDS
    from nmt.inference.output.shards import parse_shard, shards_folder

    shard = None if shard_text is None else parse_shard(shard_text)
    if output is None or output == STANDARD_STREAM:
        needed = "--shard" if shard is not None and len(files) == 1 else "A translation of several files"
        raise UsageError(f"{needed} requires -o.")
    if STANDARD_STREAM in files:
        raise UsageError("Standard input cannot be divided or translated together with files. Name files only.")
    if shard is not None and not is_bulk(files, output, None):
        (file,) = files
        if not file.is_file():
            raise UsageError(f"{file}: no such file.")
        if document_kind(file) is not None:
            raise UsageError(f"--shard requires a text file or a folder, but {file} is a document.")
        name = shard.part_name(output)
        return BulkInput(shards_folder(output), [FileTask(file, name, shard)], shards_folder(output) / name)
    tasks = _find_tasks(files, output)
    if shard is None:
        return BulkInput(output, tasks, output)
    chosen = shard.files([task.source.stat().st_size for task in tasks])
    lock = output / RECORDS / f"shard-{shard.number}-of-{shard.total}"
    return BulkInput(output, [tasks[index] for index in chosen], lock)


def _find_tasks(files: Sequence[Path], output: Path) -> list[FileTask]:
    """Return all files. Their names in the output folder are those below the folder that all have in common."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is not a folder. Name a folder with -o.")
    bases, found = [], []
    for file in files:
        base, sources = _expand(file)
        bases.append(os.path.abspath(base))
        found += sources
    common = os.path.commonpath(bases)
    names = {Path(os.path.relpath(os.path.abspath(source), common)): source for source in found}
    _check_outside(output, files, names)
    tasks = [FileTask(source, name) for name, source in sorted(names.items()) if _is_text(source)]
    if not tasks:
        raise UsageError(f"No file to translate in {', '.join(map(str, files))}.")
    return tasks


def _expand(file: Path) -> tuple[Path, list[Path]]:
    """Return the files that an argument names, and the folder that their names are relative to."""
    if file.is_dir():
        return file, list(_files_below(file))
    if _is_pattern(file):
        parts = file.parts
        fixed = next(index for index, part in enumerate(parts) if any(sign in part for sign in WILDCARDS))
        base = Path(*parts[:fixed])
        matches = [Path(path) for path in glob.glob(str(file), recursive=True)]
        sources = [path for path in matches if path.is_file()]
        if not sources:
            raise UsageError(f"{file}: no file matches this pattern.")
        return base, sources
    if not file.is_file():
        raise UsageError(f"{file}: no such file or folder.")
    return file.parent, [file]


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield all regular files of a folder and its subfolders. Hidden ones are left out."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: {error.strerror}.")

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _is_pattern(file: Path) -> bool:
    return any(sign in str(file) for sign in WILDCARDS) and not file.exists()


def _is_text(source: Path) -> bool:
    """Return whether a file is a document, or has no NUL byte at its start. Log a file that is neither."""
    if document_kind(source) is not None:
        return True
    try:
        sample = b"".join(islice(read_bytes(source), 1))[:SAMPLE_BYTES]
    except DataError:
        return True  # its translation reports the error
    if b"\0" in sample:
        logger.warning("%s: skipped, because it is not text in UTF-8", source)
        return False
    return True


def _check_outside(output: Path, files: Sequence[Path], names: dict[Path, Path]) -> None:
    """Check that no output would be read as an input, now or in a second run.

    Raises:
        UsageError: the output folder is inside an input folder, or an output is an input.
    """
    place = Path(os.path.realpath(output))
    for file in files:
        if file.is_dir() and place.is_relative_to(os.path.realpath(file)):
            raise UsageError(f"-o {output} is inside of the input folder {file}. Choose a folder outside.")
    sources = {os.path.realpath(source) for source in names.values()}
    for name in names:
        if os.path.realpath(output / name) in sources:
            raise UsageError(f"-o {output} would replace the input file {names[name]}. Choose another folder.")
