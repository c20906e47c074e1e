"""Loads a configuration: file, bases, overrides, schema, contradictions, files. Every problem is reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.config.conflicts import conflicts, warnings
from nmt.config.inheritance import apply_inheritance
from nmt.config.input_files import missing_files
from nmt.config.overrides import apply_override, names_base
from nmt.config.problems import ConfigSyntaxError, KeyPath, Place, Problem, config_error
from nmt.config.schema import Config, DataConfig
from nmt.config.validate import Checked, validate
from nmt.config.yaml_document import YamlDocument, read_document
from nmt.log import logger


@dataclass(frozen=True)
class Loaded:
    """A configuration, and where it comes from.

    Attributes:
        config: the configuration, its bases merged into it.
        bases: the files that the given one rests on, the nearest first.
        origins: the place of each option that is not left at its default.
    """

    config: Config
    bases: list[str]
    origins: dict[KeyPath, Place]


def load_config(path: Path, overrides: Sequence[str] = (), *, check_files: bool = True) -> Config:
    """Read and check a configuration.

    Args:
        path: The YAML file.
        overrides: Options as `key.path=value`, which win over the file.
        check_files: Whether the text files that `data` names must be there.

    Raises:
        ConfigError: lists every problem with its file and line, key path, what was found and what was expected.
    """
    return load_with_origins(path, overrides, check_files=check_files).config


def load_with_origins(path: Path, overrides: Sequence[str] = (), *, check_files: bool = True) -> Loaded:
    """Do as `load_config`, and say where everything comes from."""
    path = Path(path)
    document = _read(path, overrides)
    config = _check(document, name=path.stem, check_files=check_files)
    for remark in warnings(config):
        logger.warning("%s: %s", path, remark)
    return Loaded(config, document.bases, document.places)


def load_data(path: Path) -> DataConfig:
    """Read which texts a configuration names; all else in it may be unfinished, as in a base.

    Raises:
        ConfigError: as `load_config`, of the section `data`.
    """
    path = Path(path)
    document = _read(path, ())
    for name in set(document.data) - {"data"}:
        document.remove((name,))
    return _check(document, name=path.stem, check_files=True).data


def _read(path: Path, overrides: Sequence[str]) -> YamlDocument:
    """Read a file; put its bases below what it says, and the overrides above.

    Raises:
        ConfigError: the file cannot be read. All other problems are those of the document.
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
    """Return the configuration that a document holds, called `name` if it does not say its name.

    Raises:
        ConfigError: lists every problem.
    """
    checked = _validate(document)
    config, problems = checked.config, checked.problems
    if config is not None and not document.incomplete:
        if config.name is None:
            config = config.model_copy(update={"name": name})
        problems = [*problems, *_contradictions(config, document, checked, check_files=check_files)]
    if problems or config is None:
        raise config_error(document.file, problems)
    return config


def _validate(document: YamlDocument) -> Checked:
    """Hold a document against the schema, without the options that give way.

    Whoever chooses another kind of something, on the command line or in a file with a base, need not clear away the
    options of the old kind: they go back to their defaults.
    """
    checked = validate(document)
    while checked.config is not None and (paths := _giving_way(checked.config, document)):
        for path in paths:
            document.remove(path)
        checked = validate(document)
    return checked


def _giving_way(config: Config, document: YamlDocument) -> list[KeyPath]:
    """Options that are switched off by another one which was set nearer to the command line."""
    pairs = [found.paths[:2] for found in conflicts(config) if found.switched_off]
    places = document.places
    return [
        option
        for option, switch in pairs
        if option in places and switch in places and places[switch].rank < places[option].rank
    ]


def _contradictions(
    config: Config, document: YamlDocument, checked: Checked, *, check_files: bool
) -> Iterator[Problem]:
    """Contradictions and missing files as problems, except those that follow from values that are wrong already."""
    found = list(conflicts(config))
    if check_files:
        found += missing_files(config, Path(document.file))
    for contradiction in found:
        if not any(_touches(path, broken) for path in contradiction.paths for broken in checked.broken):
            path, place = _locate(document, contradiction.paths)
            yield Problem(place, path, contradiction.text, contradiction.hint)


def _touches(path: KeyPath, broken: KeyPath) -> bool:
    shared = min(len(path), len(broken))
    return path[:shared] == broken[:shared]


def _locate(document: YamlDocument, paths: tuple[KeyPath, ...]) -> tuple[KeyPath, Place]:
    """Which of the options to point at: the one that wins, on the command line, in the file, or in its bases."""
    written = [path for path in paths if path in document.places]
    path = min(written, key=lambda path: document.places[path].rank) if written else paths[0]
    return path, document.place(path)
