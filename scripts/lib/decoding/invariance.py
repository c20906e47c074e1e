"""`scripts/invariance`: is a translation the same, in whatever way it is asked for?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import nmt
from decoding.modes import MODES, Mode, make_case
from decoding.ways import REFERENCE, WAYS, Found, Way, distance, equal
from experiments.commands import count, names, run_command
from experiments.markdown import table
from experiments.runs import write_bytes
from nmt.data.corpus import paths
from nmt.data.lines import read_lines
from nmt.errors import NMTError, UsageError
from nmt.inference.find_model import find_model
from nmt.inference.model_file import load_model
from nmt.log import logger

TOLERANCE = 1e-4
"""How far scores may be apart."""
SHOWN = 3
"""Differing lines that are told of each way."""
MODE_NAMES, WAY_NAMES = tuple(mode.name for mode in MODES), tuple(way.name for way in WAYS)

ABOUT = """\
Translates lines in many ways, and counts the lines whose translation is not the same: other batches, another order of
the lines, threads, processes, a pipe, from Python. For greedy and beam search, sampling, constraints made of the lines
themselves, and an ensemble. Texts must be equal, scores within 0.0001.
"""
DETAILS = """\
A sample is a function of the line, the seed and its number; so samples must be the same too. The exit code is 1 if any
line differs. By default the text is the first test set of the first model, whose path is relative to the folder of its
training.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/invariance",
        description=ABOUT,
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("models", nargs="+", type=Path, metavar="MODEL", help="a model; with more, all of them as an ensemble too")
    add("--source", type=Path, metavar="FILE", help="another text")
    add("--lines", type=count, default=1000, metavar="N", help="how many of its lines (%(default)s)")
    add("--modes", type=names(MODE_NAMES), default=MODE_NAMES, metavar="NAMES", help=f"of {','.join(MODE_NAMES)} (all)")
    add("--ways", type=names(WAY_NAMES), default=WAY_NAMES, metavar="NAMES", help=f"of {','.join(WAY_NAMES)} (all)")
    add("-o", "--out", type=Path, metavar="FILE", help="write the table there too")
    return parser.parse_args(arguments)


class Compared(NamedTuple):
    """What came of a way."""

    differing: int
    """Lines."""
    furthest: float
    """The greatest difference of scores, in lines with the same texts."""


def run(options: argparse.Namespace) -> None:
    """Translate, compare, print.

    Raises:
        NMTError: Lines differ; or something that the user can mend.
    """
    models = [find_model(path).resolve() for path in options.models]
    lines = _read(options, models)
    modes = [mode for mode in MODES if mode.name in options.modes and not (mode.ensemble and len(models) == 1)]
    ways = [way for way in WAYS if way.name in options.ways]
    if len(models) == 1 and "ensemble" in options.modes:
        logger.warning("ensemble is left out: it needs a second model")
    written = [found.text for found in nmt.load(models[0], beam_size=1, n_best=1).translate(lines)]
    results = {mode.name: _compare_ways(mode, ways, models, lines, written) for mode in modes}
    report = _report(results, ways, len(lines))
    print(report, end="")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(options.out, report.encode())
    differing = sum(found.differing for column in results.values() for found in column.values())
    if differing:
        raise NMTError(f"{differing} translations are not the same as those of the same lines in another way")


def _read(options: argparse.Namespace, models: Sequence[Path]) -> list[str]:
    path = options.source
    if path is None:
        tests = load_model(models[0]).config.data.test
        if not tests or tests[0].source is None:
            raise UsageError("the first model names no test set of two files; name a text with --source")
        path = paths(tests[0])[0]
    lines = list(islice(read_lines(path, keep_broken=False), options.lines))
    if not lines:
        raise UsageError(f"{path} is empty")
    return lines


def _compare_ways(
    mode: Mode, ways: Sequence[Way], models: Sequence[Path], lines: Sequence[str], written: Sequence[str]
) -> dict[str, Compared]:
    case = make_case(mode, models, lines, written)
    logger.info("%s: %s", mode.name, REFERENCE.title)
    wanted = REFERENCE.run(case)
    found = {}
    for way in ways:
        logger.info("%s: %s", mode.name, way.title)
        found[way.name] = _compare(wanted, way.run(case), f"{mode.name}, {way.title}")
    return found


def _compare(wanted: Found, found: Found, name: str) -> Compared:
    furthest, differing = 0.0, []
    for number, (one, other) in enumerate(zip(wanted, found, strict=True), 1):
        if not equal(one, other, tolerance=TOLERANCE):
            differing.append(number)
            if len(differing) <= SHOWN:
                logger.warning("%s: line %d: %s instead of %s", name, number, other, one)
        else:
            furthest = max(furthest, distance(one, other))
    return Compared(len(differing), furthest)


def _report(results: dict[str, dict[str, Compared]], ways: Sequence[Way], lines: int) -> str:
    rows = [[way.title, *(str(column[way.name].differing) for column in results.values())] for way in ways]
    furthest = max((found.furthest for column in results.values() for found in column.values()), default=0.0)
    return (
        f"Lines of {lines:,} that are not translated as by `nmt translate FILE`:\n\n"
        + table(["", *results], rows, texts=1)
        + f"\nScores of equal translations differ by {furthest:.1e} at most.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
