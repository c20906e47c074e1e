"""Reads YAML into plain values, with the line of each value.

The rules are those of the core schema of YAML 1.2: `1e-4` is a number, and `no`, `on` and `yes` are text. Duplicate
keys, several documents and tags are errors. Anchors and aliases are supported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nmt.config.problems import START_HINT, ConfigSyntaxError, KeyPath, Place, Problem, config_error, shorten
from nmt.config.schema import MAX_CHARACTERS
from nmt.errors import DataError, UsageError
from nmt.small_files import read_small_file

MAX_VALUES = 20_000
"""Most values in a file, where each use of an alias counts."""
MAX_DEPTH = 32
"""Deepest nesting of sections and lists, also through aliases."""

NULL, BOOL, INT, FLOAT, STR = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str"))
CORE_SCALARS = {
    NULL: (re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    BOOL: (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    INT: (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), list("-+0123456789")),
    FLOAT: (
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        list("-+.0123456789"),
    ),
}
"""Types of plain scalars (YAML 1.2, section 10.3.2): the pattern and its possible first characters."""


def implicit_resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return `CORE_SCALARS` by first character, as PyYAML looks them up."""
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, (pattern, first_characters) in CORE_SCALARS.items():
        for character in first_characters:
            table.setdefault(character, []).append((tag, pattern))
    return table


class _LimitError(Exception):
    """YAML that is larger or nested deeper than a configuration."""

    def __init__(self, line: int, text: str, hint: str) -> None:
        super().__init__(text)
        self.line = line
        self.hint = hint


class CoreLoader(yaml.SafeLoader):
    """Loads YAML with the scalars of YAML 1.2. The number of nodes and their depth are limited."""

    yaml_implicit_resolvers = implicit_resolvers()

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._nodes = self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node.

        Raises:
            _LimitError: There are too many nodes, or they are nested too deeply.
        """
        self._nodes += 1
        self._depth += 1
        _check_size(self._nodes // 2, self._depth // 2, self.line + 1)  # keys are nodes too
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _check_size(values: int, depth: int, line: int) -> None:
    """Raise an error for more values or a deeper nesting than allowed."""
    if values > MAX_VALUES:
        raise _LimitError(line, f"more than {MAX_VALUES:,} values, where each use of an alias counts", "write less")
    if depth > MAX_DEPTH:
        raise _LimitError(line, f"nested more than {MAX_DEPTH} levels deep", "count the brackets")


@dataclass
class YamlDocument:
    """Plain values, their places, and the problems of the text.

    Attributes:
        file: the file.
        data: the values.
        places: the place of each value.
        problems: the problems.
        unread: key paths of values that could not be read. They are None in `data`.
        bases: the base files, the nearest first.
        incomplete: whether a base could not be read.
    """

    file: str
    data: dict[str, Any]
    places: dict[KeyPath, Place]
    problems: list[Problem] = field(default_factory=list)
    unread: set[KeyPath] = field(default_factory=set)
    bases: list[str] = field(default_factory=list)
    incomplete: bool = False

    def place(self, path: KeyPath) -> Place:
        """Return the place of the value at `path`, or of the nearest section around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.file, 1))

    def remove(self, path: KeyPath) -> None:
        """Remove the value at `path`, which contains keys of sections only."""
        section = self.data
        for part in path[:-1]:
            section = section[str(part)]
        del section[str(path[-1])], self.places[path]


def read_document(path: Path, *, start_hint: str = START_HINT) -> YamlDocument:
    """Read a YAML file with sections.

    Args:
        path: A configuration, or another file of the kind.
        start_hint: Where a user finds a file to begin with.

    Raises:
        ConfigSyntaxError: the file cannot be read, is not UTF-8, is not YAML, or has no sections.
    """
    text = _read_text(path, start_hint)
    file = str(path)
    if len(text) > MAX_CHARACTERS:
        raise ConfigSyntaxError(
            Place(file), f"longer than {MAX_CHARACTERS:,} characters", "check that this is a configuration"
        )
    _refuse_tab_indentation(file, text)
    node = compose(text, Place(file, 1))
    if node is None:
        raise ConfigSyntaxError(Place(file), "the file is empty", start_hint)
    if not isinstance(node, yaml.MappingNode):
        found = "a list" if isinstance(node, yaml.SequenceNode) else f'the text "{shorten(str(node.value).strip())}"'
        raise ConfigSyntaxError(
            Place(file, node.start_mark.line + 1),
            f"found {found}, expected sections such as `data:`",
            start_hint,
        )
    builder = _Builder(file, place=None)
    data = builder.build(node, ())
    return YamlDocument(file, data, builder.places, builder.problems, builder.unread)


def read_values(path: Path) -> dict[str, Any]:
    """Return the plain values of a YAML file that a command wrote, such as the configuration of a run.

    Raises:
        ConfigError: the file cannot be read or is not YAML. The message has the first problem.
    """
    try:
        document = read_document(path)
    except ConfigSyntaxError as error:
        raise config_error(str(path), [error.problem]) from None
    if document.problems:
        raise config_error(str(path), document.problems[:1])
    return document.data


def read_value(text: str, place: Place) -> YamlDocument:
    """Read the value of an override. The result has it in `data` under the key "value", with the path ().

    Raises:
        ConfigSyntaxError: the text is not YAML.
    """
    node = compose(text, place)
    builder = _Builder(place.file, place=place)
    value = None if node is None else builder.build(node, ())
    return YamlDocument(place.file, {"value": value}, builder.places, builder.problems, builder.unread)


def parse_value(text: str) -> Any:
    """Return the value of an option that is written on one line, outside of a file.

    Raises:
        UsageError: the text is not YAML.
    """
    try:
        document = read_value(text, Place("", override=text))
        if document.problems:
            raise ConfigSyntaxError(document.problems[0].place, document.problems[0].text, None)
    except ConfigSyntaxError as error:
        raise UsageError(f"{shorten(text)} is not a valid value: {error.problem.text}.") from None
    return document.data["value"]


def read_number(text: str) -> int | float | str:
    """Return the number that a plain scalar is, or the text itself.

    Raises:
        ValueError: the number has more digits than Python converts.
    """
    if CORE_SCALARS[INT][0].match(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if CORE_SCALARS[FLOAT][0].match(text):
        return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    return text


def compose(text: str, place: Place) -> yaml.Node | None:
    """Parse one YAML document that starts at `place`.

    Raises:
        ConfigSyntaxError: a syntax error, with its line.
    """
    try:
        loader = CoreLoader(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = place.line if place.override else text.count("\n", 0, error.position) + 1
        character = ord(error.character) if isinstance(error.character, str) else error.character
        message = f"the character U+{character:04X} is not allowed in a YAML file"
        raise ConfigSyntaxError(
            Place(place.file, line, place.override), message, "remove this character, which may be invisible"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, place) from None
    except _LimitError as error:
        raise _limit_error(error, place.file, place.override) from None
    except RecursionError:
        raise ConfigSyntaxError(place, "nested too deeply", "count the brackets") from None


def _limit_error(error: _LimitError, file: str, override: str | None) -> ConfigSyntaxError:
    place = Place(file, error.line if override is None else 1, override)
    return ConfigSyntaxError(place, str(error), error.hint)


def _read_text(path: Path, start_hint: str) -> str:
    try:
        if path.is_dir():
            raise IsADirectoryError
        content = read_small_file(path)
    except DataError as error:
        raise ConfigSyntaxError(
            Place(str(path)), shorten(str(error).removeprefix(f"{path}: ").rstrip(".")), None
        ) from None
    except FileNotFoundError:
        raise ConfigSyntaxError(Place(str(path)), "no such file", _file_hint(path, start_hint)) from None
    except IsADirectoryError:
        raise ConfigSyntaxError(
            Place(str(path)), "a folder, expected a YAML file", _file_hint(path / "*.yaml", start_hint)
        ) from None
    except OSError as error:
        raise ConfigSyntaxError(
            Place(str(path)), f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigSyntaxError(
            Place(str(path)), "the file is UTF-16, expected UTF-8", "save it as UTF-8 in your editor"
        )
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 (byte 0x{content[error.start]:02x} in this line)"
        raise ConfigSyntaxError(Place(str(path), line), message, "save the file as UTF-8 in your editor") from None


def _file_hint(path: Path, start_hint: str) -> str:
    """Return a hint for a file that does not exist."""
    near = similar_file(path)
    return f"did you mean {near}?" if near else start_hint


def similar_file(path: Path) -> Path | None:
    """Return the configuration file in the same folder with the most similar name, or None."""
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6) or (sorted(names) if len(names) == 1 else [])
    return path.parent / near[0] if near else None


def _refuse_tab_indentation(file: str, text: str) -> None:
    """Raise an error for the first tab of indentation, if the text is not valid YAML."""
    for number, line in enumerate(text.split("\n"), 1):
        indentation = line[: len(line) - len(line.lstrip(" \t"))]
        if "\t" in indentation and line.strip() and not line.strip().startswith("#"):
            try:
                yaml.compose(text, Loader=CoreLoader)
            except _LimitError:
                return  # reported when the text is read
            except (yaml.YAMLError, RecursionError):
                message = "a tab before the text, expected spaces"
                raise ConfigSyntaxError(
                    Place(file, number), message, "YAML is indented with spaces only, two a level"
                ) from None
            return


SYNTAX_HINTS = {
    "'\\t'": "a tab. Write spaces: YAML does not allow tabs here",
    "that cannot start any token": 'put quotes around text that starts with this character: key: "..."',
    "mapping values are not allowed": "check the indentation of this line and the colons of the line before. "
    'Text that contains ": " requires quotes',
    "could not find expected ':'": "a key is followed by a colon and a space: `key: value`",
    "expected <block end>": "keys of one section start in the same column, entries of a list start with `- `",
    "expected '<document start>'": "remove the text after the line `...`, which ends a YAML file",
    "but found another document": "one file holds one configuration: remove the line `---` before the second",
    "undefined alias": 'put quotes around text that starts with `*`, which is the mark of an alias: "*..."',
    "unexpected end of stream": "a quote was opened and not closed",
    "expected ',' or": "a bracket was opened and not closed, or a comma is missing",
}


def _syntax_error(error: yaml.MarkedYAMLError, text: str, place: Place) -> ConfigSyntaxError:
    problem = error.problem or "it cannot be parsed"
    opened_before = any(part in problem for part in ("expected ',' or", "end of stream", "could not find expected ':'"))
    mark = (error.context_mark if opened_before else None) or error.problem_mark
    line = min(mark.line, text.count("\n")) + 1 if mark is not None and not place.override else place.line
    hint = next((hint for part, hint in SYNTAX_HINTS.items() if part in problem), None)
    if hint is None:
        hint = 'put quotes around text with special characters: key: "..."'
    return ConfigSyntaxError(Place(place.file, line, place.override), f"not valid YAML: {problem}", hint)


class _Builder:
    """Converts YAML nodes to plain values, and records places and problems."""

    def __init__(self, file: str, *, place: Place | None) -> None:
        self.file = file
        self.place = place
        self.places: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []
        self.unread: set[KeyPath] = set()
        self._count = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if id(node) in self._open:
            raise ConfigSyntaxError(self._place(node), "an alias that refers to itself", "write the values out")
        try:
            _check_size(self._count, len(path), node.start_mark.line + 1)
        except _LimitError as error:
            place = self._place(node)
            raise _limit_error(error, place.file, place.override) from None
        self.places.setdefault(path, self._place(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            assert isinstance(node, yaml.SequenceNode)
            self._check_tag(node, path, "tag:yaml.org,2002:seq")
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        self._check_tag(node, path, "tag:yaml.org,2002:map")
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(key_node, path, "a key that is not a plain word", "keys are words such as `data`")
                continue
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                self._report(key_node, path, "merge keys (`<<`) are not part of YAML 1.2", "write the options out")
                continue
            inner = (*path, key)
            if key in values:
                message = f"duplicate key, first on line {self.places[inner].line}"
                self._report(key_node, inner, message, "remove one of the two")
                continue
            self.places[inner] = self._place(key_node)
            values[key] = self.build(value_node, inner)
        return values

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = str(node.value)
        if node.tag == STR:
            return text
        if node.tag not in CORE_SCALARS or not CORE_SCALARS[node.tag][0].match(text):
            self.unread.add(path)
            self._report(
                node, path, f"the tag {node.tag} does not fit or is not known", "write plain values, without `!`"
            )
            return None
        if node.tag == NULL:
            return None
        if node.tag == BOOL:
            return text.lower() == "true"
        try:
            number = read_number(text)
            return float(number) if node.tag == FLOAT else number
        except ValueError:
            self.unread.add(path)
            self._report(node, path, f"a number of {len(text)} digits", "no option needs a number as long as this")
            return None

    def _check_tag(self, node: yaml.Node, path: KeyPath, expected: str) -> None:
        if node.tag != expected:
            self._report(node, path, f"the tag {node.tag} is not known", "write plain values, without `!`")

    def _place(self, node: yaml.Node) -> Place:
        return self.place or Place(self.file, node.start_mark.line + 1)

    def _report(self, node: yaml.Node, path: KeyPath, text: str, hint: str) -> None:
        self.problems.append(Problem(self._place(node), path, text, hint))
