"""Trackers: other programs that show the measurements of a run while it trains.

TensorBoard, MLflow, Weights & Biases and trackio have one interface, `Tracker`. A tracker never stops a training: if it
fails, it is reported once and left out. All but TensorBoard run in threads of their own, so that a slow service does
not delay an update.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from nmt.data.streams import write_json
from nmt.errors import DataError, UsageError
from nmt.inference.find_model import RUNS
from nmt.log import logger
from nmt.small_files import read_json

PROJECT = "nmt"
"""Project or experiment of the runs, unless the variable of a tracker names another."""
IDENTITIES = "tracking.json"
"""File of a run with the identities that its trackers know it by."""
WAITING_RECORDS = 10_000
CLOSE_SECONDS = 30.0
"""Longest time that the end of a training waits for a tracker."""
MLFLOW_LOCAL = "mlflow.db"
MLFLOW_PARAMETERS, MLFLOW_VALUE = 100, 500
"""Most parameters of a request to MLflow, and most characters of a value."""


class Tracker(Protocol):
    """Shows the measurements of a run."""

    def numbers(self, values: Mapping[str, float], update: int) -> None:
        """Add points to curves: finite values by name, such as `train/loss`."""

    def text(self, name: str, text: str, update: int) -> None:
        """Add a text, such as a warning."""

    def flush(self) -> None:
        """Write everything to the disk."""

    def close(self, *, finished: bool) -> None:
        """End. `finished` is false if the training was interrupted or failed."""


class _TensorBoard:
    """Curves of TensorBoard in the folder of the run."""

    def __init__(self, folder: Path, *, resumed_update: int | None) -> None:
        """Open the files. Points after `resumed_update` are forgotten.

        Raises:
            ImportError: TensorBoard is not installed.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=resumed_update)

    def numbers(self, values: Mapping[str, float], update: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, update)

    def text(self, name: str, text: str, update: int) -> None:
        self._writer.add_text(name, text, update)

    def flush(self) -> None:
        self._writer.flush()

    def close(self, *, finished: bool) -> None:
        self._writer.close()


class MLflow:
    """A run of MLflow: in runs/mlflow.db, or on the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, run: Path, options: Mapping[str, Any], identity: str | None) -> None:
        entities: Any = import_module("mlflow.entities")
        self._metric, self._status = entities.Metric, entities.RunStatus
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(RUNS / MLFLOW_LOCAL).absolute()}"
        self._client: Any = import_module("mlflow.tracking").MlflowClient(tracking_uri=uri)
        if identity is not None:
            self.identity = identity
            self._client.update_run(identity, status=self._status.to_string(self._status.RUNNING))
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        self.identity = self._client.create_run(number, run_name=run.name).info.run_id
        entries = [entities.Param(key, str(value)[:MLFLOW_VALUE]) for key, value in options.items()]
        for start in range(0, len(entries), MLFLOW_PARAMETERS):
            self._client.log_batch(self.identity, params=entries[start : start + MLFLOW_PARAMETERS])

    def numbers(self, values: Mapping[str, float], update: int) -> None:
        now = int(1000 * time.time())
        points = [self._metric(name, value, now, update) for name, value in values.items()]
        self._client.log_batch(self.identity, metrics=points)

    def text(self, name: str, text: str, update: int) -> None:
        self._client.set_tag(self.identity, name, text)

    def flush(self) -> None:
        """Do nothing: each point is sent at once."""

    def close(self, *, finished: bool) -> None:
        status = self._status.FINISHED if finished else self._status.KILLED
        self._client.set_terminated(self.identity, status=self._status.to_string(status))


class WandB:
    """A run of Weights & Biases: offline in the folder of the run, unless WANDB_MODE is set."""

    def __init__(self, run: Path, options: Mapping[str, Any], identity: str | None) -> None:
        wandb: Any = import_module("wandb")
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            id=identity,
            resume=None if identity is None else "allow",
            dir=str(run),
            config=dict(options),
            mode=None if "WANDB_MODE" in os.environ else "offline",
            settings=wandb.Settings(silent=True, console="off"),
        )
        self.identity = str(self._run.id)
        # Points of a resumed run repeat earlier ones, so the number of the update is a value and not the step of wandb.
        self._run.define_metric("update")
        self._run.define_metric("*", step_metric="update")

    def numbers(self, values: Mapping[str, float], update: int) -> None:
        self._run.log({**values, "update": update})

    def text(self, name: str, text: str, update: int) -> None:
        self._run.summary[name] = text

    def flush(self) -> None:
        """Do nothing: a process of wandb writes."""

    def close(self, *, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)


class Trackio:
    """A run of trackio: in its local database, which `trackio show` displays."""

    def __init__(self, run: Path, options: Mapping[str, Any], identity: str | None) -> None:
        trackio: Any = import_module("trackio")
        self.identity = identity or run.name
        self._run: Any = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=self.identity,
            config=dict(options),
            resume="never" if identity is None else "allow",
        )

    def numbers(self, values: Mapping[str, float], update: int) -> None:
        self._run.log(dict(values), step=update)

    def text(self, name: str, text: str, update: int) -> None:
        self._run.log({name: text}, step=update)

    def flush(self) -> None:
        """Do nothing: each point is stored at once."""

    def close(self, *, finished: bool) -> None:
        self._run.finish()


def open_tensorboard(folder: Path, *, resumed_update: int | None) -> Tracker | None:
    """Open the curves of TensorBoard. None if it is not installed.

    Args:
        folder: The folder of its files.
        resumed_update: Update from which the run resumes. Later points are forgotten.
    """
    try:
        return _Guarded("TensorBoard", _TensorBoard(folder, resumed_update=resumed_update))
    except ImportError:
        logger.debug("TensorBoard is not installed: no TensorBoard curves are written")
        return None


OTHERS: dict[str, tuple[str, Callable[[Path, Mapping[str, Any], str | None], Any]]] = {
    "mlflow": ("mlflow", MLflow),
    "wandb": ("wandb", WandB),
    "trackio": ("trackio", Trackio),
}
"""The package and the class of each name of `training.track`."""


def check_installed(names: Sequence[str]) -> None:
    """Check that the packages of trackers are installed.

    Raises:
        UsageError: One is not. The message has the command that installs it.
    """
    for name in names:
        package, _ = OTHERS[name]
        if find_spec(package) is None:
            raise UsageError(
                f'training.track: {name} is not installed. Run `pip install "attention-nmt[{name}]"`, or remove '
                f"{name} from training.track."
            )


def open_trackers(names: Sequence[str], run: Path, options: Mapping[str, Any]) -> list[Tracker]:
    """Open the trackers of a run. A run that was tracked before keeps its identity.

    Args:
        names: Names of `training.track`.
        run: The folder of the run.
        options: The configuration of the run, by key.
    """
    path = run / IDENTITIES
    try:
        known = read_json(path) if path.exists() else {}
    except DataError as error:
        logger.warning("%s. The trackers start new runs.", error)
        known = {}
    trackers: list[Tracker] = []
    for name in names:
        identity = known.get(name) if isinstance(known, dict) and isinstance(known.get(name), str) else None
        try:
            tracker = OTHERS[name][1](run, options, identity)
        except Exception as error:  # each package has its own classes
            _warn(name, error)
            continue
        known[name] = tracker.identity
        trackers.append(_Background(name, tracker))
    if trackers:
        write_json(path, known)
    return trackers


class _Guarded:
    """A tracker whose errors end nothing. After the first error it is reported and does nothing."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name = name
        self._tracker: Tracker | None = tracker

    def _call(self, method: str, *arguments: Any, **options: Any) -> None:
        if self._tracker is None:
            return
        try:
            getattr(self._tracker, method)(*arguments, **options)
        except Exception as error:
            self._tracker = None
            _warn(self._name, error)

    def numbers(self, values: Mapping[str, float], update: int) -> None:
        self._call("numbers", values, update)

    def text(self, name: str, text: str, update: int) -> None:
        self._call("text", name, text, update)

    def flush(self) -> None:
        self._call("flush")

    def close(self, *, finished: bool) -> None:
        self._call("close", finished=finished)


class _Background:
    """A guarded tracker in a thread."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name = name
        self._tracker = _Guarded(name, tracker)
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING_RECORDS)
        self._is_full = False
        self._thread = threading.Thread(target=self._work, name=f"nmt-{name}", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _put(self, call: Callable[[], None]) -> None:
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            if not self._is_full:
                logger.warning("%s does not respond: its curves will have gaps", self._name)
            self._is_full = True

    def numbers(self, values: Mapping[str, float], update: int) -> None:
        self._put(lambda: self._tracker.numbers(values, update))

    def text(self, name: str, text: str, update: int) -> None:
        self._put(lambda: self._tracker.text(name, text, update))

    def flush(self) -> None:
        """Do nothing: a checkpoint does not wait for other programs."""

    def close(self, *, finished: bool) -> None:
        self._put(lambda: self._tracker.close(finished=finished))
        try:
            self._calls.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            logger.warning("%s did not end within %g s: its last points may be missing", self._name, CLOSE_SECONDS)


def _warn(name: str, error: Exception) -> None:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    logger.warning("%s failed and is left out: %s", name, reason, exc_info=error)


def finite_numbers(kind: str, values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a record that are finite, by the name of their curve."""
    numbers = {f"{kind}/{name}": float(value) for name, value in values.items() if not isinstance(value, str)}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
