"""The folder of a run, `runs/<name>/`: its files, and the checks before a run is started or resumed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from nmt import __version__
from nmt.config import Config, dump_yaml
from nmt.config.file_names import path_in
from nmt.config.problems import dotted, shorten
from nmt.config.schema import PairConfig
from nmt.config.yaml_document import read_values
from nmt.data.atomic_file import OLD, PREFIX, remove_abandoned, temporary_name, write_file
from nmt.data.atomic_folder import atomic_folder, remove_folder
from nmt.data.familiarity import TrainingText
from nmt.data.folder_lock import lock_folder
from nmt.data.preprocess.preprocess import SOURCE_MODEL, TARGET_MODEL, PreprocessedData
from nmt.data.store import LINKS, SIDES
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.errors import CheckpointError, ConfigError, UsageError
from nmt.inference.find_model import RUNS
from nmt.inference.model_file import TRAINING_TEXT, VALIDATION, VALIDATION_SIGNATURES, load_model
from nmt.log import logger
from nmt.small_files import JSONError, parse_json, regular_lines
from nmt.training.checkpoint import Checkpoint, load_checkpoint
from nmt.training.state import TrainState

# Options about the length of the run, its validations, its reports, the machine, and where files are: `check_data`
# compares what is in them. A resumed run may change them. `check_batches` compares the number of batches of an update.
_MAY_CHANGE = (
    r"name|license|data\.test(\..*)?|data\.valid\..*|"
    rf"data\.train\.\d+\.({'|'.join(PairConfig.model_fields)}|alignment|license)|"
    r"data\.preprocessed_folder|data\.shortlist\..*|decoding\..*|evaluation\..*|"
    r"model\.initialization\.(source|target)_embeddings|"
    r"training\.(accumulate|max_epochs|max_updates|max_minutes|device|threads|cuda_graphs|log_every|checkpoint_every_updates|"
    r"checkpoint_every_minutes|keep_checkpoints|keep_best|tensorboard|track|validation\..*)"
)
_UNFINISHED = re.compile(re.escape(PREFIX) + r"-.*-(update-\d+)" + f"({re.escape(OLD)})?")
"""Names of checkpoints that a killed process has left."""
SHOWN_OPTIONS = 8
DAMAGED = "damaged-"
"""Prefix of a checkpoint that could not be read."""


class RunFolder:
    """The files of a run."""

    def __init__(self, name: str) -> None:
        self.path = path_in(RUNS, name)
        self.config = self.path / "config.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.log = self.path / "train.log"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best.safetensors"
        self.initial = self.path / "initial.safetensors"
        self.last = self.path / "last"
        self.translations = self.path / "translations"
        self.models = self.path / "models"

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

    def start(self, config: Config, tokenizers: Tokenizers) -> None:
        """Make the folder of a new run. An existing folder is deleted when the new one has its name."""
        with atomic_folder(self.path) as folder:
            (folder / self.config.name).write_text(dump_yaml(config), encoding="utf-8")
            (folder / SOURCE_MODEL).write_bytes(tokenizers.source.model_bytes)
            if tokenizers.target.fingerprint != tokenizers.source.fingerprint:
                (folder / TARGET_MODEL).write_bytes(tokenizers.target.model_bytes)
            for name in (self.checkpoints.name, self.translations.name):
                (folder / name).mkdir()

    def tokenizers(self) -> Tokenizers | None:
        """Return the subword models with which the run was started; None if neither they nor a model were saved.

        Raises:
            DataError: A file is damaged.
        """
        source, target = self.path / SOURCE_MODEL, self.path / TARGET_MODEL
        if not source.exists():
            return load_model(self.best).tokenizers if self.best.exists() else None
        model = SubwordModel(source.read_bytes())
        return Tokenizers(model, SubwordModel(target.read_bytes()) if target.exists() else model)

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
        if not self.can_resume():
            raise UsageError(
                f"{self.path}: the run was interrupted before its first checkpoint. Start it again with --overwrite"
            )

    def can_resume(self) -> bool:
        """Return whether there is a checkpoint, or a whole one whose last renaming was interrupted."""
        return bool(self.all_checkpoints() or self._unfinished())

    def _saved_config(self) -> dict[str, Any]:
        """Return the options with which the run was started, with defaults for options it does not have."""
        written = read_values(self.config)
        try:
            return Config.model_validate(written).model_dump(mode="json")
        except ValidationError as error:
            options = ", ".join(shorten(dotted(problem["loc"])) for problem in error.errors()[:SHOWN_OPTIONS])
            raise ConfigError(
                f"{self.config}: this version of nmt cannot use these options of the run: {options}. Restore the file."
            ) from error

    def newest_checkpoint(self) -> Checkpoint:
        """Return the newest checkpoint that can be read. Newer ones are renamed, so that they are not used again.

        Raises:
            CheckpointError: No checkpoint can be read.
        """
        self._recover()
        errors: list[CheckpointError] = []
        damaged: list[Path] = []
        for folder in reversed(self.all_checkpoints()):
            try:
                checkpoint = load_checkpoint(folder)
                _check_state(folder, checkpoint.state)
            except CheckpointError as error:
                errors.append(error)
                damaged.append(folder)
                continue
            for other in damaged:
                logger.warning("%s is damaged. The run resumes from %s.", other, folder.name)
                other.rename(other.with_name(f"{DAMAGED}{other.name}-{secrets.token_hex(3)}"))
            return checkpoint
        raise errors[0]

    def _unfinished(self) -> dict[str, Path]:
        """Return whole checkpoints that a killed process has left under a temporary name, by their final name."""
        found: dict[str, Path] = {}
        # A new checkpoint is preferred to the one that was renamed aside for it.
        for path in sorted(self.checkpoints.glob(f"{PREFIX}-*"), key=lambda path: path.name.endswith(OLD)):
            named = _UNFINISHED.fullmatch(path.name)
            if named is None or named[1] in found or (self.checkpoints / named[1]).exists():
                continue
            try:
                load_checkpoint(path)
            except CheckpointError:
                continue
            found[named[1]] = path
        return found

    def _recover(self) -> None:
        """Give whole unfinished checkpoints their names."""
        for name, path in self._unfinished().items():
            path.rename(self.checkpoints / name)
            logger.info("recovered the checkpoint %s", self.checkpoints / name)
        for path in self.checkpoints.glob(f"{PREFIX}-*"):
            shutil.rmtree(path, ignore_errors=True)

    def check_data(self, checkpoint: Checkpoint, data: PreprocessedData, *, fingerprint: str) -> None:
        """Check that a checkpoint belongs to this training data.

        Args:
            checkpoint: The checkpoint.
            data: The data now.
            fingerprint: The fingerprint of the same text with the configured subword model.

        Raises:
            CheckpointError: Text and pieces are those of other data.
        """
        saved = checkpoint.state["data_fingerprint"]
        if saved in (fingerprint, data.fingerprint):
            return
        if checkpoint.state.get("data_content") == content_digest(data.folder):
            return
        raise CheckpointError(
            f"{self.path}: the run cannot be resumed, because the training data has changed since its start. Restore "
            f"the text, or start a new run from its weights with --init-from {self.best} and another name=..."
        )

    def check_batches(self, config: Config, checkpoint: Checkpoint, *, processes: int) -> None:
        """Check that an update has as many batches as before, in all processes together.

        Raises:
            ConfigError: It has not. The text says both numbers.
        """
        accumulate = config.training.accumulate
        now = processes * accumulate
        saved = checkpoint.state.get("batches_per_update") or self._saved_config()["training"]["accumulate"]
        if saved == now:
            return
        if saved % processes == 0:
            advice = f"Set training.accumulate={saved // processes}"
        else:
            fitting = " or ".join(str(count) for count in range(1, saved + 1) if saved % count == 0)
            advice = f"Start {fitting} processes, and set training.accumulate to {saved} divided by their number"
        raise ConfigError(
            f"{self.path}: an update of the run has {saved} batches, but {processes} processes with "
            f"training.accumulate={accumulate} make {now}. {advice}."
        )

    def reopen(self, config: Config, checkpoint: Checkpoint) -> None:
        """Prepare the files of a run that passed all checks for training after `checkpoint`."""
        self.translations.mkdir(exist_ok=True)
        state = checkpoint.state
        if "metrics_bytes" not in state or not self._cut_metrics(state["metrics_bytes"]):
            self._truncate_metrics(state["train_state"]["update"])
        write_file(self.config, dump_yaml(config).encode())

    def model(self, update: int) -> Path:
        """Return the file for the model of `update`, if it is one of the best."""
        return self.models / f"update-{update:06d}.safetensors"

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Make sure that no other process uses the run; see `lock_folder`."""
        return lock_folder(self.path)

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
        """Link `last` to the newest checkpoint, and delete all but the `count` newest checkpoints.

        Raises:
            CheckpointError: There is none, because somebody has deleted the folder.
        """
        checkpoints = self.all_checkpoints()
        if not checkpoints:
            raise CheckpointError(
                f"{self.checkpoints} has been deleted or moved during training. Restore it, or start the run again."
            )
        link(self.last, checkpoints[-1])
        for old in checkpoints[:-count]:
            remove_folder(old)

    def mark_latest(self) -> None:
        """Link `runs/latest` to this run."""
        link(RUNS / "latest", self.path)

    def _truncate_metrics(self, update: int) -> None:
        """Delete the records after `update`: the resumed run writes them again."""
        if not self.metrics.exists():
            return
        kept = []
        for line in regular_lines(self.metrics):
            try:
                if line.endswith("\n") and parse_json(line)["update"] <= update:
                    kept.append(line)
            except (JSONError, KeyError, TypeError):
                continue  # An incomplete last line of a killed run.
        write_file(self.metrics, "".join(kept).encode())

    def _cut_metrics(self, size: int) -> bool:
        """Keep the first `size` bytes of the records. False if the file is shorter, or they do not end a line."""
        content = self.metrics.read_bytes() if self.metrics.exists() else b""
        if len(content) < size or (size and content[size - 1 : size] != b"\n"):
            return False
        write_file(self.metrics, content[:size])
        return True


def _check_state(folder: Path, state: dict[str, Any]) -> None:
    """Check that training can resume from the state of a checkpoint.

    Raises:
        CheckpointError: A value is missing or has a wrong type.
    """
    try:
        restored = TrainState.restored(state["train_state"])
        numbers = [restored, restored.window, restored.position, restored.best, restored.progress, *restored.history]
        intact = all(_has_number_types(each) for each in numbers)
        intact &= isinstance(state["data_fingerprint"], str)
        intact &= {type(state["learning_rate"][key]) for key in ("scale", "stale_validations")} <= {int, float}
    except (LookupError, TypeError, ValueError, AttributeError):
        intact = False
    if not intact:
        raise CheckpointError(f"{folder}: the checkpoint cannot be read: a value of its state is missing or wrong.")


def _has_number_types(record: Any) -> bool:
    """Return whether the fields of a record that are declared as numbers are numbers."""
    return all(
        type(getattr(record, field.name)) in (int, float) for field in fields(record) if field.type in ("int", "float")
    )


def content_digest(folder: Path) -> str:
    """Hash the training pairs in a folder of preprocessed data: pieces and links, without the names of files."""
    digest = hashlib.sha256()
    for side in (*SIDES, LINKS):
        for part in ("ids", "lengths"):
            path = folder / f"{side}.{part}"
            if path.exists():
                digest.update(f"{side}.{part} {path.stat().st_size}".encode())
                with path.open("rb") as stream:
                    while chunk := stream.read(1 << 20):
                        digest.update(chunk)
    return digest.hexdigest()


def link(name: Path, target: Path) -> None:
    """Make `name` a relative symbolic link to `target`, and replace an older link atomically."""
    remove_abandoned(name.parent)
    temporary = temporary_name(name)
    try:
        temporary.symlink_to(os.path.relpath(target, name.parent), target_is_directory=True)
        os.replace(temporary, name)
    except OSError as error:
        temporary.unlink(missing_ok=True)
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
    *,
    fingerprint: str,
    update: int,
    seconds: float,
    scores: dict[str, float],
    signatures: dict[str, str],
    training_text: TrainingText,
) -> dict[str, Any]:
    """Return the provenance of a model: data, update, training time, validation scores, command, versions, date."""
    return {
        "data_fingerprint": fingerprint,
        TRAINING_TEXT: training_text.stored(),
        "update": update,
        "training_seconds": round(seconds, 1),
        VALIDATION: scores,
        VALIDATION_SIGNATURES: signatures,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [_program(), *sys.argv[1:2]],
        "versions": {
            "nmt": __version__,
            "commit": _git_commit(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }
