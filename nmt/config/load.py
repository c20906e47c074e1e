"""Loads a configuration: file, bases, overrides, schema, conflicts, input files. Reports all problems at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.config.conflicts import conflicts, warnings
from nmt.config.inheritance import apply_inheritance
from nmt.config.input_files import missing_files
from nmt.config.overrides import apply_override, names_base
from nmt.config.paths import resolve_paths
from nmt.config.problems import ConfigSyntaxError, KeyPath, Place, Problem, config_error
from nmt.config.schema import Config, DataConfig
from nmt.config.validate import Checked, validate
from nmt.config.yaml_document import YamlDocument, read_document
from nmt.log import logger


@dataclass(frozen=True)
class Loaded:
    """A configuration and its origin.

    Attributes:
        config: the configuration, with its bases merged into it.
        bases: the base files, the nearest first.
        origins: the place of each option that is set in a file or an override.
        file_folders: the options whose relative paths were found in the folder of the configuration, with that folder.
    """

    config: Config
    bases: list[str]
    origins: dict[KeyPath, Place]
    file_folders: dict[KeyPath, str]


def load_config(path: Path, overrides: Sequence[str] = (), *, check_files: bool = True) -> Config:
    """Read and check a configuration.

    Args:
        path: The YAML file.
        overrides: Options as `key.path=value`, which replace those of the file.
        check_files: Whether the input files must exist.

    Raises:
        ConfigError: lists every problem with file, line, key path, found value and expected value.
    """
    return load_with_origins(path, overrides, check_files=check_files).config


def load_with_origins(path: Path, overrides: Sequence[str] = (), *, check_files: bool = True) -> Loaded:
    """Read and check a configuration as `load_config` does, and return the origin of each option too."""
    path = Path(path)
    document = _read(path, overrides)
    file_folders = resolve_paths(document)
    config = _check(document, name=path.stem, check_files=check_files)
    for warning in warnings(config):
        logger.warning("%s: %s", path, warning)
    return Loaded(config, document.bases, document.places, file_folders)


def load_data(path: Path, *, check_files: bool = True) -> DataConfig:
    """Read only the section `data` of a configuration. The other sections may be incomplete, as in a base.

    Args:
        path: The YAML file.
        check_files: Whether the input files must exist.

    Raises:
        ConfigError: lists every problem of the section `data`.
    """
    path = Path(path)
    document = _read(path, ())
    for name in set(document.data) - {"data"}:
        document.remove((name,))
    resolve_paths(document)
    return _check(document, name=path.stem, check_files=check_files).data


def _read(path: Path, overrides: Sequence[str]) -> YamlDocument:
    """Read a file, add the options of its bases, and apply the overrides.

    Raises:
        ConfigError: the file cannot be read. Other problems are recorded in the document.
    """
    try:
        document = read_document(path)
    except ConfigSyntaxError as error:
        raise config_error(str(path), [error.problem]) from None
    numbered = list(enumerate(overrides))
    for number, override in numbered:
        if names_base(override):
            apply_override(document, override, number=number)
    apply_inheritance(document)
    for number, override in numbered:
        if not names_base(override):
            apply_override(document, override, number=number)
    return document


def _check(document: YamlDocument, *, name: str, check_files: bool) -> Config:
    """Return the configuration of a document, with `name` as its name if it has none.

    Raises:
        ConfigError: lists every problem.
    """
    checked = _validate(document)
    config, problems = checked.config, checked.problems
    if config is not None and not document.incomplete:
        if config.name is None:
            config = config.model_copy(update={"name": name})
        problems = [*problems, *_conflict_problems(config, document, checked, check_files=check_files)]
    if problems or config is None:
        raise config_error(document.file, problems)
    return config


def _validate(document: YamlDocument) -> Checked:
    """Validate a document after removing the options that an option with precedence makes ineffective.

    An override, or a file with a base, can choose another `kind` without resetting the options of the old one.
    """
    checked = validate(document)
    while checked.config is not None and (paths := _superseded(checked.config, document)):
        for path in paths:
            document.remove(path)
        checked = validate(document)
    return checked


def _superseded(config: Config, document: YamlDocument) -> list[KeyPath]:
    """Return options that are ignored because of an option with precedence over them."""
    pairs = [conflict.paths[:2] for conflict in conflicts(config) if conflict.ignored]
    places = document.places
    return [
        option
        for option, switch in pairs
        if option in places and switch in places and places[switch].precedence < places[option].precedence
    ]


def _conflict_problems(
    config: Config, document: YamlDocument, checked: Checked, *, check_files: bool
) -> Iterator[Problem]:
    """Yield conflicts and missing files as problems, except those that follow from values that are wrong already."""
    several = list(conflicts(config))
    if check_files:
        several += missing_files(config, document.place)
    around_broken = {path[:size] for path in checked.broken for size in range(len(path) + 1)}
    for conflict in several:
        if not any(path in around_broken or _is_within(path, checked.broken) for path in conflict.paths):
            path, place = _locate(document, conflict.paths)
            yield Problem(place, path, conflict.text, conflict.hint)


def _is_within(path: KeyPath, several: set[KeyPath]) -> bool:
    """Return whether one of several paths is the path itself, or leads to a section or list around it."""
    return any(path[:size] in several for size in range(len(path) + 1))


def _locate(document: YamlDocument, paths: tuple[KeyPath, ...]) -> tuple[KeyPath, Place]:
    """Return the option that the error names: the one with precedence among those that were written."""
    written = [path for path in paths if path in document.places]
    path = min(written, key=lambda path: document.places[path].precedence) if written else paths[0]
    return path, document.place(path)
