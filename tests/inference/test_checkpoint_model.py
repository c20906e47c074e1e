"""A checkpoint is a model: every command that takes a model takes a checkpoint too."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cli_tools import assert_explained, contents, nmt, untouched_logging
from nmt.data.lines import read_lines, write_lines
from nmt.inference.find_model import find_model
from nmt.inference.model_file import load_model
from toy_experiments import write_toy_experiment
from toy_runs import run

OPTIONS = ("training.max_epochs=3", "training.keep_checkpoints=3", "training.optimizer.learning_rate=0.02")
HELD_OUT = ("--source", "test.en", "--reference", "test.de")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with two runs of three checkpoints: `runs/ema` and `runs/none`."""
    path = tmp_path_factory.mktemp("checkpoints")
    write_toy_experiment(path, pairs=100)
    for file in (*path.glob("test.*"), *path.glob("valid.*")):
        write_lines(file, list(read_lines(file, keep_broken=False))[:6])
    with pytest.MonkeyPatch.context() as patch, untouched_logging():
        patch.chdir(path)
        run(*OPTIONS, "name=ema", "training.averaging.decay=0.9")
        run(*OPTIONS, "name=none", "training.averaging.kind=none")
        yield path


def checkpoints(name: str) -> list[Path]:
    return sorted(Path("runs", name, "checkpoints").iterdir())


def assert_same_model(first: Path, second: Path) -> None:
    ours, theirs = load_model(find_model(first)), load_model(find_model(second))
    assert ours.weights.keys() == theirs.weights.keys()
    assert all(torch.equal(value, theirs.weights[name]) for name, value in ours.weights.items())
    assert ours.config == theirs.config
    assert ours.provenance["update"] == theirs.provenance["update"]
    assert nmt("translate", "-m", str(first), "test.en").stdout == nmt("translate", "-m", str(second), "test.en").stdout


@pytest.mark.parametrize("kind", ["ema", "none"])
def test_the_checkpoint_of_the_best_validation_is_the_best_model(folder: Path, kind: str) -> None:
    best = Path("runs", kind, "best.safetensors")
    update = load_model(best).provenance["update"]
    checkpoint = Path("runs", kind, "checkpoints", f"update-{update:06d}")
    assert_same_model(checkpoint, best)
    assert_same_model(checkpoint / "weights.safetensors", best)
    assert load_model(find_model(checkpoint)).identity != load_model(find_model(checkpoints(kind)[0])).identity


def test_every_command_takes_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    name = str(checkpoints("ema")[0])
    link = "runs/ema/last"
    facts = json.loads(nmt("info", name, "--json").stdout)
    assert facts["provenance"]["update"] == int(name.rpartition("-")[2])
    assert "validation" not in facts["provenance"]
    for arguments in (
        ("info", link),
        ("evaluate", "--model", name, *HELD_OUT),
        ("score", "-m", link, "test.en", "test.de"),
        ("translate", "-m", name, "-m", link, "test.en"),
        (
            "average",
            name,
            link,
            "-o",
            str(tmp_path / "mean.safetensors"),
            "--source",
            "test.en",
            "--reference",
            "test.de",
        ),
        ("tune", name, "--try", "beam_size=1,2", "-o", str(tmp_path / "tuned.safetensors"), *HELD_OUT),
        ("shortlist", name, "-o", str(tmp_path / "list.safetensors")),
        ("train", "toy.yaml", "name=child", "training.max_updates=1", "--init-from", name),
    ):
        outcome = nmt(*arguments)
        assert outcome.code == 0, (arguments, outcome.stderr)


def test_a_checkpoint_is_a_model_before_the_first_validation(folder: Path, tmp_path: Path) -> None:
    young = tmp_path / "runs" / "young"
    shutil.copytree("runs/ema", young, symlinks=True)
    (young / "best.safetensors").unlink()
    number = 1
    assert_same_model(sorted((young / "checkpoints").iterdir())[number], checkpoints("ema")[number])
    both = [str(path) for path in sorted((young / "checkpoints").iterdir())[:2]]
    outcome = nmt("average", *both, "-o", str(tmp_path / "mean.safetensors"), "--no-validate")
    assert outcome.code == 0, outcome.stderr
    assert_explained(nmt("info", str(young)), "has no best.safetensors", f"checkpoint is {young / 'last'}", codes=(2,))


@pytest.mark.parametrize("arguments", [("tune", "--try", "beam_size=1,2", *HELD_OUT), ("shortlist",)])
def test_a_checkpoint_is_never_changed(folder: Path, arguments: tuple[str, ...]) -> None:
    before = contents(Path("runs/ema/checkpoints"))
    command, *options = arguments
    outcome = nmt(command, "runs/ema/last", *options)
    assert_explained(outcome, "is a checkpoint, which is not changed", "-o FILE", codes=(2,))
    assert contents(Path("runs/ema/checkpoints")) == before


@pytest.mark.parametrize("damage", ["", "[1]", '{"train_state": 3}', "{", '{"train_state": {"update": "many"}}'])
def test_a_damaged_checkpoint_is_explained(folder: Path, tmp_path: Path, damage: str) -> None:
    run_folder = tmp_path / "run"
    shutil.copytree("runs/ema", run_folder, symlinks=True)
    (run_folder / "last" / "state.json").write_text(damage, encoding="utf-8")
    assert_explained(nmt("info", str(run_folder / "last")), "the checkpoint cannot be used as a model")
    os.truncate(run_folder / "last" / "weights.safetensors", 1000)
    assert_explained(nmt("info", str(run_folder / "last")), "weights.safetensors")


def test_weights_without_a_checkpoint_are_no_model(folder: Path, tmp_path: Path) -> None:
    shutil.copy("runs/ema/last/weights.safetensors", tmp_path)
    assert_explained(nmt("info", str(tmp_path / "weights.safetensors")), "not a model file of nmt")
