"""Paths in a configuration: `~` and variables are replaced, and input files are looked for in two folders.

A relative path of an input file is looked for in the current folder first, then in the folder of the file that contains
it. If both folders have such a file, the path is refused. On the command line a path is relative to the current folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from nmt.config.introspection import find
from nmt.config.problems import KeyPath, Place, Problem, show
from nmt.config.yaml_document import YamlDocument

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


class UnsetVariableError(Exception):
    """A path contains an environment variable that is not set or empty."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the environment variable {name} is not set")
        self.hint = f"set {name}, or write the path without it"


def expand(path: str) -> str:
    """Replace `~` at the start of a path and the environment variables `$NAME` and `${NAME}`.

    A file whose name contains such a text is found if the variable is not set.

    Raises:
        UnsetVariableError: A variable is not set or empty, and no file has the literal name.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not os.environ.get(name):
            raise UnsetVariableError(name)
        return os.environ[name]

    try:
        return _VARIABLE.sub(value, os.path.expanduser(path))
    except UnsetVariableError:
        if _exists(path):
            return path
        raise


def plain_path(path: Path) -> str:
    """Return the path without `x/..`, if that leads to the same file."""
    plain = os.path.normpath(path)
    return str(path) if _exists(path) and not _same(path, plain) else plain


def search_folder(place: Place) -> Path | None:
    """Return the folder in which a path of this place is looked for besides the current one; None if there is none."""
    folder = Path(place.file).parent
    return None if place.override is not None or _same(folder, Path()) else folder


def resolve_paths(document: YamlDocument) -> dict[KeyPath, str]:
    """Replace the paths in a document by paths that can be opened from the current folder.

    Problems are recorded in the document.

    Returns:
        The options whose files were found in the folder of the configuration, with that folder.
    """
    found: dict[KeyPath, str] = {}
    for path in list(document.places):
        option = find(path)
        container, value = _value_at(document.data, path)
        if option is None or option.path is None or not isinstance(value, str) or not value.strip():
            continue
        place = document.places[path]
        try:
            resolved = expand(value)
        except UnsetVariableError as error:
            document.problems.append(Problem(place, path, str(error), error.hint))
            document.unread.add(path)
            continue
        folder = search_folder(place) if option.path == "input" else None
        beside = None if folder is None or os.path.isabs(resolved) else plain_path(folder / resolved)
        if beside is not None and _exists(beside):
            if not _exists(resolved):
                resolved, found[path] = beside, str(folder)
            elif not _same(resolved, beside):
                text = f"two files fit {show(value)}: {show(os.path.normpath(resolved))} and {show(beside)}"
                hint = f"write an absolute path. The first file is $PWD/{os.path.normpath(resolved)}"
                document.problems.append(Problem(place, path, text, hint))
        container[path[-1]] = resolved
    return found


def _value_at(data: Any, path: KeyPath) -> tuple[Any, Any]:
    """Return the value at a key path and its container. Both are None if there is no such value."""
    container, value = None, data
    for part in path:
        try:
            container, value = value, value[part]
        except (KeyError, IndexError, TypeError):
            return None, None
    return container, value


def _exists(path: str | Path) -> bool:
    try:
        return os.path.exists(path)
    except ValueError:  # a NUL character or half a surrogate pair
        return False


def _same(first: str | Path, second: str | Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False
