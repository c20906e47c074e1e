"""Trains the run on synthetic text, once or in several sittings, and measures it beside other systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nmt.config import Config
from nmt.errors import UsageError
from nmt.evaluation.evaluate import TextTranslator
from nmt.evaluation.tuning import TuningSet
from nmt.log import logger
from nmt.training.run_folder import RunFolder
from nmt.training.train import train_or_resume


class SystemScore(NamedTuple):
    """Scores of a system on the validation set."""

    system: str
    bleu: float
    chrf: float
    sentences_per_second: float


def check_run(config: Config, *, overwrite: bool) -> None:
    """Make sure that the new run replaces no other run.

    Raises:
        UsageError: A run of that name cannot be resumed.
        ConfigError: A run of that name has other options.
    """
    assert config.name is not None
    run = RunFolder(config.name)
    if overwrite:
        return
    if run.can_resume():
        run.check_resumable(config)
    elif run.best.exists():
        raise UsageError(
            f"{run.path} has a model but no checkpoint to resume. Choose another name=..., or replace the run with "
            "--overwrite"
        )


def train_run(config: Config, *, init_from: Path | None, overwrite: bool) -> Path:
    """Train a run, resume it, or find that it is finished; return its folder.

    Raises:
        NMTError: The run cannot be trained. Interrupted after a signal, with everything saved.
    """
    check_run(config, overwrite=overwrite)
    folder = train_or_resume(config, init_from=init_from, overwrite=overwrite)
    logger.info("trained: %s", folder)
    return folder


def measure_systems(systems: Mapping[str, TextTranslator], held_out: TuningSet) -> list[SystemScore]:
    """Translate the validation set with each system and score the translations."""
    rows = []
    for name, translator in systems.items():
        found = held_out.measure(translator)
        rows.append(SystemScore(name, found.scores["bleu"], found.scores["chrf"], found.sentences_per_second))
    return rows
