"""The search of `nmt sweep`: the trials are the same with and without interruptions, and nothing is trained twice."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_tools import nmt
from nmt.config import Config
from nmt.errors import Interrupted, TrainingError
from nmt.sweep import measure as measure_module
from nmt.sweep import run as runs
from nmt.sweep.load import load_sweep
from toy_experiments import write_toy_experiment

pytest.importorskip("optuna", reason="Optuna is not installed: pip install attention-nmt[search]")

SEARCH = """\
base: toy.yaml
metrics: [loss]
search:
  trials: 14
  options:
    - {key: training.optimizer.learning_rate, low: 1.0e-5, high: 1.0, log: true}
    - {key: training.label_smoothing, low: 0.0, high: 0.4, step: 0.1}
    - {key: training.accumulate, low: 1, high: 7, step: 2}
    - key: size
      choices:
        - [model.encoder.hidden_size=8, model.decoder.hidden_size=16]
        - [model.encoder.hidden_size=32, model.decoder.hidden_size=64]
    - {key: cell, choices: [[model.encoder.cell=gru], [model.encoder.cell=lstm]]}
"""


SIZES = ((("encoder", 8), ("decoder", 16)), (("encoder", 32), ("decoder", 64)))


def loss_of(config: Config) -> float:
    """A function with its minimum inside of the space, in place of a training."""
    rate = math.log10(config.training.optimizer.learning_rate)
    return (rate + 2.5) ** 2 + abs(config.training.label_smoothing - 0.1) + (config.model.encoder.cell == "gru")


class Pretended:
    """Stands for trainings: their names, and what happens before each."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.before: Callable[[Config], None] = lambda config: None

    def train(self, config: Config, *, overwrite: bool = False) -> Path:
        self.before(config)
        assert config.name is not None
        self.names.append(config.name)
        return Path("runs", config.name)

    def measure(self, config: Config, folder: Path, **_: Any) -> dict[str, Any]:
        return {
            "loss": loss_of(config),
            "training_seconds": 60.0,
            "parameters": 1,
            "hidden_size": 1,
            "tokens_per_second": 1,
            "best_epoch": 1,
        }


@pytest.fixture(autouse=True)
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=60)
    Path("toys.yaml").write_text(SEARCH, "utf-8")
    trainings = Pretended()
    monkeypatch.setattr(runs, "train_or_resume", trainings.train)
    monkeypatch.setattr(measure_module, "measure_run", trainings.measure)
    return trainings


def sweep(*arguments: str, code: int = 0) -> str:
    outcome = nmt("sweep", "toys.yaml", *arguments)
    assert outcome.code == code, outcome.stderr
    return outcome.stdout if code == 0 else outcome.stderr


def trials(folder: str) -> dict[str, list[str]]:
    """The options of each trial."""
    text = Path(folder, "sweep.md").read_text("utf-8")
    return {name: re.findall(r"`([^`]+)`", rest) for name, rest in re.findall(r"^- (trial-\d+): (.*)$", text, re.M)}


def test_a_search_finds_better_options_than_the_base(pretended: Pretended) -> None:
    printed = sweep()
    assert printed == Path("runs/sweep-toys/sweep.md").read_text("utf-8")
    assert pretended.names[0] == "toys-base-1"
    assert sorted(pretended.names[1:]) == [f"toys-trial-{number:03d}-1" for number in range(1, 15)]
    rows = json.loads(Path("runs/sweep-toys/sweep.json").read_text("utf-8"))["variants"]
    losses = [row["loss"]["mean"] for row in rows[1:]]
    assert rows[0]["variant"] == "base"
    assert losses == sorted(losses)
    options = trials("runs/sweep-toys")
    assert {len(values) for values in options.values()} == {6}
    assert {values[2] for values in options.values()} <= {f"training.accumulate={count}" for count in (1, 3, 5, 7)}
    sizes = {tuple(value for value in values if "hidden_size" in value) for values in options.values()}
    assert sizes == {tuple(f"model.{part}.hidden_size={size}" for part, size in pair) for pair in SIZES}


def test_an_interrupted_search_is_the_same_as_one_without(pretended: Pretended) -> None:
    sweep("-o", "whole")
    whole = trials("whole")
    pretended.names.clear()

    def interrupt(config: Config) -> None:
        if len(pretended.names) in (0, 3, 11) and len(pretended.names) not in stopped:
            stopped.add(len(pretended.names))
            raise Interrupted("stopped", signal_number=2)

    stopped: set[int] = set()
    pretended.before = interrupt
    for _ in range(3):
        sweep("-o", "parts", code=130)
    sweep("-o", "parts")
    assert trials("parts") == whole
    assert len(pretended.names) == len(set(pretended.names)) == 15
    pretended.names.clear()
    sweep("-o", "parts")
    assert pretended.names == []
    Path("toys.yaml").write_text(SEARCH.replace("trials: 14", "trials: 16"), "utf-8")
    sweep("-o", "parts")
    assert pretended.names == ["toys-trial-015-1", "toys-trial-016-1"]


def test_a_kill_between_result_and_journal_trains_nothing_again(
    pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.sweep.search import OptionSearch

    take = OptionSearch._take

    def stop(self: Any, run: Any, result: Any) -> None:
        if run.variant == "trial-003":
            raise KeyboardInterrupt
        take(self, run, result)

    Path("toys.yaml").write_text(SEARCH.replace("trials: 14", "trials: 5"), "utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(OptionSearch, "_take", stop)
        sweep(code=130)
    sweep()
    assert len(pretended.names) == len(set(pretended.names)) == 6


def test_a_training_that_fails_does_not_stop_the_search(pretended: Pretended) -> None:
    def fail(config: Config) -> None:
        if config.training.optimizer.learning_rate > 0.05:
            raise TrainingError("it diverged")

    pretended.before = fail
    sweep()
    assert 1 < len(pretended.names) < 15
    assert len(trials("runs/sweep-toys")) == len(pretended.names) - 1


def test_another_search_is_refused(pretended: Pretended) -> None:
    short = SEARCH.replace("trials: 14", "trials: 3")
    Path("toys.yaml").write_text(short, "utf-8")
    sweep()
    Path("toys.yaml").write_text(short.replace("high: 1.0,", "high: 0.5,"), "utf-8")
    assert "begun with other options" in sweep(code=2)
    pretended.names.clear()
    sweep("--overwrite")
    assert len(pretended.names) == 4


def test_minutes_limit_the_training_time(pretended: Pretended) -> None:
    Path("toys.yaml").write_text(SEARCH.replace("trials: 14", "trials: 14\n  minutes: 4"), "utf-8")
    sweep()
    assert len(pretended.names) == 4
    sweep()
    assert len(pretended.names) == 4


def test_each_trial_has_all_seeds(pretended: Pretended) -> None:
    Path("toys.yaml").write_text(SEARCH.replace("trials: 14", "trials: 3"), "utf-8")
    sweep("--seeds", "2", code=0)
    assert {name.rpartition("-")[2] for name in pretended.names} == {"1", "2"}
    assert len(pretended.names) == 8
    assert load_sweep(Path("toys.yaml")).seeds == 1


def test_wrong_bounds_are_found_before_the_first_training(pretended: Pretended) -> None:
    Path("toys.yaml").write_text(SEARCH.replace("low: 0.0", "low: -0.4"), "utf-8")
    assert "label_smoothing" in sweep(code=2)
    Path("toys.yaml").write_text(SEARCH.replace("model.encoder.cell=", "model.encoder.cel="), "utf-8")
    assert "did you mean model.encoder.cell" in sweep(code=2)
    assert "--only requires" in sweep("--only", "base", code=2) or pretended.names == []
    assert pretended.names == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("low: 0.0, high: 0.4", "low: 0.4, high: 0.0", "low must be below high"),
        ("low: 1, high: 7, step: 2", "low: 1", "low and high, or choices, are missing"),
        (", [model.encoder.cell=lstm]]", "]", "a search needs several choices"),
        ("lstm]]}", "lstm]], low: 1}", "choices exclude low"),
        ("log: true", "log: true, step: 0.1", "log requires a range above 0 without a step"),
        ("training.accumulate", "training.label_smoothing", "occurs several times"),
        ("metrics: [loss]", "score_on: test", "must not choose options by the test set"),
        ("metrics: [loss]", "variants: [{name: a}]", "search and variants exclude each other"),
        ("[model.encoder.hidden_size=8,", "[small,", "expected key.path=value"),
        ("trials: 14", "trials: 0", "expected a whole number of at least 1"),
    ],
)
def test_a_search_that_is_not_valid_is_explained(old: str, new: str, message: str) -> None:
    Path("toys.yaml").write_text(SEARCH.replace(old, new), "utf-8")
    assert message in sweep(code=2)
