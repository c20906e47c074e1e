"""`base: FILE`: a configuration that says only what differs from another one.

Sections are merged option by option, and the file's own options win. Everything else, lists too, is taken or replaced
as a whole. A base may have a base of its own. The name of a run is its file's and not inherited. `base: low-resource`
is the recipe of that name.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from pathlib import Path
from typing import Any

from nmt.config.problems import ConfigSyntaxError, KeyPath, Place, Problem, show
from nmt.config.yaml_document import YamlDocument, read_document, similar_file

BASE: KeyPath = ("base",)
NOT_INHERITED = ("base", "name")


def apply_inheritance(document: YamlDocument) -> None:
    """Add what a configuration leaves to its base, then what that one leaves to its own, and so on.

    Problems go to those of the document; if one of them keeps a base from being read, it is `incomplete`.
    """
    files, layer = [document.file], document
    try:
        while (named := _named_base(layer)) is not None:
            file, place = named
            layer = _read_base(file, place, files)
            files.append(file)
            _fill(document, layer)
        document.incomplete |= layer.incomplete
    except ConfigSyntaxError as error:
        document.problems.append(error.problem)
        document.incomplete = True
    document.bases = files[1:]
    document.data.pop("base", None)


def _named_base(layer: YamlDocument) -> tuple[str, Place] | None:
    """The path of the file that a layer names as its base, and where it does; None if there is none.

    Raises:
        Unreadable: it is no path.
    """
    value, place = layer.data.get("base"), layer.place(BASE)
    if BASE in layer.unread:
        layer.incomplete = True  # what is wrong with it has been noted
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        hint = "name one file; it may have a base of its own" if isinstance(value, list) else "leave it out for none"
        raise ConfigSyntaxError(place, f"found {show(value)}, expected the path of a configuration file", hint, BASE)
    recipe = recipe_file(value)
    if recipe is not None:
        return str(recipe), place
    return _plain(Path(value) if place.override is not None else Path(layer.file).parent / value), place


def _plain(path: Path) -> str:
    """The path without `x/..`, where that leads to the same file."""
    plain = os.path.normpath(path)
    if os.path.exists(path) and not (os.path.exists(plain) and os.path.samefile(path, plain)):
        return str(path)
    return plain


def _read_base(file: str, place: Place, files: list[str]) -> YamlDocument:
    """Read the next file of a chain; `place` names it, and `files` are those before it.

    Raises:
        Unreadable: it is one of those, or cannot be read.
    """
    if os.path.exists(file) and any(os.path.samefile(file, other) for other in files):
        message = f"goes in a circle: {', '.join([*files, file])}"
        raise ConfigSyntaxError(place, message, "remove it here, or name a file that does not rest on this one", BASE)
    depth = len(files)
    try:
        layer = read_document(Path(file))
    except ConfigSyntaxError as error:
        raise _explained(error.problem, file, place, depth) from None
    except ValueError:  # such as half a surrogate pair
        raise ConfigSyntaxError(place, f"{show(file)} cannot be a path", "write the path of a file", BASE) from None
    layer.places = {path: dataclasses.replace(found, depth=depth) for path, found in layer.places.items()}
    layer.problems = [
        dataclasses.replace(problem, place=dataclasses.replace(problem.place, depth=depth))
        for problem in layer.problems
    ]
    return layer


def _explained(problem: Problem, file: str, place: Place, depth: int) -> ConfigSyntaxError:
    """What keeps a base from being read: told at its own line, if there is one, else where it is named."""
    if problem.place.line:
        where = dataclasses.replace(problem.place, depth=depth)
        return ConfigSyntaxError(where, problem.text, problem.hint, problem.path)
    return ConfigSyntaxError(place, f"{problem.text}: {file}", _path_hint(file, place), BASE)


def _path_hint(file: str, place: Place) -> str:
    """What to write instead of a path that leads nowhere."""
    here = os.path.dirname(place.file) or "."
    overridden = place.override is not None
    inside = os.path.relpath(file, os.curdir if overridden else here)
    elsewhere = os.path.join(here if overridden else os.curdir, inside)
    origin = "the current folder" if overridden else f"the folder of {place.file}"
    if os.path.isfile(elsewhere):
        found: str | None = elsewhere
    elif recipes := difflib.get_close_matches(Path(file).name.removesuffix(".yaml"), recipe_names(), n=1, cutoff=0.8):
        return f"did you mean the recipe {recipes[0]}? Recipes are named without a path: {', '.join(recipe_names())}"
    else:
        near = similar_file(Path(file, "*.yaml") if os.path.isdir(file) else Path(file))
        found = str(near) if near is not None else None
    if found is None:
        return f"paths of bases are relative to {origin}"
    written = os.path.normpath(found) if overridden else os.path.relpath(found, here)
    return f"did you mean {written}? It is relative to {origin}"


def _fill(document: YamlDocument, layer: YamlDocument) -> None:
    """Add to `document` all options of `layer` that it does not have."""
    offered = {key: value for key, value in layer.data.items() if key not in NOT_INHERITED}
    taken = set(_take(document.data, offered, ()))

    def is_taken(path: KeyPath) -> bool:
        return any(path[:size] in taken for size in range(1, len(path) + 1))

    document.places.update({path: place for path, place in layer.places.items() if is_taken(path)})
    document.unread |= {path for path in layer.unread if is_taken(path)}
    document.problems += layer.problems


def _take(upper: dict[str, Any], lower: dict[str, Any], path: KeyPath) -> list[KeyPath]:
    """Put what only `lower` has into `upper`; return the key paths of all that."""
    taken: list[KeyPath] = []
    for key, value in lower.items():
        inner = (*path, key)
        if key not in upper:
            upper[key] = value
            taken.append(inner)
        elif isinstance(value, dict) and isinstance(upper[key], dict):
            taken += _take(upper[key], value, inner)
    return taken


PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "recipes", PACKAGE.parent / "configs" / "recipes")
"""Where recipes are; the second is for a checkout on a system without symbolic links."""


def recipe_names() -> list[str]:
    """The names of all recipes, in alphabetical order."""
    return sorted(file.stem for file in _folder().glob("*.yaml"))


def recipe_file(name: str) -> Path | None:
    """The file of the recipe of this name; None if there is none."""
    return _folder() / f"{name}.yaml" if name in recipe_names() else None


def _folder() -> Path:
    return next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
