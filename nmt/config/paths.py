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


class PathError(Exception):
    """A path that cannot be resolved: what is wrong, and a hint."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.hint = hint


def expand(path: str) -> str:
    """Replace `~` at the start of a path and the environment variables `$NAME` and `${NAME}`.

    A file whose name contains such a text is found if the variable is not set.

    Raises:
        PathError: A variable is not set or empty, and no file has the literal name.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not os.environ.get(name):
            hint = f"set {name}, or write the path without it"
            raise PathError(f"the environment variable {name} is not set", hint)
        return os.environ[name]

    try:
        return _VARIABLE.sub(value, os.path.expanduser(path))
    except PathError:
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


def resolve_input(path: str, place: Place) -> tuple[str, Path | None]:
    """Return the path of an input file from the current folder.

    Args:
        path: The path as written.
        place: Where it was written.

    Returns:
        The path, and the folder of the configuration if the file was found there.

    Raises:
        PathError: A variable is not set, or two files fit.
    """
    resolved, folder = expand(path), search_folder(place)
    if folder is None or os.path.isabs(resolved):
        return resolved, None
    beside = plain_path(folder / resolved)
    if not _exists(beside) or _same(resolved, beside):
        return resolved, None
    if not _exists(resolved):
        return beside, folder
    current = os.path.normpath(resolved)
    raise PathError(
        f"two files fit {show(path)}: {show(current)} and {show(beside)}",
        f"write an absolute path. The first file is $PWD/{current}",
    )


def resolve_paths(document: YamlDocument) -> dict[KeyPath, str]:
    """Replace the paths in a document by paths that can be opened from the current folder.

    Problems are recorded in the document.

    Returns:
        The options whose files were found in the folder of the configuration, with that folder.
    """
    found: dict[KeyPath, str] = {}
    for path, place in list(document.places.items()):
        option = find(path)
        container, value = _value_at(document.data, path)
        if option is None or option.path is None or not isinstance(value, str) or not value.strip():
            continue
        try:
            resolved, folder = resolve_input(value, place) if option.path == "input" else (expand(value), None)
        except PathError as error:
            document.problems.append(Problem(place, path, str(error), error.hint))
            document.unread.add(path)
            continue
        if folder is not None:
            found[path] = str(folder)
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
