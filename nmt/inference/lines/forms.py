"""Lines as a program gives them, and results in the same form: one for one, a list for a list, else a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from nmt.errors import DataError, UsageError
from nmt.inference.lines.requests import Request
from nmt.inference.scores import Pair

ResultT = TypeVar("ResultT")
END = object()


def requests(text: str | Request | Iterable[str | Request]) -> Iterable[str | Request]:
    """Return lines to translate, without their line ends, which those of an open file have.

    Raises:
        UsageError: Something else is among them; for a stream, when it is reached.
    """
    if isinstance(text, (str, Request)):
        return [_request(text)]
    return _each(text, _request, "a string, a Request, or several of them")


def lines(text: str | Iterable[str]) -> Iterable[str]:
    """Return lines without their line ends; see `requests`."""
    return [_line(text)] if isinstance(text, str) else _each(text, _line, "a string, or several of them")


def pairs(source: str | Iterable[str], target: str | Iterable[str]) -> Iterator[Pair]:
    """Pair lines with translations.

    Raises:
        UsageError: One is a line, and the other is several.
        DataError: There are more of one than of the other; when that is reached.
    """
    if isinstance(source, str) != isinstance(target, str):
        raise UsageError("source and target go together: two strings, or several lines of each")
    return _paired(iter(lines(source)), iter(lines(target)))


def like(given: object, results: Iterator[ResultT]) -> ResultT | list[ResultT] | Iterator[ResultT]:
    """Return results in the form in which the lines were given."""
    if isinstance(given, (str, Request)):
        (result,) = results
        return result
    return list(results) if isinstance(given, (list, tuple)) else results


def _each(given: Any, of_one: Callable[[Any], ResultT], expected: str) -> Iterable[ResultT]:
    """Return each of several, checked; lists stay lists, which are taken as they are, not read in a thread."""
    if not isinstance(given, Iterable) or isinstance(given, (bytes, bytearray)):
        raise UsageError(f"expected {expected}, found {type(given).__name__}")
    return [of_one(one) for one in given] if isinstance(given, (list, tuple)) else map(of_one, given)


def _line(line: Any) -> str:
    if not isinstance(line, str):
        raise UsageError(f"a line is a string, found {type(line).__name__}")
    return line.rstrip("\r\n")


def _request(line: Any) -> str | Request:
    if not isinstance(line, Request):
        return _line(line)
    required: Any = line.required  # whatever was given
    if isinstance(required, str):
        raise UsageError(f"required is for several words or phrases: write required=({required!r},)")
    phrases = tuple(required) if isinstance(required, Iterable) else (required,)
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise UsageError(f"required is words or phrases, found {phrase!r}")
    if not isinstance(line.prefix, str):
        raise UsageError(f"a prefix is a string, found {type(line.prefix).__name__}")
    return replace(line, text=_line(line.text), required=phrases)


def _paired(sources: Iterator[str], targets: Iterator[str]) -> Iterator[Pair]:
    count = 0
    while True:
        source, target = next(sources, END), next(targets, END)
        if source is END and target is END:
            return
        if not (isinstance(source, str) and isinstance(target, str)):
            longer = "translations than lines" if source is END else "lines than translations"
            raise DataError(f"There are more {longer}: {count} of those. Line n belongs to translation n.")
        count += 1
        yield Pair(source, target)
