"""A translator that writes capitals, for documents: protected items stay as they are."""

from __future__ import annotations

from pathlib import Path

from nmt.inference.documents import Languages, open_document
from nmt.inference.documents.document import Document, Fill
from nmt.inference.protected_items import find_protected


def upper(line: str) -> str:
    """A line in capitals, except for tags, placeholders and addresses."""
    parts, place = [], 0
    for span, _, start in find_protected(line):
        parts += [line[place:start].upper(), span]
        place = start + len(span)
    return "".join([*parts, line[place:].upper()])


def translate(
    folder: Path,
    name: str,
    content: str | bytes,
    *,
    source: str = "en",
    target: str = "de",
    fill: Fill = "missing",
    encoding: str | None = None,
    review: bool = False,
) -> tuple[bytes, Document]:
    """A document of this content with its translations in capitals."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    languages = Languages(source, target)
    document = open_document(path, languages=languages, fill=fill, encoding=encoding, review=review)
    return document.fill([upper(line) for line in document.lines]), document


def translated(folder: Path, name: str, content: str, **options: str | bool) -> str:
    """The text of the translated document."""
    return translate(folder, name, content, **options)[0].decode()  # type: ignore[arg-type]
