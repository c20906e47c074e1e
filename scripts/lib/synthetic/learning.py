"""The run on synthetic text: trained once, whatever interrupts it, and measured beside other systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experiments.markdown import number, table
from nmt.config import Config
from nmt.errors import UsageError
from nmt.evaluation.evaluate import TextTranslator
from nmt.evaluation.tuning import TuningSet
from nmt.log import logger
from nmt.training import train
from nmt.training.run_folder import RunFolder


def check_run(config: Config, *, overwrite: bool) -> None:
    """Make sure, before anything is translated, that the run does not take the place of another one.

    Raises:
        UsageError: It would.
        ConfigError: There is a run of that name with other options.
    """
    assert config.name is not None
    run = RunFolder(config.name)
    if overwrite:
        return
    if run.all_checkpoints():
        run.check_resumable(config)
    elif run.best.exists():
        raise UsageError(
            f"{run.path} has a model, but no checkpoint to go on from: choose another name=..., or replace it with "
            "--overwrite"
        )


def train_run(config: Config, *, init_from: Path | None, overwrite: bool) -> Path:
    """Train a run, or go on with it, or find that it is trained; return its folder.

    Raises:
        NMTError: Something that the user can mend; Interrupted after a signal, with everything saved.
    """
    assert config.name is not None
    check_run(config, overwrite=overwrite)
    going_on = bool(RunFolder(config.name).all_checkpoints()) and not overwrite
    # A run without a checkpoint was interrupted before its first one: nothing is lost by starting anew.
    folder = train(config, resume=going_on, overwrite=not going_on, init_from=None if going_on else init_from)
    logger.info("trained: %s", folder)
    return folder


def compare(systems: Mapping[str, TextTranslator], held_out: TuningSet) -> str:
    """Translate the validation set with each system, and return a table of their scores."""
    rows = []
    for name, translator in systems.items():
        found = held_out.measure(translator)
        scores = [number(found.scores[metric], 2) for metric in ("bleu", "chrf")]
        rows.append([name, *scores, number(found.sentences_per_second, 1)])
    return table(["validation set", "BLEU", "chrF", "sentences/s"], rows, texts=1)
