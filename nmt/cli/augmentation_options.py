"""Options that `nmt distill` and `nmt back-translate` share, and their table of scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.options import option
from nmt.cli.text_table import table
from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.augmentation.training import SystemScore

COMPUTATION = ("precision", "device", "threads")
"""Decoding options of the models that translate."""
Drop = Annotated[
    str | None,
    option(
        "--drop",
        metavar="FLAGS",
        help="Quality flags, separated by commas. Translations with one of them are dropped. nothing: drop none. "
        "Default: empty,unfinished,repetition, and for back-translation also length_ratio,copied_source.",
    ),
]
Processes = Annotated[
    int,
    option(
        "--processes",
        metavar="<int>",
        min=1,
        help="Processes that translate, with one processor thread each. Default: 1.",
    ),
]
OutputFolder = Annotated[
    Path | None,
    option(
        "-o",
        "--output",
        metavar="FOLDER",
        help="Folder of text and configuration. Default: data/NAME-distilled, -back-translated or -self-trained.",
    ),
]
NoTrain = Annotated[bool, option("--no-train", help="Make the text and the configuration only.")]
Overwrite = Annotated[bool, option("--overwrite", help="Replace text that was made in another way, and the run.")]


def above_zero(number: float | None) -> float | None:
    """Check the value of an option; for Typer's `callback`."""
    if number is not None and not 0 < number < float("inf"):
        raise typer.BadParameter(f"{number:g} is not above 0")
    return number


def positive(name: str, help: str) -> Any:
    """Return an option whose value is a number above 0."""
    return option(name, metavar="<float>", help=help, callback=above_zero)


def read_flags(given: str | None, default: Sequence[str]) -> tuple[str, ...]:
    """Return the quality flags of --drop.

    Raises:
        UsageError: a name is not a flag.
    """
    from nmt.inference.output.quality_flags import FLAGS  # imports torch

    flags = tuple(default) if given is None else tuple(flag for flag in given.split(",") if flag != "nothing")
    for flag in flags:
        if flag not in FLAGS:
            raise UsageError(f"--drop: {flag!r} is not one of {', '.join([*FLAGS, 'nothing'])}")
    return flags


def print_result(config: Path, scores: Sequence[SystemScore] | None) -> None:
    """Print the scores on the validation set, or the configuration if nothing was trained."""
    if scores is None:
        typer.echo(config)
        return
    rows = [["validation set", "BLEU", "chrF", "sentences/s"]]
    rows += [[one.system, f"{one.bleu:.2f}", f"{one.chrf:.2f}", f"{one.sentences_per_second:,.1f}"] for one in scores]
    for line in table(rows):
        typer.echo(line)
