"""Overrides: options on the command line as `key.path=value`, which replace those of the file."""

from __future__ import annotations

import dataclasses
from typing import Any

from nmt.config.introspection import find
from nmt.config.problems import ConfigSyntaxError, KeyPath, Place, Problem, dotted
from nmt.config.yaml_document import MAX_DEPTH, YamlDocument, read_value


def names_base(override: str) -> bool:
    """Whether an override sets `base`, which is needed before the other options are read."""
    return override.partition("=")[0].strip().split(".")[0] == "base"


def apply_override(document: YamlDocument, override: str, *, number: int) -> None:
    """Apply an override to `document`, or record in it what is wrong with the override.

    The value is parsed as YAML. Sections that the file does not have are added. A number selects an entry of a list,
    and the number after the last one adds an entry.

    Args:
        document: the document.
        override: the text `key.path=value`.
        number: the position among several overrides, for the order of messages.
    """
    place = Place(document.file, number, override)
    name, equals, text = override.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts) or len(parts) > MAX_DEPTH:
        hint = "write an option and its value, such as training.max_epochs=10"
        document.problems.append(Problem(place, (), "expected key.path=value", hint))
        return
    try:
        value = read_value(text, place)
        container, path = _make_way(document, parts, place)
    except ConfigSyntaxError as error:
        document.problems.append(error.problem)
        return
    container[path[-1]] = value.data["value"]
    for old in [old for old in document.places if old[: len(path)] == path]:
        del document.places[old]
    document.places.update({(*path, *inner): place for inner in ((), *value.places)})
    document.problems += [dataclasses.replace(problem, path=(*path, *problem.path)) for problem in value.problems]
    document.unread |= {(*path, *inner) for inner in value.unread}


def _make_way(document: YamlDocument, parts: list[str], place: Place) -> tuple[Any, KeyPath]:
    """Return the section or list that contains the value, and the path of the value. Add what is missing."""
    container: Any = document.data
    path: KeyPath = ()
    for depth, part in enumerate(parts):
        where = dotted(path)
        if isinstance(container, list):
            index = _index(container, part, where, place)
            path = (*path, index)
            if index == len(container):
                container.append(None)
        elif isinstance(container, dict):
            path = (*path, part)
            container.setdefault(part, None)
        else:
            message = f"{where} is a single value, it has no {part}"
            raise ConfigSyntaxError(place, message, f"write {where}=... to change it", path)
        if depth < len(parts) - 1:
            if container[path[-1]] is None:
                option = find(path)
                container[path[-1]] = [] if option is not None and option.kind is list else {}
                document.places[path] = place
            container = container[path[-1]]
    return container, path


def _index(entries: list[Any], part: str, where: str, place: Place) -> int:
    if not (part.isascii() and part.isdecimal()):
        hint = f"such as {where}.0 for its first entry"
        raise ConfigSyntaxError(place, f"{where} is a list, expected a number after it", hint)
    index = int(part[:9])
    if index > len(entries):
        available = f"entries 0 to {len(entries) - 1}" if entries else "no entries yet"
        raise ConfigSyntaxError(place, f"{where} has {available}", f"{where}.{len(entries)} adds one")
    return index
