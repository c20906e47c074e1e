"""The systems that `nmt compare` is given: runs, model files and translations, what they are called, what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.errors import UsageError
from nmt.log import logger, progress

if TYPE_CHECKING:
    from nmt.inference.model_file import ModelFile

MODEL_SUFFIX = ".safetensors"
STANDARD_INPUT = "-"


class System(NamedTuple):
    """One of the systems."""

    name: str
    path: Path
    model: ModelFile | None
    """None if the file is a translation."""


def open_systems(paths: Sequence[Path], names: Sequence[str]) -> list[System]:
    """Find out what was given, and load the models.

    Args:
        paths: Folders of runs, model files and translations.
        names: What to call them; none: by their paths.

    Raises:
        UsageError: Something is not there, the names are not as many, or two models translate other languages.
        CheckpointError: A model file cannot be loaded.
    """
    if names and len(names) != len(paths):
        raise UsageError(
            f"--name is given {len(names)} times for {len(paths)} systems; give it once for each, or never"
        )
    for path in paths:
        if str(path) != STANDARD_INPUT and not path.exists():
            raise UsageError(f"{path}: there is no such run folder, model file or translation")
    if [str(path) for path in paths].count(STANDARD_INPUT) > 1:
        raise UsageError("standard input (-) can be read only once")
    called = _distinct(names or _short_names(paths))
    systems = [System(name, path, _open(path)) for name, path in zip(called, paths, strict=True)]
    _check_languages(systems)
    return systems


def _open(path: Path) -> ModelFile | None:
    from nmt.cli.opening import open_model

    return open_model(path) if _is_model(path) else None


def _is_model(path: Path) -> bool:
    """Whether this is a run or a model file: those begin with the length of a JSON object, in eight bytes."""
    if path.is_dir() or path.suffix == MODEL_SUFFIX:
        return True
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        head = stream.read(9)
    return head[5:] == b"\0\0\0{"


def _check_languages(systems: Sequence[System]) -> None:
    models = [(system, system.model.config.data) for system in systems if system.model is not None]
    for system, data in models[1:]:
        first, expected = models[0]
        ours = (data.source_language, data.target_language)
        if ours != (expected.source_language, expected.target_language):
            raise UsageError(
                f"{first.name} translates {expected.source_language} to {expected.target_language}, but {system.name} "
                f"{ours[0]} to {ours[1]}; a comparison needs the same languages"
            )


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, and as many before it as tell it from the others."""
    from nmt.inference.find import MODEL_NAME

    parts = []
    for path in paths:
        named = path if path.name not in ("", "..") else path.absolute().resolve()
        parts.append((named.parent if named.name == MODEL_NAME and named.parent.name else named).parts)
    names = []
    for mine in parts:
        others = [other for other in parts if other != mine]
        depth = next(
            (depth for depth in range(1, len(mine)) if all(other[-depth:] != mine[-depth:] for other in others)),
            len(mine),
        )
        names.append("/".join(mine[-depth:]))
    return names


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where they are the same."""
    found: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in found:
            number += 1
            candidate = f"{name} ({number})"
        found.append(candidate)
    return found


def read_or_translate(system: System, sources: Sequence[str], decoding: dict[str, Any]) -> list[str]:
    """The lines of a system: those of its file, or its translation of the test set.

    Args:
        system: The system.
        sources: The test set, if the system is a model.
        decoding: Options of the command line.
    """
    from nmt.data.text.lines import read_lines

    if system.model is None:
        return list(read_lines(system.path, keep_broken=False))
    from nmt.cli.opening import make_translator

    translator = make_translator(system.model, **decoding)
    logger.info("translating %s lines with %s", f"{len(sources):,}", system.name)
    lines = []
    with progress(len(sources), f"translating with {system.name}", "lines") as bar:
        for translation in translator.translate(sources):
            lines.append(translation.text)
            bar.update(1)
    return lines
