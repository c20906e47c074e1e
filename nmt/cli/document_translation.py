"""`nmt translate` of documents: PO, XLIFF, TMX and SRT."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.data.streams import open_whole
from nmt.errors import UsageError
from nmt.log import logger, progress

if TYPE_CHECKING:
    from nmt.cli.line_writer import WriterMaker
    from nmt.inference.documents import Languages
    from nmt.inference.documents.document import Document, Fill


@dataclass(frozen=True)
class DocumentOptions:
    """The options of `nmt translate` that are for documents. None means that an option was not given.

    Attributes:
        fill: which units are translated.
        source_language: code of the source language in the document.
        target_language: code of the target language in the document.
        encoding: encoding of the document.
        for_review: whether to mark the filled translations as unreviewed.
    """

    fill: Fill | None = None
    source_language: str | None = None
    target_language: str | None = None
    encoding: str | None = None
    for_review: bool | None = None

    def require_document(self, file: Path) -> None:
        """Check that no option was given for a file that is not a document.

        Raises:
            UsageError: an option was given.
        """
        for name, value in vars(self).items():
            if value is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} requires a document (.po, .pot, .xlf, .xliff, .tmx or .srt), but "
                    f"{file} is read as text."
                )


def translate_document(
    maker: WriterMaker, file: Path, output: Path, options: DocumentOptions, *, show_progress: bool
) -> None:
    """Translate a document. The output appears when it is whole.

    Raises:
        DataError: the document is broken, or is in other languages than the model.
    """
    from nmt.inference.documents import Languages
    from nmt.inference.streaming import number_lines

    protect = maker.decoding.get("protect")
    if protect is False:
        logger.warning("with --no-protect, sentences with inline elements are left untranslated")
    writer = replace(maker, decoding={**maker.decoding, "protect": protect is not False})()
    document = read_document(file, options, Languages(*writer.languages))
    lines = document.lines
    translations = []
    with progress(len(lines), "translate", "lines") if show_progress else nullcontext() as bar:
        for text in writer.write(number_lines(lines)):
            translations.append(text.removesuffix("\n"))
            if bar is not None:
                bar.update(1)
    fill_document(document, translations, output, file=file, fill=options.fill or "missing")


def read_document(file: Path, options: DocumentOptions, languages: Languages) -> Document:
    """Read a document.

    Args:
        file: the document.
        options: the options of documents.
        languages: the languages of the model. The options replace them.

    Raises:
        DataError: the document is broken, or is in other languages than the model.
    """
    from nmt.inference.documents import Languages, open_document

    named = Languages(options.source_language or languages.source, options.target_language or languages.target)
    review = options.for_review or False
    return open_document(
        file, languages=named, fill=options.fill or "missing", encoding=options.encoding, review=review
    )


def fill_document(document: Document, translations: Sequence[str], output: Path, *, file: Path, fill: Fill) -> None:
    """Write a document with its translations, and log how many there are. The output appears when it is whole."""
    filled = document.fill(translations)
    with open_whole(output) as stream:
        stream.write(filled)
    _report(document, fill, file)


def _report(document: Document, fill: Fill, file: Path) -> None:
    """Log how many units were translated, and how many were left for which reason."""
    counts = document.counts
    total = counts.missing + counts.unfinished + counts.finished + counts.excluded
    logger.info("%s: translated %s of %s units", file, f"{counts.chosen(fill) - counts.skipped:,}", f"{total:,}")
    if counts.finished and fill != "all":
        logger.info("%s units have a translation: --fill all replaces it", f"{counts.finished:,}")
    if counts.unfinished and fill == "missing":
        logger.info("%s units are unfinished: --fill unfinished translates them", f"{counts.unfinished:,}")
