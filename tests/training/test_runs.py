"""Whole runs of the trainer: learning, resuming bit for bit, stopping, refusing."""

from __future__ import annotations

import json
import math
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cli_tools import contents, environment, nmt, nmt_warm, untouched_logging
from nmt.config.schema import ModelConfig, TrainingConfig
from nmt.data.batching import make_batch
from nmt.errors import ConfigError, TrainingError, UsageError
from nmt.model import build_model
from nmt.training.learner import Learner
from toy_experiments import write_toy_experiment
from toy_runs import newest_tensors, records, run
from warm_processes import WarmProcess


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path)
    return tmp_path


def assert_same_run(first: Path, second: Path) -> None:
    assert records(first) == records(second)
    ours, theirs = newest_tensors(first), newest_tensors(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
    best = [load_file(path / "best.safetensors") for path in (first, second)]
    assert all(torch.equal(value, best[1][name]) for name, value in best[0].items())


def test_long_lines_of_the_validation_set_are_told_once(folder: Path) -> None:
    with untouched_logging():
        path = run("training.max_updates=4", "training.validation.every_updates=1", "decoding.max_source_pieces=2")
    assert len(records(path, "valid")) == 4
    log = (path / "train.log").read_text(encoding="utf-8")
    assert log.count("WARNING validation set: line 1 has") == 1
    assert log.count("long lines were translated in segments") == 1


def test_a_toy_language_is_learnt_and_all_files_are_there(folder: Path) -> None:
    write_toy_experiment(folder, pairs=150)
    path = run("training.max_epochs=25", "training.optimizer.learning_rate=0.02")
    assert path == Path("runs/toy")
    assert Path("runs/latest").resolve() == path.resolve()
    for name in ("config.yaml", "train.log", "best.safetensors", "last/weights.safetensors"):
        assert (path / name).exists(), name
    every = records(path)
    valid = [record for record in every if record["kind"] == "valid"]
    assert max(record["bleu"] for record in valid) > 90
    assert {"update", "epoch", "loss", "perplexity", "bleu", "chrf"} <= valid[0].keys()
    training = next(record for record in every if record["kind"] == "train")
    assert {"update", "epoch", "loss", "perplexity", "learning_rate", "gradient_norm"} <= training.keys()
    assert training["perplexity"] == pytest.approx(math.exp(training["loss"]))
    # What the run measured is what the commands measure.
    best = max(valid, key=lambda record: record["bleu"])
    outcome = nmt("evaluate", "--source", "valid.en", "--reference", "valid.de", "--json", "--beam-size", "1")
    assert json.loads(outcome.stdout)[0]["bleu"] == pytest.approx(best["bleu"], abs=1e-9)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder: Path) -> None:
    first, second = run("name=a", "training.max_epochs=1"), run("name=b", "training.max_epochs=1")
    assert_same_run(first, second)
    third = run("name=c", "seed=6", "training.max_epochs=1")
    assert not torch.equal(newest_tensors(first)["weights.output.bias"], newest_tensors(third)["weights.output.bias"])


@pytest.mark.parametrize("averaging", ["none", "ema", "last", "best"])
def test_resume_continues_bit_for_bit_in_the_middle_of_an_epoch(folder: Path, averaging: str) -> None:
    options = [f"training.averaging.kind={averaging}", "training.checkpoint_every_updates=4", "training.accumulate=2"]
    straight = run("name=straight", "training.max_updates=16", *options)
    run("name=broken", "training.max_updates=7", *options)
    # Training for longer is allowed; what the last validation of the short run added is no part of the long one.
    broken = run("name=broken", "training.max_updates=16", *options, resume=True)
    updates = [record["update"] for record in records(broken) if record["kind"] == "train"]
    assert updates == sorted(set(updates))
    ours, theirs = newest_tensors(straight), newest_tensors(broken)
    for name, value in ours.items():
        if averaging not in ("last", "best") or not name.startswith("average"):
            assert torch.equal(value, theirs[name]), name
    losses = [[r["loss"] for r in records(path) if r["kind"] == "train"] for path in (straight, broken)]
    assert losses[0] == losses[1]


def start(*overrides: str, folder: Path) -> WarmProcess:
    return WarmProcess("nmt", ["train", "toy.yaml", *overrides], folder=folder, variables=environment())


def wait_for(condition: Any, process: WarmProcess) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_checkpoint(run_folder: Path) -> bool:
    return any((run_folder / "checkpoints").glob("update-*"))


KILLED_OPTIONS = ("training.checkpoint_every_updates=3", "training.max_epochs=3")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with KILLED_OPTIONS that nothing interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    write_toy_experiment(folder)
    with pytest.MonkeyPatch.context() as patch, untouched_logging():
        patch.chdir(folder)
        return folder / run("name=straight", *KILLED_OPTIONS)


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_killed_resumes_as_if_nothing_had_happened(
    folder: Path, straight: Path, kill: signal.Signals
) -> None:
    killed = folder / "runs" / "killed"
    process = start("name=killed", *KILLED_OPTIONS, folder=folder)
    wait_for(lambda: has_checkpoint(killed), process)
    process.send_signal(kill)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == (-9 if kill == signal.SIGKILL else 128 + kill), stderr.decode()
    assert stdout == b""
    if kill != signal.SIGKILL:
        assert "--resume" in stderr.decode()
        assert "Traceback" not in stderr.decode()
    done = nmt("train", "toy.yaml", "name=killed", *KILLED_OPTIONS, "--resume")
    assert done.code == 0, done.stderr
    assert_same_run(straight, killed)


def test_piped_logs_are_plain_lines(folder: Path) -> None:
    done = nmt_warm("train", "toy.yaml", "training.max_updates=6", folder=folder)
    assert done.code == 0, done.stderr
    assert done.stdout == "runs/toy\n"
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr
    assert "tokens/s" in done.stderr


def test_an_existing_run_is_not_touched(folder: Path) -> None:
    run("training.max_updates=3")
    before = contents(folder / "runs")
    with pytest.raises(UsageError, match=r"--resume.*--overwrite"):
        run("training.max_updates=3")
    assert contents(folder / "runs") == before
    run("training.max_updates=4", overwrite=True)
    assert contents(folder / "runs") != before


def test_resume_refuses_other_options_and_names_them(folder: Path) -> None:
    run("training.max_updates=3")
    before = contents(folder / "runs")
    with pytest.raises(ConfigError, match=r"training.optimizer.learning_rate: 0.01 in the run, 0.5 now"):
        run("training.optimizer.learning_rate=0.5", resume=True)
    assert contents(folder / "runs") == before
    with pytest.raises(UsageError, match="no run to resume"):
        run("name=other", resume=True)


def test_resume_refuses_other_data(folder: Path) -> None:
    run("training.max_updates=3")
    train_file = folder / "train.en"
    lines = train_file.read_text(encoding="utf-8").split("\n")
    train_file.write_text("\n".join(["another dog", *lines[1:]]), encoding="utf-8")
    from nmt.errors import CheckpointError

    with pytest.raises(CheckpointError, match="training data has changed"):
        run("training.max_updates=9", resume=True)


def test_init_from_takes_weights_and_subwords_and_starts_afresh(folder: Path) -> None:
    parent = run("name=parent")
    child = run(
        "name=child",
        "training.max_updates=5",
        "training.optimizer.learning_rate=0.0001",
        "training.averaging.kind=none",
        init_from=parent / "best.safetensors",
    )
    first = next(record for record in records(child) if record["kind"] == "train")
    last = [record for record in records(parent) if record["kind"] == "train"][-1]
    assert first["update"] == 5
    assert first["learning_rate"] == 0.0001
    assert first["loss"] < 1.3 * last["loss"]
    with pytest.raises(Exception, match="model"):
        run("name=other", "model.decoder.layers=2", init_from=parent / "best.safetensors")


def test_patience_ends_a_run_that_gets_no_better(folder: Path) -> None:
    path = run(
        "training.max_epochs=50",
        "training.optimizer.learning_rate=1e-9",
        "training.validation.patience=2",
        "training.validation.metric=chrf",
        "training.averaging.kind=none",
    )
    assert len([record for record in records(path) if record["kind"] == "valid"]) == 3


def test_max_minutes_ends_a_run(folder: Path) -> None:
    path = run("training.max_epochs=1000", "training.max_minutes=0.02", "training.validation.every_updates=100000")
    assert records(path)[-1]["kind"] == "valid"


def make_learner(**options: Any) -> Learner:
    torch.manual_seed(0)
    model = build_model(
        ModelConfig.model_validate(
            {
                "embedding_size": 8,
                "encoder": {"hidden_size": 4},
                "decoder": {"hidden_size": 8},
                "dropout": {"embedding": 0, "layers": 0, "output": 0},
            }
        ),
        source_size=20,
        target_size=20,
    )
    training = TrainingConfig.model_validate(
        {"optimizer": {"kind": "sgd", "learning_rate": 1.0}, "clip_norm": None} | options
    )
    return Learner(model=model, options=training, total_updates=10, device=torch.device("cpu"), dtype=torch.float32)


def random_sentences(count: int) -> tuple[list[list[int]], list[list[int]]]:
    generator = np.random.default_rng(0)
    sides = [[generator.integers(4, 20, generator.integers(1, 9)).tolist() for _ in range(count)] for _ in range(2)]
    return sides[0], sides[1]


def test_accumulation_is_one_large_batch() -> None:
    sources, targets = random_sentences(12)
    whole, parts = make_learner(), make_learner()
    whole.update([make_batch(sources, targets)], 1)
    parts.update([make_batch(sources[i : i + 3], targets[i : i + 3]) for i in range(0, 12, 3)], 1)
    for name, value in whole.weights.items():
        torch.testing.assert_close(parts.weights[name], value, rtol=1e-5, atol=1e-7)


def test_rehearsal_changes_nothing() -> None:
    learner = make_learner()
    before = {name: value.clone() for name, value in learner.weights.items()}
    generator = torch.get_rng_state()
    learner.dry_run(make_batch(*random_sentences(5)))
    assert all(torch.equal(value, before[name]) for name, value in learner.weights.items())
    assert torch.equal(torch.get_rng_state(), generator)


def test_an_undefined_gradient_skips_the_update() -> None:
    learner = make_learner()
    batch = make_batch(*random_sentences(5))
    before = {name: value.clone() for name, value in learner.weights.items()}
    learner.model.output.bias.data[5] = math.inf
    assert not learner.update([batch], 1).applied
    learner.model.output.bias.data[5] = 0.0
    assert all(torch.equal(value, before[name]) for name, value in learner.weights.items())
    assert learner.update([batch], 2).applied


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_a_host_that_runs_ahead_makes_the_same_updates(kind: str) -> None:
    weights, read = [], []
    for ahead in (False, True):
        learner = make_learner(optimizer={"kind": kind, "learning_rate": 0.1}, clip_norm=1.0)
        learner.runs_ahead = ahead
        launched = []
        for number in range(1, 7):
            if number == 4:  # the gradient of the loss is undefined in one update, which is skipped
                kept, learner.model.output.bias.data[5] = float(learner.model.output.bias.data[5]), math.inf
            launched.append(learner.launch([make_batch(*random_sentences(4 + number))], number))
            assert (launched[-1].stats is None) == ahead
            if number == 4:
                learner.model.output.bias.data[5] = kept
        read.append(learner.read(launched))
        weights.append(learner.weights)
    assert [stats.applied for stats in read[0]] == [True, True, True, False, True, True]
    assert repr(read[0]) == repr(read[1])
    for name, value in weights[0].items():
        assert torch.equal(weights[1][name], value), name


def test_a_run_whose_host_runs_ahead_has_the_same_result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("training.checkpoint_every_updates=7", "training.log_every=5", "training.max_updates=18")
    plain = run("name=plain", *options)
    monkeypatch.setattr("nmt.training.learner.runs_ahead", lambda device: True)
    ahead = run("name=ahead", *options)
    assert_same_run(plain, ahead)


def test_divergence_stops_the_run_and_keeps_the_best(folder: Path) -> None:
    path = run("name=diverges", "training.max_epochs=1")
    best = (path / "best.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=r"diverged.*learning_rate"):
        run(
            "training.optimizer.learning_rate=1000000",
            "training.clip_norm=null",
            "training.max_epochs=100",
            "training.averaging.kind=none",
        )
    assert (path / "best.safetensors").read_bytes() == best


def test_repeated_undefined_gradients_stop_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    read = Learner.read

    def fails_later(self: Learner, updates: Any) -> Any:
        nonlocal calls
        calls += 1
        found = read(self, updates)
        return found if calls < 30 else [stats._replace(applied=False) for stats in found]

    monkeypatch.setattr(Learner, "read", fails_later)
    with pytest.raises(TrainingError, match="4 updates in a row"):
        run("training.max_nonfinite=4", "training.validation.every_updates=10")
    assert Path("runs/toy/best.safetensors").exists()


def test_a_batch_that_does_not_fit_says_what_to_lower(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(self: Learner, batch: Any) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Learner, "dry_run", too_large)
    with pytest.raises(TrainingError, match=r"training\.batch_tokens"):
        run()


@pytest.mark.slow  # kills a dozen runs; test_a_run_that_is_killed_resumes_as_if_nothing_had_happened kills one
def test_killed_at_random_times_the_newest_checkpoint_always_loads(folder: Path) -> None:
    generator = np.random.default_rng(1)
    options = ["training.checkpoint_every_updates=1", "training.max_epochs=200", "training.validation.patience=null"]
    resume: list[str] = []
    for _ in range(12):
        process = start(*options, *resume, folder=folder)
        wait_for(lambda: has_checkpoint(folder / "runs" / "toy"), process)
        time.sleep(float(generator.uniform(2, 5)))
        process.kill()
        process.communicate()
        resume = ["--resume"]
    done = nmt_warm(
        "train",
        "toy.yaml",
        "training.max_epochs=200",
        "training.checkpoint_every_updates=1",
        "training.validation.patience=null",
        "training.max_updates=1",
        "--resume",
        folder=folder,
    )
    assert done.code == 0, done.stderr
