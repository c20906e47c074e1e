"""Inheritance with `base: FILE`: a configuration that contains only the differences from another one.

Sections are merged option by option, and the options of the file replace those of its base. Lists are replaced as a
whole. A base may have a base. The name of a run is not inherited. `base: low-resource` is the recipe of that name.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from pathlib import Path
from typing import Any

from nmt.config.paths import PathError, expand, plain_path
from nmt.config.problems import ConfigSyntaxError, KeyPath, Place, Problem, show
from nmt.config.yaml_document import YamlDocument, read_document, similar_file

BASE: KeyPath = ("base",)
NOT_INHERITED = ("base", "name")


def apply_inheritance(document: YamlDocument) -> None:
    """Add the options of the base to a configuration, then those of the base of the base, and so on.

    Problems are recorded in the document. If a base cannot be read, the document is `incomplete`.
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
    """Return the path of the base of a layer and the place of the option, or None without a base.

    Raises:
        ConfigSyntaxError: the value is not a path.
    """
    value, place = layer.data.get("base"), layer.place(BASE)
    if BASE in layer.unread:
        layer.incomplete = True  # the problem has been recorded
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        hint = "write one file, which may have a base too" if isinstance(value, list) else "leave it out"
        raise ConfigSyntaxError(place, f"found {show(value)}, expected the path of a configuration file", hint, BASE)
    recipe = recipe_file(value)
    if recipe is not None:
        return str(recipe), place
    try:
        value = expand(value)
    except PathError as error:
        raise ConfigSyntaxError(place, str(error), error.hint, BASE) from None
    return plain_path(Path(value) if place.override is not None else Path(layer.file).parent / value), place


def _read_base(file: str, place: Place, files: list[str]) -> YamlDocument:
    """Read the next file of a chain of bases.

    Args:
        file: the file.
        place: the place of the option that names it.
        files: the files before it.

    Raises:
        ConfigSyntaxError: the file is among those before it, or cannot be read.
    """
    if os.path.exists(file) and any(os.path.samefile(file, other) for other in files):
        message = f"circular bases: {', '.join([*files, file])}"
        raise ConfigSyntaxError(place, message, "remove it here, or choose another base", BASE)
    depth = len(files)
    try:
        layer = read_document(Path(file))
    except ConfigSyntaxError as error:
        raise _explained(error.problem, file, place, depth) from None
    except ValueError:  # such as half a surrogate pair
        raise ConfigSyntaxError(place, f"{show(file)} cannot be a path", "write the path of a file", BASE) from None
    layer.places = {path: dataclasses.replace(origin, depth=depth) for path, origin in layer.places.items()}
    layer.problems = [
        dataclasses.replace(problem, place=dataclasses.replace(problem.place, depth=depth))
        for problem in layer.problems
    ]
    return layer


def _explained(problem: Problem, file: str, place: Place, depth: int) -> ConfigSyntaxError:
    """Return the error for an unreadable base, at its own line if there is one, or else where the base is named."""
    if problem.place.line:
        where = dataclasses.replace(problem.place, depth=depth)
        return ConfigSyntaxError(where, problem.text, problem.hint, problem.path)
    return ConfigSyntaxError(place, f"{problem.text}: {file}", _path_hint(file, place), BASE)


def _path_hint(file: str, place: Place) -> str:
    """Return a hint for the path of a file that does not exist."""
    here = os.path.dirname(place.file) or "."
    overridden = place.override is not None
    inside = os.path.relpath(file, os.curdir if overridden else here)
    elsewhere = os.path.join(here if overridden else os.curdir, inside)
    origin = "the current folder" if overridden else f"the folder of {place.file}"
    if os.path.isfile(elsewhere):
        existing: str | None = elsewhere
    elif recipes := difflib.get_close_matches(Path(file).name.removesuffix(".yaml"), recipe_names(), n=1, cutoff=0.8):
        return f"did you mean the recipe {recipes[0]}? Recipes are named without a path: {', '.join(recipe_names())}"
    else:
        near = similar_file(Path(file, "*.yaml") if os.path.isdir(file) else Path(file))
        existing = str(near) if near is not None else None
    if existing is None:
        return f"paths of bases are relative to {origin}"
    written = os.path.normpath(existing) if overridden else os.path.relpath(existing, here)
    return f"did you mean {written}? It is relative to {origin}"


def _fill(document: YamlDocument, layer: YamlDocument) -> None:
    """Add to `document` all options of `layer` that it does not set."""
    offered = {key: value for key, value in layer.data.items() if key not in NOT_INHERITED}
    taken = set(_take(document.data, offered, ()))

    def is_taken(path: KeyPath) -> bool:
        return any(path[:size] in taken for size in range(1, len(path) + 1))

    document.places.update({path: place for path, place in layer.places.items() if is_taken(path)})
    document.unread |= {path for path in layer.unread if is_taken(path)}
    document.problems += layer.problems


def _take(upper: dict[str, Any], lower: dict[str, Any], path: KeyPath) -> list[KeyPath]:
    """Copy the options that only `lower` has into `upper`. Return their key paths."""
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
"""Folders of the recipes. The second one is for a checkout on a system without symbolic links."""


def recipe_names() -> list[str]:
    """Return the names of all recipes, in alphabetical order."""
    return sorted(file.stem for file in _folder().glob("*.yaml"))


def recipe_file(name: str) -> Path | None:
    """Return the file of a recipe, or None if no recipe has this name."""
    return _folder() / f"{name}.yaml" if name in recipe_names() else None


def recipe_name(file: str) -> str | None:
    """Return the name of the recipe in a file, or None if the file is not the one of `recipe_file`."""
    return next((name for name in recipe_names() if str(recipe_file(name)) == file), None)


def _folder() -> Path:
    return next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
