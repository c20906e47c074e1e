"""Writes a configuration with all options, readable by `load_config`, and the JSON Schema of configurations."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from nmt.config.introspection import docstrings, options_of, sections
from nmt.config.problems import KeyPath, Place
from nmt.config.schema import Config, Section, WithBase
from nmt.config.yaml_document import implicit_resolvers
from nmt.terminal import UNSAFE

COMMENT_WIDTH = 100


def _cautious_resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return the rules of YAML 1.1 and YAML 1.2 for plain scalars that are not text."""
    old, new = yaml.SafeDumper.yaml_implicit_resolvers, implicit_resolvers()
    return {character: old.get(character, []) + new.get(character, []) for character in {*old, *new}}


class CautiousDumper(yaml.SafeDumper):
    """Quotes text that a reader of YAML 1.1 or 1.2 would not read as text, such as `no` and `1e-4`."""

    yaml_implicit_resolvers = _cautious_resolvers()


def _quote(dumper: CautiousDumper, text: str) -> yaml.ScalarNode:
    """Return a scalar on one line. Line breaks, and characters that a terminal shows as escapes, are in quotes."""
    style = '"' if "\n" in text or UNSAFE.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


CautiousDumper.add_representer(str, _quote)


def dump_yaml(config: Config, *, comments: bool = False, origins: Mapping[KeyPath, Place] | None = None) -> str:
    """Return all options with their values as YAML.

    Args:
        config: The configuration.
        comments: Whether to write the documentation of each option above it.
        origins: Places that are written behind the values.
    """
    return "\n".join(_lines(config, (), comments=comments, origins=origins or {})) + "\n"


def _lines(section: Section, path: KeyPath, *, comments: bool, origins: Mapping[KeyPath, Place]) -> Iterator[str]:
    margin = "  " * len(path)
    for name, option in options_of(type(section)).items():
        value, inner = getattr(section, name), (*path, name)
        if comments and option.doc:
            yield from textwrap.wrap(
                option.doc,
                COMMENT_WIDTH,
                initial_indent=f"{margin}# ",
                subsequent_indent=f"{margin}# ",
                break_on_hyphens=False,
            )
        if isinstance(value, Section):
            yield f"{margin}{name}:"
            yield from _lines(value, inner, comments=comments, origins=origins)
        elif isinstance(value, list) and value and isinstance(value[0], Section):
            yield f"{margin}{name}:"
            for index, entry in enumerate(value):
                first, *rest = _lines(entry, (*inner, index), comments=False, origins=origins)
                yield f"{margin}  - {first.lstrip(' ')}"
                yield from rest
        else:
            yield f"{margin}{name}: {one_line(value)}{_origin(origins.get(inner))}"


def _origin(place: Place | None) -> str:
    if place is None:
        return ""
    where = f"{place.file}:{place.line}" if place.override is None else "command line"
    return f" # {' '.join(where.split())}"


def one_line(value: Any) -> str:
    """Return a value as YAML on one line."""
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)  # the same in YAML, without the time of its library
    text: str = yaml.dump(value, Dumper=CautiousDumper, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration file, for editors that complete and check YAML.

    Required options may be missing in a file with a base.
    """
    schema = WithBase.model_json_schema()
    described: dict[type[Section], dict[str, Any]] = {kind: schema["$defs"][kind.__name__] for kind in sections()}
    for section, definition in (described | {WithBase: schema}).items():
        for name, text in docstrings(section).items():
            definition["properties"][name]["description"] = text
    data = schema["$defs"]["DataConfig"].pop("required")
    whole = {"required": schema.pop("required"), "properties": {"data": {"required": data}}}
    schema |= {"if": {"required": ["base"]}, "else": whole}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "nmt configuration"}
