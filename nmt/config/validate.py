"""Validates a document against the schema and describes what is wrong in plain words."""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nmt.config.introspection import Option, find, meant_here, options_of, unknown_key_hint
from nmt.config.problems import START_HINT, KeyPath, Problem, show
from nmt.config.schema import Config, Section, WithBase

if TYPE_CHECKING:
    from nmt.config.yaml_document import YamlDocument

MAX_EXPLAINED = 100
"""Most problems of one document that get a hint."""


@dataclass(frozen=True)
class Checked:
    """The result of validation.

    Attributes:
        config: the configuration. Invalid values are replaced by defaults or placeholders, so that the rest can be
            checked too. None if that is not possible.
        problems: the problems.
        broken: the key paths of invalid or unknown options.
    """

    config: Config | None
    problems: list[Problem]
    broken: set[KeyPath]


def validate(document: YamlDocument) -> Checked:
    """Check names, types and limits of all options in a document, without converting any value."""
    broken = set(document.unread)
    try:
        return Checked(Config.model_validate(document.data, strict=True), list(document.problems), broken)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
    problems = list(document.problems)
    details.sort(key=lambda detail: document.place(detail["loc"]).line)
    for number, detail in enumerate(details):
        path = detail["loc"]
        may_be_in_base = document.incomplete and detail["type"] == "missing"
        explained = number < MAX_EXPLAINED
        if path not in broken and not may_be_in_base:
            problems.append(schema_problem(document, detail) if explained else _unexplained(document, detail))
        broken.add(path)
        if detail["type"] == "extra_forbidden" and explained:
            broken.update((*path[:-1], name) for name in meant_here(path))
    try:
        config = Config.model_validate(_repair(document.data, details), strict=True)
    except ValidationError:
        return Checked(None, problems, broken)
    return Checked(config, problems, broken)


def _unexplained(document: YamlDocument, detail: ErrorDetails) -> Problem:
    """Return a problem without a hint, because finding hints for thousands of problems takes minutes."""
    return Problem(document.place(detail["loc"]), detail["loc"], "not valid")


def schema_problem(document: YamlDocument, detail: ErrorDetails, *, root: type[Section] = WithBase) -> Problem:
    """Return what the schema refused as a problem with its place and a hint.

    Args:
        document: The document.
        detail: What pydantic found.
        root: The schema of the whole document.
    """
    path = detail["loc"]
    place = document.place(path)
    if detail["type"] == "extra_forbidden":
        return Problem(place, path, "unknown key", unknown_key_hint(path, root))
    option = find(path, root)
    assert option is not None, path
    if detail["type"] == "missing":
        hint = option.doc if option.section is None or root is not WithBase else START_HINT
        return Problem(place, path, f"missing, expected {option.expected}", hint)
    value = detail["input"]
    return Problem(place, path, f"found {show(value)}, expected {option.expected}", value_hint(option, value))


def refusal(name: str, option: Option, value: Any) -> str:
    """Return the error for a value that a command line or a function was given for one option.

    Args:
        name: the option as the user wrote it, such as `--beam-size`.
        option: the option in the schema.
        value: the value that the schema refuses.
    """
    hint = value_hint(option, value)
    text = f"{name}: found {show(value)}, expected {option.expected_value}"
    return f"{text}\n    hint: {hint}" if hint else text


def value_hint(option: Option, value: Any) -> str | None:
    """Return a hint how to write the intended value, or what the option means."""
    if option.section is not None:
        if value is None:
            return "the section is empty: remove its name, or indent its options below it"
        for name, entry in options_of(option.section).items():
            if isinstance(value, str) and value in entry.choices:
                return f"write `{name}: {value}` on a line of its own below it, indented"
        return "write its options below it, indented, one per line"
    if option.item is not None:
        if isinstance(value, dict):
            return "start each entry with `- `"
        return None if value is None or isinstance(value, list) else f"put it in brackets: [{_plain(value)}]"
    if option.choices:
        return _choice_hint(option.choices, value)
    if option.kind is bool and not isinstance(value, (list, dict)):
        meaning = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false", "1": "true"}
        meant = meaning.get(str(value).lower(), "false" if value == 0 else "")
        return f"write {meant}" if meant else "write true or false, without quotes"
    if option.kind is str and not isinstance(value, (list, dict)):
        return "leave the line out" if value is None and option.nullable else f'put it in quotes: "{_plain(value)}"'
    if option.kind in (int, float):
        return _number_hint(option, value)
    return None


def _plain(value: Any) -> str:
    return show(value).strip('"') if value is not None else "..."


def _choice_hint(choices: Sequence[str], value: Any) -> str | None:
    if value in (None, False) and "none" in choices:
        return "write the word none"
    near = difflib.get_close_matches(str(value).lower().replace("-", "_"), choices, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else None


def _number_hint(option: Option, value: Any) -> str | None:
    """Return a hint with the intended number: without quotes, separators or a fraction of 0."""
    if isinstance(value, str):
        text = value.strip().replace("_", "").replace(" ", "")
        for candidate in (text, text.replace(",", "."), text.replace(",", "")):
            try:
                number = float(candidate)
            except ValueError:
                continue
            if math.isfinite(number) and (option.kind is float or number.is_integer()):
                return f"write {int(number) if number.is_integer() else candidate} without quotes or separators"
        return None
    if isinstance(value, float) and option.kind is int and value.is_integer() and abs(value) < 2**31:
        return f"write {int(value)}"
    if isinstance(value, (int, float)) and value >= 2**31:
        return "the largest number is 2147483647"
    if value is None and not option.nullable:
        return f"leave the line out for the default, {option.default:g}"
    return option.doc or None


def _repair(data: dict[str, Any], details: Sequence[ErrorDetails]) -> dict[str, Any]:
    """Return a copy of `data` in which invalid values are removed or replaced by placeholders."""
    data = copy.deepcopy(data)
    for detail in details:
        path = detail["loc"]
        option = find(path)
        while option is not None and isinstance(path[-1], int) and option.section is None:
            path = path[:-1]
            option = find(path)
        container: Any = data
        for part in path[:-1]:
            try:
                container = container[part]
            except (KeyError, IndexError, TypeError):
                container = None
        if not isinstance(container, (dict, list)):
            continue
        if option is not None and (option.required or isinstance(path[-1], int)):
            container[path[-1]] = _placeholder(option)  # type: ignore[index]
        elif isinstance(container, dict):
            container.pop(path[-1], None)
    return data


def _placeholder(option: Option) -> Any:
    """Return a value that the schema accepts, so that the other options can be checked."""
    if option.section is not None:
        return {name: _placeholder(entry) for name, entry in options_of(option.section).items() if entry.required}
    if option.item is not None:
        return [_placeholder(option.item)]
    return "xx"
