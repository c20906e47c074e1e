"""Measures how fast a model translates on this machine.

All ways of translating run in turns, a small part of the text at a time. So each of them sees the same load of the
machine, and the medians can be compared.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nmt.data.special_tokens import EOS
from nmt.errors import NMTError, UsageError

if TYPE_CHECKING:
    from nmt.data.tokenizer import SubwordModel
    from nmt.inference.results import Translation

SINGLE_LINES = 4
"""Lines of one turn that are translated one by one."""
START_LINE = "a\n"


class TimedTranslator(Protocol):
    """The translator interface that measuring requires."""

    def translate(self, lines: Iterable[str], /) -> Iterator[Translation]:
        """Yield the translation of each line, in order."""


class Mode(NamedTuple):
    """A way of translating."""

    batch: int
    """Lines of one call. 1: each line waits for the one before."""
    beam: int
    shortlist: bool


class Speed(NamedTuple):
    """The speed of one mode: its fields, then medians over the turns."""

    batch: int
    beam: int
    shortlist: bool
    sentences_per_second: float
    pieces_per_second: float
    """Target pieces."""
    turns: int


class Start(NamedTuple):
    """The cost of translating one line with a new process."""

    seconds: float
    processor_seconds: float
    megabytes: float
    """The peak of its memory."""


def measure_speed(
    translators: Mapping[Mode, TimedTranslator],
    lines: Sequence[str],
    *,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Speed]:
    """Translate parts of a text in turns until the time is over, at least one part in each mode.

    Args:
        translators: The translator of each mode.
        lines: The text. Blank lines and repetitions do not count.
        seconds: The time for all modes. The last turns are completed.
        clock: Returns the time in seconds.

    Raises:
        UsageError: The text is blank.
    """
    text = list(dict.fromkeys(line for line in lines if line.strip()))
    if not text:
        raise UsageError("The text for the measurement is blank.")
    parts = {mode: _parts(text, SINGLE_LINES if mode.batch == 1 else mode.batch) for mode in translators}
    for mode, translator in translators.items():
        _translate(translator, next(parts[mode])[:SINGLE_LINES], mode)  # the first products are slower
    rates: dict[Mode, list[tuple[float, float]]] = {mode: [] for mode in translators}
    end = clock() + seconds
    for turn in itertools.count():
        for mode in list(translators)[:: 1 if turn % 2 == 0 else -1]:
            part = next(parts[mode])
            start = clock()
            pieces = _translate(translators[mode], part, mode)
            needed = max(clock() - start, 1e-9)
            rates[mode].append((len(part) / needed, pieces / needed))
        if clock() >= end:
            break
    speeds = []
    for mode, found in rates.items():
        sentences, pieces_of_turns = zip(*found, strict=True)
        median, median_pieces = statistics.median(sentences), statistics.median(pieces_of_turns)
        speeds.append(Speed(mode.batch, mode.beam, mode.shortlist, median, median_pieces, len(found)))
    return speeds


def _parts(text: Sequence[str], size: int) -> Iterator[list[str]]:
    """Yield different lines, `size` at a time, from the beginning again after the end."""
    size = min(size, len(text))
    for start in itertools.count(0, size):
        yield [text[index % len(text)] for index in range(start, start + size)]


def _translate(translator: TimedTranslator, lines: Sequence[str], mode: Mode) -> int:
    """Translate lines in a mode, and return the number of target pieces."""
    calls = [[line] for line in lines] if mode.batch == 1 else [lines]
    translations = [translation for call in calls for translation in translator.translate(call)]
    best = [translation.hypotheses[0] for translation in translations if translation.hypotheses]
    return sum(len(segment) for hypothesis in best for segment in hypothesis.segments)


def measure_start(options: Sequence[str]) -> Start | None:
    """Translate one line with `nmt translate` and these options, in a new process.

    Returns:
        None on systems that do not report the time of a process.

    Raises:
        NMTError: The command fails.
    """
    if not hasattr(os, "wait4"):
        return None
    command = [sys.executable, "-m", "nmt", "translate", "--quiet", *options]
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(START_LINE.encode())
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise NMTError(f"nmt translate failed with exit code {process.returncode}.")
    unit = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, others kilobytes
    return Start(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)


def made_up_lines(subwords: SubwordModel, count: int) -> list[str]:
    """Return lines of random pieces, frequent ones more often, 5 to 25 pieces long."""
    import numpy as np  # the help of the command does not need it

    generator = np.random.default_rng(1)
    weights = 1 / np.arange(1, subwords.size - EOS)  # pieces are sorted by frequency
    lengths = generator.integers(5, 26, count)
    ids = [generator.choice(len(weights), length, p=weights / weights.sum()) + EOS + 1 for length in lengths]
    return subwords.decode([row.tolist() for row in ids])
