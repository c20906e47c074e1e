"""Ways to have the same lines translated: each must give the same translations.

Those of the command are the real program in a process of its own, those of Python what `nmt.load` gives, in this one.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nmt
from decoding.modes import Case
from nmt.data.lines import write_lines
from nmt.errors import NMTError

SEED = 1
"""Of the shuffling."""


class Candidate(NamedTuple):
    """A translation of a line."""

    text: str
    score: float | None
    """None: this way does not tell."""


Found = list[list[Candidate]]
"""The candidates of each line."""


class Way(NamedTuple):
    """A way to translate."""

    name: str
    title: str
    run: Callable[[Case], Found]


class Command:
    """Runs `nmt translate`."""

    def __init__(
        self, *options: str, order: Callable[[Case], list[int]] | None = None, pipe: bool = False, text: bool = False
    ) -> None:
        """Keep what is special.

        Args:
            options: More options.
            order: Gives the numbers of the lines in another order.
            pipe: Give the lines to standard input.
            text: Let it write plain text.
        """
        self._options = options
        self._order = order
        self._pipe = pipe
        self._text = text

    def __call__(self, case: Case) -> Found:
        """Translate, and put the lines back in order.

        Raises:
            NMTError: The program failed.
        """
        numbers = list(range(len(case.requests))) if self._order is None else self._order(case)
        with tempfile.TemporaryDirectory() as folder:
            found = self._run(case.picked(numbers), Path(folder))
        places = {number: place for place, number in enumerate(numbers)}
        return [found[places[number]] for number in range(len(found))]

    def _run(self, case: Case, folder: Path) -> Found:
        source = folder / "source"
        write_lines(source, [request.text for request in case.requests])
        arguments = [*_flags(case, text=self._text), *_steering(case, folder), *self._options]
        done = subprocess.run(
            [sys.executable, "-m", "nmt", "translate", *arguments, *([] if self._pipe else [str(source)])],
            input=source.read_bytes() if self._pipe else b"",
            capture_output=True,
            env=os.environ,
            check=False,
        )
        if done.returncode:
            raise NMTError(f"nmt translate {' '.join(arguments)} failed: {done.stderr.decode(errors='replace')}")
        lines = done.stdout.decode().split("\n")[:-1]
        if len(lines) != len(case.requests):
            raise NMTError(f"nmt translate {' '.join(arguments)}: {len(case.requests)} lines in, {len(lines)} out")
        return [[Candidate(line, None)] for line in lines] if self._text else [_read(line) for line in lines]


def _read(line: str) -> list[Candidate]:
    return [Candidate(each["text"], each["score"]) for each in json.loads(line)["hypotheses"]]


def _flags(case: Case, *, text: bool) -> list[str]:
    """Return the options of a case; plain text has room for one translation only."""
    flags = ["--quiet", "--format", "text" if text else "jsonl"]
    for model in case.models:
        flags += ["--model", str(model)]
    for name, value in case.mode.options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            flags.append(flag if value else f"--no-{flag[2:]}")
        else:
            flags += [flag, "1" if text and name == "n_best" else str(value)]
    return flags


def _steering(case: Case, folder: Path) -> list[str]:
    """Write the files of what is wanted, and return the options that name them."""
    wanted = {
        "prefixes": [request.prefix for request in case.requests],
        "required": ["\t".join(request.required) for request in case.requests],
        "avoid": case.avoid,
        "terminology": [f"{source}\t{target}" for source, target in case.terms.items()],
    }
    if case.mode.steered is None:
        return []
    path = folder / case.mode.steered
    write_lines(path, wanted[case.mode.steered])
    return [f"--{case.mode.steered}", str(path)]


def shuffled(case: Case) -> list[int]:
    """Return the numbers of the lines in disorder."""
    return random.Random(SEED).sample(range(len(case.requests)), len(case.requests))


def by_length(case: Case) -> list[int]:
    """Return the numbers of the lines, those of the shortest first."""
    return sorted(range(len(case.requests)), key=lambda number: len(case.requests[number].text))


def as_list(case: Case) -> Found:
    """Translate from Python, all lines at once."""
    return list(map(_candidates, _model(case).translate(case.requests)))


def as_iterator(case: Case) -> Found:
    """Translate from Python, lines as they come."""
    return list(map(_candidates, _model(case).translate(iter(case.requests))))


def one_by_one(case: Case) -> Found:
    """Translate from Python, each line by itself."""
    return [_candidates(_model(case).translate(request)) for request in case.requests]


def _model(case: Case) -> nmt.LoadedModel:
    mode = case.mode
    return _loaded(case.models, tuple(mode.options.items()), tuple(case.avoid), tuple(case.terms.items()))


@cache
def _read_once(models: tuple[Path, ...]) -> nmt.LoadedModel:
    return nmt.load(models)


@cache
def _loaded(
    models: tuple[Path, ...],
    options: tuple[tuple[str, Any], ...],
    avoid: tuple[str, ...],
    terms: tuple[tuple[str, str], ...],
) -> nmt.LoadedModel:
    """Return models with the options and phrases of a case; those of an earlier call, if they are the same."""
    return _read_once(models).with_options(**dict(options), avoid=avoid, terminology=dict(terms))


def _candidates(translation: nmt.Translation) -> list[Candidate]:
    return [Candidate(each.text, each.score) for each in translation.hypotheses]


REFERENCE = Way("file", "a file, everything as it is by default", Command())
WAYS = (
    *(Way(f"batch-{size}", f"--batch-size {size}", Command("--batch-size", str(size))) for size in (1, 7, 64)),
    Way("shuffled", "lines in disorder", Command(order=shuffled)),
    Way("sorted", "lines by length", Command(order=by_length)),
    *(Way(f"threads-{count}", f"--threads {count}", Command("--threads", str(count))) for count in (1, 2)),
    *(Way(f"processes-{count}", f"--processes {count}", Command("--processes", str(count))) for count in (1, 2)),
    Way("pipe", "standard input", Command(pipe=True)),
    Way("text", "--format text", Command(text=True)),
    Way("list", "Python, a list", as_list),
    Way("iterator", "Python, an iterator", as_iterator),
    Way("strings", "Python, a string each", one_by_one),
)


def equal(one: Sequence[Candidate], other: Sequence[Candidate], *, tolerance: float) -> bool:
    """Whether the candidates of a line are the same; where a way gives one without a score, its text alone counts."""
    if len(other) == 1 and other[0].score is None:
        return (one[0].text if one else "") == other[0].text
    return [each.text for each in one] == [each.text for each in other] and distance(one, other) <= tolerance


def distance(one: Sequence[Candidate], other: Sequence[Candidate]) -> float:
    """Return how far scores of the same candidates are apart, at most."""
    pairs = zip(one, other, strict=False)
    return max((abs(a.score - b.score) for a, b in pairs if a.score is not None and b.score is not None), default=0.0)
