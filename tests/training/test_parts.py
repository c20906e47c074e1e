"""The parts of training: loss, learning rates, averages, checkpoints, run folders."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from damaged_files import flip
from nmt.config.schema import AveragingConfig, OptimizerConfig, ScheduleConfig
from nmt.data.familiarity import TrainingText
from nmt.device import choose_dtype
from nmt.errors import CheckpointError
from nmt.training.averaging import make_average
from nmt.training.checkpoint import (
    PARTS,
    Checkpoint,
    load_checkpoint,
    random_states,
    restore_random,
    save_checkpoint,
)
from nmt.training.fused_loss import fused_loss
from nmt.training.optimizer import LearningRate, make_optimizer, optimizer_tensors, restore_optimizer
from nmt.training.run_folder import RunFolder, provenance, resume_conflicts
from nmt.training.validation import maximized

# -------------------------------------------------------------------------------------------------------- loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("chunk", [40, 1000, 4_000_000])
def test_fused_loss_is_the_textbook_loss(smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.training.fused_loss._CHUNK_ELEMENTS", chunk)
    torch.manual_seed(0)
    states = torch.randn(50, 16, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(37, 16, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(37, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 37, (50,))

    fused = fused_loss(states, weight, bias, targets, smoothing=smoothing, dtype=torch.float64)
    logits = F.linear(states, weight, bias)
    textbook = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")

    torch.testing.assert_close(fused.loss, textbook)
    torch.testing.assert_close(
        fused.negative_log_likelihood, F.cross_entropy(logits, targets, reduction="sum").detach()
    )
    gradients = torch.autograd.grad(3 * fused.loss, (states, weight, bias))
    for found, expected in zip(gradients, torch.autograd.grad(3 * textbook, (states, weight, bias)), strict=True):
        torch.testing.assert_close(found, expected)


def test_fused_loss_in_bf16_is_close() -> None:
    torch.manual_seed(0)
    states, weight = torch.randn(200, 32) / 4, torch.randn(500, 32) / 4
    targets = torch.randint(0, 500, (200,))
    exact, rounded = (
        fused_loss(
            states.requires_grad_(), weight.requires_grad_(), torch.zeros(500), targets, smoothing=0.1, dtype=dtype
        )
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert abs(1 - rounded.loss.item() / exact.loss.item()) < 2e-3
    first, second = torch.autograd.grad(exact.loss, states)[0], torch.autograd.grad(rounded.loss, states)[0]
    assert float((first - second).norm() / first.norm()) < 0.02


def test_a_hopeless_target_costs_much_but_not_infinitely() -> None:
    states = torch.tensor([[1000.0]], requires_grad=True)
    loss = fused_loss(
        states, torch.tensor([[1.0], [-1.0]]), torch.zeros(2), torch.tensor([1]), smoothing=0.0, dtype=torch.float32
    )
    assert 50 < float(loss.loss.detach()) < math.inf


# -------------------------------------------------------------------------------------------------- learning rates


def rate(total: int = 100, **options: Any) -> LearningRate:
    return LearningRate(peak=2.0, schedule=ScheduleConfig.model_validate(options), total_updates=total)


@pytest.mark.parametrize("kind", ["constant", "inverse_sqrt", "plateau", "linear", "cosine"])
def test_warmup_rises_in_a_line(kind: str) -> None:
    schedule = rate(kind=kind, warmup=10)
    assert [schedule.at(update) for update in (1, 5, 10)] == pytest.approx([0.2, 1.0, 2.0])
    assert schedule.at(11) <= 2.0


def test_decays() -> None:
    assert rate(kind="constant").at(10**6) == 2.0
    assert rate(kind="inverse_sqrt", warmup=10).at(40) == pytest.approx(1.0)
    assert rate(kind="inverse_sqrt").at(4) == pytest.approx(1.0)
    linear = rate(kind="linear", warmup=20, final=0.1)
    assert [linear.at(update) for update in (60, 100, 500)] == pytest.approx([1.1, 0.2, 0.2])
    cosine = rate(kind="cosine", final=0.5)
    assert [cosine.at(update) for update in (50, 100)] == pytest.approx([1.5, 1.0])


def test_plateau_lowers_after_patience_and_remembers() -> None:
    schedule = rate(kind="plateau", factor=0.5, patience=1, final=0.2)
    assert [schedule.observe(improved) for improved in (True, False, True, False, False)] == [False] * 4 + [True]
    assert schedule.at(7) == 1.0
    again = rate(kind="plateau", factor=0.5, patience=1, final=0.2)
    again.restore(schedule.state())
    assert [again.observe(False) for _ in range(4)] == [False, True, False, True]
    assert again.at(9) == pytest.approx(0.4)
    assert [again.observe(False) for _ in range(4)] == [False] * 4


# --------------------------------------------------------------------------------------------------------- averages


def test_moving_average_follows_its_equation() -> None:
    average = make_average(AveragingConfig(kind="ema", decay=0.5))
    weights = {"w": torch.tensor([0.0])}
    expected = None
    for update, value in enumerate([4.0, 8.0, 2.0, 6.0], start=1):
        weights["w"].fill_(value)
        average.after_update(weights, update)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert float(average.at_validation(weights)["w"]) == pytest.approx(expected)
    assert float(weights["w"]) == 6.0


def test_average_of_the_last() -> None:
    average = make_average(AveragingConfig(kind="last", count=2))
    seen = []
    for value in (1.0, 3.0, 5.0):
        weights = {"w": torch.tensor([value])}
        seen.append(float(average.at_validation(weights)["w"]))
    assert seen == [1.0, 2.0, 4.0]
    again = make_average(AveragingConfig(kind="last", count=2))
    again.restore(average.tensors())
    assert float(again.at_validation({"w": torch.tensor([7.0])})["w"]) == 6.0


def test_average_of_the_best() -> None:
    average = make_average(AveragingConfig(kind="best", count=2))
    for value, score in ((1.0, 10.0), (3.0, 30.0), (5.0, 20.0), (7.0, 5.0)):
        weights = {"w": torch.tensor([value])}
        assert average.at_validation(weights) is weights
        average.after_validation(weights, score)
    again = make_average(AveragingConfig(kind="best", count=2))
    again.restore(average.tensors())
    final = again.final()
    assert final is not None
    assert float(final["w"]) == 4.0


def test_a_score_knows_each_metrics_direction() -> None:
    assert maximized("bleu", {"bleu": 30.0}) > maximized("bleu", {"bleu": 20.0})
    assert maximized("loss", {"loss": 1.0}) > maximized("loss", {"loss": 2.0})
    assert maximized("perplexity", {"perplexity": math.inf}) < maximized("perplexity", {"perplexity": 9.0})
    assert maximized("loss", {"loss": math.nan}) == -math.inf


def test_translations_that_score_0_are_ranked_by_the_loss() -> None:
    bad, better, good = ({"bleu": bleu, "loss": loss} for bleu, loss in ((0.0, 5.0), (0.0, 4.0), (0.1, 9.0)))
    assert maximized("bleu", bad) < maximized("bleu", better) < maximized("bleu", good)
    assert maximized("bleu", {"bleu": 0.0, "loss": math.nan}) == -math.inf


# ---------------------------------------------------------------------------------------------------- checkpoints


def make_checkpoint(value: float) -> Checkpoint:
    return Checkpoint(
        weights={"w": torch.full((3,), value)},
        optimizer={"0.step": torch.tensor(4.0)},
        average={},
        random=random_states(),
        state={"progress": {"best": -math.inf, "seconds": 0.1 + 0.2}},
    )


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(1.5)
    drawn = torch.rand(3)
    save_checkpoint(tmp_path / "update-000001", checkpoint)
    loaded = load_checkpoint(tmp_path / "update-000001")
    assert torch.equal(loaded.weights["w"], checkpoint.weights["w"])
    assert loaded.state == checkpoint.state
    restore_random(loaded.random)
    assert torch.equal(torch.rand(3), drawn)
    assert [path.name for path in tmp_path.iterdir()] == ["update-000001"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "update-000001"
    save_checkpoint(folder, make_checkpoint(1.0))

    def no_room(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nmt.training.checkpoint.write_tensors", no_room)
    with pytest.raises(CheckpointError, match=r"No space left on device.*--resume"):
        save_checkpoint(folder, make_checkpoint(2.0))
    monkeypatch.undo()
    assert float(load_checkpoint(folder).weights["w"][0]) == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["update-000001"]


@pytest.mark.parametrize("part", ["weights.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, part: str) -> None:
    folder = tmp_path / "update-000001"
    save_checkpoint(folder, make_checkpoint(1.0))
    (folder / part).write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(CheckpointError, match="update-000001"):
        load_checkpoint(folder)


@pytest.mark.parametrize("part", ["weights.safetensors", "optimizer.safetensors", "average.safetensors", "state.json"])
def test_flipped_bits_of_a_checkpoint_are_noticed(tmp_path: Path, part: str) -> None:
    folder = tmp_path / "update-000001"
    save_checkpoint(folder, dataclasses.replace(make_checkpoint(1.0), random={}))
    content = (folder / part).read_bytes()
    for bit in range(0, 8 * len(content), 17):
        (folder / part).write_bytes(flip(content, bit))
        with pytest.raises(CheckpointError, match="update-000001"):
            load_checkpoint(folder)


def test_a_checkpoint_of_an_earlier_version_has_no_checksums(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(1.0)
    save_checkpoint(tmp_path, checkpoint)
    for part in PARTS:
        save_file(getattr(checkpoint, part), tmp_path / f"{part}.safetensors")
    (tmp_path / "state.json").write_text(json.dumps({"format": 1, **checkpoint.state}))
    assert load_checkpoint(tmp_path).state == checkpoint.state


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_optimizer_state_round_trip(kind: str) -> None:
    def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, updates: int) -> None:
        for _ in range(updates):
            model(torch.ones(2, 3)).pow(2).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    options = OptimizerConfig.model_validate(
        {"kind": kind, "weight_decay": 0.1} | ({"momentum": 0.5} if kind == "sgd" else {})
    )
    torch.manual_seed(0)
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    optimizer = make_optimizer(first, options)
    train(first, optimizer, 3)
    second.load_state_dict(first.state_dict())
    other = make_optimizer(second, options)
    tensors = {name: value.clone() for name, value in optimizer_tensors(optimizer, first).items()}
    assert {name.split(".")[0] for name in tensors} <= {"weight", "bias"}
    restore_optimizer(other, second, tensors)
    train(first, optimizer, 2)
    train(second, other, 2)
    assert torch.equal(first.weight, second.weight)


# ---------------------------------------------------------------------------------------------------- run folders


def test_pruning_keeps_the_newest_and_points_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = RunFolder("a")
    for update in (5, 20, 100):
        run.checkpoint_folder(update).mkdir(parents=True)
    (run.checkpoints / ".update-000200.tmp").mkdir()
    run.keep_newest(2)
    assert [path.name for path in run.all_checkpoints()] == ["update-000020", "update-000100"]
    assert run.last.resolve() == run.checkpoint_folder(100).resolve()


def test_metrics_after_the_checkpoint_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = RunFolder("a")
    run.path.mkdir(parents=True)
    kept = '{"kind": "train", "update": 10}\n{"kind": "valid", "update": 20}\n'
    run.metrics.write_text(kept + '{"kind": "train", "update": 21}\n{"kind": "tr')
    run._truncate_metrics(20)
    assert run.metrics.read_text() == kept


def test_contradictions_name_the_options_that_differ() -> None:
    before = {"seed": 1, "data": {"train": [{"weight": 1.0}]}, "training": {"max_epochs": 5, "clip_norm": 1.0}}
    now = {"seed": 1, "data": {"train": [{"weight": 2.0}]}, "training": {"max_epochs": 9, "clip_norm": None}}
    assert resume_conflicts(before, now) == [("data.train.0.weight", 1.0, 2.0), ("training.clip_norm", 1.0, None)]


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/home/me/.venv/bin/nmt", "nmt"),
        ("/home/me/nmt/__main__.py", "nmt"),
        ("scripts/lib/experiments/measure.py", "measure"),
    ],
)
def test_a_model_says_what_command_made_it(program: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [program, "train", "my.yaml"])
    made = provenance(fingerprint="", update=1, seconds=1.0, scores={}, signatures={}, training_text=TrainingText({}))
    assert made["command"] == [name, "train"]


def test_without_bf16_kernels_training_computes_in_fp32(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nmt.device.bf16_kernels", lambda: False)
    assert choose_dtype("bf16", torch.device("cpu")) == torch.float32
    assert "Computing in fp32" in caplog.text
