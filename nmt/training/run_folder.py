"""The folder of a run, `runs/<name>/`: its files, and the checks before a run is started or resumed."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
import yaml

from nmt import __version__
from nmt.config import Config, dump_yaml
from nmt.data.familiarity import TrainingText
from nmt.errors import CheckpointError, ConfigError, UsageError
from nmt.log import logger
from nmt.training.checkpoint import Checkpoint, load_checkpoint

RUNS = Path("runs")

# Options about the length of the run, its reports and the machine. A resumed run may change them.
_MAY_CHANGE = (
    r"name|data\.test(\..*)?|data\.preprocessed_folder|data\.shortlist\..*|decoding\..*|evaluation\..*|"
    r"training\.(max_epochs|max_updates|max_minutes|device|threads|log_every|checkpoint_every_updates|keep_checkpoints|"
    r"tensorboard|validation\.(patience|samples))"
)


class RunFolder:
    """The files of a run."""

    def __init__(self, name: str) -> None:
        self.path = RUNS / name
        self.config = self.path / "config.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.log = self.path / "train.log"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best.safetensors"
        self.initial = self.path / "initial.safetensors"
        self.last = self.path / "last"
        self.translations = self.path / "translations"

    def check_new(self, *, overwrite: bool) -> None:
        """Check that a new run can be started here, without changing any file.

        Raises:
            UsageError: The run exists and `overwrite` is not set.
        """
        if not overwrite and self.path.exists() and any(self.path.iterdir()):
            raise UsageError(
                f"{self.path} exists already. Use --resume to continue the run, --overwrite to replace it, or another "
                f"name=... to keep both"
            )

    def start(self, config: Config) -> None:
        """Make the folder of a new run; an existing folder is deleted."""
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in (self.checkpoints, self.translations):
            folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(dump_yaml(config), encoding="utf-8")

    def check_resumable(self, config: Config) -> None:
        """Check that this run can be resumed with `config`, without changing any file.

        Raises:
            UsageError: The run does not exist or has no checkpoint.
            ConfigError: Options differ from those of the run. The text lists each with both values.
        """
        if not self.config.exists():
            raise UsageError(f"{self.path}: there is no run to resume. Start one without --resume")
        conflicts = resume_conflicts(self._saved_config(), config.model_dump(mode="json"))
        if conflicts:
            listed = "\n".join(f"  {key}: {old!r} in the run, {new!r} now" for key, old, new in conflicts)
            raise ConfigError(
                f"{self.path}: --resume cannot change these options:\n{listed}\n"
                f"Restore them, or start a new run from its weights with --init-from {self.best} and another name=..."
            )
        if not self.all_checkpoints():
            raise UsageError(f"{self.path}: the run has no checkpoint to resume from. Start it again with --overwrite")

    def _saved_config(self) -> dict[str, Any]:
        """Return the options with which the run was started, with defaults for options it does not have."""
        try:
            written = yaml.safe_load(self.config.read_text(encoding="utf-8"))
            return Config.model_validate(written).model_dump(mode="json")
        except (ValueError, yaml.YAMLError) as error:
            raise ConfigError(
                f"{self.config}: this version of nmt cannot read the configuration of the run: {error}"
            ) from error

    def reopen(self, config: Config, *, fingerprint: str) -> Checkpoint:
        """Prepare a run that passed `check_resumable`, and return its newest checkpoint.

        Raises:
            CheckpointError: The checkpoint cannot be read, or belongs to other training data than `fingerprint`.
        """
        checkpoint = load_checkpoint(self.all_checkpoints()[-1])
        if checkpoint.state["data_fingerprint"] != fingerprint:
            raise CheckpointError(
                f"{self.path}: the run cannot be resumed, because the training data has changed since its start. Start "
                f"a new run from its weights with --init-from {self.best}"
            )
        self._truncate_metrics(checkpoint.state["train_state"]["update"])
        self.config.write_text(dump_yaml(config), encoding="utf-8")
        return checkpoint

    def checkpoint_folder(self, update: int) -> Path:
        """Return the folder for the checkpoint of `update`."""
        return self.checkpoints / f"update-{update:06d}"

    def all_checkpoints(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        if not self.checkpoints.exists():
            return []
        found = [path for path in self.checkpoints.iterdir() if re.fullmatch(r"update-\d+", path.name)]
        return sorted(found, key=lambda path: int(path.name.split("-")[1]))

    def keep_newest(self, count: int) -> None:
        """Link `last` to the newest checkpoint, and delete all but the `count` newest checkpoints."""
        checkpoints = self.all_checkpoints()
        link(self.last, checkpoints[-1])
        for old in checkpoints[:-count]:
            shutil.rmtree(old, ignore_errors=True)

    def mark_latest(self) -> None:
        """Link `runs/latest` to this run."""
        link(RUNS / "latest", self.path)

    def _truncate_metrics(self, update: int) -> None:
        """Delete the records after `update`: the resumed run writes them again."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["update"] <= update:
                    kept.append(line + "\n")
            except (ValueError, KeyError):
                continue  # An incomplete last line of a killed run.
        temporary = self.metrics.with_suffix(".tmp")
        temporary.write_text("".join(kept), encoding="utf-8")
        os.replace(temporary, self.metrics)


def link(name: Path, target: Path) -> None:
    """Make `name` a relative symbolic link to `target`, and replace an older link atomically."""
    temporary = name.with_name(f".{name.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(os.path.relpath(target, name.parent), target_is_directory=True)
        os.replace(temporary, name)
    except OSError as error:
        logger.warning("cannot link %s to %s: %s", name, target, error)


def resume_conflicts(saved: dict[str, Any], current: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the options that differ but may not: (key path, saved value, current value)."""
    old, new = flatten(saved), flatten(current)
    return [
        (key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not re.fullmatch(_MAY_CHANGE, key)
    ]


def flatten(tree: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries and lists, with dotted key paths."""
    if isinstance(tree, dict) and tree:
        items = tree.items()
    elif isinstance(tree, list) and tree:
        items = ((str(number), item) for number, item in enumerate(tree))  # type: ignore[assignment]
    else:
        return {path: tree}
    leaves: dict[str, Any] = {}
    for key, value in items:
        leaves |= flatten(value, f"{path}.{key}" if path else str(key))
    return leaves


def _git_commit() -> str | None:
    """Return the commit of the toolkit's checkout; None if it is installed."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _program() -> str:
    """Return the name of the running program: `nmt`, or a script's module or package."""
    path = Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem


def provenance(
    *, fingerprint: str, update: int, seconds: float, scores: dict[str, float], training_text: TrainingText
) -> dict[str, Any]:
    """Return the provenance of a model: data, update, training time, validation scores, command, versions, date."""
    return {
        "data_fingerprint": fingerprint,
        "training_text": training_text.stored(),
        "update": update,
        "training_seconds": round(seconds, 1),
        "validation": scores,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [_program(), *sys.argv[1:]],
        "versions": {
            "nmt": __version__,
            "commit": _git_commit(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }
