"""`nmt preprocess` and `nmt train`."""

from __future__ import annotations

from typing import Annotated

import typer

from nmt.cli.environment import limit_kernel_caches
from nmt.cli.options import ConfigFile, InitFrom, Overrides, Quiet, Verbose, option
from nmt.config import load_config
from nmt.data.folder_lock import check_unlocked
from nmt.errors import UsageError
from nmt.inference.find_model import RUNS, find_model


def preprocess(
    config: ConfigFile,
    overrides: Overrides = None,
    force: Annotated[bool, option("--force", help="Repeat all steps even if the results are up to date.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Filter the training text of an experiment, learn the subword model and convert the text to pieces.

    Results that are up to date are kept. `nmt train` runs this step when necessary. The command prints the folder of
    the results.

    For example:

      nmt preprocess experiment.yaml
      nmt preprocess experiment.yaml tokenizer.vocabulary_size=4000
    """
    loaded = load_config(config, overrides or [])
    from nmt.data.preprocess.preprocess import preprocess

    typer.echo(preprocess(loaded, force=force, wait=False).folder)


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    resume: Annotated[bool, option("--resume", help="Resume an interrupted run.")] = False,
    auto_resume: Annotated[
        bool, option("--auto-resume", help="Resume the run if it has a checkpoint, otherwise start it.")
    ] = False,
    overwrite: Annotated[bool, option("--overwrite", help="Replace an existing run of the same name.")] = False,
    init_from: InitFrom = None,
    new_vocabulary: Annotated[
        bool,
        option(
            "--new-vocabulary",
            help="With --init-from: learn a new subword model. Embeddings of pieces in both vocabularies are kept.",
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model. All files of the run are stored in the folder runs/NAME.

    Ctrl-C finishes the current update, saves a checkpoint and exits. --resume continues from the checkpoint. A job that
    may be restarted at any time uses --auto-resume. The command prints the folder of the run.

    For example:

      nmt train experiment.yaml
      nmt train experiment.yaml --resume
      nmt train experiment.yaml name=small model.decoder.hidden_size=256
    """
    if resume and (overwrite or init_from is not None):
        other = "--overwrite" if overwrite else "--init-from"
        raise UsageError(f"--resume excludes {other}: it continues an existing run.")
    if auto_resume and (resume or overwrite):
        raise UsageError(f"--auto-resume excludes {'--resume' if resume else '--overwrite'}.")
    if new_vocabulary and init_from is None:
        raise UsageError("--new-vocabulary requires --init-from MODEL.")
    limit_kernel_caches()
    loaded = load_config(config, overrides or [])
    assert loaded.name is not None
    check_unlocked(RUNS / loaded.name)
    parent = find_model(init_from) if init_from is not None else None
    if auto_resume:
        from nmt.training.train import train_or_resume

        typer.echo(train_or_resume(loaded, init_from=parent, new_vocabulary=new_vocabulary))
        return
    from nmt.training import train as run_training

    typer.echo(
        run_training(loaded, resume=resume, overwrite=overwrite, init_from=parent, new_vocabulary=new_vocabulary)
    )
