"""The command `scripts/ablate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ablation.report import write_report
from ablation.results import measure_run
from ablation.variants import BASE, Variant, configure_all, find_list, read_variants, text_of
from experiments.commands import count, run_command
from experiments.runs import Job, finished, run_jobs
from nmt.config import Config
from nmt.errors import UsageError
from nmt.log import logger

CONFIGS = Path(__file__).resolve().parents[3] / "configs"

ABOUT = """\
What does each part of a recipe bring? Trains the recipe and variants of it that differ in one thing, each with several
seeds, and writes a table of their validation scores: mean, standard deviation, difference to the recipe, parameters,
time. Choose by validation, and score a test set once, when nothing is left to choose: this script never looks at one.
"""
DETAILS = """\
RECIPE is a configuration: a file, or the name of one in configs/recipes or configs. A generic one, which names no
text, gets it from another configuration: --corpus multi30k takes languages and files, and nothing else, of
configs/corpora/multi30k.yaml.

The variants stand in a list, by default the file in configs/ablations with the name of the recipe or of its base. A
variant that changes nothing in this recipe is left out.

The runs are ordinary ones, runs/ablate-RECIPE-VARIANT-SEED (with a corpus, RECIPE-CORPUS), and can be looked at with
all commands of nmt. Ctrl-C saves and stops; the same command goes on where it was, and skips what is finished; with
more variants or seeds it adds them. The table, ablation.md and ablation.json, is written anew after each run.

With --parallel N, N runs are trained side by side, with one thread each: with as many as there are cores, all get
through about twice as much as one after another. Their logs are in the folders of the runs.

For example:

  scripts/ablate low-resource --corpus multi30k --seeds 3 --parallel 2
  scripts/ablate low-resource --corpus multi30k --only no-label-smoothing,no-r-drop --minutes 20
  scripts/ablate configs/multi30k-en-de.yaml --list my-variants.yaml model.decoder.hidden_size=256
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/ablate",
        description=ABOUT,
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("recipe", metavar="RECIPE", help="the configuration that is varied")
    add("overrides", nargs="*", metavar="key.path=value", help="options for all runs")
    add("--corpus", metavar="NAME|FILE", help="text for a recipe without: in configs/corpora, or another file")
    add("--list", type=Path, metavar="FILE", help="the variants (that of configs/ablations for the recipe)")
    add("--only", type=lambda text: text.split(","), metavar="NAMES", help=f"of the list (all); {BASE} always is")
    add("--seeds", type=count, default=3, metavar="N", help="runs of each variant (3)")
    add("--epochs", type=count, metavar="N", help="passes over the text (as in the recipe)")
    add("--minutes", type=float, metavar="N", help="end each training after so long, if it is not over")
    add("--parallel", type=count, default=1, metavar="N", help="runs side by side, with one thread each (1)")
    add("--out", type=Path, metavar="FOLDER", help="of the table (runs/ablate-RECIPE)")
    add("--overwrite", action="store_true", help="do again what is finished")
    options = parser.parse_intermixed_args(arguments)
    options.recipe = _find(options.recipe, [CONFIGS / "recipes", CONFIGS])
    options.corpus = None if options.corpus is None else _find(options.corpus, [CONFIGS / "corpora"])
    for file in (options.recipe, options.corpus, options.list):
        if file is not None and not file.is_file():
            parser.error(f"no such file: {file}")
    options.name = options.recipe.stem if options.corpus is None else f"{options.recipe.stem}-{options.corpus.stem}"
    options.out = options.out or Path("runs") / f"ablate-{options.name}"
    return options


def _find(given: str, folders: Sequence[Path]) -> Path:
    """Return the file that is meant; what cannot be found as it was given."""
    files = [Path(given), *(folder / f"{given}.yaml" for folder in folders)]
    return next((file for file in files if file.is_file()), files[0])


def run(options: argparse.Namespace) -> None:
    """Do the experiment.

    Raises:
        NMTError: Something that the user can mend.
    """
    overrides = _overrides(options)
    file = options.list or find_list(options.recipe, overrides, CONFIGS / "ablations")
    configs = configure_all(options.recipe, overrides, read_variants(file), only=options.only)
    variants = [variant for variant in configs if variant is not None]
    chosen = _chosen(options.only, variants, file)
    jobs = make_jobs(configs, name=options.name, seeds=options.seeds)
    options.out.mkdir(parents=True, exist_ok=True)

    def report() -> None:
        done = list(finished(jobs, options.out))
        write_report(done, variants, options.out, recipe=options.recipe.stem, parallel=options.parallel)

    run_jobs(
        [job for job in jobs if job.labels["variant"] in chosen],
        out=options.out,
        measure=measure_run,
        report=report,
        overwrite=options.overwrite,
        parallel=options.parallel,
    )
    print((options.out / "ablation.md").read_text("utf-8"))
    logger.info("wrote %s and ablation.json", options.out / "ablation.md")


def make_jobs(configs: Mapping[Variant | None, Config], *, name: str, seeds: int) -> list[Job]:
    """Return the runs of all variants, seed by seed, so that an early stop leaves something to compare."""
    jobs = []
    for seed in range(1, seeds + 1):
        for variant, config in configs.items():
            label = BASE if variant is None else variant.name
            changes = {"name": f"ablate-{name}-{label}-{seed}", "seed": seed}
            jobs.append(Job(config.model_copy(update=changes), {"variant": label, "seed": seed}))
    return jobs


def _overrides(options: argparse.Namespace) -> list[str]:
    """Return the options for all runs."""
    overrides = [] if options.corpus is None else text_of(options.corpus)
    overrides += options.overrides
    if options.epochs is not None:
        overrides.append(f"training.max_epochs={options.epochs}")
    if options.minutes is not None:
        overrides.append(f"training.max_minutes={options.minutes}")
    return overrides


def _chosen(only: Sequence[str] | None, variants: Sequence[Variant], file: Path) -> set[str]:
    """Return the names of the variants to be run, and that of the recipe itself.

    Raises:
        UsageError: A name is not in the list, or its variant changes nothing.
    """
    known = [variant.name for variant in variants]
    for name in only or ():
        if name not in (BASE, *known):
            raise UsageError(f"--only: {name!r} is not one of the variants of {file}: {', '.join(known)}")
    return {BASE, *(known if only is None else only)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
