"""XML elements with their places in the text, read with expat.

Libraries that build trees write another text than they have read: quotes, entities, declarations and white space
change. Here the parser only reports places, and the caller replaces parts of the original text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from nmt.errors import DataError
from nmt.inference.documents.text import EncodedText, decode

TAG = re.compile(r"""<[^\s<>/=]+(?:\s+[^\s<>=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")
ATTRIBUTE = re.compile(r"""(\s+([^\s<>=]+)\s*=\s*)(?:"[^"]*"|'[^']*')""")
DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


@dataclass
class Element:
    """An element. Offsets count characters of the text.

    Attributes:
        tag: Its name with the prefix of the namespace.
        attributes: Names with prefixes, and values.
        parent: The element around it; None for the root.
        line: Line number from 1.
        start: Where the start tag begins.
        content_start: Where the start tag ends.
        content_end: Where the end tag begins. Equal to `content_start` in an empty-element tag.
        end: Where the end tag ends.
        children: Elements and texts inside. Only elements in units have them.
    """

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    line: int
    start: int
    content_start: int
    content_end: int = 0
    end: int = 0
    children: list[Element | str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name without the prefix."""
        return self.tag.rpartition(":")[2]

    @property
    def prefix(self) -> str:
        """The prefix of the namespace with its colon; empty if there is none."""
        return self.tag[: len(self.tag) - len(self.name)]

    def find(self, name: str) -> Element | None:
        """Return the first child element of this name."""
        return next((child for child in self.elements() if child.name == name), None)

    def elements(self) -> list[Element]:
        """Return the child elements."""
        return [child for child in self.children if isinstance(child, Element)]

    def inherited(self, name: str) -> str | None:
        """Return the value of an attribute of this element, or of the nearest element around it that has one."""
        if name in self.attributes or self.parent is None:
            return self.attributes.get(name)
        return self.parent.inherited(name)

    def text(self) -> str:
        """Return all text inside."""
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)


def start_tag(element: Element, document: str, attributes: Mapping[str, str]) -> str:
    """Return the start tag of an element with attributes changed or added. The rest of the tag stays as it is.

    Args:
        element: The element.
        document: The text of the document.
        attributes: Names, and values that need no escape.
    """
    tag = document[element.start : element.content_start]
    end = len(tag.removesuffix(">").removesuffix("/").rstrip())
    added = "".join(f' {name}="{value}"' for name, value in attributes.items() if name not in element.attributes)

    def change(match: re.Match[str]) -> str:
        return f'{match[1]}"{attributes[match[2]]}"' if match[2] in attributes else match[0]

    return ATTRIBUTE.sub(change, tag[:end]) + added + tag[end:]


def read_xml(data: bytes, *, name: str, encoding: str | None) -> EncodedText:
    """Decode an XML file by its byte order mark or declaration; see `decode`."""
    declared: str | None = None
    if data.startswith((b"<\0", b"\0<")):
        declared = "utf-16-le" if data.startswith(b"<") else "utf-16-be"
    elif match := DECLARED.match(data.removeprefix(b"\xef\xbb\xbf")):
        declared = match[1].decode()
    return decode(data, name=name, declared=declared, encoding=encoding)


def parse_units(text: str, names: frozenset[str], *, name: str) -> tuple[Element, list[Element]]:
    """Return the root of a document without its content, and the units in it with theirs.

    Args:
        text: The document.
        names: Names of elements that are units. Units inside of units are part of these.
        name: The file, for messages.

    Raises:
        DataError: The text is not well-formed XML.
    """
    builder = _TreeBuilder(text, names, name)
    run_parser(builder.parser, text, name)
    assert builder.root is not None  # a well-formed document has one
    return builder.root, builder.units


def run_parser(parser: expat.XMLParserType, text: str, name: str) -> None:
    """Parse a text that is decoded already, so that offsets are those of its UTF-8 form.

    Raises:
        DataError: The text is not well-formed XML.
    """
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise DataError(
            f"{name}, line {error.lineno}, column {error.offset + 1}: broken XML ({reason}). Correct the file."
        ) from None


class _TreeBuilder:
    """Handlers of expat that build the elements."""

    def __init__(self, text: str, names: frozenset[str], name: str) -> None:
        self.root: Element | None = None
        self.units: list[Element] = []
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.SkippedEntityHandler = self._skipped
        self._text, self._bytes = text, text.encode()
        self._names, self._name = names, name
        self._byte = self._character = self._depth = 0
        self._open: Element | None = None

    def _offset(self) -> int:
        """Return the place of the current event in characters. Events come in the order of the text."""
        index = self.parser.CurrentByteIndex
        self._character += len(self._bytes[self._byte : index].decode())
        self._byte = index
        return self._character

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        start = self._offset()
        match = TAG.match(self._text, start)
        if match is None:
            raise DataError(f"{self._name}, line {self._line()}: <{tag}> comes from an entity. Write it out.")
        element = Element(tag, attributes, self._open, self._line(), start, match.end())
        if self._depth and self._open is not None:
            self._open.children.append(element)
        elif element.name in self._names:
            self.units.append(element)
        if self._depth or element.name in self._names:
            self._depth += 1
        self.root = self.root or element
        self._open = element

    def _end(self, tag: str) -> None:
        element = self._open
        assert element is not None
        if self._text[element.content_start - 2] == "/":
            element.content_end = element.end = element.content_start
        else:
            element.content_end = self._offset()
            element.end = self._text.index(">", element.content_end) + 1
        self._depth = max(0, self._depth - 1)
        self._open = element.parent

    def _characters(self, data: str) -> None:
        if self._depth and self._open is not None:
            self._open.children.append(data)

    def _skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:
            raise DataError(f"{self._name}, line {self._line()}: the file does not declare the entity {name!r}.")

    def _line(self) -> int:
        return self.parser.CurrentLineNumber


def structure(text: str, is_target: Callable[[list[str], dict[str, str]], bool], *, name: str) -> list[object]:
    """Return the elements, attributes and texts of a document without its translations, to compare two of them.

    Args:
        text: The document.
        is_target: Whether an element is a translation, from the names of the elements around it and its own name last,
            and its attributes.
        name: The file, for messages.
    """
    found: list[object] = []
    path: list[str] = []
    hidden = 0
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal hidden
        path.append(tag.rpartition(":")[2])
        if hidden or is_target(path, attributes):
            hidden += 1
        else:
            found.append((tag, attributes))

    def end(tag: str) -> None:
        nonlocal hidden
        path.pop()
        if hidden:
            hidden -= 1
        else:
            found.append(tag)

    def characters(data: str) -> None:
        if not hidden and data.strip():
            found.append(data.strip())

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    run_parser(parser, text, name)
    return found
