"""What `nmt score` reads: pairs in two files or one, or n-best lists. Needs no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from nmt.data.lines import read_lines
from nmt.data.streams import describe
from nmt.errors import DataError, UnequalLines, UsageError
from nmt.inference.output.moses import restore_bars
from nmt.inference.results import SentencePair

PACKED = re.compile(r"\.(gz|bz2|xz|zst)$", re.IGNORECASE)
MOSES = re.compile(r"\s*(\d+) \|\|\| ?(.*)")
END = "\x00 the end"


class Input(str, Enum):
    """Values of --input: what the files are."""

    lines = "lines"
    tsv = "tsv"
    jsonl = "jsonl"
    moses = "moses"


class Item(NamedTuple):
    """What one line of input asks for."""

    pairs: list[SentencePair]
    """At least one; a line without translations has a blank pair, which has no score."""
    record: dict[str, Any]
    """What of the input is repeated in JSON Lines output; its `hypotheses`, if it has them, are those of the pairs."""


def choose_input(source: Path, target: Path | None, given: Input | None) -> Input:
    """Return what the files are: what is said, or else what their number and suffix tell.

    Raises:
        UsageError: There are too few files, or too many, or both are standard input.
    """
    if target is None:
        suffix = Path(PACKED.sub("", source.name)).suffix.lower()
        given = given or (Input.jsonl if suffix == ".jsonl" else Input.tsv)
        if given in (Input.lines, Input.moses):
            raise UsageError(f"--input {given.value} needs two files: the text, and its translations")
        return given
    if str(source) == str(target) == "-":
        raise UsageError("the text and its translations cannot both be standard input")
    if given is Input.jsonl:
        raise UsageError(f"--input jsonl is one file, which has both sides; leave {target} out")
    return given or Input.lines


def read_items(source: Path, target: Path | None, kind: Input) -> Iterator[Item]:
    """Read what is to be scored, line by line.

    Raises:
        DataError: A file cannot be read, or has something else in it.
    """
    if target is None:
        return _read_json(source) if kind is Input.jsonl else _read_tabs(source)
    if kind is Input.moses:
        return _read_list(source, target, _moses, "`0 ||| a translation ||| ...`")
    if kind is Input.tsv:
        return _read_list(source, target, _tabs, "what `nmt translate --format tsv` writes")
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
                f"{describe(path)}, line {number}: {len(columns)} column{'s' * (len(columns) > 1)}; source and "
                "translation are expected, with a tab between them. For other files see `nmt score --help`."
            )
        yield _item(*columns)


def _read_list(
    source: Path, target: Path, parse: Callable[[str], tuple[int, str] | None], expected: str
) -> Iterator[Item]:
    """Read an n-best list, whose lines have the number of a line of the text, and a translation of it.

    Args:
        source: The text.
        target: The list, in order of the text.
        parse: Gives number (from 0) and translation of a line of the list; None if it has none.
        expected: What such a line looks like.
    """
    texts = enumerate(read_lines(source, keep_broken=False))
    current, text = -1, ""
    for number, line in enumerate(read_lines(target, keep_broken=False), 1):
        found = parse(line)
        if found is None:
            raise DataError(f"{describe(target)}, line {number}: expected {expected}")
        wanted, translation = found
        if wanted < current:
            raise DataError(f"{describe(target)}, line {number}: an earlier line of the text; sort the list")
        while current < wanted:
            current, text = next(texts, (-1, ""))
            if current < 0:
                raise DataError(
                    f"{describe(target)}, line {number}: a translation of line {wanted + 1} of {describe(source)}, "
                    "which has fewer lines"
                )
        yield _item(text, translation, line=wanted + 1)


def _moses(line: str) -> tuple[int, str] | None:
    match = MOSES.fullmatch(line)
    if match is None:
        return None
    return int(match[1]), restore_bars(match[2].split(" |||")[0].strip())


def _tabs(line: str) -> tuple[int, str] | None:
    """Parse line number (from 1), rank, two scores, text, and what else there is."""
    columns = line.split("\t")
    right = len(columns) >= 5 and columns[0].isdecimal() and int(columns[0]) > 0
    return (int(columns[0]) - 1, columns[4]) if right else None


def _read_json(path: Path) -> Iterator[Item]:
    """Read what `nmt translate --format jsonl` writes, or objects with a source and a target."""
    for number, line in enumerate(read_lines(path, keep_broken=False), 1):
        try:
            yield _json_item(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise DataError(
                f"{describe(path)}, line {number}: expected an object with a source and a target, or as "
                "`nmt translate --format jsonl` writes it, with a source and hypotheses"
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
