"""`scripts/decoding_table`: what each way of decoding is worth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from decoding.bench import Bench
from decoding.choosing import Scored, score_row
from decoding.models import Models
from decoding.report import write_test, write_validation
from decoding.rows import BASELINE, NAMES, ROWS, Row
from decoding.store import Store
from decoding.test_set import Tested, read_chosen, score_test
from decoding.text import METRICS, read_test, read_validation
from experiments.commands import count, names, run_command
from nmt.log import logger

ABOUT = """\
What each way of decoding is worth: greedy and beam search, length normalisations, coverage penalty, minimum Bayes risk,
int8 and shortlist, ensembles, and reranking, with BLEU, chrF and speed on the validation set of the first model.

Options are tuned on the same validation set, one half of the lines for the other half, so that no line is scored with
what it has chosen itself. Then, with --test, the rows that are worth it on a test set, with the numbers chosen before.
"""
DETAILS = """\
Four seeds, and models for reranking, are made so; all of them share one preprocessed folder:

  nmt train configs/multi30k-en-de.yaml name=seed-1 seed=1        (and 2, 3, 4)
  nmt train configs/multi30k-en-de.yaml name=right-to-left data.right_to_left=true
  nmt train configs/multi30k-de-en.yaml name=reverse

  scripts/decoding_table --models runs/seed-1 runs/seed-2 runs/seed-3 runs/seed-4 \\
      --right-to-left runs/right-to-left --reverse runs/reverse
  scripts/decoding_table --models ... --test test_2016_flickr --rows greedy,tune,ensemble-rerank

Writes validation.md and .json, and NAME.md and .json of a test set, into --out. All translations are kept there, so
Ctrl-C loses little: the same command goes on. Paths in model files are relative to the folder of their training.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/decoding_table",
        description=ABOUT,
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--models", nargs="+", type=Path, required=True, metavar="MODEL", help="the single model, then its ensemble's")
    add("--right-to-left", nargs="+", type=Path, default=[], metavar="MODEL", help="judge candidates from their ends")
    add("--reverse", nargs="+", type=Path, default=[], metavar="MODEL", help="judge them in the other direction")
    add("--rows", type=names(NAMES), default=NAMES, metavar="NAMES", help=f"of {','.join(NAMES)} (all)")
    add("--test", metavar="NAME", help="translate this test set with what was chosen; needs --rows")
    add("--source", type=Path, metavar="FILE", help="another validation set; with --reference")
    add("--reference", type=Path, metavar="FILE", help="its translations by people")
    add("--metric", choices=METRICS, default=METRICS[0], help="what tuning makes high (%(default)s)")
    add("--limit", type=count, metavar="N", help="only the first lines, for a trial")
    add("--threads", type=count, metavar="N", help="processor threads (all cores)")
    add("--time", type=count, metavar="N", help="then take the time of all rows again, in turns, N times each")
    add("-o", "--out", type=Path, default=Path("runs/decoding-table"), metavar="FOLDER", help="%(default)s")
    add("--overwrite", action="store_true", help="do again what is done")
    options = parser.parse_args(arguments)
    if options.test is not None and options.rows is NAMES:
        parser.error("--test needs --rows: choose on the validation set which ones are worth it")
    return options


def run(options: argparse.Namespace) -> None:
    """Make the table.

    Raises:
        NMTError: Something that the user can mend.
    """
    models = Models(options.models, options.right_to_left, options.reverse)
    rows = [row for row in ROWS if row.name in options.rows or (options.test and row.name == BASELINE)]
    usable = [row for row in rows if row.missing(models) is None]
    left_out = {row: needed for row in rows if (needed := row.missing(models)) is not None}
    for row, needed in left_out.items():
        logger.warning("%s is left out: it needs %s", row.name, needed)
    make = _test if options.test is not None else _validate
    print(make(options, models, usable, left_out).read_text("utf-8"))


def _validate(options: argparse.Namespace, models: Models, rows: Sequence[Row], left_out: dict[Row, str]) -> Path:
    text = read_validation(models.first.config, options.source, options.reference, options.limit)
    bench = _bench(options, models, text)
    found: dict[Row, Scored] = {}

    def report() -> Path:
        return write_validation(found, bench, left_out, folder=options.out, metric=options.metric)

    for number, row in enumerate(rows, 1):
        logger.info("row %d of %d: %s", number, len(rows), row.title)
        found[row] = score_row(row, bench, metric=options.metric)
        report()
    for _ in range(options.time or 0):
        for row, scored in found.items():
            logger.info("again, for the time: %s", row.title)
            bench.time_again(scored.chosen.method)
    for row in list(found) if options.time else []:
        found[row] = score_row(row, bench, metric=options.metric)
    return report()


def _test(options: argparse.Namespace, models: Models, rows: Sequence[Row], left_out: dict[Row, str]) -> Path:
    chosen = read_chosen(options.out, rows, models)
    bench = _bench(options, models, read_test(models.first.config, options.test, options.limit))
    found: list[Tested] = score_test(rows, chosen, bench)
    return write_test(found, bench, left_out, folder=options.out)


def _bench(options: argparse.Namespace, models: Models, text: Any) -> Bench:
    store = Store(options.out / "translations", overwrite=options.overwrite)
    return Bench(models, text, store, threads=options.threads)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
