"""Writes the exercise corpus: text, alignments, and a note of how it was made."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from exercise.generator import Generator, Pair, constructions

NOTE = "corpus.json"
SIDES = ("en", "de", "align")
FURTHER = "more"
"""The split that is generated beside the others, which stay as they are whether it exists or not."""
WORTH_A_PROCESS = 2000
"""From so many pairs on, a second process takes less time than it needs to start."""


def make_corpus(*, folder: Path, seed: int, sizes: Mapping[str, int]) -> bool:
    """Generates the corpus into a folder, unless it is there already.

    Each split has three files: `train.en`, `train.de` and `train.align` (Pharaoh format: for each pair of sentences the
    aligned tokens as English-German indices from 0, tokens being what spaces separate).

    Args:
        folder: Where to write; made if need be.
        seed: The same seed and sizes give the same files.
        sizes: The number of pairs of each split, such as `{"train": 20000}`.

    Returns:
        Whether anything was written; false if the files were up to date.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    recipe = {"seed": seed, "sizes": dict(sizes), "grammar": _grammar_fingerprint()}
    if _is_up_to_date(folder, recipe):
        return False
    splits = _splits(seed, sizes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTE).unlink(missing_ok=True)  # until all is written, nothing here is up to date
    checksums = {}
    for name, pairs in splits.items():
        for side, lines in zip(SIDES, _columns(pairs), strict=True):
            _write(folder / f"{name}.{side}", lines)
            checksums[f"{name}.{side}"] = _checksum(folder / f"{name}.{side}")
    note = {
        "about": "Exercise corpus from a synthetic grammar: made-up sentences, not a language resource.",
        **recipe,
        "files": checksums,
        "constructions": constructions([pair for pairs in splits.values() for pair in pairs]),
    }
    _write(folder / NOTE, json.dumps(note, indent=2, ensure_ascii=False).splitlines())
    return True


def _splits(seed: int, sizes: Mapping[str, int]) -> dict[str, list[Pair]]:
    """The pairs of each split. `FURTHER` has a generator of its own, in a process of its own if it is large."""
    generator = Generator(seed=seed)
    further = sizes.get(FURTHER, 0)
    if further < WORTH_A_PROCESS:
        splits = {name: generator.pairs(size) for name, size in sizes.items() if name != FURTHER}
        if further:
            other = Generator(seed=f"{seed} {FURTHER}")
            splits[FURTHER] = other.without(_sentences(splits), other.pairs(further))
        return splits
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_generate_further, args=(theirs, seed, further), daemon=True)
    process.start()
    theirs.close()  # so that a process that dies is the end of the pipe
    splits = {name: generator.pairs(size) for name, size in sizes.items() if name != FURTHER}
    ours.send(_sentences(splits))
    splits[FURTHER] = ours.recv()
    process.join()
    return splits


def _generate_further(connection: Connection, seed: int, count: int) -> None:
    """Send `count` pairs, without the sentences that are received when the first are ready."""
    with contextlib.suppress(KeyboardInterrupt):  # the other process says so
        generator = Generator(seed=f"{seed} {FURTHER}")
        pairs = generator.pairs(count)
        connection.send(generator.without(connection.recv(), pairs))


def _sentences(splits: Mapping[str, Sequence[Pair]]) -> set[str]:
    """All sentences of both languages."""
    return {sentence for pairs in splits.values() for pair in pairs for sentence in (pair.english, pair.german)}


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write a file that appears under its name when it is complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes("".join(f"{line}\n" for line in lines).encode())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _grammar_fingerprint() -> str:
    """A checksum of this package's source: with another grammar the same seed gives other text."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _columns(pairs: Sequence[Pair]) -> tuple[list[str], list[str], list[str]]:
    links = [" ".join(f"{i}-{j}" for i, j in pair.alignment) for pair in pairs]
    return [pair.english for pair in pairs], [pair.german for pair in pairs], links


def _is_up_to_date(folder: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether the note is of this recipe and the files are as they were written."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
        expected = {f"{name}.{side}" for name in recipe["sizes"] for side in SIDES}
        return (
            {key: note[key] for key in recipe} == recipe
            and set(note["files"]) == expected
            and all(_checksum(folder / name) == checksum for name, checksum in note["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
