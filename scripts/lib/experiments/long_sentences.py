"""`scripts/long_sentences`: what happens to translations as sentences grow, with attention and without."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments.commands import count, names, run_command
from experiments.concatenation import make_long_multi30k
from experiments.length_report import write_report
from experiments.length_scores import measure_lengths
from experiments.runs import Job, finished, run_jobs
from experiments.systems import SYSTEMS, configure
from nmt.log import logger

ROOT = Path(__file__).resolve().parents[3]
DATA = Path("data")
CORPORA = ("exercise", "multi30k")
SEED = 1
"""Of the concatenated text."""

ABOUT = """\
What happens to translations as sentences grow? Trains three systems with equally many parameters on the same text: an
encoder-decoder of plain RNNs and one of LSTMs, which hand one vector from encoder to decoder, and an LSTM with dot
attention. Translates the test set with each, and writes, into the folder of --out, BLEU by the length of the source:
CORPUS.md (tables), CORPUS.json (the same, and more), CORPUS.png and CORPUS.svg (the figure).
"""
DETAILS = """\
The runs are ordinary ones, runs/long-CORPUS-SYSTEM-SEED. Ctrl-C saves and stops; the same command goes on where it
was, and skips what is finished. Paths are relative to the toolkit's folder.

The corpus `multi30k` is made of Multi30k (scripts/fetch_data multi30k) with pairs put one after another at random, in
data/multi30k-long.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/long_sentences",
        description=ABOUT,
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = [system.name for system in SYSTEMS]
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="options for all systems")
    parser.add_argument("--corpus", choices=CORPORA, default="exercise", help="the text (exercise)")
    parser.add_argument("--seeds", type=count, default=3, metavar="N", help="runs of each system (3)")
    parser.add_argument("--epochs", type=count, metavar="N", help="passes over the text (as in the configuration)")
    parser.add_argument("--minutes", type=float, metavar="N", help="end each training after so long, if it is not over")
    parser.add_argument("--only", type=names(known), default=known, metavar="NAMES", help=f"of {','.join(known)} (all)")
    parser.add_argument("--out", type=Path, default=Path("runs/long-sentences"), metavar="FOLDER", help="%(default)s")
    parser.add_argument("--overwrite", action="store_true", help="do again what is finished")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Do the experiment.

    Raises:
        NMTError: Something that the user can mend.
    """
    if options.corpus == "multi30k":
        make_long_multi30k(DATA / "multi30k", DATA / "multi30k-long", seed=SEED)
    jobs = make_jobs(options)
    options.out.mkdir(parents=True, exist_ok=True)

    def report() -> None:
        write_report(list(finished(jobs, options.out)), options.out, corpus=options.corpus)

    run_jobs(
        [job for job in jobs if job.labels["system"] in options.only],
        out=options.out,
        measure=partial(measure_lengths, out=options.out),
        report=report,
        overwrite=options.overwrite,
    )
    print((options.out / f"{options.corpus}.md").read_text("utf-8"))
    logger.info("wrote %s with .md, .json, .png and .svg", options.out / options.corpus)


def make_jobs(options: argparse.Namespace) -> list[Job]:
    """Return the runs of all systems, seed by seed, so that an early stop leaves something to compare."""
    overrides = list(options.overrides)
    if options.epochs is not None:
        overrides.append(f"training.max_epochs={options.epochs}")
    if options.minutes is not None:
        overrides.append(f"training.max_minutes={options.minutes}")
    configs = configure(ROOT / "configs" / f"long-{options.corpus}.yaml", overrides)
    return [
        Job(
            config.model_copy(update={"name": f"long-{options.corpus}-{name}-{seed}", "seed": seed}),
            {"system": name, "seed": seed},
        )
        for seed in range(1, options.seeds + 1)
        for name, config in configs.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
