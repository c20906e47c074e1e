"""`nmt plot`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt.cli.options import Overwrite, Quiet, Verbose, require_new_file
from nmt.errors import DataError, UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.plots.run_records import RunRecords

DEFAULT_NAME = "curves.png"


class Curve(str, Enum):
    """What can be plotted."""

    loss = "loss"
    perplexity = "perplexity"
    bleu = "bleu"
    chrf = "chrf"
    learning_rate = "learning_rate"
    speed = "speed"
    gradient_norm = "gradient_norm"


def plot(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Runs by name, by folder, or by metrics.jsonl; by default the newest.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write, .png or .svg. By default curves.png: for one run in its folder, "
            "where an older one is replaced, for several in the current folder.",
            show_default=False,
        ),
    ] = None,
    curve: Annotated[
        list[Curve] | None,
        typer.Option(
            "--curve",
            help="What to plot; may be repeated. By default loss, perplexity, bleu, learning_rate and speed.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Plot learning curves of one or several runs, finished or still training. Prints the name of the picture.

    Crosses mark the validations at which training warned of something.

    For example:

      nmt plot

      nmt plot baseline larger smaller -o comparison.svg

      nmt plot --curve bleu --curve perplexity runs/quickstart
    """
    if output is not None and output.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"{output}: a picture is a .png or .svg file")
    from nmt.plots.run_records import find_metrics, read_records

    records = [read_records(find_metrics(run)) for run in (runs if runs else (None,))]
    replaceable = output is None and len(records) == 1
    path = output or (records[0].folder / DEFAULT_NAME if replaceable else Path(DEFAULT_NAME))
    require_new_file(path, overwrite=overwrite or replaceable)
    _draw(path, _disambiguate(records), [one.value for one in curve or ()])
    typer.echo(path)


def _disambiguate(records: list[RunRecords]) -> list[RunRecords]:
    """Name runs of the same name by their folders."""
    names = [run.name for run in records]
    return [run._replace(name=str(run.folder)) if names.count(run.name) > 1 else run for run in records]


def _draw(path: Path, runs: list[RunRecords], asked: list[str]) -> None:
    from nmt.data.streams import open_whole
    from nmt.plots.curves import DEFAULT_QUANTITIES, draw_curves, recorded_quantities
    from nmt.plots.fonts import Fonts

    names = recorded_quantities(runs, asked or DEFAULT_QUANTITIES)
    absent = [name for name in asked if name not in names]
    if absent:
        text = f"no run has {', '.join(absent)} in its metrics"
        if not names:
            raise DataError(f"{text}; there is nothing to plot.")
        logger.warning("%s", text)
    if not names:
        raise DataError("The runs have no metrics that could be plotted.")
    format: Literal["png", "svg"] = "svg" if path.suffix.lower() == ".svg" else "png"
    families = Fonts().families(run.name for run in runs)
    image = draw_curves(runs, names, families=families, format=format)
    with open_whole(path) as stream:
        stream.write(image)
