"""`nmt translate --ray`: lost workers are replaced, and the bytes are those of one process."""

from __future__ import annotations

import random
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from campaign import bulk
from cli_tools import assert_explained, nmt
from nmt.errors import UsageError
from nmt.inference.output import ray_pool
from tiny_translator import save_tiny_model

LINES, FILES = 2600, 2


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "m.safetensors")
    return tmp_path


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install attention-nmt[ray]")
def test_lost_workers_are_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "SECONDS_BETWEEN_KILLS", 0.3)
    bulk.write_texts(folder / "in", lines=LINES, files=FILES)
    (folder / "avoid").write_text("cat\n", encoding="utf-8")
    options = ["-m", "m.safetensors", "--beam-size", "2", "--avoid", "avoid"]
    assert nmt("translate", "in", "-o", "alone", *options).code == 0
    ray = ["translate", "in", "-o", "out", "--ray", "local", "--processes", "2", *options]
    kill, killed = bulk.kill_worker(random.Random(1), bulk.RAY_WORKER), 0

    def kill_once(process: int) -> int:
        nonlocal killed
        killed += kill(process) if killed < 1 else 0
        return killed

    done = bulk.run(ray, folder, kill_once)
    assert done.code == 0, done.errors
    assert killed
    assert bulk.contents(folder / "out") == bulk.contents(folder / "alone")
    assert f"{FILES} files translated, 0 finished before" in done.errors
    again = nmt("translate", "in", "-o", "out", *options)
    assert f"0 files translated, {FILES} finished before" in again.stderr


def test_a_missing_ray_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    (folder / "text.en").write_text("the dog\n", encoding="utf-8")
    outcome = nmt("translate", "text.en", "-o", "out", "-m", "m.safetensors", "--ray", "local")
    assert_explained(outcome, 'Ray is required, but not installed. Run: pip install "attention-nmt[ray]"', codes=(2,))


@pytest.mark.parametrize(
    ("address", "failures", "starts"), [("local", 1, 2), ("local", 99, ray_pool.STARTS), ("10.0.0.5:6379", 99, 1)]
)
def test_a_cluster_that_starts_too_slowly_is_started_again(
    address: str, failures: int, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def init(**settings: object) -> None:
        calls.append("init")
        if calls.count("init") <= failures:
            raise RuntimeError("The node timed out\nDetails")

    cluster = SimpleNamespace(init=init, shutdown=lambda: calls.append("shutdown"))
    monkeypatch.setattr(ray_pool, "VARIABLES", {})
    with nullcontext() if failures < starts else pytest.raises(UsageError, match="The node timed out"):
        ray_pool._connect(cluster, address, 2)
    assert calls == ["init", "shutdown"] * (starts - (failures < starts)) + ["init"] * (failures < starts)


@pytest.mark.parametrize("options", [["--threads", "2"], ["--device", "cuda"]])
def test_options_of_one_process_are_refused(options: list[str], folder: Path) -> None:
    (folder / "text.en").write_text("the dog\n", encoding="utf-8")
    outcome = nmt("translate", "text.en", "-o", "out", "-m", "m.safetensors", "--ray", "local", *options)
    assert_explained(outcome, "--ray local excludes", codes=(2,))


def test_an_output_is_required() -> None:
    """Ray prints its messages to standard output."""
    assert_explained(nmt("translate", "-m", "m.safetensors", "--ray", "local"), "--ray requires -o", codes=(2,))
