"""`scripts/streaming`: when a huge file's first line is out, how much memory it takes, whether it survives a kill."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmark.processes import MEGABYTE, run, with_toolkit
from experiments.commands import count, run_command
from experiments.markdown import table
from nmt.data.lines import read_lines, write_lines
from nmt.errors import NMTError, UsageError
from nmt.inference.find_model import find_model
from nmt.log import logger

STARTS = 3
"""How often the first line is waited for; the median counts."""
TURNS = 3
"""Lines of the conversation."""
PATIENCE = 60.0
"""Seconds after which an answer is not waited for any more."""

ABOUT = """\
Runs `nmt translate` on a huge file, made of the lines of a smaller one again and again: when is its first translation
out, how much memory does it take beside a short file, and does it end cleanly where the reader goes away. Holds a
conversation with it, line by line. Kills it at random moments (SIGKILL), resumes, and compares what comes of it.
"""
DETAILS = """\
What stands behind -- are options of nmt translate, for all of it. The exit code is 1 if a line is missing or differs.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/streaming",
        usage="%(prog)s [options] MODEL --source FILE [-- OPTION ...]",
        description=ABOUT,
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a model file, or the folder of a run")
    add("--source", type=Path, required=True, metavar="FILE", help="the lines that the huge file is made of")
    add("--lines", type=count, default=1_000_000, metavar="N", help="its lines (%(default)s)")
    add("--short", type=count, default=10_000, metavar="N", help="lines of the short file (%(default)s)")
    add("--kills", type=count, default=5, metavar="N", help="how often the short file is killed (%(default)s)")
    add("--seed", type=int, default=1, metavar="N", help="of the moments (%(default)s)")
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    return parser.parse_args(given[:end], argparse.Namespace(options=given[end + 1 :]))


class Row(NamedTuple):
    """A line of the table."""

    asked: str
    found: str


class Stream:
    """Runs `nmt translate` with the same model and options on files of any length."""

    def __init__(self, model: Path, options: Sequence[str], *, source: Path, folder: Path) -> None:
        """Read the lines that files are made of.

        Args:
            model: The model.
            options: Of `nmt translate`.
            source: The lines.
            folder: Where files are written.

        Raises:
            NMTError: The source cannot be read, or is empty.
        """
        self._command = [sys.executable, "-m", "nmt", "translate", "--model", str(model), *options]
        self._lines = list(read_lines(source, keep_broken=False))
        if not self._lines:
            raise UsageError(f"{source} is empty")
        self._folder = folder

    def file(self, lines: int) -> Path:
        """Return a file of so many lines."""
        path = self._folder / f"{lines}.source"
        if not path.exists():
            write_lines(path, islice(cycle(self._lines), lines))
        return path

    def first_line(self, source: Path) -> tuple[float, int, str]:
        """Return after how many seconds the first translation was there, and how the program ended without a reader.

        Returns:
            Seconds from its start, its exit code, and what it wrote to standard error.
        """
        start = time.monotonic()
        with self._started(str(source), "--quiet", patience=PATIENCE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            seconds = time.monotonic() - start
            process.stdout.close()
            errors = process.stderr.read().decode()
            return seconds, process.wait(), errors

    def conversation(self, turns: int) -> list[float]:
        """Return the seconds of each answer; no line is sent before the one before is answered.

        Raises:
            NMTError: The program ended instead.
        """
        seconds = []
        with self._started("--quiet", patience=PATIENCE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for line in islice(cycle(self._lines), turns):
                start = time.monotonic()
                process.stdin.write(f"{line}\n".encode())
                process.stdin.flush()
                if not process.stdout.readline().endswith(b"\n"):
                    raise NMTError("nmt translate ended without an answer to a line from a pipe")
                seconds.append(time.monotonic() - start)
        return seconds

    def whole(self, source: Path) -> tuple[Path, float, int]:
        """Translate a file, and return its translation, the seconds, and the most memory in bytes."""
        output = source.with_suffix(".whole")
        ran = run([*self._command, str(source), "-o", str(output), "--overwrite"])
        return output, ran.seconds, ran.peak_bytes

    def killed(self, source: Path, moments: Sequence[float]) -> tuple[Path, list[int]]:
        """Translate a file that is killed after so many seconds each time, and then to its end.

        Returns:
            Its translation, and how many bytes of it there were after each kill.
        """
        output = source.with_suffix(".killed")
        sizes = []
        for moment in moments:
            with self._started(str(source), "-o", str(output), "--resume", "--quiet") as process:
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    process.kill()
            sizes.append(output.stat().st_size if output.exists() else 0)
        run([*self._command, str(source), "-o", str(output), "--resume"])
        return output, sizes

    @contextmanager
    def _started(self, *arguments: str, patience: float = threading.TIMEOUT_MAX) -> Iterator[subprocess.Popen[bytes]]:
        """Start the program; it outlives neither what it was started for nor so many seconds."""
        process = subprocess.Popen(
            [*self._command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=with_toolkit(),
        )
        alarm = threading.Timer(patience, process.kill)
        alarm.start()
        with process:
            try:
                yield process
            finally:
                alarm.cancel()
                process.kill()


def measure(stream: Stream, *, lines: int, short: int, kills: int, seed: int) -> Iterator[Row]:
    """Give the rows of the table as they are measured.

    Raises:
        NMTError: A file has not as many translations as lines, or they are not the same after a kill.
    """
    huge, small = stream.file(lines), stream.file(short)
    starts = [stream.first_line(huge) for _ in range(STARTS)]
    yield Row(f"first translation of {lines:,} lines, from the start", f"{median(each[0] for each in starts):.2f} s")
    ends = {(code, errors.strip()) for _, code, errors in starts}
    said = "; ".join(f"exit code {code}, {errors or 'nothing'} on standard error" for code, errors in sorted(ends))
    yield Row("the reader goes away after a line", said)
    answers = stream.conversation(TURNS)
    yield Row("a line from a pipe, an answer, the next line", ", ".join(f"{each:.2f}" for each in answers) + " s")
    whole, seconds, peak = stream.whole(small)
    yield _speed(whole, short, seconds, peak)
    yield _after_kills(stream, small, whole, seconds=seconds, kills=kills, seed=seed)
    found, longer, higher = stream.whole(huge)
    yield _speed(found, lines, longer, higher)
    yield Row("more memory than for the short file", f"{(higher - peak) / MEGABYTE:,.0f} MB")


def _speed(output: Path, lines: int, seconds: float, peak: int) -> Row:
    with output.open("rb") as file:
        written = sum(1 for _ in file)
    if written != lines:
        raise NMTError(f"{lines:,} lines in, {written:,} out")
    speed, memory = lines / seconds, peak / MEGABYTE
    return Row(f"{lines:,} lines", f"{seconds:,.0f} s, {speed:,.0f} lines/s, {memory:,.0f} MB at most")


def _after_kills(stream: Stream, source: Path, whole: Path, *, seconds: float, kills: int, seed: int) -> Row:
    """Kill at random moments; as many seconds in all, on average, as the whole file takes."""
    moments = [random.Random(seed + number).uniform(0, 2 * seconds / kills) for number in range(kills)]
    output, sizes = stream.killed(source, moments)
    if output.read_bytes() != whole.read_bytes():
        raise NMTError(f"{output} was killed and resumed, and is not what {whole} is")
    told = ", ".join(f"{moment:.1f}" for moment in moments)
    shares = ", ".join(f"{size / whole.stat().st_size:.0%}" for size in sizes)
    return Row(f"killed after {told} s, resumed each time", f"{shares} were there; in the end equal, byte for byte")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parse(arguments)

    def command() -> None:
        model = find_model(options.model).resolve()
        with tempfile.TemporaryDirectory() as folder:
            stream = Stream(model, options.options, source=options.source, folder=Path(folder))
            rows = []
            for row in measure(
                stream, lines=options.lines, short=options.short, kills=options.kills, seed=options.seed
            ):
                logger.info("%s: %s", *row)
                rows.append(row)
        print(table(("asked", "found"), rows, texts=2), end="")

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
