"""Disk space is compared with an estimate before a run starts, and risky file systems are named."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli_tools import contents, nmt, untouched_logging
from nmt.config import load_config
from nmt.data import disk
from nmt.data.disk import file_system_risk, file_system_type, free_bytes, show_bytes, size_of
from nmt.errors import TrainingError
from nmt.inference.model_file import load_model
from nmt.training.space import SpaceEstimate, estimate_space
from tiny_translator import load_training_network
from toy_experiments import write_toy_experiment
from toy_runs import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=60)
    return tmp_path


def estimate_of(path: Path) -> SpaceEstimate:
    model = load_model(path / "best.safetensors")
    other = 4 * len(model.tokenizers.source.model_bytes) // 3
    if model.shortlist is not None:
        other += model.shortlist.translations.nbytes + model.shortlist.frequent.nbytes
    options = load_config(path / "config.yaml", check_files=False).training
    return estimate_space(load_training_network(model), options, other=other, has_parent=False)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("averaging", ["none", "ema", "last", "best"])
def test_the_estimate_is_what_a_run_needs(folder: Path, averaging: str, optimizer: str) -> None:
    options = [f"training.averaging.kind={averaging}", "training.max_updates=4", "training.validation.every_updates=1"]
    options += ["training.averaging.count=2"] if averaging in ("last", "best") else []
    path = run(f"training.optimizer.kind={optimizer}", "model.embedding_size=64", *options)
    estimate = estimate_of(path)
    (checkpoint,) = (path / "checkpoints").iterdir()
    assert estimate.checkpoint == pytest.approx(size_of(checkpoint), rel=0.1, abs=25_000)
    assert estimate.model == pytest.approx((path / "best.safetensors").stat().st_size, rel=0.1, abs=25_000)
    assert size_of(path) <= estimate.usual


def with_free(monkeypatch: pytest.MonkeyPatch, free: int, *, total: int = 10**12) -> None:
    usage = SimpleNamespace(total=total, used=total - free, free=free)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage)


def test_a_run_that_cannot_fit_is_refused_and_nothing_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with untouched_logging():
        run("training.max_updates=1")
    before = contents(folder / "runs")
    with_free(monkeypatch, 10_000)
    with pytest.raises(
        TrainingError, match=r"runs/other: the disk has 10.0 kB free, but a checkpoint has about \d+ kB"
    ):
        run("name=other", "training.max_updates=1")
    with pytest.raises(TrainingError, match="runs/toy: the disk has"):
        run("model.embedding_size=512", "training.max_updates=1", overwrite=True)
    assert contents(folder / "runs") == before


def test_a_run_that_may_not_fit_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_free(monkeypatch, 3_000_000)
    run("training.max_updates=1")
    assert "training.keep_checkpoints" not in caplog.text
    run("name=many", "training.max_updates=1", "training.keep_checkpoints=20")
    assert "runs/many: the disk has 3.0 MB free, but the run needs about" in caplog.text


def test_the_files_of_the_run_itself_count_as_free(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run("training.max_updates=1")
    with_free(monkeypatch, estimate_of(path).least - size_of(path) + 50_000)
    run("training.max_updates=2", resume=True)
    run("training.max_updates=1", overwrite=True)


def test_an_unknown_size_is_no_obstacle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 0, total=0)
    assert free_bytes(folder) is None
    run("training.max_updates=1")


def test_preprocessing_warns_of_a_disk_that_may_become_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 100)
    outcome = nmt("preprocess", "toy.yaml")
    assert outcome.code == 0
    assert "preprocessed: the disk has 100 B free. Preprocessing this text may need" in outcome.stderr
    assert "may need" not in nmt("preprocess", "toy.yaml").stderr  # the data is there


def test_sizes(tmp_path: Path) -> None:
    assert [show_bytes(size) for size in (0, 999, 1000, 123_456, 5.5e9, 2e13)] == [
        *("0 B", "999 B", "1.0 kB", "123 kB", "5.5 GB", "20.0 TB"),
    ]
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"x" * 1000)
    os.link(tmp_path / "inner" / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to("nowhere")
    assert 1000 <= size_of(tmp_path) < 1100
    assert size_of(tmp_path / "nowhere") == 0
    assert free_bytes(tmp_path / "not" / "there") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:30 / {here}/data\\040set rw shared:5 - nfs4 server:/export rw
31 22 0:31 / {here}/mem rw - tmpfs tmpfs rw
32 31 0:32 / {here}/mem/bucket rw - fuse.gcsfuse bucket rw
33 22 0:33 / {here}/twice rw - tmpfs tmpfs rw
34 22 0:34 / {here}/twice rw - xfs /dev/sdb rw
nonsense
"""


def test_the_type_of_a_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path(os.path.realpath(tmp_path))
    (tmp_path / "mounts").write_text(MOUNTS.format(here=here), encoding="utf-8")
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "mounts")
    types = {"": "ext4", "data set": "nfs4", "mem": "tmpfs", "mem/bucket": "fuse.gcsfuse", "twice": "xfs"}
    for name, kind in types.items():
        (here / name).mkdir(exist_ok=True)
        assert file_system_type(here / name) == kind
    assert file_system_type(here / "data set" / "runs") == "nfs4"
    assert "(nfs4) is on the network" in str(file_system_risk(here / "data set" / "runs" / "new"))
    assert "(tmpfs) is in memory" in str(file_system_risk(here / "mem"))
    assert "(fuse.gcsfuse) has no locks" in str(file_system_risk(here / "mem" / "bucket"))
    assert file_system_risk(here) is None
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "nowhere")
    assert file_system_type(here) is None
    assert file_system_risk(here) is None


def test_a_training_names_a_risky_file_system(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "file_system_type", lambda path: "nfs")
    run("training.max_updates=1")
    assert [record.levelno for record in caplog.records if "runs/toy: the file system (nfs)" in record.message] == [
        logging.WARNING
    ]
