"""Documents with translations: PO, XLIFF, TMX and SRT.

A reader finds what is to be translated, and the places for it. The translations are written into the original text, so
that everything else stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nmt.data.streams import PACKED, describe, read_bytes
from nmt.errors import DataError
from nmt.inference.documents.languages import Languages

if TYPE_CHECKING:
    from nmt.inference.documents.document import Document, Fill

__all__ = ["KINDS", "Languages", "document_kind", "open_document"]

KINDS = {".po": "PO", ".pot": "PO", ".xlf": "XLIFF", ".xliff": "XLIFF", ".tmx": "TMX", ".srt": "SRT"}
"""The kind of a document by the suffix of its name."""


MAX_DOCUMENT_BYTES = 1 << 28
"""Largest document, unpacked. It is read as a whole."""
REVIEWED_KINDS = ("PO", "XLIFF")
"""The kinds of documents that can mark a translation as unreviewed."""


class _Reader(Protocol):
    def __call__(
        self, data: bytes, *, name: str, languages: Languages, fill: Fill, encoding: str | None
    ) -> Document: ...


def document_kind(path: Path) -> str | None:
    """Return the kind of a document by its name, which may have the suffix of compression; None for text."""
    plain = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return KINDS.get(plain.suffix.lower())


def open_document(
    path: Path,
    *,
    languages: Languages,
    fill: Fill = "missing",
    encoding: str | None = None,
    review: bool = False,
) -> Document:
    """Read a document.

    Args:
        path: A file whose name says its kind.
        languages: The languages of the translation.
        fill: Which units are translated.
        encoding: The encoding, if it is not the one that the file declares. None: the declared one, or UTF-8.
        review: Whether to mark the filled translations as unreviewed, in a document of REVIEWED_KINDS.

    Raises:
        DataError: The file cannot be read, is broken, or is in other languages.
    """
    data = b"".join(_bounded(path))
    read = _reader(document_kind(path), review=review)
    return read(data, name=describe(path), languages=languages, fill=fill, encoding=encoding)


def _bounded(path: Path) -> Iterator[bytes]:
    size = 0
    for chunk in read_bytes(path):
        size += len(chunk)
        if size > MAX_DOCUMENT_BYTES:
            raise DataError(f"{describe(path)}: larger than {MAX_DOCUMENT_BYTES >> 20} MiB. Split the document.")
        yield chunk


def _reader(kind: str | None, *, review: bool) -> _Reader:
    """Import a reader when it is needed."""
    if kind == "PO":
        from nmt.inference.documents.po import read_po

        return partial(read_po, review=review)
    if kind == "XLIFF":
        from nmt.inference.documents.xliff import read_xliff

        return partial(read_xliff, review=review)
    if kind == "TMX":
        from nmt.inference.documents.tmx import read_tmx

        return read_tmx
    if kind == "SRT":
        from nmt.inference.documents.srt import read_srt

        return read_srt
    raise ValueError(f"{kind!r} is not a kind of document")
