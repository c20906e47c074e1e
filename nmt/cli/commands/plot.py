"""`nmt plot`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.cli.options import Overwrite, Quiet, Verbose, option, require_new_file
from nmt.data.streams import open_whole
from nmt.errors import DataError, UsageError
from nmt.log import logger
from nmt.plots.run_records import RunRecords, find_metrics, read_records

DEFAULT_NAME = "curves.png"

CURVES = ("loss", "perplexity", "bleu", "chrf", "learning_rate", "speed", "gradient_norm")


def _parse_curve(name: str) -> str:
    if name not in CURVES:
        raise UsageError(f'--curve: found "{name}", expected one of {", ".join(CURVES)}')
    return name


def _complete_curve(incomplete: str) -> list[str]:
    return [name for name in CURVES if name.startswith(incomplete)]


def plot(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Runs: names, folders or metrics.jsonl files. Default: the newest run.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option(
            "-o",
            "--output",
            metavar="FILE",
            help="Image file, .png or .svg. Default: curves.png, in the run folder for one run and in the current "
            "folder for several.",
        ),
    ] = None,
    curve: Annotated[
        list[str] | None,
        option(
            "--curve",
            metavar="NAME",
            parser=_parse_curve,
            autocompletion=_complete_curve,
            help=f"Curve to plot: {', '.join(CURVES[:-1])} or {CURVES[-1]}. Repeat the option for several curves. "
            "Default: loss, perplexity, bleu, learning_rate and speed.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Plot learning curves of finished or running trainings.

    Crosses mark validations with warnings. The command prints the path of the image.

    For example:

      nmt plot
      nmt plot baseline larger smaller -o comparison.svg
      nmt plot --curve bleu --curve perplexity runs/quickstart
    """
    if output is not None and output.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"-o {output}: expected a file name that ends in .png or .svg.")
    records = [read_records(find_metrics(run)) for run in (runs if runs else (None,))]
    replaceable = output is None and len(records) == 1
    path = output or (records[0].folder / DEFAULT_NAME if replaceable else Path(DEFAULT_NAME))
    require_new_file(path, overwrite=overwrite or replaceable)
    _draw(path, _disambiguate(records), curve or [])
    typer.echo(path)


def _disambiguate(records: list[RunRecords]) -> list[RunRecords]:
    """Replace names that several runs have by the folders of the runs."""
    names = [run.name for run in records]
    return [run._replace(name=str(run.folder)) if names.count(run.name) > 1 else run for run in records]


def _draw(path: Path, runs: list[RunRecords], selected: Sequence[str]) -> None:
    from nmt.plots.curves import DEFAULT_QUANTITIES, draw_curves, recorded_quantities
    from nmt.plots.fonts import Fonts

    names = recorded_quantities(runs, selected or DEFAULT_QUANTITIES)
    absent = [name for name in selected if name not in names]
    if absent:
        if not names:
            raise DataError(f"The metrics of the runs have no {' and no '.join(absent)}.")
        logger.warning("the metrics of the runs have no %s", " and no ".join(absent))
    if not names:
        raise DataError("The metrics of the runs are empty. Wait for the first log line of training.")
    format: Literal["png", "svg"] = "svg" if path.suffix.lower() == ".svg" else "png"
    families = Fonts().families((run.name for run in runs), format=format)
    image = draw_curves(runs, names, families=families, format=format)
    with open_whole(path) as stream:
        stream.write(image)
