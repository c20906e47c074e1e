"""PO, the message catalogues of gettext.

polib checks the syntax and reads the messages. It would write another file than it has read (wrapped differently, with
other line ends), so the fields are replaced in the original text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from gettext import c2py  # not documented, and unchanged for decades
from typing import NamedTuple

import polib

from nmt.errors import DataError
from nmt.inference.documents.document import Document, Fill, UnitCounts
from nmt.inference.documents.languages import Languages, check_language
from nmt.inference.documents.text import Edit, Template, Unit, decode, merge_edits, split_lines
from nmt.inference.protected_items import find_protected

CHARSET = re.compile(rb"charset=([A-Za-z0-9._:-]+)")
LINE = re.compile(r"[^\r\n]*(?:\r*\n|\r|$)")
KEYWORD = re.compile(r'[ \t]*(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d+)\])?)[ \t]*(?=")')
QUOTED = re.compile(r'[ \t]*("(?:[^"\\\r\n]|\\.)*")[ \t\r\n]*')
WIDTH = 79
EXAMPLE_NUMBERS = range(201)


class StringField(NamedTuple):
    """A string of an entry, which may be written in several pieces."""

    start: int
    """Where the first quote is."""
    end: int
    """Behind the last quote."""
    value: str
    pieces: int


@dataclass
class Entry:
    """An entry that is not obsolete."""

    line: int
    fuzzy: bool = False
    flags: int | None = None
    """Offset behind the `#,` of the first line of flags; None without such a line."""
    message: int | None = None
    """Offset of the first line that is not a comment, or of the lines of the previous message before it."""
    fields: dict[str, StringField] = field(default_factory=dict)
    """By keyword: msgctxt, msgid, msgid_plural, msgstr, msgstr[0] and so on."""

    def is_complete(self) -> bool:
        """Whether the entry has a translation, which comes last."""
        return any(key.startswith("msgstr") for key in self.fields)


def read_po(
    data: bytes, *, name: str, languages: Languages, fill: Fill, encoding: str | None, review: bool = False
) -> Document:
    """Read a PO file or a template; see `read_xliff`.

    Raises:
        DataError: The file is broken, or is in another language.
    """
    match = CHARSET.search(data)
    declared = None if match is None or match[1] == b"CHARSET" else match[1].decode()
    encoded = decode(data, name=name, declared=declared, encoding=encoding)
    text = encoded.text
    catalogue = _parse(text, name)
    document = Document(name, encoded, [], UnitCounts(), partial(_structure, name=name, review=review))
    plurals = plural_sources(catalogue.metadata.get("Plural-Forms", ""))
    for entry in _entries(text, name):
        if "msgid" not in entry.fields:
            raise DataError(f"{name}, line {entry.line}: a message without msgid. Correct the file.")
        if not entry.fields["msgid"].value and "msgctxt" not in entry.fields:
            check_language(catalogue.metadata.get("Language"), languages.target, "target", name=name, line=entry.line)
            continue
        _add(document, entry, plurals, fill, review=review)
    document.counts.excluded += len(catalogue.obsolete_entries())
    return document


def plural_sources(header: str) -> list[bool]:
    """Return for each plural form whether the singular is its source.

    That is so for a form that is used for the number 1, if there are others. Without a usable header there are two
    forms, singular and plural.
    """
    match = re.search(r"nplurals\s*=\s*(\d+)\s*;\s*plural\s*=\s*([^;]+)", header)
    if match is None:
        return [True, False]
    count = int(match[1])
    try:
        rule = c2py(match[2])
        used_for_one = rule(1)
    except Exception:  # of any kind: the rule is an expression of C
        return [True, *[False] * (count - 1)]
    return [count > 1 and form == used_for_one for form in range(count)]


def _add(document: Document, entry: Entry, plurals: Sequence[bool], fill: Fill, *, review: bool) -> None:
    forms = _forms(entry, plurals)
    filled = [key for key in forms if key in entry.fields and entry.fields[key].value]
    sources = [source for key, source in forms.items() if key not in filled]
    if sources:
        document.counts.missing += 1
    elif entry.fuzzy:
        document.counts.unfinished += 1
    else:
        document.counts.finished += 1
    if fill == "all" or (fill == "unfinished" and entry.fuzzy):
        chosen = forms
    else:
        chosen = {key: source for key, source in forms.items() if key not in filled}
    if not chosen:
        return
    templates = {key: split_lines(entry.fields[source].value) for key, source in chosen.items()}
    lines = [line for template in templates.values() for line in template.lines]
    edit = partial(_edit, entry=entry, templates=templates, text=document.encoded.text, review=review)
    document.units.append(Unit(entry.line, lines, edit))


def _forms(entry: Entry, plurals: Sequence[bool]) -> dict[str, str]:
    """Return the keyword of each translation, with the keyword of its source."""
    if "msgid_plural" not in entry.fields:
        return {"msgstr": "msgid"}
    singular, plural = entry.fields["msgid"].value, entry.fields["msgid_plural"].value
    # "One file" cannot be the source of a form that is used for 1, 21 and 31.
    exact = len(plurals) <= 2 or _placeholders(singular) == _placeholders(plural)
    return {
        f"msgstr[{form}]": "msgid" if is_singular and exact else "msgid_plural"
        for form, is_singular in enumerate(plurals)
    }


def _placeholders(text: str) -> list[str]:
    return sorted(span for span, kind, _ in find_protected(text) if kind == "placeholder")


def _edit(
    translations: Sequence[str], *, entry: Entry, templates: dict[str, Template], text: str, review: bool
) -> Edit:
    """Return the change of all translations of an entry. They stand one behind the other."""
    place = 0
    values = {}
    for key, template in templates.items():
        values[key] = template.fill(translations[place : place + len(template.lines)])
        place += len(template.lines)
    own = {key: string for key, string in entry.fields.items() if key.startswith("msgstr")}
    first, last = next(iter(own.values())), list(own.values())[-1]
    end = LINE.match(text, text.rfind("\n", 0, first.start) + 1)
    line_end = re.search(r"[\r\n]*$", end[0])[0] if end else "\n"  # type: ignore[index]  # matches any line
    line_end = line_end or "\n"
    several = entry.fields["msgid"].pieces > 1
    parts, done = [], first.start
    for key, string in own.items():
        parts.append(text[done : string.start])
        parts.append(
            write_string(values[key], key, several, line_end) if key in values else text[string.start : string.end]
        )
        done = string.end
    for key in [key for key in values if key not in own]:  # a form that the template of the file does not have
        parts.append(f"{line_end}{key} {write_string(values[key], key, several, line_end)}")
    edits = [Edit(first.start, last.end, "".join(parts))]
    if review and not entry.fuzzy:
        edits.append(_mark_fuzzy(entry, text, line_end))
    return merge_edits(text, edits)


def _mark_fuzzy(entry: Entry, text: str, line_end: str) -> Edit:
    """Return the change that adds the flag `fuzzy`, in front of other flags as gettext writes it."""
    if entry.flags is None:
        assert entry.message is not None  # an entry has a message
        return Edit(entry.message, entry.message, f"#, fuzzy{line_end}")
    line = LINE.match(text, entry.flags)
    assert line is not None
    return Edit(entry.flags, entry.flags, " fuzzy," if line[0].strip() else " fuzzy")


def write_string(value: str, keyword: str, several: bool, line_end: str) -> str:
    """Return a string as PO writes it.

    Args:
        value: The string.
        keyword: What stands in front of it.
        several: Whether to write it in several pieces if it has line breaks or is long.
        line_end: The line end between pieces.
    """
    if not several or ("\n" not in value[:-1] and len(keyword) + len(polib.escape(value)) + 3 <= WIDTH):
        return f'"{polib.escape(value)}"'
    pieces = [piece for row in re.findall(r"[^\n]*\n|[^\n]+", value) for piece in _wrap(polib.escape(row))]
    return line_end.join(['""', *(f'"{piece}"' for piece in pieces)])


def _wrap(escaped: str) -> Iterator[str]:
    """Cut an escaped line behind spaces."""
    piece = ""
    for word in re.findall(r"[^ ]* *", escaped):
        if piece and len(piece) + len(word.rstrip()) + 2 > WIDTH:
            yield piece
            piece = ""
        piece += word
    if piece:
        yield piece


def _entries(text: str, name: str) -> Iterator[Entry]:
    """Yield the entries of a file that polib has accepted."""
    entry = Entry(1)
    place, number = 0, 0
    while place < len(text):
        number += 1
        line = LINE.match(text, place)
        assert line is not None
        keyword = KEYWORD.match(text, place)
        bare = line[0].strip()
        if keyword is None:
            if bare.startswith("#") or not bare:
                if entry.is_complete():
                    yield entry
                    entry = Entry(number)
                if bare.startswith("#~"):  # comments before it belong to the obsolete message
                    entry = Entry(number)
                if bare.startswith("#,"):
                    entry.fuzzy = entry.fuzzy or "fuzzy" in (flag.strip() for flag in bare[2:].split(","))
                    entry.flags = entry.flags or text.index("#,", place) + 2
                if bare.startswith("#|"):
                    entry.message = place if entry.message is None else entry.message
            place = line.end()
            continue
        key = keyword[1]
        if key in entry.fields or (not key.startswith("msgstr") and entry.is_complete()):
            yield entry
            entry = Entry(number)
        if key in ("msgctxt", "msgid") and not entry.fields:
            entry.line = number
            entry.message = place if entry.message is None else entry.message
        string = _string(text, keyword.end(), name, number)
        entry.fields[key] = string
        following = text.find("\n", string.end)
        end = len(text) if following < 0 else following + 1
        number += text.count("\n", place, end) - (following >= 0)
        place = end
    if entry.is_complete():
        yield entry


def _string(text: str, start: int, name: str, line: int) -> StringField:
    values = []
    place = end = start
    while match := QUOTED.match(text, place):
        values.append(polib.unescape(match[1][1:-1]))
        end, place = match.end(1), match.end()
    if not values:
        raise DataError(f"{name}, line {line}: broken PO: the string has no closing quote. Correct the file.")
    return StringField(start, end, "".join(values), len(values))


LINE_BREAKS = dict.fromkeys(map(ord, "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), "\ufffd")
"""Characters at which polib would break lines, but gettext does not."""


FLAGS_WITHOUT_SPACE = re.compile(r"^(#,)(?=\S)", re.MULTILINE)
"""Flags such as `#,fuzzy`, which polib refuses, but gettext does not."""


def _parse(text: str, name: str) -> polib.POFile:
    """Parse a file with polib.

    Raises:
        DataError: The file is broken.
    """
    try:
        plain = FLAGS_WITHOUT_SPACE.sub(r"\1 ", text.translate(LINE_BREAKS))
        return polib.pofile(plain + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        line = re.search(r"line (\d+)", str(error))
        reason = str(error).rpartition("): ")[2] if "): " in str(error) else "unexpected line"
        where = f"{name}, line {line[1]}" if line else name
        raise DataError(f"{where}: broken PO ({reason}). Correct the file.") from None


def _structure(text: str, *, name: str, review: bool) -> object:
    catalogue = _parse(text, name)

    def flags(entry: polib.POEntry) -> list[str]:
        return [flag for flag in entry.flags if not (review and flag == "fuzzy")]

    return [
        catalogue.header,
        dict(catalogue.metadata),
        [
            (
                *(entry.msgctxt, entry.msgid, entry.msgid_plural, flags(entry), entry.comment, entry.tcomment),
                *(entry.occurrences, entry.previous_msgid, bool(entry.obsolete), entry.obsolete and entry.msgstr),
            )
            for entry in catalogue
        ],
    ]
