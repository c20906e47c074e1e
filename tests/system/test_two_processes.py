"""Two processes on one run, folder or file: the second one refuses in a sentence and changes nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cli_tools import ROOT, assert_explained, contents, nmt, nmt_process, untouched_logging
from nmt.config import load_config
from nmt.data import folder_lock
from nmt.data.folder_lock import lock_folder, lock_output
from nmt.data.preprocess.preprocess import preprocess
from nmt.errors import DataError
from toy_experiments import write_toy_experiment
from toy_runs import run
from toy_teachers import save_teacher

RUN = {
    "train": (("train", "toy.yaml"), "nmt.training.train._start"),
    "resume": (("train", "toy.yaml", "--resume"), "nmt.training.train._resume"),
    "overwrite": (("train", "toy.yaml", "--overwrite"), "nmt.training.train._start"),
    "auto-resume": (("train", "toy.yaml", "--auto-resume"), "nmt.training.train._resume"),
    "average": (("average", "runs/toy"), "nmt.cli.commands.average._average"),
    "tune": (("tune", "runs/toy"), "nmt.cli.commands.tune._tune"),
    "shortlist": (("shortlist", "runs/toy"), "nmt.inference.shortlist.add_shortlist"),
}
"""Commands that write into runs/toy, and the function that does the work under the lock."""
FILE = {
    name: ((*RUN[name][0], "-o", "other/new.safetensors"), RUN[name][1]) for name in ("average", "tune", "shortlist")
}
"""Commands that write another model file."""
FOLDER = {
    "preprocess": (("preprocess", "toy.yaml", "--force"), "nmt.data.preprocess.preprocess._build"),
    "distill": (("distill", "toy.yaml", "--teacher", "one.safetensors"), "nmt.augmentation.distill._distill"),
    "back-translate": (
        ("back-translate", "toy.yaml", "--reverse", "back.safetensors", "--monolingual", "train.de"),
        "nmt.augmentation.back_translate._back_translate",
    ),
    "sweep": (("sweep", "sweep.yaml"), "nmt.sweep.run.run_all"),
    "evaluate": (
        (*("evaluate", "-m", "one.safetensors", "-o", "evaluated"), "--source", "train.en", "--reference", "train.de"),
        "nmt.cli.commands.evaluate._translate_and_score",
    ),
}
"""Commands that write into a folder of their own."""
SWEEP = """\
name: two
base: toy.yaml
seeds: 1
baseline: null
variants:
  - {name: usual, options: [training.max_updates=1]}
  - {name: small, options: [model.embedding_size=8]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished run, `runs/toy`, and two models."""
    path = tmp_path_factory.mktemp("two")
    write_toy_experiment(path, pairs=60)
    (path / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
    (path / "other").mkdir()
    with pytest.MonkeyPatch.context() as patch, untouched_logging():
        patch.chdir(path)
        run("training.max_updates=2", "training.checkpoint_every_updates=1", "training.keep_checkpoints=2")
        save_teacher(Path("one.safetensors"))
        save_teacher(Path("back.safetensors"), languages=("de", "en"))
        yield path


@contextlib.contextmanager
def working(command: tuple[str, ...], work: str) -> Iterator[int]:
    """Run a command in another process that stays in its function `work`, and yield the number of the process."""
    module, _, name = work.rpartition(".")
    read, write = os.pipe()
    process = os.fork()
    if process == 0:

        def stay(*arguments: Any, **options: Any) -> None:
            os.write(write, b"x")
            time.sleep(600)

        try:
            setattr(import_module(module), name, stay)
            print(nmt(*command))
        finally:
            os._exit(1)
    os.close(write)
    try:
        assert os.read(read, 1) == b"x", "the command ended before its work"
        yield process
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(read)


def assert_refused(process: int, *commands: tuple[str, ...], path: str) -> None:
    before = contents(Path())
    for command in commands:
        outcome = nmt(*command)
        assert_explained(outcome, f"{path} is in use by process {process} on", "Wait until it ends", codes=(2,))
    assert contents(Path()) == before


@pytest.mark.parametrize("first", RUN)
def test_a_run_is_refused_to_a_second_process(folder: Path, first: str) -> None:
    with working(*RUN[first]) as process:
        assert_refused(process, *(command for command, _ in RUN.values()), path="runs/toy")


@pytest.mark.parametrize("first", FILE)
def test_a_file_is_refused_to_a_second_process(folder: Path, first: str) -> None:
    with working(*FILE[first]) as process:
        assert_refused(process, *(command for command, _ in FILE.values()), path="other/new.safetensors")


@pytest.mark.parametrize("first", FOLDER)
def test_a_folder_is_refused_to_a_second_process(folder: Path, first: str) -> None:
    paths = {"distill": "data/toy-distilled", "back-translate": "data/toy-back-translated", "sweep": "runs/sweep-two"}
    paths["evaluate"] = "evaluated"
    with working(*FOLDER[first]) as process:
        path = paths.get(first) or str(preprocess(load_config(Path("toy.yaml"))).folder)
        assert_refused(process, FOLDER[first][0], path=path)


def test_a_run_of_a_sweep_is_refused_to_a_training_and_the_other_way(folder: Path) -> None:
    training = ("train", "toy.yaml", "name=two-usual-1")
    with working(("sweep", "sweep.yaml"), "nmt.training.train._start") as process:
        assert_refused(process, training, path="runs/two-usual-1")
    with working(training, "nmt.training.train._start") as process:
        outcome = nmt("sweep", "sweep.yaml", "--only", "usual")
        assert_explained(outcome, f"runs/two-usual-1 is in use by process {process}", codes=(2,))


def test_a_training_waits_for_the_data_that_another_process_makes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("name=waits", "training.max_updates=1", "tokenizer.vocabulary_size=70")
    made = preprocess(load_config(Path("toy.yaml"), options)).folder
    hidden = made.rename(made.with_name("hidden"))
    stack = contextlib.ExitStack()
    stack.enter_context(lock_folder(made))

    def make(seconds: float) -> None:
        hidden.rename(made)
        stack.close()

    monkeypatch.setattr(folder_lock.time, "sleep", make)
    outcome = nmt("train", "toy.yaml", *options)
    assert outcome.code == 0, outcome.stderr
    assert f"{made} is in use by process {os.getpid()}" in outcome.stderr
    assert "Waiting until it ends" in outcome.stderr


@pytest.mark.parametrize("name", RUN)
def test_the_refusal_comes_before_slow_imports(folder: Path, name: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')", encoding="utf-8")
    with lock_folder(Path("runs/toy")):
        variables = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        outcome = nmt_process(*RUN[name][0], folder=folder, variables=variables)
    assert_explained(outcome, f"runs/toy is in use by process {os.getpid()}", codes=(2,))


def test_a_stale_lock_refuses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks: list[Callable[[Path], Any]] = [lock_folder, lock_output]
    for lock in locks:
        (tmp_path / ".a.lock").write_text('{"process": 4194999, "host": "elsewhere"}', encoding="utf-8")
        folder_lock.check_unlocked(tmp_path / "a")
        with lock(tmp_path / "a"):
            pass


@pytest.mark.parametrize(
    ("lock", "path"), [(lock_folder, "file/a"), (lock_output, "file/b/c"), (lock_folder, "file/a/b/c")]
)
def test_a_path_below_a_file_is_explained(
    lock: Callable[[Path], Any], path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_bytes(b"")
    with pytest.raises(DataError, match="file is a file, so no folder can be made there"), lock(Path(path)):
        pass
    with pytest.raises(DataError, match="file is a file"), lock_folder(Path("file"), inside=True):
        pass
