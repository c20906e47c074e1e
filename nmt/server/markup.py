"""Translates HTML and XML: only the text changes, tags stay byte for byte and in a valid order.

The text between block elements is a line. Inline tags in a line become numbered tags (`<1>`), which translation
protects, and are put back by their number. Everything that comes from the model is escaped, so a translation never
adds a tag, a script or an attribute. Attributes are not translated.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

WS = r"\t\n\f\r "
ATTRIBUTE = rf"[^{WS}/>][^{WS}/>=]*(?:[{WS}]*=[{WS}]*(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|[^{WS}>\"'][^{WS}>]*|))?"
TOKENS = re.compile(
    rf"(?P<tag></?[A-Za-z][^{WS}/>]*(?:[{WS}/]|{ATTRIBUTE})*(?:>|\Z))"
    r"|(?P<comment><!--(?:-?>|.*?(?:--!?>|\Z))|<!\[CDATA\[.*?(?:\]\]>|\Z)|<[!?/][^>]*(?:>|\Z))",
    re.DOTALL,
)
"""Tags and comments as browsers read them (HTML standard, section 13.2.5), also those that never end.

Quotes, `<` and `/` may be parts of names and of values without quotes. CDATA sections end as in XML.
"""
TAG_NAME = re.compile(rf"</?([A-Za-z][^{WS}/>]*)")
UNQUOTED_SLASH = re.compile(rf"=[{WS}]*[^{WS}>\"'][^{WS}>]*/>\Z")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


RAW_TEXT = _names("script style textarea xmp iframe noembed noframes noscript plaintext")
"""Elements whose content has no tags, and is not translated."""
RAW = RAW_TEXT | _names("code pre kbd samp var svg math template object")
"""Elements whose content is not translated."""
INLINE = _names(
    "a abbr acronym b bdi bdo big cite del dfn em font g i img ins kbd label mark q ruby rt rp s small span strike "
    "strong sub sup tt u wbr x code samp var time data bpt ept ph it"
)
"""Elements inside a sentence. All others end it."""
VOID = _names("area base br col embed hr img input link meta param source track wbr")
NOT_TRANSLATED = re.compile(
    r"\stranslate\s*=\s*[\"']?no\b|\sclass\s*=\s*(?:\"[^\"]*|'[^']*|[^\s\"'>]*)\bnotranslate\b", re.IGNORECASE
)
SCRIPT_PARTS = re.compile(rf"<!--(?:-?>)?|-->|</?script(?=[{WS}/>])", re.IGNORECASE)
MOST_TAGS = 1_000
"""A line with more tags than this is not translated."""
PLACEHOLDER = re.compile(r"<([0-9]{1,4})>")
SPACES = re.compile(r"\s+")

TextTranslator = Callable[[Sequence[str]], Sequence[str]]


class TagRules(NamedTuple):
    """How a client wants elements treated, by their names in small letters."""

    ignored: frozenset[str] = frozenset()
    """Elements whose content is not translated."""
    inline: frozenset[str] = frozenset()
    """Elements inside a sentence, besides those of HTML."""
    splitting: frozenset[str] = frozenset()
    """Elements that end a sentence, also if they are inside a sentence in HTML."""

    def is_raw(self, name: str) -> bool:
        """Return whether the content of an element is not translated."""
        return name in RAW or name in self.ignored

    def is_inline(self, name: str) -> bool:
        """Return whether an element is inside a sentence."""
        return name not in self.splitting and (name in INLINE or name in self.inline or name in self.ignored)


HTML_RULES = TagRules()


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

    def __init__(self, text: str, rules: TagRules = HTML_RULES) -> None:
        self._text = text
        self._segments = list(_segments(text, rules))

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
    return tag.startswith("<!") or _is_self_closing(tag) or _has_content(tag) or _name(tag) in VOID


def _is_self_closing(tag: str) -> bool:
    """Return whether a tag ends with a slash that is not a part of a value."""
    return tag.endswith("/>") and not UNQUOTED_SLASH.search(tag)


def _has_content(markup: str) -> bool:
    """Return whether the markup is an element with its content, not a single tag or comment."""
    match = TOKENS.match(markup)
    return match is not None and match["tag"] is not None and match.end() < len(markup)


def _name(tag: str) -> str:
    match = TAG_NAME.match(tag)
    return match[1].lower() if match else ""


def _segments(text: str, rules: TagRules) -> Iterator[_Segment]:
    """Yield the parts that are translated, without the space around them."""
    start = 0
    pieces: list[tuple[int, int]] = []  # spans of the inline tags of the current segment
    for begin, end, inline in _boundaries(text, rules):
        if inline:
            pieces.append((begin, end))
            continue
        yield from _segment(text, start, begin, pieces)
        start, pieces = end, []
    yield from _segment(text, start, len(text), pieces)


def _boundaries(
    text: str, rules: TagRules, position: int = 0, end: int | None = None, *, in_title: bool = False
) -> Iterator[tuple[int, int, bool]]:
    """Yield the spans that are not text, and whether each is inside a sentence."""
    end = len(text) if end is None else end
    while (match := TOKENS.search(text, position, end)) is not None:
        begin, position = match.span()
        if match["comment"] is not None:
            yield begin, position, match[0].startswith("<!--")
            continue
        name = _name(match[0])
        inline = rules.is_inline(name)
        if _opens(match[0]) and (rules.is_raw(name) or NOT_TRANSLATED.search(match[0])):
            position = _end_of_element(text, position, end, name)
        yield begin, position, inline
        if (
            name == "title" and _opens(match[0]) and not in_title
        ):  # it ends at the first closing tag, also in a quoted value
            inner = _start_of_closing_tag(text, position, end, name)
            yield from _boundaries(text, rules, position, inner, in_title=True)
            position = inner


def _opens(tag: str) -> bool:
    """Return whether an element begins here that needs a closing tag.

    In HTML, `<script/>` is the start of a script. In XML, it is a whole element.
    """
    name = _name(tag)
    return not tag.startswith("</") and name not in VOID and (name in RAW_TEXT or not _is_self_closing(tag))


def _end_of_element(text: str, position: int, end: int, name: str) -> int:
    """Return where the element ends whose opening tag ends at `position`; `end` if it is not closed."""
    if name in RAW_TEXT:
        closing = TOKENS.match(text, _start_of_closing_tag(text, position, end, name), end)
        return closing.end() if closing else end
    depth = 1
    while (match := TOKENS.search(text, position, end)) is not None:
        position = match.end()
        inner = _name(match[0]) if match["tag"] is not None else ""
        if inner == name:
            depth += -1 if match[0].startswith("</") else int(_opens(match[0]))
            if depth == 0:
                return position
        elif inner in RAW_TEXT and _opens(match[0]):
            position = _end_of_element(text, position, end, inner)
    return end


def _start_of_closing_tag(text: str, position: int, end: int, name: str) -> int:
    """Return where the content ends of an element without tags in it; `end` if it is not closed."""
    if name == "plaintext":
        return end
    if name == "script":
        return _end_of_script(text, position, end)
    match = re.compile(rf"</{re.escape(name)}(?=[{WS}/>])", re.IGNORECASE).search(text, position, end)
    return match.start() if match else end


def _end_of_script(text: str, position: int, end: int) -> int:
    """Return where a script ends. In a comment, a script has inner scripts with closing tags of their own."""
    in_comment = in_script = False
    for match in SCRIPT_PARTS.finditer(text, position, end):
        part = match[0].lower()
        if part == "</script":
            if not in_script:
                return match.start()
            in_script = False
        elif part == "<script":
            in_script = in_comment
        elif part in ("<!--", "-->"):
            in_comment = part == "<!--"
            in_script = in_script and in_comment
    return end


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
    if len(spans) > MOST_TAGS:
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
    closed = Counter(_name(tag) for tag in (text[slice(*span)] for span in spans) if tag.startswith("</"))
    first = 0
    while True:
        while start < end and text[start].isspace():
            start += 1
        if first == len(spans) or spans[first][0] != start:
            return start, spans[first:]
        tag = text[slice(*spans[first])]
        if _has_content(tag) or (not tag.startswith("</") and not _is_complete(tag) and closed[_name(tag)]):
            return start, spans[first:]
        if tag.startswith("</"):
            closed[_name(tag)] -= 1
        start = spans[first][1]
        first += 1


def _trim_end(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> tuple[int, list[tuple[int, int]]]:
    """Move the end before spaces, and before tags that open nothing in the segment."""
    last = len(spans)
    while True:
        behind = spans[last - 1][1] if last else start  # a tag that never ends may end with spaces
        while end > behind and text[end - 1].isspace():
            end -= 1
        tag = text[slice(*spans[last - 1])] if last and behind == end else "</"
        if tag.startswith("</") or _has_content(tag):
            return end, spans[:last]
        last -= 1
        end = spans[last][0]
