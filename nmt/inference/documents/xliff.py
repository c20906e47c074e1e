"""XLIFF 1.x and 2.x."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from nmt.errors import DataError
from nmt.inference.documents.document import Document, Fill, UnitCounts
from nmt.inference.documents.inline import (
    InlineText,
    inline_text,
    is_empty,
    replace_content,
    white_space_before,
)
from nmt.inference.documents.languages import Languages, check_language
from nmt.inference.documents.text import Edit, Unit, merge_edits
from nmt.inference.documents.xml_tree import Element, parse_units, read_xml, start_tag, structure

UNFINISHED_STATES = frozenset(
    (
        *("initial", "new", "needs-translation", "needs-adaptation", "needs-l10n"),
        *("needs-review-translation", "needs-review-adaptation", "needs-review-l10n"),
    )
)
UNTRANSLATED_STATES = frozenset(("new", "needs-translation", "initial"))
"""States in which a target that equals its source is a copy, not a translation."""


UNREVIEWED = {"state": "needs-review-translation", "state-qualifier": "leveraged-mt"}
"""Attributes of a `<target>` of version 1 that a machine translated and nobody has reviewed."""
UNREVIEWED_2 = {"state": "translated", "subState": "nmt:machine-translation"}
"""The same of a `<segment>` of version 2. Its next state is `reviewed`."""


def read_xliff(
    data: bytes, *, name: str, languages: Languages, fill: Fill, encoding: str | None, review: bool = False
) -> Document:
    """Read an XLIFF file.

    Args:
        data: The bytes of the file.
        name: The file, for messages.
        languages: The languages of the translation.
        fill: Which units are translated.
        encoding: The encoding, if it is not the one that the file declares.
        review: Whether to mark the filled translations as unreviewed.

    Raises:
        DataError: The file is broken, is not XLIFF, or is in other languages.
    """
    encoded = read_xml(data, name=name, encoding=encoding)
    text = encoded.text
    root, units = parse_units(text, frozenset(("trans-unit", "unit")), name=name)
    if root.name != "xliff":
        raise DataError(f"{name}, line {root.line}: <{root.tag}> is not the <xliff> of an XLIFF file.")
    document = Document(name, encoded, [], UnitCounts(), partial(_structure, name=name, review=review), references=True)
    second = root.attributes.get("version", "").startswith("2")
    _check_languages(root, units, languages, name=name)
    for unit in units:
        segments = [each for each in unit.elements() if each.name == "segment"] if second else [unit]
        for segment in segments:
            _add(document, unit, segment, fill, marks=(UNREVIEWED_2 if second else UNREVIEWED) if review else {})
    if second and "trgLang" not in root.attributes:  # required as soon as there is a target
        end = root.content_start - (2 if text[root.content_start - 2] == "/" else 1)
        document.edits.append(Edit(end, end, f' trgLang="{languages.target}"'))
    return document


def _check_languages(root: Element, units: Sequence[Element], languages: Languages, *, name: str) -> None:
    """Check the languages of an XLIFF file; in version 1 each `<file>` has its own."""
    sources, targets = ("source-language", "srcLang"), ("target-language", "trgLang")
    for holder in {id(each): each for unit in units for each in _ancestors(unit)}.values():
        for side, keys, wanted in (("source", sources, languages.source), ("target", targets, languages.target)):
            for key in keys:
                check_language(holder.attributes.get(key), wanted, side, name=name, line=holder.line)


def _ancestors(element: Element) -> list[Element]:
    return [] if element.parent is None else [element.parent, *_ancestors(element.parent)]


def _add(document: Document, unit: Element, segment: Element, fill: Fill, *, marks: Mapping[str, str]) -> None:
    """Add a unit of version 1, or a segment of version 2, if it is to be translated.

    Args:
        document: The document.
        unit: The unit.
        segment: The segment; the unit itself in version 1.
        fill: Which units are translated.
        marks: Attributes that mark a translation as unreviewed, if it is to be marked.
    """
    source, target = segment.find("source"), segment.find("target")
    if source is None or unit.inherited("translate") == "no" or is_empty(source):
        document.counts.excluded += 1
        return
    state = segment.attributes.get("state")  # version 2
    if target is not None:
        state = target.attributes.get("state", state)
    if target is None or is_empty(target) or (state in UNTRANSLATED_STATES and target.text() == source.text()):
        document.counts.missing += 1
    elif state in UNFINISHED_STATES:
        document.counts.unfinished += 1
        if fill == "missing":
            return
    else:
        document.counts.finished += 1
        if fill != "all":
            return
    text = document.encoded.text
    inline = inline_text(source, text, keep_breaks=source.inherited("xml:space") == "preserve")
    edit = partial(_edit, segment=segment, source=source, target=target, inline=inline, text=text, marks=marks)
    document.units.append(Unit(source.line, inline.lines, edit))


def _edit(
    translations: Sequence[str],
    *,
    segment: Element,
    source: Element,
    target: Element | None,
    inline: InlineText,
    text: str,
    marks: Mapping[str, str],
) -> Edit | None:
    content = inline.fill(translations)
    if content is None:
        return None
    in_segment = segment.name == "segment"
    on_target: Mapping[str, str] = {} if in_segment else marks
    if target is not None:
        edits = [replace_content(target, text, content, on_target)]
    else:
        end = (segment.find("seg-source") or source).end
        tag = f"{source.prefix}target"
        attributes = "".join(f' {name}="{value}"' for name, value in on_target.items())
        edits = [Edit(end, end, f"{white_space_before(text, source.start)}<{tag}{attributes}>{content}</{tag}>")]
    if marks and in_segment:
        edits.append(Edit(segment.start, segment.content_start, start_tag(segment, text, marks)))
    elif marks and segment.attributes.get("approved") == "yes":
        edits.append(Edit(segment.start, segment.content_start, start_tag(segment, text, {"approved": "no"})))
    return merge_edits(text, edits)


def _structure(text: str, *, name: str, review: bool) -> object:
    def is_target(path: list[str], attributes: dict[str, str]) -> bool:
        attributes.pop("trgLang", None)
        if review:
            for attribute in {"segment": UNREVIEWED_2, "trans-unit": ("approved",)}.get(path[-1], ()):
                attributes.pop(attribute, None)
        return path[-1] == "target" and path[-2:-1] in (["trans-unit"], ["segment"])

    return structure(text, is_target, name=name)
