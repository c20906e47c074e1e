"""Loads a configuration: file, overrides, schema, contradictions, files. Every problem is reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.config.checks import contradictions, remarks
from nmt.config.document import Document, read_document
from nmt.config.files import missing_files
from nmt.config.overrides import apply_override
from nmt.config.problems import KeyPath, Place, Problem, Unreadable, config_error
from nmt.config.schema import Config
from nmt.config.validate import Checked, validate
from nmt.log import logger


def load_config(path: Path, overrides: Sequence[str] = (), *, check_files: bool = True) -> Config:
    """Read and check a configuration.

    Args:
        path: The YAML file.
        overrides: Options as `key.path=value`, which win over the file.
        check_files: Whether the text files that `data` names must be there.

    Raises:
        ConfigError: lists every problem with its file and line, key path, what was found and what was expected.
    """
    path = Path(path)
    try:
        document = read_document(path)
    except Unreadable as error:
        raise config_error(str(path), [error.problem]) from None
    for number, override in enumerate(overrides):
        apply_override(document, override, number=number)
    checked = validate(document)
    config = checked.config
    problems = checked.problems
    if config is not None:
        if config.name is None:
            config = config.model_copy(update={"name": path.stem})
        problems = [*problems, *_contradictions(config, document, checked, check_files=check_files)]
    if problems or config is None:
        raise config_error(document.file, problems)
    for remark in remarks(config):
        logger.warning("%s: %s", path, remark)
    return config


def _contradictions(config: Config, document: Document, checked: Checked, *, check_files: bool) -> Iterator[Problem]:
    """Contradictions and missing files as problems, except those that follow from values that are wrong already."""
    found = list(contradictions(config))
    if check_files:
        found += missing_files(config, Path(document.file))
    for contradiction in found:
        if contradiction.switched_off and _overridden(document, contradiction.paths[1]):
            continue  # Whoever tries out another kind need not clear away the old one's options.
        if not any(_touches(path, broken) for path in contradiction.paths for broken in checked.broken):
            path, place = _locate(document, contradiction.paths)
            yield Problem(place, path, contradiction.text, contradiction.hint)


def _touches(path: KeyPath, broken: KeyPath) -> bool:
    shared = min(len(path), len(broken))
    return path[:shared] == broken[:shared]


def _overridden(document: Document, path: KeyPath) -> bool:
    """Whether the command line sets an option."""
    return path in document.places and document.places[path].override is not None


def _locate(document: Document, paths: tuple[KeyPath, ...]) -> tuple[KeyPath, Place]:
    """Which of the options to point at: one set on the command line, else the first that the file sets."""
    written = [path for path in paths if path in document.places]
    overridden = [path for path in written if _overridden(document, path)]
    path = (overridden or written or list(paths))[0]
    return path, document.place(path)
