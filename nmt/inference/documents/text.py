"""Text of documents: encodings, edits at known places, and the lines of a text that are translated."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from nmt.data.encodings import suggest_encoding
from nmt.errors import DataError
from nmt.inference.protected_items import find_protected

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is the first half of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SPACE = " \t\r\n"
"""The white space of XML. A no-break space is text."""


class EncodedText(NamedTuple):
    """The text of a file, with what is needed to write it back byte for byte."""

    text: str
    encoding: str
    mark: bytes
    """The byte order mark of the file; empty if it has none."""

    def encode(self, text: str, *, name: str, references: bool = False) -> bytes:
        """Return another text in the encoding of the file.

        Args:
            text: The text.
            name: The file, for messages.
            references: Whether to write characters that the encoding lacks as XML character references.

        Raises:
            DataError: The encoding lacks a character.
        """
        try:
            return self.mark + text.encode(self.encoding, "xmlcharrefreplace" if references else "strict")
        except UnicodeEncodeError as error:
            line = text.count("\n", 0, error.start) + 1
            raise DataError(
                f"{name}: the translation has {text[error.start]!r} (line {line} of the output), which the encoding "
                f"{self.encoding} of the file cannot write. Convert the file to UTF-8 and translate it again."
            ) from None


NOT_OF_FILES = ("idna", "punycode", "unicode-escape", "raw-unicode-escape")
"""Codecs of Python for domain names and source code."""


def decode(data: bytes, *, name: str, declared: str | None, encoding: str | None) -> EncodedText:
    """Decode a file.

    Args:
        data: The bytes of the file.
        name: The file, for messages.
        declared: The encoding that the file declares. A byte order mark has precedence. None: UTF-8.
        encoding: The encoding that the user names. It has precedence over both.

    Raises:
        DataError: The encoding is not known, or the file has bytes that are not of this encoding.
    """
    mark, marked = next(((mark, each) for mark, each in MARKS if data.startswith(mark)), (b"", None))
    chosen = encoding or marked or declared or "utf-8"
    try:
        codec = codecs.lookup(chosen)
        "".encode(chosen)  # a codec such as zip is not one of text
        if codec.name in NOT_OF_FILES:
            raise LookupError
    except (LookupError, UnicodeError):
        raise DataError(f"{name}: unknown encoding {chosen!r}. Name the encoding with --encoding.") from None
    if marked is not None and codec.name not in (marked, marked.removesuffix("-le").removesuffix("-be"), "utf-8-sig"):
        raise DataError(f"{name} has the byte order mark of {marked}, which contradicts --encoding {chosen}.")
    codec_name = marked or codec.name
    body = data[len(mark) :]
    try:
        text = body.decode(codec_name)
    except UnicodeDecodeError as error:
        raise DataError(_not_of_encoding(body, error, name, codec_name)) from None
    if text.encode(codec_name) != body:
        raise DataError(
            f"{name}: {codec_name} has several ways to write the same text, so the file cannot be kept byte for byte. "
            "Convert the file to UTF-8."
        )
    return EncodedText(text, codec_name, mark)


def _not_of_encoding(body: bytes, error: UnicodeDecodeError, name: str, encoding: str) -> str:
    line = body.count(b"\n", 0, error.start) + 1
    likely = suggest_encoding(body)
    hint = "Name the encoding with --encoding"
    if likely is not None and codecs.lookup(likely).name != encoding:
        hint = f"It may be {likely}: check that, and use --encoding {likely}"
    return (
        f"{name}, line {line}: the byte 0x{body[error.start]:02x} at offset {error.start} is not {encoding}. {hint}, "
        "or convert the file to UTF-8."
    )


class Edit(NamedTuple):
    """A part of a text and what replaces it."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with parts replaced. Edits may be in any order, but may not overlap."""
    parts, place = [], 0
    for edit in sorted(edits):
        parts += [text[place : edit.start], edit.text]
        place = edit.end
    return "".join([*parts, text[place:]])


def has_words(text: str) -> bool:
    """Whether a text has a letter outside of tags, placeholders and addresses."""
    place, rest = 0, []
    for span, _, start in find_protected(text):
        rest.append(text[place:start])
        place = start + len(span)
    return any(map(str.isalpha, "".join([*rest, text[place:]])))


def merge_edits(text: str, edits: Sequence[Edit]) -> Edit:
    """Return one edit that does what several edits do. The text between them is kept."""
    start, end = min(edit.start for edit in edits), max(edit.end for edit in edits)
    shifted = (Edit(edit.start - start, edit.end - start, edit.text) for edit in edits)
    return Edit(start, end, apply_edits(text[start:end], shifted))


class Template(NamedTuple):
    """A text in parts: lines that are translated, and everything around them, which is kept."""

    parts: tuple[str, ...]
    places: tuple[int, ...]
    """The parts that are translated."""

    @property
    def lines(self) -> list[str]:
        """The parts that are translated."""
        return [self.parts[place] for place in self.places]

    def fill(self, translations: Sequence[str]) -> str:
        """Return the text with its lines translated. A blank translation keeps the line."""
        parts = list(self.parts)
        for place, translation in zip(self.places, translations, strict=True):
            parts[place] = translation.strip() or parts[place]
        return "".join(parts)


def split_lines(text: str) -> Template:
    """Split a text at its line breaks. Lines without words, and the white space around lines, are kept."""
    parts: list[str] = []
    places = []
    for piece in re.split(r"([\r\n]+)", text):
        inner = piece.strip()
        if not inner or not has_words(inner):
            parts.append(piece)
            continue
        start = piece.index(inner)
        places.append(len(parts) + 1)
        parts += [piece[:start], inner, piece[start + len(inner) :]]
    return Template(tuple(parts), tuple(places))


class Unit(NamedTuple):
    """A text of a document that is to be translated."""

    line: int
    """Line number in the file, from 1."""
    lines: list[str]
    """What the translator gets."""
    edit: Callable[[Sequence[str]], Edit | None]
    """Returns the change of the file for the translations of `lines`; None if they cannot be written."""
