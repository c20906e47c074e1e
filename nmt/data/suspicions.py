"""Suspicions about parallel text: what looks like markup of a file format or like a mistake, and is read as text.

Nothing is changed. The messages say what was seen and what to do about it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from nmt.config.schema import Config, PairConfig
from nmt.data.corpus import MalformedLine, paths, read_training
from nmt.data.languages import detect_script, find_language, is_known_language
from nmt.data.sources import kind_of
from nmt.data.writing_systems import UNKNOWN_SCRIPT
from nmt.log import logger

SAMPLE = 1_000
"""Number of pairs at the start of a text that are read."""
FEWEST = 20
"""Minimum number of lines for a statement about all lines."""
HEADER_WORDS = frozenset(("source", "target", "src", "tgt", "trg", "sentence", "translation", "text", "original"))
AROUND_NAMES = "\ufeff \t\"'"
PREFIX = re.compile(
    r"\s*(?:[\[(]?\d{1,4}(?:[:.]\d{1,4})+[\])]?|[\[(]\d{1,6}[\])]|\d{1,7}[.):|\t]|[A-Za-z]{1,3}\.[A-Z0-9]{2,3}\.\d+\.\d+)(?=\s)"
)
"""Verse numbers (`[22:8]`, `1.12`), line numbers (`17.`, `(17)`) and ids (`b.GEN.1.1`) at the start of a line."""
TOKENIZED = re.compile(r"\S (?:[.,!?;।።؟၊။]|&apos;s|'s|n't)(?:\s|$)|&(?:apos|quot|amp);|@-@")


def log_suspicions(config: Config) -> None:
    """Warn of everything suspicious in the text of an experiment, with the name of the file.

    Raises:
        DataError: A file cannot be read.
    """
    data = config.data
    found = [
        suspicion
        for pair in (*data.train, data.valid, *data.test)
        for suspicion in find_suspicions(pair, data.source_language, data.target_language)
    ]
    for file, message in dict.fromkeys(found):  # a file may have several parts of the data
        logger.warning("%s: %s", file, message)


def find_suspicions(pair: PairConfig, source_language: str, target_language: str) -> Iterator[tuple[str, str]]:
    """Yield the file and the text of each suspicion about a parallel text, from its first 1,000 pairs.

    Raises:
        DataError: A file cannot be read.
    """
    files = paths(pair)
    records = _first_records(pair)
    yield from ((files[0], message) for message in _find_format(pair, records))
    pairs = _pairs(records)
    sides = ([source for source, _ in pairs if source.strip()], [target for _, target in pairs if target.strip()])
    yield from _swapped(files, sides, (source_language, target_language))
    for place, lines in enumerate(sides):
        side = ("source", "target")[place]
        where = files[place] if len(files) == 2 else f"{files[0]} ({side})"
        if len(lines) >= FEWEST:
            yield from ((where, message) for check in _LINE_CHECKS for message in check(lines))


def find_format_suspicions(pair: PairConfig) -> list[str]:
    """Return the suspicions that a file has a header or the quotation marks of CSV, which are read as text."""
    return list(_find_format(pair, _first_records(pair)))


def has_csv_quotes(tsv: str) -> bool:
    """Whether the first 1,000 lines of a TSV file have the quotation marks of CSV."""
    return _count_quoted(_first_records(PairConfig(tsv=tsv))) > 0


Records = list[tuple[str, str] | MalformedLine]


def _first_records(pair: PairConfig) -> Records:
    return list(islice(read_training(pair), SAMPLE))


def _pairs(records: Records) -> list[tuple[str, str]]:
    return [record for record in records if not isinstance(record, MalformedLine)]


def _count_quoted(records: Records) -> int:
    return sum(any(map(_is_quoted, _cells(record))) for record in records)


def _find_format(pair: PairConfig, records: Records) -> Iterator[str]:
    """Yield the suspicions of a header and of quotation marks."""
    quoted = 0 if pair.tsv is None else _count_quoted(records)
    first = next(iter(_pairs(records)), None)
    fields = ["1", "2"]
    if first is not None and _is_header(*first) and kind_of(pair) in (None, "csv"):
        names = [cell.strip(AROUND_NAMES) for cell in first]
        hint = "Set header: true" if pair.csv else "Remove the first line"
        if pair.tsv:
            fields, hint = names, _as_csv(*names, quotes=quoted > 0)
        yield f"the first line looks like a header ({' and '.join(map(repr, names))}). {hint}."
    if quoted:
        yield (
            f"{quoted} of the first {len(records):,} lines have quotation marks of CSV, which are read as text. "
            f"{_as_csv(*fields, quotes=True)}."
        )


def _cells(record: tuple[str, str] | MalformedLine) -> Sequence[str]:
    return record.line.split("\t") if isinstance(record, MalformedLine) else record


def _is_quoted(cell: str) -> bool:
    """Whether a cell is surely quoted: inner quotation marks are doubled, or the last one is on another line."""
    cell = cell.strip()
    if not cell.startswith('"') or len(cell) < 2:
        return False
    if not cell.endswith('"'):
        return False
    inner = cell[1:-1]
    return '""' in inner and '"' not in inner.replace('""', "")


def _is_header(source: str, target: str) -> bool:
    """Whether both cells are language names or codes, or other usual names of columns."""
    names = [cell.strip(AROUND_NAMES).casefold() for cell in (source, target)]
    return names[0] != names[1] and all(name in HEADER_WORDS or is_known_language(name) for name in names)


def _as_csv(source: str, target: str, *, quotes: bool) -> str:
    """Return advice to read a TSV file as CSV."""
    mode = "" if quotes else "quotes: false, "
    return f'Use csv with delimiter: "\\t", {mode}source_field: {source} and target_field: {target}'


def _swapped(
    files: Sequence[str], sides: tuple[list[str], list[str]], languages: tuple[str, str]
) -> Iterator[tuple[str, str]]:
    """Compare the scripts of both sides with those of the languages."""
    seen = [detect_script(side) for side in sides]
    expected = [find_language(code).script for code in languages]
    if UNKNOWN_SCRIPT in (*seen, *expected) or any(map(_related, seen, expected)):
        return
    if all(map(_related, seen, reversed(expected))):
        yield (
            files[0],
            f"the sides look swapped: the source is in {seen[0]} script and the target in {seen[1]}, but the languages "
            f"are {languages[0]} and {languages[1]}.",
        )


HAN = frozenset(("Hani", "Hans", "Hant", "Jpan", "Hira", "Kana", "Bopo"))


def _related(one: str, other: str) -> bool:
    return one == other or {one, other} <= HAN or {one, other} <= {"Kore", "Hang"}


def _prefixed(lines: Sequence[str]) -> Iterator[str]:
    matches = [match[0].strip() for match in map(PREFIX.match, lines) if match]
    if len(matches) >= 0.9 * len(lines) and len(set(matches)) > len(matches) / 4:
        yield (
            f"{len(matches) / len(lines):.0%} of the lines begin with a number or an id, such as {matches[0]!r}. "
            "Remove it, because the model learns it as text."
        )


def _tokenized(lines: Sequence[str]) -> Iterator[str]:
    count = sum(TOKENIZED.search(line) is not None for line in lines)
    if count > 0.5 * len(lines):
        yield (
            f"{count / len(lines):.0%} of the lines look tokenised, with spaces before punctuation. Detokenise the "
            "text, or tokenise all input and references in the same way."
        )


LONGEST_ENTRY = 3
"""Words of the longest line that may be an entry of a dictionary."""


def _lowercased(lines: Sequence[str]) -> Iterator[str]:
    letters = Counter(kind for line in lines for kind in map(_case, line) if kind)
    if letters["lower"] < 10 * len(lines) / 2:
        return
    # Entries of a dictionary are no sentences: they begin with a small letter in any text.
    sentences = [line for line in lines if len(line.split()) > LONGEST_ENTRY]
    starts = [kind for kind in (next(filter(None, map(_case, line)), None) for line in sentences) if kind]
    small = starts.count("lower")
    if letters["upper"] < 0.001 * letters["lower"]:
        yield "the text has no capital letters. Lower-case all input in the same way."
    elif 2 * len(sentences) > len(lines) and small > 0.7 * len(starts):
        yield (
            f"{small / len(starts):.0%} of the lines begin with a small letter, although the text has capitals. It "
            "looks true-cased, and input must have the same form."
        )


def _case(character: str) -> str | None:
    """Return `upper` or `lower`; None for letters without case, and for Georgian, which has no capitals in texts."""
    if "\u10a0" <= character <= "\u10ff":
        return None
    return "upper" if character.isupper() else "lower" if character.islower() else None


_LINE_CHECKS: tuple[Callable[[Sequence[str]], Iterator[str]], ...] = (_prefixed, _tokenized, _lowercased)
