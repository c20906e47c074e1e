"""Runs that go on: with their own subword model, with moved text, with another validation, and what they keep."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cli_tools import untouched_logging
from nmt.config.schema import ScheduleConfig
from nmt.data.preprocess import preprocess as preprocess_module
from nmt.errors import CheckpointError
from nmt.inference.model_file import load_model
from nmt.training import trainer as trainer_module
from nmt.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nmt.training.learner import Learner
from nmt.training.optimizer import LearningRate
from nmt.training.run_folder import RunFolder
from nmt.training.validation import Validator
from toy_experiments import write_toy_experiment
from toy_runs import newest_tensors, records, run

RUN = Path("runs/toy")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=60)
    return tmp_path


def log() -> str:
    return (RUN / "train.log").read_text(encoding="utf-8")


def assert_same(first: Path, second: Path) -> None:
    """Compare the newest checkpoints of two runs bit for bit."""
    ours, theirs = newest_tensors(first), newest_tensors(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


# --------------------------------------------------------------------------------------------------------- identity


def test_a_run_keeps_its_subword_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of SentencePiece may learn another model from the same text and options."""
    straight = run("name=straight", "training.max_updates=6")
    run("training.max_updates=3")
    before = (RUN / "source.model").read_bytes()
    shutil.rmtree("preprocessed")
    learn = preprocess_module.train_tokenizers

    def learn_another(options: Any, **others: Any) -> Any:
        return learn(options.model_copy(update={"vocabulary_size": 70}), **others)

    monkeypatch.setattr(preprocess_module, "train_tokenizers", learn_another)
    with untouched_logging():
        run("training.max_updates=6", resume=True)
    assert (RUN / "source.model").read_bytes() == before
    assert_same(RUN, straight)
    assert load_model(RUN / "best.safetensors").tokenizers.source.model_bytes == before


@pytest.mark.parametrize("kind", ["moved", "packed", "tsv"])
def test_the_same_text_elsewhere_resumes(folder: Path, kind: str) -> None:
    straight = run("name=straight", "training.max_updates=6")
    run("training.max_updates=3")
    Path("elsewhere").mkdir()
    options = []
    for name in ("train", "valid"):
        key = "data.train.0" if name == "train" else "data.valid"
        sides = [Path(f"{name}.en"), Path(f"{name}.de")]
        if kind == "tsv":
            pairs = zip(*(side.read_text("utf-8").splitlines() for side in sides), strict=True)
            Path(f"elsewhere/{name}.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs), "utf-8")
            options += [f"{key}.source=null", f"{key}.target=null", f"{key}.tsv=elsewhere/{name}.tsv"]
            continue
        for side, option in zip(sides, ("source", "target"), strict=True):
            new = Path("elsewhere", side.name + (".gz" if kind == "packed" else ""))
            new.write_bytes(gzip.compress(side.read_bytes()) if kind == "packed" else side.read_bytes())
            side.unlink()
            options.append(f"{key}.{option}={new}")
    shutil.rmtree("preprocessed")
    run("training.max_updates=6", *options, resume=True)
    assert_same(RUN, straight)


def test_other_text_under_the_same_name_is_refused_and_nothing_changes(folder: Path) -> None:
    run("training.max_updates=3")
    text = Path("train.de").read_text("utf-8")
    Path("train.de").write_text(text.replace("Hund", "Katze"), "utf-8")
    before = (RUN / "metrics.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match="the training data has changed since its start"):
        run("training.max_updates=6", resume=True)
    assert (RUN / "metrics.jsonl").read_bytes() == before


# ------------------------------------------------------------------------------------------------------- validation


@pytest.mark.parametrize(
    "change",
    [
        "training.validation.max_sentences=7",
        "training.validation.beam_size=2",
        "training.validation.metric=chrf",
        "data.valid={source: test.en, target: test.de}",
    ],
)
def test_after_another_validation_scores_are_not_compared(folder: Path, change: str) -> None:
    run("training.max_updates=4", "training.validation.every_updates=2")
    old = load_checkpoint(RunFolder("toy").all_checkpoints()[-1]).state["train_state"]
    with untouched_logging():
        run("training.max_updates=6", "training.validation.every_updates=2", change, resume=True)
    assert "the validation set or its options have changed" in log()
    assert f"the best model so far, of update {old['best_update']}, has now" in log()
    new = load_checkpoint(RunFolder("toy").all_checkpoints()[-1]).state["train_state"]
    assert [record["update"] for record in new["history"]] == [6]
    lines = records(RUN, "valid")
    assert [line["update"] for line in lines] == [2, 4, 6]


def test_the_same_validation_is_not_measured_again(folder: Path) -> None:
    run("training.max_updates=4", "training.validation.every_updates=2")
    with untouched_logging():
        options = ("training.validation.samples=0", "training.validation.patience=7", "data.test=[]")
        run("training.max_updates=6", "training.validation.every_updates=2", *options, resume=True)
    assert "have changed" not in log()


def test_validation_uses_one_translation_whatever_decoding_asks_for(folder: Path) -> None:
    plain = run("name=plain", "training.max_updates=3")
    groups = ("decoding.beam_size=4", "decoding.beam_groups=2", "decoding.n_best=4")
    for name, options in (("groups", groups), ("sampling", ("decoding.sampling=true", "decoding.n_best=3"))):
        path = run(f"name={name}", "training.max_updates=3", *options)
        assert records(path) == records(plain)


# --------------------------------------------------------------------------------------------------- kept models


def losses(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let validations have these losses, one after another."""
    following = iter(values)
    monkeypatch.setattr(Validator, "_loss", lambda validator, model: next(following))


BY_LOSS = (
    "training.validation.metrics=[]",
    "training.validation.metric=loss",
    "training.validation.every_updates=1",
    "training.validation.patience=null",
    "training.schedule.kind=constant",
)


def test_the_checkpoint_knows_the_average_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = (*BY_LOSS, "training.averaging.kind=best", "training.averaging.count=2")
    losses(monkeypatch, [5.0, 4.0, 3.0, 1.0])  # the last one is that of the average
    run(*options, "training.max_updates=3")
    average = load_model(RUN / "best.safetensors")
    state = load_checkpoint(RunFolder("toy").all_checkpoints()[-1]).state["train_state"]
    assert state["best"]["loss"] == 1.0
    assert average.provenance["validation"]["loss"] == 1.0
    losses(monkeypatch, [2.5, 2.0, 1.5])  # better than all single models before, worse than the average
    run(*options, "training.max_updates=5", resume=True)
    assert [record["best"] for record in records(RUN, "valid")] == [True] * 4 + [False] * 3
    kept = load_model(RUN / "best.safetensors").weights
    assert all(torch.equal(value, kept[name]) for name, value in average.weights.items())


def test_the_best_models_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses(monkeypatch, [5.0, 3.0, 4.0, 2.0, 6.0, 3.5])
    run(*BY_LOSS, "training.keep_best=3", "training.max_updates=4")
    run(*BY_LOSS, "training.keep_best=3", "training.max_updates=6", resume=True)
    names = sorted(path.name for path in (RUN / "models").iterdir())
    assert names == [f"update-{update:06d}.safetensors" for update in (2, 4, 6)]
    best, same = load_model(RUN / "best.safetensors"), load_model(RUN / "models" / names[1])
    assert all(torch.equal(value, same.weights[name]) for name, value in best.weights.items())
    for name, loss in zip(names, (3.0, 2.0, 3.5), strict=True):
        assert load_model(RUN / "models" / name).provenance["validation"]["loss"] == loss


# ------------------------------------------------------------------------------------------------------------- time


def ticking(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let each look at the clock of the trainer cost some seconds, so that an update takes as long."""
    ticks = itertools.count()
    monkeypatch.setattr(trainer_module, "time", SimpleNamespace(monotonic=lambda: seconds * next(ticks)))


def test_checkpoints_by_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []

    def record(path: Path, state: Checkpoint, **options: Any) -> None:
        saved.append(state.state["train_state"]["update"])
        save_checkpoint(path, state, **options)

    monkeypatch.setattr(trainer_module, "save_checkpoint", record)
    ticking(monkeypatch, 10.0)
    run("training.checkpoint_every_minutes=1.5", "training.validation.every_updates=100", "training.max_updates=12")
    early = [update for update in saved if update < 12]
    gaps = [after - before for before, after in itertools.pairwise([0, *early])]
    assert len(early) >= 2
    assert max(gaps) - min(gaps) <= 1, saved


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_schedule_ends_with_the_first_limit(kind: str) -> None:
    schedule = ScheduleConfig.model_validate({"kind": kind, "warmup": 10, "final": 0.1})
    rate = LearningRate(peak=1.0, schedule=schedule, total_updates=110)
    by_updates = [rate.at(update) for update in range(10, 111, 20)]
    for share, expected in zip((0.2, 0.4, 0.6, 0.8, 1.0), by_updates[1:], strict=True):
        rate.time_share = share
        assert rate.at(11) == pytest.approx(expected)  # the clock is ahead of the updates
        assert rate.at(110) == pytest.approx(0.1)  # the updates are ahead of the clock
        assert rate.at(5) == 0.5  # warmup counts updates


def test_a_run_with_a_time_limit_ends_at_a_low_rate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking(monkeypatch, 6.0)
    options = ("training.max_minutes=1", "training.max_epochs=1000", "training.schedule.kind=linear")
    run(*options, "training.validation.every_updates=1000", "training.log_every=1")
    rates = [record["learning_rate"] for record in records(RUN, "train")]
    assert len(rates) == 10
    assert rates[-1] <= 0.11 * rates[0]
    assert rates == sorted(rates, reverse=True)
    assert "the linear schedule ends after 1 minutes or" in log()


def test_a_finished_run_says_what_more_updates_do_to_its_rate(folder: Path) -> None:
    options = ("training.schedule.kind=linear", "training.log_every=1", "training.validation.every_updates=100")
    run(*options, "training.max_updates=5")
    with untouched_logging():
        run(*options, "training.max_updates=10", resume=True)
    rates = {record["update"]: record["learning_rate"] for record in records(RUN, "train")}
    rate = f"the learning rate of the linear schedule was {rates[5]:.2g} and is {rates[6]:.2g} at the next update"
    assert f"the run may now make 10 updates instead of 5: {rate}" in log()
    assert rates[5] == 0
    assert rates[6] > 0


# ------------------------------------------------------------------------------------------------------ TensorBoard


def test_tensorboard_has_each_point_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    options = (
        "training.tensorboard=true",
        "training.log_every=1",
        "training.max_updates=8",
        "training.validation.every_updates=2",
        "training.keep_checkpoints=9",
    )
    launch = Learner.launch

    def killed(self: Learner, group: Any, number: int) -> Any:
        if number == 6:
            raise KeyboardInterrupt
        return launch(self, group, number)

    monkeypatch.setattr(Learner, "launch", killed)
    with pytest.raises(KeyboardInterrupt):
        run(*options)
    shutil.rmtree(RunFolder("toy").all_checkpoints()[-1])  # a kill before the checkpoint of update 4
    monkeypatch.setattr(Learner, "launch", launch)
    run(*options, resume=True)
    events = accumulators.EventAccumulator(str(RUN / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, 9))
    assert [event.step for event in events.Scalars("valid/loss")] == [2, 4, 6, 8]
    lines = [json.loads(line) for line in (RUN / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["update"] for line in lines if line["kind"] == "train"] == list(range(1, 9))
