"""`schedule.restart`: when a plateau lowers the learning rate, training goes on from the best weights, afresh."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import toy_runs
from cli_tools import untouched_logging
from nmt.config.schema import ModelConfig, TrainingConfig
from nmt.data.batching import Batch, make_batch
from nmt.inference.model_file import load_model
from nmt.model import Seq2Seq, build_model
from nmt.training.averaging import copy_weights
from nmt.training.learner import Learner
from nmt.training.optimizer import optimizer_tensors
from nmt.training.validation import Validator
from toy_experiments import write_toy_experiment
from toy_runs import records

CPU = torch.device("cpu")


def make_learner(**options: Any) -> Learner:
    return Learner(
        model=tiny_model(),
        options=TrainingConfig.model_validate(options),
        total_updates=10,
        device=CPU,
        dtype=torch.float32,
    )


def tiny_model() -> Seq2Seq:
    torch.manual_seed(0)
    options = {
        "embedding_size": 8,
        "encoder": {"hidden_size": 4},
        "decoder": {"hidden_size": 8},
        "dropout": {"embedding": 0, "layers": 0, "output": 0},
    }
    return build_model(ModelConfig.model_validate(options), source_size=20, target_size=20)


def random_batch(seed: int) -> Batch:
    generator = np.random.default_rng(seed)
    sides = [[generator.integers(4, 20, generator.integers(1, 9)).tolist() for _ in range(5)] for _ in range(2)]
    return make_batch(*sides)


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    "optimizer", [{"kind": "adam"}, {"kind": "adamw", "weight_decay": 0.1}, {"kind": "sgd", "momentum": 0.9}]
)
def test_after_a_restart_training_goes_on_as_if_it_began_with_these_weights(optimizer: dict[str, Any]) -> None:
    learner, fresh = make_learner(optimizer=optimizer), make_learner(optimizer=optimizer)
    for number in range(1, 4):
        learner.update([random_batch(number)], number)
    best = copy_weights(learner.weights)
    for number in range(4, 7):
        learner.update([random_batch(number)], number)
    learner.restart(best)
    assert equal(learner.weights, best)
    assert optimizer_tensors(learner.optimizer, learner.model) == {}
    with torch.no_grad():
        for name, value in fresh.weights.items():
            value.copy_(best[name])
    for number in range(7, 10):
        for each in (learner, fresh):
            each.update([random_batch(number)], number)
    assert not equal(learner.weights, best)
    assert equal(learner.weights, fresh.weights)
    ours, theirs = optimizer_tensors(learner.optimizer, learner.model), optimizer_tensors(fresh.optimizer, fresh.model)
    assert ours
    assert equal(ours, theirs)


@pytest.mark.parametrize("kind", ["none", "ema", "last", "best"])
def test_averages_forget_what_training_has_left(kind: str) -> None:
    learner = make_learner(averaging={"kind": kind})
    average = learner.average
    for number in range(1, 4):
        learner.update([random_batch(number)], number)
        average.after_validation(average.at_validation(learner.weights), float(number))
    earlier = copy_weights(average.tensors())
    best = {name: torch.full_like(value, 0.25) for name, value in learner.weights.items()}
    learner.restart(best)
    if kind == "best":  # Its snapshots are good for what they are, wherever training goes on from.
        assert equal(average.tensors(), earlier)
    else:
        assert equal(average.at_validation(learner.weights), best)
    # The weights of the restart are not changed by what comes after it.
    learner.update([random_batch(5)], 5)
    assert all(bool((value == 0.25).all()) for value in best.values())


# ------------------------------------------------------------------------------------------------------ in a real run


def erratic_loss(validator: Validator, model: Seq2Seq) -> float:
    """Depends on the weights to the last bit, and gets better and worse by chance."""
    return 1 + float(model.output.bias.detach().double().sum()) * 1e4 % 1


OPTIONS = (
    "training.schedule.restart=true",
    "training.schedule.patience=0",
    "training.schedule.factor=0.4",
    "training.validation.patience=null",
    "training.validation.every_updates=2",
    "training.validation.metrics=[]",
    "training.validation.metric=loss",
    "training.checkpoint_every_updates=3",
    "training.log_every=1",
    "training.max_epochs=100",
)
LONG = 17
AVERAGING = {
    "none": ("training.averaging.kind=none",),
    "ema": ("training.averaging.kind=ema", "training.averaging.decay=0.5"),
}


def run(*overrides: str, resume: bool = False) -> Path:
    with untouched_logging():
        return toy_runs.run(*OPTIONS, *overrides, resume=resume)


@pytest.fixture(scope="module")
def preprocessed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment and two whole runs of it, `runs/none` and `runs/ema`."""
    folder = tmp_path_factory.mktemp("restart")
    write_toy_experiment(folder, pairs=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Validator, "_loss", erratic_loss)
        for averaging, options in AVERAGING.items():
            run(f"name={averaging}", f"training.max_updates={LONG}", *options)
    return folder


@pytest.fixture
def folder(preprocessed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(preprocessed)
    monkeypatch.setattr(Validator, "_loss", erratic_loss)
    return preprocessed


def newest(path: Path, part: str) -> dict[str, Tensor]:
    return load_file(path / "last" / f"{part}.safetensors")


def restarts(path: Path) -> list[int]:
    """The updates after whose validation the rate was lowered: with no patience, those of every worse one."""
    return [record["update"] for record in records(path, "valid") if not record["best"]]


def lines_of(path: Path, text: str) -> list[str]:
    return [line for line in (path / "train.log").read_text(encoding="utf-8").splitlines() if text in line]


@pytest.mark.parametrize("averaging", AVERAGING)
def test_a_lower_rate_starts_again_from_the_best_weights(folder: Path, averaging: str) -> None:
    straight, name, options = Path("runs", averaging), f"name=broken-{averaging}", AVERAGING[averaging]
    found = restarts(straight)
    assert len(found) >= 2
    assert len(lines_of(straight, "continuing from the weights of update")) == len(found)
    # A run that ends with the first restart shows what it goes on with.
    broken = run(name, f"training.max_updates={found[0]}", *options)
    best = load_model(broken / "best.safetensors")
    assert best.provenance["update"] < found[0]
    assert lines_of(broken, f"continuing from the weights of update {best.provenance['update']}")
    assert equal(newest(broken, "weights"), best.weights)
    assert newest(broken, "optimizer") == {}
    if averaging == "ema":
        assert equal(newest(broken, "average"), best.weights)
    rates = {record["update"]: record["learning_rate"] for record in records(straight, "train")}
    assert rates[found[0]] == 0.01
    assert rates[found[0] + 1] == pytest.approx(0.01 * 0.4)
    # Resumed right after a restart, it is the run that was never broken.
    again = run(name, f"training.max_updates={LONG}", *options, resume=True)
    for part in ("weights", "optimizer", "average", "random"):
        assert equal(newest(again, part), newest(straight, part)), part
    for kind in ("train", "valid"):
        assert records(again, kind) == records(straight, kind)
    assert equal(load_model(again / "best.safetensors").weights, load_model(straight / "best.safetensors").weights)


def test_a_run_that_crashes_between_restarts_resumes_exactly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options, straight = ("name=crashes", f"training.max_updates={LONG}", *AVERAGING["none"]), Path("runs/none")
    stop = restarts(straight)[1] + 1
    update = Learner.launch

    def crashes(self: Learner, group: Any, number: int) -> Any:
        if number == stop:
            raise RuntimeError("the machine stops")
        return update(self, group, number)

    monkeypatch.setattr(Learner, "launch", crashes)
    with pytest.raises(RuntimeError, match="the machine stops"):
        run(*options)
    monkeypatch.setattr(Learner, "launch", update)
    broken = run(*options, resume=True)
    for part in ("weights", "optimizer", "random"):
        assert equal(newest(broken, part), newest(straight, part)), part
    assert records(broken, "valid") == records(straight, "valid")


def test_without_it_a_lower_rate_goes_on_from_where_it_is(folder: Path) -> None:
    first = restarts(Path("runs/none"))[0]
    plain = ("training.schedule.restart=false", *AVERAGING["none"])
    short = run("name=plain", f"training.max_updates={first}", *plain)
    assert lines_of(short, "learning rate lowered")
    assert not lines_of(short, "continuing from the weights")
    assert newest(short, "optimizer")
    assert not equal(newest(short, "weights"), load_model(short / "best.safetensors").weights)


def test_a_rate_that_cannot_fall_restarts_nothing(folder: Path) -> None:
    first = restarts(Path("runs/none"))[0]
    path = run("name=level", f"training.max_updates={first}", "training.schedule.final=1", *AVERAGING["none"])
    assert restarts(path) == [first]
    assert not lines_of(path, "continuing from the weights")


def test_the_average_at_the_end_is_measured_and_changes_no_course(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = itertools.count(1.0)  # Each worse than the one before.
    monkeypatch.setattr(Validator, "_loss", lambda validator, model: next(losses))
    path = run("name=best", "training.max_updates=8", "training.averaging.kind=best", "training.averaging.count=3")
    lines = (path / "train.log").read_text(encoding="utf-8").splitlines()
    (last,) = [number for number, line in enumerate(lines) if "best snapshots" in line]
    assert any("validation at update" in line for line in lines[last:])
    assert not any("lowered" in line or "continuing" in line for line in lines[last:])
