"""Trackers: curves in other programs, which never stop a training."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nmt.errors import UsageError
from nmt.training import tracking
from toy_experiments import write_toy_experiment
from toy_runs import records, run

RUN = Path("runs/toy")
FAST = ("training.log_every=1", "training.validation.every_updates=2", "data.shortlist.translations=0")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=60)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_MODE", "WANDB_PROJECT", "TRACKIO_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


class Fake:
    """A tracker that keeps everything, and fails where it is told to."""

    made: ClassVar[list[Fake]] = []
    fails_at: ClassVar[str | None] = None

    def __init__(self, run: Path, options: Mapping[str, Any], identity: str | None) -> None:
        self.options, self.given = options, identity
        self.points: list[tuple[int, str, float]] = []
        self.texts: list[str] = []
        self.finished: bool | None = None
        self.identity = identity or f"number {len(self.made)}"
        Fake.made.append(self)
        self._fail("open")

    def _fail(self, where: str) -> None:
        if where == self.fails_at:
            raise RuntimeError("no route to the server\nat line 7")

    def numbers(self, values: Mapping[str, float], update: int) -> None:
        self._fail("numbers")
        self.points += [(update, name, value) for name, value in values.items()]

    def text(self, name: str, text: str, update: int) -> None:
        self.texts.append(text)

    def flush(self) -> None:
        """Nothing is written."""

    def close(self, *, finished: bool) -> None:
        self._fail("close")
        self.finished = finished


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Fake]]:
    monkeypatch.setattr(Fake, "made", [])
    monkeypatch.setitem(tracking.OTHERS, "mlflow", ("json", Fake))
    return Fake


def points() -> set[tuple[int, str, float]]:
    """The points that the metrics file has."""
    return {
        (record["update"], f"{record['kind']}/{name}", float(value))
        for record in records(RUN)
        for name, value in record.items()
        if name not in ("kind", "update", "epoch") and isinstance(value, (int, float))
    }


def test_a_tracker_gets_what_the_metrics_file_gets_and_a_resumed_run_is_the_same(fake: type[Fake]) -> None:
    track = "training.track=[mlflow]"
    run(*FAST, "training.max_updates=4", track)
    (first,) = fake.made
    assert first.options["training.max_updates"] == 4
    assert points() <= set(first.points)
    assert first.finished
    run(*FAST, "training.max_updates=6", track, resume=True)
    second = fake.made[-1]
    assert (first.given, second.given) == (None, first.identity)
    assert points() <= {*first.points, *second.points}
    assert {update for update, *_ in second.points} == {5, 6}
    assert json.loads((RUN / tracking.IDENTITIES).read_text("utf-8")) == {"mlflow": first.identity}
    run(*FAST, "training.max_updates=2", track, overwrite=True)
    assert fake.made[-1].given is None


@pytest.mark.parametrize("where", ["open", "numbers", "close"])
def test_a_tracker_that_fails_is_reported_once(
    where: str, fake: type[Fake], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fake, "fails_at", where)
    run(*FAST, "training.max_updates=4", "training.track=[mlflow]")
    said = [record.getMessage() for record in caplog.records if "mlflow" in record.getMessage()]
    assert said == ["mlflow failed and is left out: no route to the server"]
    assert records(RUN, "train")[-1]["update"] == 4


def test_a_tracker_that_hangs_delays_nothing(
    fake: type[Fake], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    monkeypatch.setattr(fake, "numbers", lambda self, values, update: released.wait())
    monkeypatch.setattr(tracking, "WAITING_RECORDS", 2)
    monkeypatch.setattr(tracking, "CLOSE_SECONDS", 0.01)
    run(*FAST, "training.max_updates=4", "training.track=[mlflow]")
    released.set()
    assert "mlflow does not respond: its curves will have gaps" in caplog.text
    assert caplog.text.count("does not respond") == 1


def test_an_interrupted_training_is_not_finished(fake: type[Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.training.trainer.Trainer.train", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(*FAST, "training.max_updates=4", "training.track=[mlflow]")
    assert fake.made[0].finished is False


@pytest.mark.parametrize("name", tracking.OTHERS)
def test_a_missing_package_is_reported_before_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda package: None)
    with pytest.raises(UsageError, match=rf'pip install "attention-nmt\[{name}\]"'):
        run(f"training.track=[{name}]")
    assert not Path("runs").exists()
    assert not Path("preprocessed").exists()


# ------------------------------------------------------------------------------------------------------ the packages


def needs(package: str) -> pytest.MarkDecorator:
    reason = f"{package} is not installed: pip install attention-nmt[{package}]"
    return pytest.mark.skipif(find_spec(package) is None, reason=reason)


def loss_of(update: int) -> float:
    (record,) = [record for record in records(RUN, "train") if record["update"] == update]
    return float(record["loss"])


@needs("mlflow")
@pytest.mark.filterwarnings("default")
def test_mlflow() -> None:
    from mlflow.tracking import MlflowClient

    for updates, resume in ((2, False), (4, True)):
        run(*FAST, f"training.max_updates={updates}", "training.track=[mlflow]", resume=resume)
    client = MlflowClient(tracking_uri=f"sqlite:///{Path('runs', tracking.MLFLOW_LOCAL).absolute()}")
    experiment = client.get_experiment_by_name(tracking.PROJECT)
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("toy", "FINISHED")
    assert found.data.params["training.max_updates"] == "2"
    losses = {point.step: point.value for point in client.get_metric_history(found.info.run_id, "train/loss")}
    assert losses == pytest.approx({update: loss_of(update) for update in (1, 2, 3, 4)})


@needs("wandb")
@pytest.mark.filterwarnings("default")
def test_wandb() -> None:
    for updates, resume in ((2, False), (4, True)):
        run(*FAST, f"training.max_updates={updates}", "training.track=[wandb]", resume=resume)
    identity = json.loads((RUN / tracking.IDENTITIES).read_text("utf-8"))["wandb"]
    files = list((RUN / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2
    assert {file.stem for file in files} == {f"run-{identity}"}
    assert any(b"train/loss" in file.read_bytes() for file in files)


@needs("trackio")
@pytest.mark.filterwarnings("default")
def test_trackio(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
    for updates, resume in ((2, False), (4, True)):
        run(*FAST, f"training.max_updates={updates}", "training.track=[trackio]", resume=resume)
    storage = sys.modules["trackio.sqlite_storage"].SQLiteStorage
    assert storage.get_runs(tracking.PROJECT) == ["toy"]
    losses = {
        row["step"]: row["train/loss"] for row in storage.get_logs(tracking.PROJECT, "toy") if "train/loss" in row
    }
    assert losses == pytest.approx({update: loss_of(update) for update in (1, 2, 3, 4)})
