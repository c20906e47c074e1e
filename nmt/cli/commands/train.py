"""`nmt preprocess` and `nmt train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.environment import remember_some_shapes
from nmt.cli.options import ConfigFile, Overrides, Quiet, Verbose
from nmt.errors import UsageError


def preprocess(
    config: ConfigFile,
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Do it again even if nothing has changed.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check, filter and cut the text of an experiment into pieces.

    Skips what is up to date; `nmt train` does the same when it is needed.

    For example:

      nmt preprocess experiment.yaml

      nmt preprocess experiment.yaml tokenizer.vocabulary_size=4000
    """
    from nmt.config import load_config

    loaded = load_config(config, overrides or [])
    from nmt.data.preprocess.preprocess import preprocess

    typer.echo(preprocess(loaded, force=force).folder)


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run where it stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run of the same name.")] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(
            "--init-from",
            metavar="MODEL",
            help="Start with the weights and subword model of this model file or run.",
            show_default=False,
        ),
    ] = None,
    new_vocabulary: Annotated[
        bool,
        typer.Option(
            "--new-vocabulary",
            help="With --init-from: learn a new subword model; what the model knows of pieces that remain is kept.",
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model; everything about the run is kept in the folder runs/NAME.

    Ctrl-C finishes the update, saves and exits; --resume goes on from there.

    For example:

      nmt train experiment.yaml

      nmt train experiment.yaml --resume

      nmt train experiment.yaml name=small model.decoder.hidden_size=256 model.encoder.hidden_size=128
    """
    if resume and (overwrite or init_from is not None):
        other = "--overwrite" if overwrite else "--init-from"
        raise UsageError(f"--resume continues a run, {other} starts one: use one of the two")
    if new_vocabulary and init_from is None:
        raise UsageError("--new-vocabulary says what to do with the model of --init-from, which is not given")
    remember_some_shapes()
    from nmt.config import load_config

    loaded = load_config(config, overrides or [])
    from nmt.inference.find_model import find_model

    parent = find_model(init_from) if init_from is not None else None
    from nmt.training import train as run_training

    typer.echo(
        run_training(loaded, resume=resume, overwrite=overwrite, init_from=parent, new_vocabulary=new_vocabulary)
    )
