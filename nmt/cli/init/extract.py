"""Text files made from one file with both sides."""

from __future__ import annotations

from pathlib import Path

from nmt.cli.init.corpus_files import TextFiles, without_compression
from nmt.config.schema import PairConfig
from nmt.data.corpus import MalformedLine, read_training
from nmt.data.lines import write_lines
from nmt.data.suspicions import find_format_suspicions, has_csv_quotes
from nmt.errors import UsageError
from nmt.log import logger

KINDS = {
    **{".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"},
    **{".tmx": "tmx", ".xlf": "xliff", ".xliff": "xliff", ".zip": "opus"},
}
"""The kind of a file with both sides, by its suffix."""


def extract(
    corpus: Path, *, fields: tuple[str | None, str | None], languages: tuple[str | None, str | None], overwrite: bool
) -> TextFiles:
    """Write the pairs of a file as two text files beside it: `corpus.en` and `corpus.de` for `corpus.tmx`.

    Args:
        corpus: the file. Its suffix says its kind.
        fields: columns, keys or language codes of both sides. None means the language.
        languages: the languages, which name the new files.
        overwrite: whether to replace existing files.

    Raises:
        UsageError: the suffix is not known, a language is missing, or a text file exists already.
        DataError: the file is broken, or has no such fields.
    """
    source, target = languages
    if source is None or target is None:
        raise UsageError("--corpus requires --source-language and --target-language.")
    pair = _pair(corpus, (fields[0] or source, fields[1] or target), given=any(fields))
    if not any(fields):
        for message in find_format_suspicions(pair):
            logger.warning("%s: %s On the command line: --source-field and --target-field.", corpus, message)
    stem = without_compression(corpus).with_suffix("")
    files = TextFiles(*(stem.with_name(f"{stem.name}.{language}") for language in (source, target)))
    for path in (files.source, files.target):
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already. Use --source and --target, or replace it with --overwrite.")
    for place, path in enumerate((files.source, files.target)):  # in two passes, so that memory is bounded
        records = read_training(pair)
        write_lines(path, (record[place] for record in records if not isinstance(record, MalformedLine)))
    malformed = sum(isinstance(record, MalformedLine) for record in read_training(pair))
    logger.info("wrote the pairs of %s to %s and %s", corpus, files.source, files.target)
    if malformed:
        logger.warning("%s: %s records are not pairs and were left out", corpus, f"{malformed:,}")
    return files


def _pair(corpus: Path, fields: tuple[str, str], *, given: bool) -> PairConfig:
    kind = KINDS.get(without_compression(corpus).suffix.lower())
    if kind is None:
        raise UsageError(f"--corpus {corpus}: expected a file ending in {', '.join(KINDS)}.")
    if kind == "xliff":
        return PairConfig(xliff=str(corpus))
    if kind == "tsv" and not given:
        return PairConfig(tsv=str(corpus))
    options = {"source_field": fields[0], "target_field": fields[1]}
    if kind == "tsv":
        quotes = has_csv_quotes(str(corpus))
        logger.info("%s: quotation marks are read as %s", corpus, "those of CSV" if quotes else "text")
        return PairConfig.model_validate({"csv": str(corpus), "delimiter": "\t", "quotes": quotes, **options})
    return PairConfig.model_validate({kind: str(corpus), **options})
