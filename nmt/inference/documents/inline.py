"""Inline elements of XLIFF and TMX: tags for the translator, and the original markup in the translation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from nmt.inference.documents.text import SPACE, Edit, Template, split_lines
from nmt.inference.documents.xml_tree import Element, start_tag

PAIRED = frozenset(("g", "pc", "mrk", "hi"))
"""Elements whose content is text of the sentence. All others stand for code, with their content."""
OPENING = frozenset(("bpt", "bx", "sc", "sm"))
CLOSING = frozenset(("ept", "ex", "ec", "em"))
STAND_IN = re.compile(r"</?[gx] \d+/?>")


class InlineText(NamedTuple):
    """A text with a tag in place of each piece of markup, such as `<g 1>` and `</g 1>`."""

    template: Template
    markup: dict[str, str]
    """The original markup of each tag."""

    @property
    def lines(self) -> list[str]:
        """What the translator gets."""
        return self.template.lines

    def fill(self, translations: Sequence[str]) -> str | None:
        """Return the XML of the translation; None if a tag is missing, doubled, or crosses another one."""
        found: list[str] = []
        parts: list[str] = []
        place = 0
        translation = self.template.fill(translations)
        for match in STAND_IN.finditer(translation):
            if match[0] in self.markup:
                parts += [_escape(translation[place : match.start()]), self.markup[match[0]]]
                found.append(match[0])
                place = match.end()
        parts.append(_escape(translation[place:]))
        return "".join(parts) if sorted(found) == sorted(self.markup) and _is_nested(found, self.markup) else None


def inline_text(element: Element, document: str, *, keep_breaks: bool) -> InlineText:
    """Return the text of a source or segment with tags in place of its inline elements.

    Args:
        element: The element with the text.
        document: The document that the element is a part of.
        keep_breaks: Whether line breaks are part of the text. Otherwise white space inside becomes one space.
    """
    literal = element.text()
    markup: dict[str, str] = {}
    numbers = (number for number in range(1, 1 << 30) if f" {number}>" not in literal and f" {number}/>" not in literal)

    def build(parent: Element) -> str:
        parts = []
        for child in parent.children:
            if isinstance(child, str):
                parts.append(child)
                continue
            number = next(numbers)
            if child.name in PAIRED and child.attributes.get("translate") != "no" and child.content_end < child.end:
                opening, closing = f"<g {number}>", f"</g {number}>"
                markup[opening] = document[child.start : child.content_start]
                parts += [opening, build(child), closing]
                markup[closing] = document[child.content_end : child.end]
            else:
                tag = f"<x {number}/>"
                tag = f"<g {number}>" if child.name in OPENING else f"</g {number}>" if child.name in CLOSING else tag
                markup[tag] = document[child.start : child.end]
                parts.append(tag)
        return "".join(parts)

    text = build(element)
    if not keep_breaks:
        inner = text.strip(SPACE)
        start = text.index(inner)
        inside = re.sub(f"[{SPACE}]+", " ", inner)
        return InlineText(_around(text[:start], split_lines(inside), text[start + len(inner) :]), markup)
    return InlineText(split_lines(text), markup)


def is_empty(element: Element | None) -> bool:
    """Whether an element is absent, or has neither text nor markup."""
    return element is None or not (element.elements() or element.text().strip())


def replace_content(element: Element, document: str, content: str, attributes: Mapping[str, str] | None = None) -> Edit:
    """Return the change of a document that fills an element, and sets some of its attributes."""
    if element.end > element.content_start and not attributes:
        return Edit(element.content_start, element.content_end, content)
    opening = start_tag(element, document, attributes or {})
    if element.end > element.content_start:
        return Edit(element.start, element.content_end, opening + content)
    return Edit(element.start, element.end, f"{opening.removesuffix('/>').rstrip()}>{content}</{element.tag}>")


def white_space_before(document: str, place: int) -> str:
    """Return the line break and indentation before a place; empty if there is text on the same line."""
    before = document[:place][-200:]
    space = before[len(before.rstrip(SPACE)) :]
    return space if "\n" in space or "\r" in space else ""


def _around(before: str, template: Template, after: str) -> Template:
    return Template((before, *template.parts, after), tuple(place + 1 for place in template.places))


def _escape(text: str) -> str:
    return escape("".join(character for character in text if character >= " " or character in "\t\n\r"))


def _is_nested(tags: Sequence[str], markup: dict[str, str]) -> bool:
    """Whether the markup is well-formed in this order. Elements that only mark a start or an end may cross."""
    open_tags: list[str] = []
    for tag in tags:
        raw = markup[tag]
        if raw.startswith("</"):
            if not open_tags or open_tags.pop() != tag.replace("</", "<", 1):
                return False
        elif f"</{tag[1:]}" in markup and markup[f"</{tag[1:]}"].startswith("</"):
            open_tags.append(tag)
    return not open_tags
