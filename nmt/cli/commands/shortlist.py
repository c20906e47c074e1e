"""`nmt shortlist`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import Overwrite, Quiet, Verbose, require_new_file
from nmt.log import logger


def shortlist(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="A model file or the folder of a run.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write a new model file; by default MODEL gets it.",
            show_default=False,
        ),
    ] = None,
    translations: Annotated[
        int | None,
        typer.Option("--translations", min=1, help="Target pieces for each source piece.", show_default=False),
    ] = None,
    frequent: Annotated[
        int | None,
        typer.Option("--frequent", min=0, help="Target pieces for every sentence.", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn the table of `nmt translate --shortlist` for a model that has none, or another one.

    It is learnt from the preprocessed training data of the model, in the folder where it was trained. Training gives
    every new model a table.

    For example:

      nmt shortlist runs/quickstart

      nmt shortlist runs/quickstart --translations 100 -o larger.safetensors
    """
    if output is not None:
        require_new_file(output, overwrite=overwrite)
    from nmt.inference.find_model import find_model

    path = find_model(model)  # before the slow import, so that a wrong path is told at once
    from nmt.inference.model_file import load_model
    from nmt.inference.shortlist import add_shortlist

    written = output if output is not None else path
    add_shortlist(load_model(path), written, translations=translations, frequent=frequent)
    logger.info("wrote %s; next: nmt translate --model %s --shortlist", written, written)
