"""The folder of a run: `runs/<name>/`, what lies where in it, and who may write there."""

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
from nmt.errors import CheckpointError, ConfigError, UsageError
from nmt.log import logger
from nmt.training.checkpoint import Checkpoint, load_checkpoint

RUNS = Path("runs")

# Options that only say how long, how often reported, or on what machine: a resumed run may change them.
_MAY_CHANGE = (
    r"name|data\.test(\..*)?|data\.preprocessed_folder|data\.shortlist\..*|decoding\..*|evaluation\..*|"
    r"training\.(max_epochs|max_updates|max_minutes|device|threads|log_every|checkpoint_every_updates|keep_checkpoints|"
    r"tensorboard|validation\.(patience|samples))"
)


class RunFolder:
    """One run's files."""

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
        """Check that a new run may be made here; nothing is touched.

        Raises:
            UsageError: The run exists and `overwrite` is not set.
        """
        if not overwrite and self.path.exists() and any(self.path.iterdir()):
            raise UsageError(
                f"{self.path} exists already: --resume continues it, --overwrite starts it anew, "
                f"and another name=... on the command line keeps both"
            )

    def start(self, config: Config) -> None:
        """Make the folder of a new run, in place of any that was there."""
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in (self.checkpoints, self.translations):
            folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(dump_yaml(config), encoding="utf-8")

    def check_resumable(self, config: Config) -> None:
        """Check that `config` continues this run; nothing is touched.

        Raises:
            UsageError: There is no such run, or nothing to resume in it.
            ConfigError: Options contradict those of the run; each is named with both values.
        """
        if not self.config.exists():
            raise UsageError(f"{self.path}: no such run to resume; leave out --resume to start it")
        before = self._config_before()
        conflicts = resume_conflicts(before, config.model_dump(mode="json"))
        if conflicts:
            listed = "\n".join(f"  {key}: {old!r} in the run, {new!r} now" for key, old, new in conflicts)
            raise ConfigError(
                f"{self.path}: these options differ from the run that --resume should continue:\n{listed}\n"
                f"put them back, or start afresh from its weights with --init-from {self.best} and another name=..."
            )
        if not self.all_checkpoints():
            raise UsageError(f"{self.path}: no checkpoint to resume yet; start it anew with --overwrite")

    def _config_before(self) -> dict[str, Any]:
        """The options the run was started with; those that an older version did not have at their defaults."""
        try:
            written = yaml.safe_load(self.config.read_text(encoding="utf-8"))
            return Config.model_validate(written).model_dump(mode="json")
        except (ValueError, yaml.YAMLError) as error:
            raise ConfigError(
                f"{self.config}: this version of nmt cannot read the options of the run: {error}"
            ) from error

    def reopen(self, config: Config, *, fingerprint: str) -> Checkpoint:
        """Make a run that passed `check_resumable` ready to be continued; return its newest checkpoint.

        Raises:
            CheckpointError: It cannot be read, or the training data is no longer that of `fingerprint`.
        """
        checkpoint = load_checkpoint(self.all_checkpoints()[-1])
        if checkpoint.state["fingerprint"] != fingerprint:
            raise CheckpointError(
                f"{self.path}: the training data has changed since this run was started, so --resume cannot continue "
                f"it exactly; start a new run from its weights with --init-from"
            )
        self._forget_after(checkpoint.state["progress"]["update"])
        self.config.write_text(dump_yaml(config), encoding="utf-8")
        return checkpoint

    def checkpoint_folder(self, update: int) -> Path:
        """Return where the checkpoint of `update` belongs."""
        return self.checkpoints / f"update-{update:06d}"

    def all_checkpoints(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        if not self.checkpoints.exists():
            return []
        found = [path for path in self.checkpoints.iterdir() if re.fullmatch(r"update-\d+", path.name)]
        return sorted(found, key=lambda path: int(path.name.split("-")[1]))

    def keep_newest(self, count: int) -> None:
        """Point `last` to the newest checkpoint and delete all but the `count` newest."""
        checkpoints = self.all_checkpoints()
        link(self.last, checkpoints[-1])
        for old in checkpoints[:-count]:
            shutil.rmtree(old, ignore_errors=True)

    def mark_latest(self) -> None:
        """Point `runs/latest` to this run."""
        link(RUNS / "latest", self.path)

    def _forget_after(self, update: int) -> None:
        """Drop metrics that a killed run wrote after the checkpoint of `update`: they are about to be made again."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["update"] <= update:
                    kept.append(line + "\n")
            except (ValueError, KeyError):
                continue  # A line cut short by the kill.
        temporary = self.metrics.with_suffix(".tmp")
        temporary.write_text("".join(kept), encoding="utf-8")
        os.replace(temporary, self.metrics)


def link(name: Path, target: Path) -> None:
    """Make `name` a relative symbolic link to `target`, replacing an older one in one go."""
    temporary = name.with_name(f".{name.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(os.path.relpath(target, name.parent), target_is_directory=True)
        os.replace(temporary, name)
    except OSError as error:
        logger.warning("cannot link %s to %s: %s", name, target, error)


def resume_conflicts(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the options that differ and may not: (key path, old value, new value)."""
    old, new = flatten(before), flatten(now)
    return [
        (key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not re.fullmatch(_MAY_CHANGE, key)
    ]


def flatten(tree: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries and lists by dotted key path."""
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
    """Return the commit of the toolkit's own checkout, if it runs from one."""
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
    """What runs: `nmt`, or the name of a script's module or package."""
    path = Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem


def provenance(*, fingerprint: str, update: int, seconds: float, scores: dict[str, float]) -> dict[str, Any]:
    """Describe a model: data fingerprint, update, seconds of training, validation scores, versions, time."""
    return {
        "data_fingerprint": fingerprint,
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
