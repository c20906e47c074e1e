"""The runs of the table: one for each preset on a corpus."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.config import Config, dump_yaml, load_config
from nmt.errors import TrainingError
from nmt.log import logger
from nmt.training.run_folder import RunFolder

CONFIGS = Path(__file__).parents[3] / "configs"
PRESETS = CONFIGS / "papers"
CORPORA = CONFIGS / "corpora"
INTERRUPTED = (130, 143)


@dataclass(frozen=True)
class Plan:
    """One run, done or not."""

    preset: str
    file: Path
    overrides: list[str]
    """Of `nmt train`: the corpus, the run's name, and what was given."""
    config: Config
    run: RunFolder

    @property
    def result(self) -> Path:
        """Where what was measured of the finished run is kept; a run that is made anew loses it."""
        return self.run.path / "papers.json"

    @property
    def fingerprint(self) -> str:
        """Differs between configurations that differ in anything."""
        return hashlib.sha256(dump_yaml(self.config).encode()).hexdigest()


def make_plan(file: Path, base: Path, overrides: Sequence[str]) -> Plan:
    """The run of the preset in `file` on the corpus in `base`.

    Raises:
        ConfigError: something is wrong with the configuration, or the corpus is not there.
    """
    file, base = Path(os.path.relpath(file)), Path(os.path.relpath(base))
    given = [f"base={base}", f"name={file.stem}-{base.stem}", *overrides]
    config = load_config(file, given)
    assert config.name is not None
    return Plan(file.stem, file, given, config, RunFolder(config.name))


def train(plan: Plan) -> None:
    """Train the run, or go on with it, unless it was finished and measured.

    Raises:
        ConfigError: the run is there, and was made with other options.
        TrainingError: training failed.
        KeyboardInterrupt: it was interrupted.
    """
    if plan.result.exists() and plan.fingerprint in plan.result.read_text(encoding="utf-8"):
        logger.info("%s: done before", plan.run.path)
        return
    resumable = plan.run.config.exists() and plan.run.all_checkpoints()
    if resumable:
        plan.run.check_resumable(plan.config)
    # Without a checkpoint nothing is lost by starting anew.
    command = ["nmt", "train", str(plan.file), *plan.overrides, "--resume" if resumable else "--overwrite"]
    logger.info("$ %s", " ".join(command))
    # A process of its own, so that no model's speed depends on what ran before it; its result goes where ours do not.
    code = subprocess.run([sys.executable, "-m", *command], stdout=subprocess.DEVNULL, check=False).returncode
    if code in INTERRUPTED:
        raise KeyboardInterrupt
    if code != 0:
        raise TrainingError(f"training failed (exit code {code}); {plan.run.log} tells more")
