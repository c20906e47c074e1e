"""TMX, translation memories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from xml.sax.saxutils import quoteattr

from nmt.data.languages import is_same_language
from nmt.errors import DataError
from nmt.inference.documents.document import Document, Fill, UnitCounts
from nmt.inference.documents.inline import (
    InlineText,
    inline_text,
    is_empty,
    replace_content,
    white_space_before,
)
from nmt.inference.documents.languages import Languages
from nmt.inference.documents.text import SPACE, Edit, Unit
from nmt.inference.documents.xml_tree import Element, parse_units, read_xml, structure


def read_tmx(data: bytes, *, name: str, languages: Languages, fill: Fill, encoding: str | None) -> Document:
    """Read a TMX file; see `read_xliff`.

    Raises:
        DataError: The file is broken, is not TMX, or no unit has the source language.
    """
    encoded = read_xml(data, name=name, encoding=encoding)
    root, units = parse_units(encoded.text, frozenset(("tu",)), name=name)
    if root.name != "tmx":
        raise DataError(f"{name}, line {root.line}: <{root.tag}> is not the <tmx> of a TMX file.")
    found = Counter(language_of(variant) for unit in units for variant in _variants(unit))
    if units and not any(is_same_language(languages.source, code) for code in found):
        codes = ", ".join(sorted(filter(None, found))) or "none"
        raise DataError(
            f"{name}: no unit has text in {languages.source!r}. The languages of the file are: {codes}. Name one of "
            "them with --source-language if the model translates it."
        )
    written = [code for code, _ in found.most_common() if is_same_language(languages.target, code)]
    code = next(iter(written), languages.target)
    document = Document(
        name,
        encoded,
        [],
        UnitCounts(),
        partial(_structure, name=name, target=languages.target),
        references=True,
    )
    for unit in units:
        _add(document, unit, languages, code, fill)
    return document


def language_of(variant: Element) -> str:
    """Return the language code of a `<tuv>`; empty if it has none. TMX before 1.4 calls the attribute `lang`."""
    return variant.attributes.get("xml:lang", variant.attributes.get("lang", ""))


def choose_variant(unit: Element, wanted: str) -> Element | None:
    """Return the `<tuv>` of a language, preferably the one with exactly this code."""
    serving = [each for each in _variants(unit) if is_same_language(wanted, language_of(each))]
    return next((each for each in serving if language_of(each).lower() == wanted.lower()), next(iter(serving), None))


def _variants(unit: Element) -> list[Element]:
    return [each for each in unit.elements() if each.name == "tuv" and language_of(each)]


def _add(document: Document, unit: Element, languages: Languages, code: str, fill: Fill) -> None:
    source, target = choose_variant(unit, languages.source), choose_variant(unit, languages.target)
    segment = None if source is None else source.find("seg")
    if source is None or segment is None or is_empty(segment):
        document.counts.excluded += 1
        return
    filled = None if target is None else target.find("seg")
    if target is None or is_empty(filled):
        document.counts.missing += 1
    else:
        document.counts.finished += 1
        if fill != "all":
            return
    if target is not None and filled is None:  # a <tuv> without <seg> is not TMX
        document.counts.missing -= 1
        document.counts.excluded += 1
        return
    text = document.encoded.text
    inline = inline_text(segment, text, keep_breaks=segment.inherited("xml:space") == "preserve")
    edit = partial(_edit, unit=unit, source=source, segment=segment, filled=filled, inline=inline, code=code, text=text)
    document.units.append(Unit(segment.line, inline.lines, edit))


def _edit(
    translations: Sequence[str],
    *,
    unit: Element,
    source: Element,
    segment: Element,
    filled: Element | None,
    inline: InlineText,
    code: str,
    text: str,
) -> Edit | None:
    content = inline.fill(translations)
    if content is None:
        return None
    if filled is not None:
        return replace_content(filled, text, content)
    attribute = "xml:lang" if "xml:lang" in source.attributes else "lang"
    before, after = text[: segment.start], text[segment.end : source.content_end]
    inside = before[len(before.rstrip(SPACE)) :]
    behind = after[len(after.rstrip(SPACE)) :]
    filled_segment = f"{inside}<{segment.tag}>{content}</{segment.tag}>{behind}"
    variant = f"<{source.tag} {attribute}={quoteattr(code)}>{filled_segment}</{source.tag}>"
    end = _variants(unit)[-1].end
    return Edit(end, end, white_space_before(text, source.start) + variant)


def _structure(text: str, *, name: str, target: str) -> object:
    def is_target(path: list[str], attributes: dict[str, str]) -> bool:
        code = attributes.get("xml:lang", attributes.get("lang", ""))
        return path[-1] == "tuv" and bool(code) and is_same_language(target, code)

    return structure(text, is_target, name=name)
