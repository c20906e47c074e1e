"""Short runs with parents, frozen parts, links and samples, resumed bit for bit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import toy_runs
from cli_tools import assert_explained, nmt
from nmt.errors import ConfigError, UsageError
from nmt.inference.model_file import load_model
from toy_experiments import toy_pairs, write_toy_experiment
from toy_runs import newest_tensors, records

SHORT = (
    "training.max_updates=4",
    "training.log_every=2",
    "training.validation.every_updates=100",
    "training.validation.metrics=[]",
    "training.validation.metric=loss",
)


@pytest.fixture(scope="module")
def preprocessed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment and a short run of it, `runs/parent`."""
    folder = tmp_path_factory.mktemp("fine-tuning")
    write_toy_experiment(folder, pairs=120)
    pairs = zip(
        *(folder.joinpath(f"train.{side}").read_text("utf-8").split("\n")[:-1] for side in ("en", "de")), strict=True
    )
    lines = [" ".join(f"{place}-{place}" for place in range(min(len(s.split()), len(t.split())))) for s, t in pairs]
    (folder / "train.align").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("name=parent")
    return folder


@pytest.fixture
def folder(preprocessed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(preprocessed)
    return preprocessed


PARENT = Path("runs/parent/best.safetensors")


def run(*overrides: str, **options: Any) -> Path:
    return toy_runs.run(*SHORT, *overrides, **options)


ALIGNED = ("data.train.0.alignment=train.align", "training.guided_alignment.weight=0.5", "training.coverage_loss=0.1")
RISK = ("training.objective=minimum_risk", "training.minimum_risk.samples=3", "training.minimum_risk.metric=chrf")


@pytest.mark.parametrize(
    ("name", "options", "parent", "parts"),
    [
        (
            "r-drop",
            ("training.r_drop=1", *ALIGNED, "tokenizer.sampling=0.1"),
            {},
            {"r_drop", "guided_alignment", "coverage_loss"},
        ),
        (
            "risk",
            (*RISK, "training.parent_l2=0.01", "training.accumulate=2", "training.frozen=[encoder.*]"),
            {"init_from": PARENT},
            {"expected_risk", "parent_l2"},
        ),
        ("vocabulary", ("tokenizer.vocabulary_size=60",), {"init_from": PARENT, "new_vocabulary": True}, set()),
    ],
)
def test_runs_resume_bit_for_bit(
    folder: Path, name: str, options: tuple[str, ...], parent: dict[str, Any], parts: set[str]
) -> None:
    straight = run(f"name={name}-straight", *options, **parent)
    # The last update of the short run validates, which draws no random numbers.
    run(f"name={name}-broken", *options, "training.max_updates=2", **parent)
    broken = run(f"name={name}-broken", *options, resume=True)
    ours, theirs = newest_tensors(straight), newest_tensors(broken)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key
    losses = [records(path, "train") for path in (straight, broken)]
    assert losses[0] == losses[1]
    assert parts <= losses[0][-1].keys()


def test_frozen_weights_stay_bit_for_bit_and_have_no_optimizer_state(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nmt")
    frozen = "training.frozen=[encoder.*, output.bias]"
    path = run(
        "name=frozen", frozen, "training.averaging.kind=last", "training.validation.every_updates=1", init_from=PARENT
    )
    before, after = load_model(PARENT).weights, load_model(path / "best.safetensors").weights
    last = load_file(path / "last/weights.safetensors")
    same = {name for name, value in before.items() if name.startswith("encoder.") or name == "output.bias"}
    for name, value in before.items():
        assert torch.equal(value, after[name]) == torch.equal(value, last[name]) == (name in same), name
    states = {key.rsplit(".", 1)[0] for key in load_file(path / "last/optimizer.safetensors")}
    assert states == before.keys() - same
    count = sum(before[name].numel() for name in same)
    total = sum(value.numel() for value in before.values())
    assert f"frozen: {count:,} of {total:,} parameters (encoder." in caplog.text


def test_an_unknown_frozen_name_leaves_nothing_behind(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.frozen: .*'encodr\.\*'.*Did you mean encoder\.\*"):
        run("name=nothing", "training.frozen=[encodr.*]")
    assert not Path("runs/nothing").exists()


def test_what_needs_a_parent_says_so(folder: Path, tmp_path: Path) -> None:
    for option in ("training.parent_l2=1", "training.objective=minimum_risk"):
        with pytest.raises(UsageError, match=r"--init-from"):
            run("name=orphan", option)
    (tmp_path / "words.vec").write_text("the" + " 1" * 24 + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"source_embeddings"):
        run("name=orphan", f"model.initialization.source_embeddings={tmp_path / 'words.vec'}", init_from=PARENT)
    assert not Path("runs/orphan").exists()
    assert_explained(nmt("train", "toy.yaml", "--new-vocabulary"), "--init-from")


def test_a_new_vocabulary_is_learnt_and_reported(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="nmt")
    path = run("name=other", "tokenizer.vocabulary_size=60", init_from=PARENT, new_vocabulary=True)
    parent, child = load_model(PARENT), load_model(path / "best.safetensors")
    assert child.tokenizers.source.size == 60 < parent.tokenizers.source.size
    old, new = (set(found.tokenizers.source.pieces(range(found.tokenizers.source.size))) for found in (parent, child))
    for side in ("source", "target"):
        counts = f"{len(old & new):,} pieces kept, {len(new - old):,} new"
        assert f"{side} vocabulary: {counts}" in caplog.text
        assert f"{len(old - new):,} dropped" in caplog.text
    kept = run("name=same", init_from=PARENT)
    assert load_model(kept / "best.safetensors").tokenizers.source.fingerprint == parent.tokenizers.source.fingerprint


def test_pretrained_embeddings_are_there_before_training(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="nmt")
    words = sorted({word for source, _ in toy_pairs(50, seed=1) for word in source.split()})
    lines = [" ".join([word, *["0.25"] * 24]) for word in words]
    Path("words.vec").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tiny = "training.optimizer.learning_rate=1e-12"
    path = run("name=vectors", "model.initialization.source_embeddings=words.vec", tiny)
    table = load_file(path / "last/weights.safetensors")["encoder.embeddings.table.weight"]
    rows = int((table == 0.25).all(1).sum())
    assert rows > 0
    assert f"words.vec: vectors for {rows} of " in caplog.text


def test_a_run_of_an_older_version_can_be_resumed(folder: Path) -> None:
    path = run("name=older", "training.max_updates=2")
    file = path / "config.yaml"
    lines = file.read_text(encoding="utf-8").split("\n")
    file.write_text("\n".join(line for line in lines if "r_drop" not in line), encoding="utf-8")
    run("name=older", resume=True)
