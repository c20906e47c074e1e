"""Parallel text in one file: CSV, JSON Lines, TMX, XLIFF and the zip files of OPUS.

Every reader works in bounded memory and yields one item per record. White space inside a text, such as line breaks in a
cell, becomes one space, because a sentence is one line everywhere else.
"""

from __future__ import annotations

import csv
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, NamedTuple
from xml.etree import ElementTree

from nmt.config.schema import PairConfig
from nmt.data.languages import is_same_language
from nmt.data.lines import Digest, read_blocks, read_lines
from nmt.data.streams import read_bytes
from nmt.errors import DataError
from nmt.small_files import JSONError, parse_json

KINDS = ("csv", "jsonl", "tmx", "xliff", "opus")
"""The keys of `PairConfig` for these files."""
CODE_ELEMENTS = frozenset(("bpt", "ept", "it", "ph", "ut"))
"""Inline elements whose content is code, not text."""
SHOWN = 8
DAMAGED_ARCHIVE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError)


class MalformedRecord(NamedTuple):
    """A record that is not a pair of texts.

    Attributes:
        text: The record.
        line: Its line number.
        reason: Why it is not a pair, with what was expected.
    """

    text: str
    line: int
    reason: str


Records = Iterator[tuple[str, str] | MalformedRecord]


def kind_of(pair: PairConfig) -> str | None:
    """Return the key of a structured file, or None for plain text files."""
    return next((kind for kind in KINDS if getattr(pair, kind) is not None), None)


def read_records(pair: PairConfig, *, keep_broken: bool, digest: Digest | None = None) -> Records:
    """Yield the records of a structured file: pairs, and what is not a pair.

    Args:
        pair: The file, with the fields of both sides.
        keep_broken: Whether to accept text that is not UTF-8 in CSV, JSON Lines and zip files; see `read_lines`.
        digest: Updated with all unpacked bytes of the file, if given.

    Raises:
        DataError: The file cannot be read, is broken, or has no such fields.
    """
    kind = kind_of(pair)
    if kind == "csv":
        return _read_csv(pair, keep_broken, digest)
    if kind == "jsonl":
        return _read_jsonl(pair, keep_broken, digest)
    if kind == "tmx":
        return _read_tmx(pair, digest)
    if kind == "xliff":
        return _read_xliff(pair, digest)
    return _read_opus(pair, keep_broken, digest)


def one_line(text: str) -> str:
    """Return a text on one line, without outer spaces if it had line breaks."""
    return text if "\n" not in text and "\r" not in text else " ".join(text.split())


def _fields(pair: PairConfig) -> tuple[str, str]:
    return str(pair.source_field), str(pair.target_field)


def _read_csv(pair: PairConfig, keep_broken: bool, digest: Digest | None) -> Records:
    path = str(pair.csv)
    lines = read_lines(path, keep_broken=keep_broken, digest=digest)
    rows = csv.reader(
        (line + "\n" for line in lines),
        delimiter=pair.delimiter,
        quoting=csv.QUOTE_MINIMAL if pair.quotes else csv.QUOTE_NONE,
        quotechar='"' if pair.quotes else None,
        skipinitialspace=True,
        strict=True,
    )
    columns: tuple[int, int] | None = None
    width = 0
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"not CSV ({error}). If quotation marks are part of the text, set quotes: false"
            if "expected after" not in str(error):  # a quotation mark without its partner swallows the rest of the file
                raise DataError(f"{path}, line {line}: {reason}.") from None
            yield MalformedRecord("", line, reason)
            continue
        if columns is None:
            columns = _columns(pair, row)
            width = max(columns) + 1
            if _has_header(pair):
                continue
        if len(row) < width:
            yield MalformedRecord(pair.delimiter.join(row), line, f"{len(row)} columns, expected at least {width}")
        elif pair.delimiter == "\t" and any("\t" in cell and "\n" in cell for cell in row):
            reason = "a quoted cell has a tab and a line break. If quotation marks are text, set quotes: false"
            yield MalformedRecord("\t".join(row), line, reason)
        else:
            yield one_line(row[columns[0]]), one_line(row[columns[1]])


def _has_header(pair: PairConfig) -> bool:
    """Whether the first record is a header: as declared, or if a column is chosen by its name."""
    if pair.header is not None:
        return pair.header
    return not all(field.isdigit() for field in _fields(pair))


def _columns(pair: PairConfig, first: Sequence[str]) -> tuple[int, int]:
    """Return the two columns, counted from 0.

    Args:
        pair: The file.
        first: The first record.

    Raises:
        DataError: The file has no such columns.
    """
    found = []
    for side, field in (("source_field", pair.source_field), ("target_field", pair.target_field)):
        names = [name.strip() for name in first]
        if field is not None and names.count(field) == 1 and _has_header(pair):
            found.append(names.index(field))
        elif field is not None and field.isdecimal() and 1 <= int(field) <= len(first):
            found.append(int(field) - 1)
        else:
            shown = ", ".join(f"{number} {name[:30]!r}" for number, name in enumerate(names[:SHOWN], 1))
            raise DataError(
                f"{pair.csv}, line 1: no column {field} ({side}). The columns are: {shown}. Set source_field and "
                "target_field, or delimiter if the columns look wrong."
            )
    return found[0], found[1]


def _read_jsonl(pair: PairConfig, keep_broken: bool, digest: Digest | None) -> Records:
    path = str(pair.jsonl)
    keys = _fields(pair)
    seen = False
    for number, line in enumerate(read_lines(path, keep_broken=keep_broken, digest=digest), 1):
        if not line.strip():
            continue
        try:
            record = parse_json(line, strict=False)
        except JSONError as error:
            hint = " Is it one JSON document? JSON Lines has one object per line." if number == 1 else ""
            raise DataError(f"{path}, line {number}: not JSON ({error}).{hint}") from None
        values = [_lookup(record, key) for key in keys]
        source, target = values
        first, seen = not seen, True
        if isinstance(source, str) and isinstance(target, str):
            yield one_line(source), one_line(target)
            continue
        missing = next(key for key, value in zip(keys, values, strict=True) if not isinstance(value, str))
        found = ", ".join(_key_paths(record)[:SHOWN]) or "none"
        reason = f"no text under the key {missing!r}, found: {found}"
        if first:
            raise DataError(f"{path}, line {number}: {reason}. Set source_field and target_field.")
        yield MalformedRecord(line, number, reason)


def _lookup(record: Any, path: str) -> Any:
    """Return the value under a key, or under keys joined with dots."""
    if isinstance(record, dict) and path in record:
        return record[path]
    head, _, rest = path.partition(".")
    return _lookup(record[head], rest) if rest and isinstance(record, dict) and head in record else None


def _key_paths(record: Any, prefix: str = "") -> list[str]:
    """Return the keys of all texts in a record, joined with dots."""
    if isinstance(record, str):
        return [prefix.removesuffix(".")]
    if not isinstance(record, dict):
        return []
    return [path for key, value in record.items() for path in _key_paths(value, f"{prefix}{key}.")]


def _read_tmx(pair: PairConfig, digest: Digest | None) -> Records:
    wanted = _fields(pair)
    codes: dict[str, None] = {}
    any_pair = False
    for unit, line in _elements(str(pair.tmx), frozenset(("tu",)), digest):
        texts: dict[str, str] = {}
        for variant in unit:
            segment = next((child for child in variant if _name(child) == "seg"), None)
            code = variant.get("{http://www.w3.org/XML/1998/namespace}lang") or variant.get("lang") or ""
            if segment is not None and code:
                texts.setdefault(code, _plain(segment))
        codes.update(dict.fromkeys(texts))
        source, target = (_choose(texts, code) for code in wanted)
        any_pair = any_pair or not (source is None or target is None)
        if source is None or target is None:
            missing = wanted[0] if source is None else wanted[1]
            reason = f"no text in {missing!r}, found: {', '.join(texts) or 'none'}"
            yield MalformedRecord(" | ".join(texts.values()), line, reason)
        else:
            yield source, target
    if codes and not any_pair:
        raise DataError(
            f"{pair.tmx}: no unit has text in {wanted[0]!r} and {wanted[1]!r}. The languages of the file are: "
            f"{', '.join(list(codes)[:SHOWN])}. Set source_field and target_field."
        )


def _choose(texts: dict[str, str], code: str) -> str | None:
    """Return the text in a language, preferably the one with exactly this code."""
    serving = {found: text for found, text in texts.items() if is_same_language(code, found)}
    exact = {found.lower(): text for found, text in serving.items()}
    return exact.get(code.lower(), next(iter(serving.values()), None))


def _read_xliff(pair: PairConfig, digest: Digest | None) -> Records:
    for unit, line in _elements(str(pair.xliff), frozenset(("trans-unit", "unit")), digest):
        segments = [child for child in unit if _name(child) == "segment"] or [unit]
        for segment in segments:
            texts = {_name(child): _plain(child) for child in reversed(segment) if _name(child) in ("source", "target")}
            if texts.get("source") and texts.get("target"):
                yield texts["source"], texts["target"]
            elif "source" in texts:
                yield MalformedRecord(texts["source"], line, "a unit without a translation")


def _elements(path: str, names: frozenset[str], digest: Digest | None) -> Iterator[tuple[ElementTree.Element, int]]:
    """Yield the elements of these names with about the line of their end, and forget them afterwards."""
    parser: ElementTree.XMLPullParser[ElementTree.Element] = ElementTree.XMLPullParser(("start", "end"))
    open_elements: list[ElementTree.Element] = []
    inside = 0
    try:
        for block, line in _with_lines(path, digest):
            if block:
                parser.feed(block)
            else:
                parser.close()
            for event, element in parser.read_events():  # type: ignore[misc]  # the stubs do not know the event kinds
                assert isinstance(element, ElementTree.Element)
                is_unit = _name(element) in names
                if event == "start":
                    open_elements.append(element)
                    inside += is_unit
                    continue
                open_elements.pop()
                inside -= is_unit
                if is_unit:
                    yield element, line
                if not inside:
                    element.clear()
                    if open_elements:
                        open_elements[-1].remove(element)
    except ElementTree.ParseError as error:
        row, column = error.position
        reason = str(error).partition(":")[0]
        raise DataError(f"{path}, line {row}, column {column + 1}: broken XML ({reason}). Correct the file.") from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not have, or that is not one of text
        raise DataError(
            f"{path}, line 1: the XML has an unusable encoding ({error}). Convert the file to UTF-8."
        ) from None


def _with_lines(path: str, digest: Digest | None) -> Iterator[tuple[bytes, int]]:
    """Yield the bytes of a file line by line with line numbers, at last an empty line."""
    number = 1
    for chunk in read_bytes(path):
        if digest is not None:
            digest.update(chunk)
        for line in chunk.splitlines(keepends=True) if len(chunk) < 1 << 24 else [chunk]:
            yield line, number
            number += line.endswith((b"\n", b"\r"))
    yield b"", number


def _name(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _plain(element: ElementTree.Element) -> str:
    """Return the text of an element without code, on one line."""
    parts = [element.text or ""]
    for child in element:
        parts.append("" if _name(child) in CODE_ELEMENTS else _plain_inside(child))
        parts.append(child.tail or "")
    return " ".join("".join(parts).split())


def _plain_inside(element: ElementTree.Element) -> str:
    parts = [element.text or ""]
    for child in element:
        parts += ["" if _name(child) in CODE_ELEMENTS else _plain_inside(child), child.tail or ""]
    return "".join(parts)


def _read_opus(pair: PairConfig, keep_broken: bool, digest: Digest | None) -> Records:
    path = str(pair.opus)
    if digest is not None:
        for chunk in read_bytes(path):
            digest.update(chunk)
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DataError(f"{path}: not a zip file ({error}).") from None
    with closing(archive):
        members = [find_member(archive.namelist(), code, path=path) for code in _fields(pair)]
        sides = [_member_lines(archive, path, member, keep_broken) for member in members]
        try:
            yield from zip(*sides, strict=True)
        except ValueError:
            raise DataError(f"{path}: {members[0]} and {members[1]} have different numbers of lines.") from None


def find_member(names: Sequence[str], code: str, *, path: str) -> str:
    """Return the text file of a language in a zip file of OPUS, whose name ends in the language code.

    Raises:
        DataError: There is no such file, or more than one.
    """
    found = [name for name in names if name.endswith(f".{code}")]
    if len(found) != 1:
        problem = f"no file ends in .{code}" if not found else f"several files end in .{code}"
        raise DataError(f"{path}: {problem}. The files are: {', '.join(names[:SHOWN])}. Name the languages of the zip.")
    return found[0]


def _member_lines(archive: zipfile.ZipFile, path: str, member: str, keep_broken: bool) -> Iterator[str]:
    def chunks() -> Iterator[bytes]:
        try:
            with archive.open(member) as stream:
                while chunk := stream.read(1 << 20):
                    yield chunk
        except (*DAMAGED_ARCHIVE, EOFError, OSError, RuntimeError, ValueError) as error:
            raise DataError(f"{path}: {member} is damaged or encrypted ({error}).") from None

    return chain.from_iterable(read_blocks(f"{path}:{member}", keep_broken=keep_broken, chunks=chunks()))
