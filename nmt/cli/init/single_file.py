"""Parallel text in one file for a new configuration."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from nmt.cli.init.corpus_files import SingleFile, without_compression
from nmt.config.problems import shorten
from nmt.config.schema import PairConfig
from nmt.data.corpus import MalformedLine, read_training
from nmt.data.sources import SHOWN
from nmt.data.suspicions import SAMPLE, find_format_suspicions, has_csv_quotes
from nmt.errors import UsageError
from nmt.log import logger

KINDS = {
    **{".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"},
    **{".tmx": "tmx", ".xlf": "xliff", ".xliff": "xliff", ".zip": "opus"},
}
"""The kind of a file with both sides, by its suffix."""


def single_file(
    corpus: Path, *, fields: tuple[str | None, str | None], languages: tuple[str | None, str | None]
) -> SingleFile:
    """Return a file with both sides as training text.

    Args:
        corpus: the file. Its suffix says its kind.
        fields: columns, keys or language codes of both sides. None means the language.
        languages: the languages.

    Raises:
        UsageError: the suffix is not known, or a language is missing.
        DataError: the file cannot be read.
    """
    source, target = languages
    if source is None or target is None:
        raise UsageError("--corpus requires --source-language and --target-language.")
    pair = _pair(corpus, (fields[0] or source, fields[1] or target), given=any(fields))
    if not any(fields):
        for message in find_format_suspicions(pair):
            logger.warning("%s: %s On the command line: --source-field and --target-field.", corpus, message)
    return SingleFile(corpus, pair, (source, target))


def _pair(corpus: Path, fields: tuple[str, str], *, given: bool) -> PairConfig:
    kind = KINDS.get(without_compression(corpus).suffix.lower())
    if kind is None:
        raise UsageError(f"--corpus {corpus}: expected a file ending in {', '.join(KINDS)}.")
    if kind == "xliff":
        return PairConfig(xliff=str(corpus))
    if kind == "tsv" and not given:
        return _two_columns(corpus)
    options = {"source_field": fields[0], "target_field": fields[1]}
    if kind == "tsv":
        quotes = has_csv_quotes(str(corpus))
        logger.info("%s: quotation marks are read as %s", corpus, "those of CSV" if quotes else "text")
        return PairConfig.model_validate({"csv": str(corpus), "delimiter": "\t", "quotes": quotes, **options})
    return PairConfig.model_validate({kind: str(corpus), **options})


def _two_columns(corpus: Path) -> PairConfig:
    """Return a TSV file with source and target.

    Raises:
        UsageError: most of its first lines have another number of columns.
    """
    pair = PairConfig(tsv=str(corpus))
    first = list(islice(read_training(pair), SAMPLE))
    malformed = [record.line for record in first if isinstance(record, MalformedLine)]
    if len(malformed) > len(first) / 2:
        columns = malformed[0].split("\t")
        shown = ", ".join(f"{number} {shorten(text)!r}" for number, text in enumerate(columns[:SHOWN], 1))
        raise UsageError(
            f"--corpus {corpus}: {len(malformed):,} of the first {len(first):,} lines do not have two columns. Select "
            f"columns by number with --source-field and --target-field. The first such line has: {shown}."
        )
    return pair
