"""`nmt preprocess` and `nmt train`."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.environment import limit_kernel_caches, started_processes
from nmt.cli.options import ConfigFile, InitFrom, Overrides, Quiet, Verbose, option
from nmt.config import load_config
from nmt.data.folder_lock import check_unlocked
from nmt.errors import UsageError
from nmt.inference.find_model import RUNS, find_model

if TYPE_CHECKING:
    from nmt.training.ranks import Ranks


def preprocess(
    config: ConfigFile,
    overrides: Overrides = None,
    force: Annotated[bool, option("--force", help="Repeat all steps even if the results are up to date.")] = False,
    processes: Annotated[
        int | None,
        option(
            "--processes",
            metavar="<int>",
            min=1,
            help="Number of processes. They affect only speed. Default: training.threads, or one for each core.",
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Filter the training text of an experiment, learn the subword model and convert the text to pieces.

    Results that are up to date are kept, and an interrupted call is resumed. `nmt train` runs this step when necessary.
    The command prints the folder of the results.

    For example:

      nmt preprocess experiment.yaml
      nmt preprocess experiment.yaml tokenizer.vocabulary_size=4000
    """
    loaded = load_config(config, overrides or [])
    from nmt.data.preprocess.preprocess import preprocess

    typer.echo(preprocess(loaded, force=force, wait=False, processes=processes).folder)


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
    devices: Annotated[
        int | None,
        option(
            "--devices",
            metavar="<int>",
            min=1,
            help="Number of processes on this machine, each with a GPU of its own or a share of the processor cores. "
            "Default: 1, or the number that torchrun has started.",
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model. All files of the run are stored in the folder runs/NAME.

    Ctrl-C finishes the current update, saves a checkpoint and exits. --resume continues from the checkpoint. A job that
    may be restarted at any time uses --auto-resume. The command prints the folder of the run.

    For example:

      nmt train experiment.yaml
      nmt train experiment.yaml --resume
      nmt train experiment.yaml --devices 8
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
    started = started_processes()
    if started == 1 and devices is not None and devices > 1:
        from nmt.training.launcher import launch

        raise typer.Exit(launch(devices, sys.argv[1:]))
    if devices is not None and devices != started:
        raise UsageError(f"--devices {devices} conflicts with torchrun, which has started {started} processes.")
    with _joined(started) as ranks:
        loaded = load_config(config, overrides or [])
        assert loaded.name is not None
        if ranks is None or ranks.is_first:
            check_unlocked(RUNS / loaded.name)
        parent = find_model(init_from) if init_from is not None else None
        from nmt.training.train import train as start_or_resume
        from nmt.training.train import train_or_resume

        options: dict[str, Any] = {"init_from": parent, "new_vocabulary": new_vocabulary, "ranks": ranks}
        if auto_resume:
            folder = train_or_resume(loaded, **options)
        else:
            folder = start_or_resume(loaded, resume=resume, overwrite=overwrite, **options)
    if ranks is None or ranks.is_first:
        typer.echo(folder)


def _joined(processes: int) -> AbstractContextManager[Ranks | None]:
    """Return a context with the processes of a distributed training, or None without importing torch."""
    if processes == 1:
        return nullcontext()
    from nmt.training.ranks import join_ranks

    return join_ranks()
