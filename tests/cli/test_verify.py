"""`nmt info --verify`: says which files are intact."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cli_tools import assert_explained, nmt
from damaged_files import flip
from nmt.data.store import StoreWriter, make_rows
from nmt.training.checkpoint import Checkpoint, save_checkpoint
from tiny_translator import save_tiny_model, tiny_subword_model

FROZEN = Path(__file__).parent.parent / "formats"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a checkpoint, and preprocessed data."""
    folder = tmp_path_factory.mktemp("verify")
    save_tiny_model(folder / "run" / "best.safetensors")
    (folder / "run" / "source.model").write_bytes(tiny_subword_model().model_bytes)
    weights = {"w": torch.ones(3)}
    checkpoint = Checkpoint(weights=weights, optimizer={}, average={}, random=weights, state={"best": 1.5})
    save_checkpoint(folder / "run" / "checkpoints" / "update-000001", checkpoint)
    (folder / "data").mkdir()
    with StoreWriter(folder / "data", source_size=99, target_size=99) as writer:
        writer.add((make_rows([[4, 5]], np.uint32), make_rows([[6]], np.uint32)))
        writer.close([0, 1])
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_what_is_whole_is_intact(folder: Path) -> None:
    run = folder / "run"
    for path in (run, run / "best.safetensors", run / "checkpoints" / "update-000001", folder / "data"):
        outcome = nmt("info", "--verify", str(path))
        assert outcome.code == 0
        states = {line.split()[0] for line in outcome.stdout.splitlines()}
        assert states == {"intact"}


@pytest.mark.parametrize(
    ("damaged", "named"),
    [
        ("run/best.safetensors", "run/best.safetensors: the file is damaged"),
        ("run/source.model", "run/source.model: "),
        ("run/checkpoints/update-000001/state.json", "checkpoints/update-000001: "),
        ("run/checkpoints/update-000001/random.safetensors", "checkpoints/update-000001: "),
        ("data/store.json", "data: "),
        ("data/source.ids", "source.ids"),
        ("data/target.offsets", "target.offsets"),
    ],
)
def test_damage_is_named(folder: Path, damaged: str, named: str) -> None:
    path = folder / damaged
    content = path.read_bytes()
    path.write_bytes(flip(content, 8 * len(content) - 12))
    outcome = nmt("info", "--verify", str(folder / damaged.split("/")[0]))
    assert outcome.code == 1
    lines = [line for line in outcome.stdout.splitlines() if line.startswith("damaged")]
    assert lines
    assert named in lines[0]
    assert "damaged" in outcome.stderr


def test_files_of_an_earlier_version_have_no_checksum(tmp_path: Path) -> None:
    for path in (FROZEN / "runs" / "frozen", *(FROZEN / "preprocessed").iterdir()):
        outcome = nmt("info", "--verify", "--json", str(path))
        assert outcome.code == 0
        assert {json.loads(line)["state"] for line in outcome.stdout.splitlines()} == {"no checksum"}


def test_other_paths_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", Path("/dev/zero")):
        assert_explained(nmt("info", "--verify", str(path)), "not a model file", codes=(2,))
