"""The command `scripts/papers_table`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from nmt import log
from nmt.errors import NMTError
from nmt.log import logger
from papers.results import Row, result_of
from papers.runs import CORPORA, PRESETS, make_plan, train
from papers.table import markdown

ABOUT = """\
Trains the models of configs/papers on one corpus, each into runs/PRESET-CORPUS, translates the test set with each, and
writes a Markdown table of their sizes, speed and BLEU, over all sentences and over short and long ones.

Finished runs are not trained again, and interrupted ones are resumed. A run that was made with other options is left
alone, and named.
"""
SHORT = 10
"""Words of a source sentence, punctuation not split off: up to here it is short."""
LONG = {"exercise": 30, "multi30k": 20}
"""Beyond this it is long. Multi30k has two test sentences of more than 30 words."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/papers_table", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    parser.add_argument(
        "words", nargs="*", metavar="PRESET|KEY=VALUE", help=f"which of {', '.join(names)}; options of nmt train"
    )
    parser.add_argument(
        "--corpus", default="exercise", metavar="NAME|FILE", help="in configs/corpora, or another file; exercise"
    )
    parser.add_argument("--short", type=int, default=SHORT, metavar="N", help=f"words of a short sentence; {SHORT}")
    parser.add_argument("--long", type=int, metavar="N", help="words that a long one has more than; 30, Multi30k: 20")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the table goes; standard output")
    options = parser.parse_intermixed_args(arguments)
    given = Path(options.corpus)
    options.base = given if given.suffix == ".yaml" else CORPORA / f"{options.corpus}.yaml"
    if not options.base.is_file():
        parser.error(f"--corpus: no such file: {options.base}")
    options.overrides = [word for word in options.words if "=" in word]
    options.presets = [word for word in options.words if "=" not in word] or names
    for name in options.presets:
        if name not in names:
            parser.error(f"no preset is called {name}; there are {', '.join(names)}")
    if options.long is None:
        options.long = LONG.get(options.base.stem, LONG["exercise"])
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is not trained yet, and write the table."""
    log.setup(level=logging.INFO)
    options = parse(arguments)
    rows: list[Row] = []
    failed = []
    for name in options.presets:
        try:
            plan = make_plan(PRESETS / f"{name}.yaml", options.base, options.overrides)
            train(plan)
            rows.append(result_of(plan, short=options.short, long=options.long))
        except NMTError as error:
            logger.error("%s: %s", name, error)
            failed.append(name)
        except KeyboardInterrupt:
            logger.error("interrupted; the same command goes on where this one was")
            return 130
    table = markdown(rows, short=options.short, long=options.long)
    if options.output is not None:
        options.output.write_text(table, encoding="utf-8")
        logger.info("wrote %s", options.output)
    else:
        sys.stdout.write(table)
    if failed:
        logger.error("not in the table: %s", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
