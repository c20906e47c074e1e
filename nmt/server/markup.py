"""Translates HTML and XML: only the text changes, tags stay byte for byte and in a valid order.

The text between block elements is a line. Inline tags in a line become numbered tags (`<1>`), which translation
protects, and are put back by their number. Everything that comes from the model is escaped, so a translation never
adds a tag, a script or an attribute. Attributes are not translated.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

TOKENS = re.compile(
    r"(?P<comment><!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<[!?][^>]*(?:>|\Z))"
    r"|(?P<tag></?[A-Za-z](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>)",
    re.DOTALL,
)
TAG_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


RAW = _names("script style textarea code pre kbd samp var svg math template noscript iframe object")
"""Elements whose content is not translated."""
RAW_TEXT = _names("script style textarea")
"""Elements whose content has no tags."""
INLINE = _names(
    "a abbr acronym b bdi bdo big cite del dfn em font g i img ins kbd label mark q ruby rt rp s small span strike "
    "strong sub sup tt u wbr x code samp var time data bpt ept ph it"
)
"""Elements inside a sentence. All others end it."""
VOID = _names("area base br col embed hr img input link meta param source track wbr")
NOT_TRANSLATED = re.compile(r"\stranslate\s*=\s*[\"']?no\b|\sclass\s*=\s*[\"'][^\"']*\bnotranslate\b", re.IGNORECASE)
PLACEHOLDER = re.compile(r"<([0-9]{1,4})>")
SPACES = re.compile(r"\s+")

TextTranslator = Callable[[Sequence[str]], Sequence[str]]


class _Segment(NamedTuple):
    """A part of the markup that is translated as one line."""

    start: int
    end: int
    line: str
    """Its text with numbered tags, unescaped."""
    tags: dict[str, str]
    """The markup of each numbered tag."""


class Markup:
    """A document or fragment of HTML or XML."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._segments = list(_segments(text))

    @property
    def lines(self) -> list[str]:
        """The lines to translate. Numbered tags must be protected."""
        return [segment.line for segment in self._segments]

    def fill(self, translations: Sequence[str]) -> str:
        """Return the markup with the translation of each of `lines`.

        A line whose translation lacks a tag, or has one twice, stays as it is.
        """
        parts, end = [], 0
        for segment, translation in zip(self._segments, translations, strict=True):
            parts.append(self._text[end : segment.start])
            filled = _fill(segment, translation)
            parts.append(self._text[segment.start : segment.end] if filled is None else filled)
            end = segment.end
        return "".join([*parts, self._text[end:]])


def _fill(segment: _Segment, translation: str) -> str | None:
    """Return the markup of a translated line; None if its tags cannot be put back."""
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for match in PLACEHOLDER.finditer(translation):
        if match[0] not in segment.tags:
            continue
        parts += [_escape(translation[end : match.start()]), match[0]]
        places.append(len(parts) - 1)
        end = match.end()
    parts.append(_escape(translation[end:]))
    found = [parts[place] for place in places]
    if sorted(found) != sorted(segment.tags):
        return None
    if not _is_nested([segment.tags[name] for name in found]):
        found = list(segment.tags)  # in the order of the source, which is as valid as it was
    for place, name in zip(places, found, strict=True):
        parts[place] = segment.tags[name]
    return "".join(parts)


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _is_nested(tags: Sequence[str]) -> bool:
    """Return whether each closing tag closes the last open one."""
    opened: list[str] = []
    for tag in tags:
        name = _name(tag)
        if tag.startswith("</"):
            if not opened or opened.pop() != name:
                return False
        elif not _is_complete(tag):
            opened.append(name)
    return not opened


def _is_complete(tag: str) -> bool:
    """Return whether the markup needs no closing tag: an empty element, a comment, or an element with its content."""
    return tag.endswith("/>") or tag.startswith("<!") or "<" in tag[1:] or _name(tag) in VOID


def _name(tag: str) -> str:
    match = TAG_NAME.match(tag)
    return match[1].lower() if match else ""


def _segments(text: str) -> Iterator[_Segment]:
    """Yield the parts that are translated, without the space around them."""
    start = 0
    pieces: list[tuple[int, int]] = []  # spans of the inline tags of the current segment
    for begin, end, inline in _boundaries(text):
        if inline:
            pieces.append((begin, end))
            continue
        yield from _segment(text, start, begin, pieces)
        start, pieces = end, []
    yield from _segment(text, start, len(text), pieces)


def _boundaries(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield the spans that are not text, and whether each is inside a sentence."""
    position = 0
    while (match := TOKENS.search(text, position)) is not None:
        begin, position = match.span()
        if match["comment"] is not None:
            yield begin, position, match[0].startswith("<!--")
            continue
        name = _name(match[0])
        inline = name in INLINE
        opening = not match[0].startswith("</") and not match[0].endswith("/>") and name not in VOID
        if opening and (name in RAW or NOT_TRANSLATED.search(match[0])):
            position = _end_of_element(text, position, name)
        yield begin, position, inline


def _end_of_element(text: str, position: int, name: str) -> int:
    """Return where the element ends whose opening tag ends at `position`; the end of the text if it is not closed."""
    pattern = re.compile(rf"<(/?){re.escape(name)}(?=[\s/>])[^<>]*>", re.IGNORECASE)
    depth = 1
    for match in pattern.finditer(text, position):
        if match[1]:
            depth -= 1
        elif name not in RAW_TEXT and not match[0].endswith("/>"):
            depth += 1
        if depth == 0:
            return match.end()
    return len(text)


def _segment(text: str, start: int, end: int, inline: Sequence[tuple[int, int]]) -> Iterator[_Segment]:
    """Yield the segment between two boundaries, if it has text. Tags and spaces at its ends do not belong to it."""
    spans = list(inline)
    start, spans = _trim_start(text, start, end, spans)
    end, spans = _trim_end(text, start, end, spans)
    if start >= end:
        return
    plain = [text[a:b] for a, b in zip([start, *(b for _, b in spans)], [*(a for a, _ in spans), end], strict=True)]
    if not any(re.search(r"\w", html.unescape(part)) for part in plain):
        return
    taken = set(PLACEHOLDER.findall(html.unescape(text[start:end])))
    numbers = (str(number) for number in range(1, 10_000) if str(number) not in taken)
    tags: dict[str, str] = {}
    line = [_plain(plain[0])]
    for (a, b), after in zip(spans, plain[1:], strict=True):
        placeholder = f"<{next(numbers)}>"
        tags[placeholder] = text[a:b]
        line += [placeholder, _plain(after)]
    yield _Segment(start, end, "".join(line), tags)


def _plain(text: str) -> str:
    """Return text as it is read: without references, with single spaces."""
    return SPACES.sub(" ", html.unescape(text))


def _trim_start(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> tuple[int, list[tuple[int, int]]]:
    """Move the start behind spaces, and behind tags that do not mark a part of the segment."""
    while True:
        while start < end and text[start].isspace():
            start += 1
        if spans and spans[0][0] == start and not _marks_text(text, spans):
            start, spans = spans[0][1], spans[1:]
        else:
            return start, spans


def _marks_text(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Return whether the first tag opens an element that ends within the segment, or is an element with content."""
    tag = text[slice(*spans[0])]
    if _is_complete(tag):
        return tag.startswith("<") and "<" in tag[1:] and not tag.startswith("<!")
    return any(text[slice(*span)].lower().startswith(f"</{_name(tag)}") for span in spans[1:])


def _trim_end(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> tuple[int, list[tuple[int, int]]]:
    """Move the end before spaces, and before tags that open nothing in the segment."""
    while True:
        while end > start and text[end - 1].isspace():
            end -= 1
        tag = text[slice(*spans[-1])] if spans and spans[-1][1] == end else "</"
        if tag.startswith("</") or (_is_complete(tag) and "<" in tag[1:] and not tag.startswith("<!")):
            return end, spans
        end, spans = spans[-1][0], spans[:-1]
