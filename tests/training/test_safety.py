"""Nothing is lost: kills, damage, stop signals in validations, and two processes in one folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cli_tools import contents, nmt, untouched_logging
from nmt.augmentation.training import check_run
from nmt.config import load_config
from nmt.data import atomic_file, atomic_folder
from nmt.data.atomic_file import PREFIX, replace_file, temporary_name, write_file
from nmt.data.folder_lock import lock_folder
from nmt.errors import CheckpointError, Interrupted, NMTError, UsageError
from nmt.inference.model_file import load_model, save_model
from nmt.training import checkpoint as checkpoint_module
from nmt.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nmt.training.run_folder import RunFolder
from nmt.training.state import TrainState
from nmt.training.train import train_or_resume
from nmt.training.validation import Validator
from toy_experiments import write_toy_experiment
from toy_runs import newest_tensors, records, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=120)
    return tmp_path


class Killed(BaseException):
    """Stands for a kill: nothing after it runs but what Python does on its way out."""


# ------------------------------------------------------------------------------------------------------------ files


def test_a_replaced_file_keeps_its_permissions_and_its_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to("target")
    write_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_file(tmp_path / "new", b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    stack = contextlib.ExitStack()
    stream = stack.enter_context(replace_file(path))
    stream.write(b"half")
    assert len(list(tmp_path.iterdir())) == 2
    assert not stack.__exit__(Killed, Killed(), None)
    assert contents(tmp_path) == {"file": b"old"}


def test_temporary_names_cannot_be_foreseen_and_links_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert temporary_name(tmp_path / "a") != temporary_name(tmp_path / "a")
    victim, trap = tmp_path / "victim", tmp_path / "trap"
    victim.write_bytes(b"precious")
    trap.symlink_to(victim)
    monkeypatch.setattr(atomic_file, "temporary_name", lambda final: trap)
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "file", b"evil")
    assert victim.read_bytes() == b"precious"


def test_files_of_dead_processes_are_removed_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    living = temporary_name(tmp_path / "other")
    dead = living.with_name(living.name.replace(f"-{os.getpid()}-", "-4194999-"))
    for path in (living, dead):
        path.write_bytes(b"")
    write_file(tmp_path / "file", b"")
    assert living.exists()
    assert not dead.exists()


# ------------------------------------------------------------------------------------------------------ checkpoints


def make_checkpoint(value: float) -> Checkpoint:
    tensors = {"a": torch.full((3,), value)}
    state = {
        "value": value,
        "train_state": dataclasses.asdict(TrainState()),
        "data_fingerprint": "",
        "learning_rate": {"scale": 1.0, "stale_validations": 0},
    }
    return Checkpoint(weights=tensors, optimizer=tensors, average={}, random={}, state=state)


@pytest.mark.parametrize("call", range(4))
def test_a_checkpoint_that_replaces_another_is_whole_at_each_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder("a").checkpoint_folder(7)
    save_checkpoint(folder, make_checkpoint(1.0))
    calls = 0

    def killed(function: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call + 1:
                os._exit(9)
            return function(*arguments, **options)

        return inner

    process = os.fork()
    if process == 0:
        monkeypatch.setattr(Path, "rename", killed(Path.rename))
        monkeypatch.setattr(atomic_folder.shutil, "rmtree", killed(shutil.rmtree))
        monkeypatch.setattr(atomic_folder, "sync_folder", killed(atomic_folder.sync_folder))
        save_checkpoint(folder, make_checkpoint(2.0))
        os._exit(0)
    assert os.waitpid(process, 0)[1] >> 8 == 9
    value = RunFolder("a").newest_checkpoint().state["value"]
    assert value in (1.0, 2.0)
    assert contents(folder.parent).keys() == {
        "update-000007",
        *(f"update-000007/{name}" for name in ("weights.safetensors", "optimizer.safetensors")),
        *(f"update-000007/{name}" for name in ("average.safetensors", "random.safetensors", "state.json")),
    }


def test_unchanged_parts_are_linked_and_the_checkpoint_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "update-000001"
    save_checkpoint(folder, make_checkpoint(1.0))
    save_checkpoint(folder, make_checkpoint(2.0), unchanged=("weights",))
    loaded = load_checkpoint(folder)
    assert float(loaded.weights["a"][0]) == 1.0
    assert float(loaded.optimizer["a"][0]) == 2.0
    assert stat.S_IMODE((folder / "weights.safetensors").stat().st_mode) == stat.S_IMODE(
        (folder / "state.json").stat().st_mode
    )


def test_a_damaged_checkpoint_is_passed_over(folder: Path) -> None:
    path = run("training.max_updates=6", "training.checkpoint_every_updates=2", "training.keep_checkpoints=5")
    newest = RunFolder("toy").all_checkpoints()[-1]
    (newest / "optimizer.safetensors").write_bytes(b"damage")
    run("training.max_updates=8", "training.checkpoint_every_updates=2", "training.keep_checkpoints=1", resume=True)
    assert [one.name for one in RunFolder("toy").all_checkpoints()] == ["update-000008"]
    assert len(list((path / "checkpoints").glob("damaged-update-000006*"))) == 1
    straight = run("name=straight", "training.max_updates=8", "training.checkpoint_every_updates=2")
    ours, theirs = newest_tensors(path), newest_tensors(straight)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items() if name.startswith("weights"))


def hostile_states(state: dict[str, Any]) -> dict[str, Any]:
    """Contents of state.json that no training writes."""
    train = state["train_state"]
    return {
        "no object": [1],
        "nothing": {"format": 1},
        "no counters": {**state, "train_state": None},
        "text": {**state, "train_state": {**train, "update": "7"}},
        "object": {**state, "train_state": {**train, "seconds": {}}},
        "unknown": {**state, "train_state": {**train, "other": 1}},
        "position": {**state, "train_state": {**train, "position": {"epoch": [], "window": 0, "batch": 0}}},
        "window": {**state, "train_state": {**train, "window": 3}},
        "history": {**state, "train_state": {**train, "history": [{"update": 1}]}},
        "rate": {**state, "learning_rate": {"scale": "1", "stale_validations": 0}},
        "fingerprint": {**state, "data_fingerprint": 5},
    }


def test_hostile_checkpoints_are_refused(folder: Path) -> None:
    path = run("name=hostile", "training.max_updates=2", "training.checkpoint_every_updates=2")
    checkpoint = next((path / "checkpoints").iterdir())
    state = json.loads((checkpoint / "state.json").read_bytes())
    del state["crc32"]  # as written by an earlier version, which needs parts without checksums too
    loaded = load_checkpoint(checkpoint)
    for part in checkpoint_module.PARTS:
        tensors = {name: value.clone() for name, value in getattr(loaded, part).items()}
        save_file(tensors, checkpoint / f"{part}.safetensors")
    (checkpoint / "state.json").write_text(json.dumps(state), encoding="utf-8")
    intact = RunFolder("hostile").newest_checkpoint()
    for name, content in hostile_states(state).items():
        (checkpoint / "state.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(CheckpointError) as error:
            RunFolder("hostile").newest_checkpoint()
        assert len(str(error.value)) < 500, name
    for changes in (
        {"weights": {name: value[..., :1] for name, value in intact.weights.items()}},
        {"weights": {}},
        {"optimizer": {"x": torch.zeros(1)}},
        {"optimizer": {name: value[..., :1] for name, value in intact.optimizer.items() if value.dim()}},
        {"random": {"cpu": torch.zeros(1)}},
    ):
        shutil.rmtree(checkpoint)
        save_checkpoint(checkpoint, dataclasses.replace(intact, **changes))
        with pytest.raises(CheckpointError, match=r"hostile.*does not fit"):
            run("name=hostile", "training.max_updates=3", "training.checkpoint_every_updates=2", resume=True)


def test_a_full_disk_says_whether_there_is_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    save_checkpoint(tmp_path / "update-000001", make_checkpoint(1.0))
    monkeypatch.setattr(checkpoint_module, "write_tensors", full)
    with pytest.raises(CheckpointError, match="Earlier checkpoints are intact"):
        save_checkpoint(tmp_path / "update-000002", make_checkpoint(1.0))
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        save_checkpoint(tmp_path / "empty" / "update-000001", make_checkpoint(1.0))


def test_what_is_saved_is_not_saved_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[tuple[int, bool]] = []
    from nmt.training import trainer

    def record(path: Path, state: Checkpoint, **options: Any) -> None:
        saved.append((state.state["train_state"]["update"], state.state["train_state"]["validation_due"]))
        save_checkpoint(path, state, **options)

    monkeypatch.setattr(trainer, "save_checkpoint", record)
    run("training.max_updates=6", "training.checkpoint_every_updates=3", "training.validation.every_updates=3")
    assert saved == [(3, True), (3, False), (6, True), (6, False)]


def test_a_run_without_a_folder_for_translations_resumes(folder: Path) -> None:
    path = run("training.max_updates=3")
    shutil.rmtree(path / "translations")
    run("training.max_updates=5", resume=True)
    assert (path / "translations").is_dir()


# --------------------------------------------------------------------------------------------------------- validation


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_stop_in_a_validation_saves_and_ends_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    options = ["training.validation.every_updates=4", "training.max_updates=8", "training.averaging.kind=best"]
    straight = run("name=straight", *options)
    number = getattr(signal, name)
    translate = Validator._translate

    def stopped(self: Validator, model: Any) -> list[str]:
        os.kill(os.getpid(), number)
        time.sleep(20)  # another thread may get the signal, and Python handles it a moment later
        pytest.fail("the validation went on")

    monkeypatch.setattr(Validator, "_translate", stopped)
    with pytest.raises(Interrupted, match="in its validation") as caught:
        run(*options)
    assert caught.value.exit_code == 128 + number
    (only,) = RunFolder("toy").all_checkpoints()
    assert load_checkpoint(only).state["train_state"]["validation_due"]
    monkeypatch.setattr(Validator, "_translate", translate)
    path = run(*options, resume=True)
    assert records(path) == records(straight)
    ours, theirs = newest_tensors(path), newest_tensors(straight)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_a_kill_in_the_last_validation_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translate = Validator._translate

    def killed(self: Validator, model: Any) -> list[str]:
        raise Killed

    monkeypatch.setattr(Validator, "_translate", killed)
    with pytest.raises(Killed):
        run("training.max_updates=5")
    monkeypatch.setattr(Validator, "_translate", translate)
    path = run("training.max_updates=5", resume=True)
    assert [record["update"] for record in records(path)] == [5, 5]
    assert (path / "best.safetensors").exists()


# ------------------------------------------------------------------------------------------------------- starting


def test_nothing_is_deleted_before_everything_is_checked(folder: Path) -> None:
    with untouched_logging():
        run("training.max_updates=3")
    before = contents(folder / "runs")
    with untouched_logging(), pytest.raises(NMTError):
        run("training.batch_tokens=3", overwrite=True)
    assert contents(folder / "runs") == before


def test_a_run_starts_or_resumes_with_one_command(folder: Path) -> None:
    arguments = ("train", "toy.yaml", "--auto-resume", "training.checkpoint_every_updates=2")
    first = nmt(*arguments, "training.max_updates=4")
    second = nmt(*arguments, "training.max_updates=6")
    assert (first.code, second.code) == (0, 0), second.stderr
    assert "resumed" not in first.stderr
    assert "resumed runs/toy from update 4" in second.stderr
    assert nmt(*arguments, "--resume").code == 2


# ---------------------------------------------------------------------------------------------------------- locks


def test_a_folder_has_one_holder_and_the_lock_leaves_nothing(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "a"):
        with (
            pytest.raises(UsageError, match=rf"in use by process {os.getpid()} on .* since"),
            lock_folder(tmp_path / "a"),
        ):
            pass
        with lock_folder(tmp_path / "b"):
            pass
    with lock_folder(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    process = os.fork()
    if process == 0:
        lock = lock_folder(tmp_path / "a")
        lock.__enter__()
        os._exit(9)
    os.waitpid(process, 0)
    assert (tmp_path / ".a.lock").exists()
    with lock_folder(tmp_path / "a"):
        pass


def test_a_lock_by_existence_where_the_file_system_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def unsupported(handle: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    path = tmp_path / ".a.lock"
    with lock_folder(tmp_path / "a"):
        assert json.loads(path.read_text())["process"] == os.getpid()
    for holder, free in (({"process": 4194999}, True), ({"process": 1}, False)):
        path.write_text(json.dumps({"host": os.uname().nodename, **holder}))
        if free:
            with lock_folder(tmp_path / "a"):
                pass
        else:
            with pytest.raises(UsageError, match="process 1 on"), lock_folder(tmp_path / "a"):
                pass


@pytest.mark.parametrize("arguments", [{"resume": True}, {"overwrite": True}, {}])
def test_a_run_in_use_is_refused_by_train(folder: Path, arguments: dict[str, bool]) -> None:
    with lock_folder(Path("runs/toy")), pytest.raises(UsageError, match=r"runs/toy is in use by process"):
        run(**arguments)
    with lock_folder(Path("runs/toy")), pytest.raises(UsageError, match=r"runs/toy is in use by process"):
        train_or_resume(load_config(Path("toy.yaml")))


def test_a_model_file_keeps_its_permissions(folder: Path) -> None:
    path = run("training.max_updates=2") / "best.safetensors"
    path.chmod(0o604)
    model = load_model(path)
    save_model(
        path, weights=model.weights, config=model.config, tokenizers=model.tokenizers, provenance=model.provenance
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert not list(path.parent.glob(f"{PREFIX}*"))


def test_commands_that_train_resume_from_a_checkpoint_that_was_renamed_aside(folder: Path) -> None:
    run("training.max_updates=2", "training.checkpoint_every_updates=2", "training.keep_checkpoints=1")
    trained = RunFolder("toy")
    (checkpoint,) = trained.all_checkpoints()
    checkpoint.rename(temporary_name(checkpoint))
    check_run(load_config(Path("toy.yaml")), overwrite=False)
    assert trained.newest_checkpoint().state["train_state"]["update"] == 2


def test_a_folder_that_is_deleted_during_training_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = RunFolder.keep_newest

    def vanish(self: RunFolder, count: int) -> None:
        shutil.rmtree(self.path)
        keep(self, count)

    monkeypatch.setattr(RunFolder, "keep_newest", vanish)
    with untouched_logging(), pytest.raises(CheckpointError, match="deleted or moved during training"):
        run("training.max_updates=2")
