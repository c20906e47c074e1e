"""Readers of the input formats of `nmt score`: parallel files, tab-separated pairs and n-best lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nmt.data.lines import read_lines
from nmt.data.streams import describe
from nmt.errors import DataError, UnequalLines, UsageError
from nmt.inference.output.moses import restore_bars
from nmt.inference.results import SentencePair
from nmt.small_files import JSONError, parse_json

COMPRESSED = re.compile(r"\.(gz|bz2|xz|zst)$", re.IGNORECASE)
MOSES = re.compile(r"\s*(\d+) \|\|\| ?(.*)")
END = "\x00 the end"


ScoreInput = Literal["lines", "tsv", "jsonl", "moses"]
"""Input formats."""


class Item(NamedTuple):
    """One line of input.

    Attributes:
        pairs: source and translation of each hypothesis, at least one. A line without translations has a blank pair,
            which has no score.
        record: the fields that are repeated in JSON Lines output. Its `hypotheses` belong to the pairs.
        line: the number of the line in JSON Lines, for messages.
    """

    pairs: list[SentencePair]
    record: dict[str, Any]
    line: int = 0


def choose_input(source: Path, target: Path | None, given: ScoreInput | None) -> ScoreInput:
    """Return the input format: the given one, or the one that fits the number of files and the file name.

    Raises:
        UsageError: there are too few or too many files, or both are standard input.
    """
    if target is None:
        suffix = Path(COMPRESSED.sub("", source.name)).suffix.lower()
        given = given or ("jsonl" if suffix == ".jsonl" else "tsv")
        if given in ("lines", "moses"):
            raise UsageError(f"--input {given} requires two files: SOURCE and TARGET.")
        return given
    if str(source) == str(target) == "-":
        raise UsageError("SOURCE and TARGET cannot both be standard input (-).")
    if given == "jsonl":
        raise UsageError(f"--input jsonl reads one file with both sides. Leave out {target}.")
    return given or "lines"


def read_items(source: Path, target: Path | None, kind: ScoreInput) -> Iterator[Item]:
    """Read the translations to score, line by line.

    Raises:
        DataError: a file cannot be read, or does not have the expected format.
    """
    if target is None:
        return _read_json(source) if kind == "jsonl" else _read_tabs(source)
    if kind == "moses":
        return _read_list(source, target, _moses, "`0 ||| a translation ||| ...`")
    if kind == "tsv":
        return _read_list(source, target, _tabs, "a line of `nmt translate --format tsv`")
    return _read_two(source, target)


def _item(source: str, target: str, **record: Any) -> Item:
    return Item([SentencePair(source, target)], {**record, "source": source, "target": target})


def _read_two(source: Path, target: Path) -> Iterator[Item]:
    counts = [0, 0]
    sides = (read_lines(path, keep_broken=False) for path in (source, target))
    for pair in zip_longest(*sides, fillvalue=END):
        for side, line in enumerate(pair):
            counts[side] += line is not END
        if counts[0] == counts[1]:
            yield _item(*pair)
    if counts[0] != counts[1]:
        raise UnequalLines(describe(source), counts[0], describe(target), counts[1])


def _read_tabs(path: Path) -> Iterator[Item]:
    for number, line in enumerate(read_lines(path, keep_broken=False), 1):
        if not line.strip():
            yield _item("", "")
            continue
        columns = line.split("\t")
        if len(columns) != 2:
            raise DataError(
                f"{describe(path)}, line {number}: {len(columns)} column{'s' * (len(columns) > 1)}, expected "
                "source and translation with a tab between them. `nmt score --help` lists the other formats."
            )
        yield _item(*columns)


def _read_list(
    source: Path, target: Path, parse: Callable[[str], tuple[int, str] | None], expected: str
) -> Iterator[Item]:
    """Read an n-best list.

    Args:
        source: the source text.
        target: the list, in the order of the text.
        parse: returns the number of the source line, from 0, and the translation, or None for a malformed line.
        expected: description of a line of the list.
    """
    texts = enumerate(read_lines(source, keep_broken=False))
    current, text = -1, ""
    for number, line in enumerate(read_lines(target, keep_broken=False), 1):
        parsed = parse(line)
        if parsed is None:
            raise DataError(f"{describe(target)}, line {number}: expected {expected}.")
        source_line, translation = parsed
        if source_line < current:
            raise DataError(
                f"{describe(target)}, line {number}: translates line {source_line + 1} of the source, but follows a "
                f"translation of line {current + 1}. Sort the list by line."
            )
        while current < source_line:
            current, text = next(texts, (-1, ""))
            if current < 0:
                raise DataError(
                    f"{describe(target)}, line {number}: translates line {source_line + 1} of {describe(source)}, "
                    "which has fewer lines."
                )
        yield _item(text, translation, line=source_line + 1)


def _moses(line: str) -> tuple[int, str] | None:
    match = MOSES.fullmatch(line)
    if match is None:
        return None
    return int(match[1]), restore_bars(match[2].split(" |||")[0].strip())


def _tabs(line: str) -> tuple[int, str] | None:
    """Parse a line of `nmt translate --format tsv`: line number from 1, rank, two scores, text, other columns."""
    columns = line.split("\t")
    valid = len(columns) >= 5 and columns[0].isdecimal() and int(columns[0]) > 0
    return (int(columns[0]) - 1, columns[4]) if valid else None


def _read_json(path: Path) -> Iterator[Item]:
    """Read the output of `nmt translate --format jsonl`, or objects with a source and a target."""
    for number, line in enumerate(read_lines(path, keep_broken=False), 1):
        try:
            yield _json_item(parse_json(line))._replace(line=number)
        except (JSONError, TypeError, KeyError, AttributeError) as error:
            reason = f" ({error})" if isinstance(error, JSONError) else ""
            raise DataError(
                f"{describe(path)}, line {number}: expected a JSON object with source and target, or with "
                f"source and hypotheses as in `nmt translate --format jsonl`{reason}."
            ) from None


def _json_item(record: Any) -> Item:
    source = _text(record["source"])
    if "hypotheses" not in record:
        return Item([_json_pair(source, _text(record["target"]), record.get("pieces"))], dict(record))
    pairs = [_json_pair(source, _text(one["text"]), one.get("pieces")) for one in record["hypotheses"]]
    return Item(pairs or [SentencePair("", "")], dict(record))


def _json_pair(source: str, target: str, pieces: Any) -> SentencePair:
    return SentencePair(source, target, None if pieces is None else [_text(piece) for piece in list(pieces)])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
