"""Writes the exercise corpus: text, alignments, and a note of how it was made."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from exercise.generator import Generator, Pair, constructions

NOTE = "corpus.json"
SIDES = ("en", "de", "align")


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
    generator = Generator(seed=seed)
    splits = {name: generator.pairs(size) for name, size in sizes.items()}
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
