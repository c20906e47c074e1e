"""`nmt sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.environment import limit_kernel_caches
from nmt.cli.options import Overrides, Quiet, Verbose, option
from nmt.config.file_names import path_in
from nmt.config.inheritance import recipe_file
from nmt.data.folder_lock import lock_folder
from nmt.errors import TrainingError, UsageError
from nmt.log import logger
from nmt.sweep.load import load_sweep
from nmt.sweep.schema import Sweep

FOLDER = Path("runs")


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The sweep, a YAML file.", show_default=False)],
    overrides: Overrides = None,
    only: Annotated[
        str | None,
        option(
            "--only",
            metavar="NAMES",
            help="Variants to train besides the baseline, separated by commas. Default: all.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, option("--seeds", metavar="<int>", min=1, help="Runs of each variant. Default: seeds of FILE.")
    ] = None,
    parallel: Annotated[
        int,
        option(
            "--parallel",
            metavar="<int>",
            min=1,
            help="Trainings at the same time, with one processor thread each. Default: 1, with all threads.",
        ),
    ] = 1,
    base: Annotated[
        str | None,
        option("--base", metavar="CONFIG", help="Configuration file or recipe. Default: base of FILE."),
    ] = None,
    corpus: Annotated[
        Path | None,
        option(
            "--corpus",
            metavar="CONFIG",
            help="Configuration file that provides languages and text. Default: corpus of FILE.",
        ),
    ] = None,
    name: Annotated[
        str | None, option("--name", metavar="NAME", help="Prefix of the names of the runs. Default: name of FILE.")
    ] = None,
    output: Annotated[
        Path | None,
        option("-o", "--output", metavar="FOLDER", help="Folder of the results. Default: runs/sweep-NAME."),
    ] = None,
    overwrite: Annotated[
        bool, option("--overwrite", help="Train everything again, in place of existing runs.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train variants of an experiment with several seeds and print a table of their scores.

    FILE names a base configuration and its variants. A variant is a list of options, or a configuration of its own.
    Instead of variants, FILE can have a search: ranges of options, of which each trial tries the most promising values.

    Each variant is trained with several seeds, in ordinary runs named NAME-VARIANT-SEED. The table has the mean and
    standard deviation of each score, the change from the baseline with the same seed, parameters and training time.
    Scores are those of the validation set, unless FILE sets score_on: test.

    Ctrl-C saves and stops. The same command resumes and skips finished runs. More seeds or variants are added to the
    table. Tables and measurements are kept in the output folder as sweep.md and sweep.json.

    For example:

      nmt sweep my-sweep.yaml
      nmt sweep my-sweep.yaml --only large --seeds 1 training.max_epochs=5
      nmt sweep my-sweep.yaml --parallel 2
    """
    limit_kernel_caches()
    given = _load(file, base=base, corpus=corpus, name=name, seeds=seeds)
    if given.search is not None:
        if only is not None:
            raise UsageError("--only requires a sweep with variants, but FILE has a search.")
        _search(given, overrides or [], output, overwrite=overwrite, parallel=parallel)
        return
    from nmt.sweep.measure import measure_run, settings_of
    from nmt.sweep.plan import make_plan
    from nmt.sweep.run import finished, run_all
    from nmt.sweep.table import write_report

    chosen = None if only is None else only.split(",")
    plan = make_plan(given, overrides or [], only=chosen)
    settings = settings_of(given)
    folder = output or path_in(FOLDER, f"sweep-{plan.name}")

    def report() -> str:
        return write_report(list(finished(plan.runs, folder, settings)), plan, folder, parallel=parallel)

    with lock_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
        run_all(
            [run for run in plan.runs if chosen is None or run.variant in {*chosen, given.baseline}],
            output=folder,
            settings=settings,
            measure=partial(measure_run, sweep=given, output=folder),
            report=report,
            overwrite=overwrite,
            parallel=parallel,
        )
        typer.echo(report(), nl=False)
    logger.info("wrote %s and sweep.json", folder / "sweep.md")


def _search(given: Sweep, overrides: Sequence[str], output: Path | None, *, overwrite: bool, parallel: int) -> None:
    """Search for the best options."""
    from nmt.sweep.measure import measure_run, settings_of
    from nmt.sweep.plan import Plan
    from nmt.sweep.run import finished
    from nmt.sweep.search import OptionSearch
    from nmt.sweep.table import write_report

    settings = settings_of(given)
    folder = output or path_in(FOLDER, f"sweep-{given.name}")

    def report(plan: Plan) -> str:
        results = list(finished(plan.runs, folder, settings))
        return write_report(results, plan, folder, parallel=parallel) if results else ""

    with lock_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
        search = OptionSearch(given, overrides, folder, overwrite=overwrite)
        search.run(
            settings=settings,
            measure=partial(measure_run, sweep=given, output=folder),
            report=report,
            overwrite=overwrite,
            parallel=parallel,
        )
        typer.echo(report(search.plan()), nl=False)
    best = search.best()
    if best is None:
        raise TrainingError("No trial was finished. The train.log of each run has the reason.")
    variant, score = best
    logger.info("best %s: %.3f, %s (%s)", given.metrics[0], score, ", ".join(variant.options), variant.name)


def _load(file: Path, *, base: str | None, corpus: Path | None, name: str | None, seeds: int | None) -> Sweep:
    """Read the sweep, with the options of the command line in place of its own.

    Raises:
        ConfigError: the file is not valid.
        UsageError: a file of the command line does not exist.
    """
    changes: dict[str, Any] = {"name": name, "seeds": seeds}
    if base is not None:
        changes["base"] = str(recipe_file(base) or base)
    if corpus is not None:
        changes["corpus"] = str(corpus)
    for key in ("base", "corpus"):
        if key in changes and not Path(changes[key]).is_file():
            raise UsageError(f"--{key}: no such file: {changes[key]}")
    return load_sweep(file).model_copy(update={key: value for key, value in changes.items() if value is not None})
