"""Distributed trainings: several processes make the same updates as one, and end together."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import torch
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from cli_tools import nmt, untouched_logging
from nmt.config import load_config
from nmt.data.batching import Position
from nmt.data.preprocess.preprocess import preprocess
from nmt.errors import ConfigError, TrainingError
from nmt.training import launcher, watcher
from nmt.training.batch_tensors import make_batches
from nmt.training.checkpoint import load_checkpoint
from nmt.training.learner import Learner
from nmt.training.ranks import Ranks, _sum_of_bits
from nmt.training.run_folder import RunFolder
from nmt.training.validation import Validator
from process_ranks import RankProcesses, run_ranks
from toy_experiments import write_toy_experiment
from toy_runs import newest_tensors, records, run

EVERYTHING = (
    "training.max_epochs=100",
    "training.validation.every_updates=4",
    "training.label_smoothing=0.1",
    "training.r_drop=1.0",
    "training.averaging.kind=ema",
    "training.log_every=1",
    "tokenizer.sampling=0.1",
    "data.concatenation.ratio=0.2",
    "model.dropout.recurrent=0.1",
    "training.batch_tokens=300",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    write_toy_experiment(folder, pairs=150)
    return folder


def assert_same_training(first: Path, second: Path, *, relative: float = 1e-6) -> None:
    """Compare two runs: weights, optimizer and average, records of metrics as printed, and translations."""
    ours, theirs = newest_tensors(first), newest_tensors(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if not name.startswith("random."):
            distance = torch.linalg.vector_norm((value - theirs[name]).double())
            assert distance <= relative * torch.linalg.vector_norm(value.double()), name
    assert [shown(record) for record in records(first)] == [shown(record) for record in records(second)]
    names = sorted(path.name for path in (first / "translations").iterdir())
    assert names == sorted(path.name for path in (second / "translations").iterdir())
    for name in names:
        assert (first / "translations" / name).read_bytes() == (second / "translations" / name).read_bytes()


def shown(record: dict[str, object]) -> dict[str, object]:
    """A record with the digits that the log has."""
    return {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in record.items()}


def test_an_update_does_not_depend_on_the_number_of_processes(folder: Path) -> None:
    runs = []
    for size in (1, 2, 4):
        options = (*EVERYTHING, f"name=of{size}", f"training.accumulate={4 // size}", "training.max_updates=8")
        run_ranks(run, size, *options, folder=folder)
        runs.append(folder / "runs" / f"of{size}")
    for other in runs[1:]:
        assert_same_training(runs[0], other)


OBJECTIVES = {
    "guided": (
        "training.guided_alignment.weight=0.5",
        "data.train.0.alignment=links",
        "training.coverage_loss=0.1",
        "training.averaging={kind: best, count: 2}",
        "training.schedule={kind: plateau, patience: 0, restart: true, factor: 0.5}",
        "training.validation={every_updates: 1, patience: 3, samples: 0}",
        "training.optimizer.learning_rate=0.2",
    ),
    "sampled": (
        "training.scheduled_sampling={probability: 0.5, start_updates: 0, ramp_updates: 2}",
        "training.averaging={kind: last, count: 2}",
        "training.optimizer={kind: sgd, learning_rate: 0.2, momentum: 0.9}",
        "data.train.0.weight=0.4",
        "training.keep_best=2",
    ),
    "risk": (
        "training.objective=minimum_risk",
        "training.minimum_risk={samples: 3, metric: chrf}",
        "training.parent_l2=0.01",
        "training.frozen=['decoder.embeddings*']",
        "training.optimizer.learning_rate=0.001",
    ),
}


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_every_objective_and_average_is_that_of_one_process(folder: Path, kind: str) -> None:
    parent = folder / "runs" / "parent"
    if kind == "risk":
        run_ranks(run, 1, "name=parent", "training.max_updates=5", folder=folder)
    pairs = [(folder / f"train.{side}").read_text(encoding="utf-8").splitlines() for side in ("en", "de")]
    links = (
        " ".join(f"{n}-{n}" for n in range(min(map(len, map(str.split, pair))))) for pair in zip(*pairs, strict=True)
    )
    (folder / "links").write_text("".join(line + "\n" for line in links), encoding="utf-8")
    work = partial(run, init_from=parent / "best.safetensors" if kind == "risk" else None)
    for size in (1, 2):
        options = (f"name={kind}{size}", f"training.accumulate={2 // size}", "training.max_updates=4")
        run_ranks(work, size, *options, *OBJECTIVES[kind], "training.log_every=1", folder=folder)
    assert_same_training(*(folder / "runs" / f"{kind}{size}" for size in (1, 2)), relative=1e-5)


# -------------------------------------------------------------------------------------------------------- resuming


def test_a_run_goes_on_with_another_number_of_processes(folder: Path) -> None:
    options = ("training.validation.every_updates=2", "training.log_every=1", "tokenizer.sampling=0.1")
    run_ranks(run, 1, *options, "name=straight", "training.accumulate=2", "training.max_updates=6", folder=folder)
    for number, size in enumerate((2, 1, 2), 1):
        given = ("name=changing", f"training.accumulate={2 // size}", f"training.max_updates={2 * number}")
        run_ranks(partial(run, resume=number > 1), size, *options, *given, folder=folder)
    assert_same_training(folder / "runs" / "straight", folder / "runs" / "changing")
    state = load_checkpoint(folder / "runs" / "changing" / "last").state
    assert state["batches_per_update"] == 2


@pytest.mark.parametrize(
    ("size", "accumulate", "advice"),
    [(2, 4, "Set training.accumulate=2"), (1, 2, "Set training.accumulate=4"), (3, 1, "Start 1 or 2 or 4 processes")],
)
def test_another_number_of_batches_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: int, accumulate: int, advice: str
) -> None:
    monkeypatch.chdir(folder)
    if not Path("runs/four").exists():
        with untouched_logging():
            run("name=four", "training.max_updates=1", "training.accumulate=4")
    config = load_config(Path("toy.yaml"), ["name=four", f"training.accumulate={accumulate}"])
    folder_of_run = RunFolder("four")
    folder_of_run.check_resumable(config)
    made = size * accumulate
    with pytest.raises(ConfigError, match=f"has 4 batches, but {size} processes .* make {made}. {advice}"):
        folder_of_run.check_batches(config, folder_of_run.newest_checkpoint(), processes=size)


def test_the_shares_of_all_ranks_are_the_stream(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    config = load_config(Path("toy.yaml"), EVERYTHING)
    with untouched_logging():
        batches = make_batches(config, preprocess(config))
    start = Position(0, 0, 0)
    stream = list(islice(batches.iterate(start), 90))
    for processes, accumulate in ((1, 1), (1, 5), (2, 2), (3, 1), (4, 2)):
        size = processes * accumulate
        ranks = [batches.shares(start, batches=size, rank=rank, processes=processes) for rank in range(processes)]
        expected = iter(stream)
        for _ in range(60 // size):
            shares, positions = zip(*(next(rank) for rank in ranks), strict=True)
            assert len(set(positions)) == 1
            found = {
                number: batch
                for share in shares
                if share.counts
                for number, batch in zip(share.numbers, share.batches, strict=True)
            }
            assert sorted(found) == list(range(len(shares[0].sizes)))
            for number in sorted(found):
                batch, following = next(expected)
                assert all(
                    (a == b).all() for a, b in zip(astuple(batch), astuple(found[number]), strict=True) if a is not None
                )
                assert shares[0].sizes[number] == (len(batch.source), batch.target_tokens)
            assert following == positions[0]
            assert all(share.batches for share in shares)


# ------------------------------------------------------------------------------------------------- starting, ending


def test_ranks_that_see_other_options_or_text_end_with_one_sentence(folder: Path, tmp_path: Path) -> None:
    def started(of_rank: Callable[[int], Sequence[str]]) -> RankProcesses:
        return RankProcesses(run, 2, "name=other", "training.max_updates=2", folder=folder, of_rank=of_rank)

    options = started(lambda rank: [f"seed={rank}"])
    other = tmp_path / "train.en"
    other.write_text((folder / "train.en").read_text(encoding="utf-8").replace("dog", "cat"), encoding="utf-8")
    missing = started(lambda rank: [f"data.train.0.source={folder / 'train.en' if rank else 'nowhere.en'}"])
    for ranks, sentence in ((options, "rank 1 has another configuration than rank 0: seed is 1 instead of 0"),):
        assert ranks.wait() == [2, 2]
        assert ranks.errors().count("error:") == 1
        assert sentence in ranks.errors(0)
    codes = missing.wait()
    assert codes[0] == codes[1] > 0
    assert missing.errors().count("error:") == 1
    assert not (folder / "runs" / "other").exists()


def forever(*options: str, ranks: Ranks, **given: Any) -> None:
    """Train until something happens, and wait for signs of life for a short time only."""
    watcher.HANGS_SECONDS, watcher.TICK_SECONDS, watcher.GRACE_SECONDS = 4.0, 0.2, 1.0
    run("training.max_epochs=100000", "training.log_every=1", *options, ranks=ranks, **given)


def slow_validation(*options: str, ranks: Ranks, seconds: float = 60.0) -> None:
    """Train with validations whose scores take a long time."""
    score = Validator._result

    def slow(*arguments: Any) -> Any:
        Path("validating").touch()
        time.sleep(seconds)
        return score(*arguments)

    Validator._result = slow  # type: ignore[method-assign]
    forever(*options, ranks=ranks)


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "victim", "by_launcher"),
    [(signal.SIGKILL, 0, True), (signal.SIGKILL, 1, False), (signal.SIGSTOP, 0, False), (signal.SIGSTOP, 1, True)],
)
def test_a_rank_that_dies_or_hangs_ends_the_run(
    folder: Path, number: signal.Signals, victim: int, by_launcher: bool
) -> None:
    name = f"{number.name}{victim}"
    options = (f"name={name}", "training.checkpoint_every_updates=2")
    ranks = RankProcesses(forever, 2, *options, folder=folder, launcher=by_launcher)
    metrics = folder / "runs" / name / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and metrics.read_bytes().count(b"\n") > 3)
    os.kill(ranks.processes[victim].pid or 0, number)
    codes = ranks.wait(30)
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == 1
    errors = ranks.errors()
    assert errors.count("error:") == 1
    assert f"rank {victim}" in errors
    reasons = ("has died", "has ended") if number == signal.SIGKILL else ("has not answered", "does not answer")
    assert any(reason in errors for reason in reasons)
    assert "Resume the run with --resume" in errors
    assert load_checkpoint(folder / "runs" / name / "last").state["train_state"]["update"] >= 2


def leave_late(*, ranks: Ranks) -> None:
    """Let rank 1 see the end of the training only after rank 0 has ended."""
    gather = ranks.gather

    def gathered(value: Any) -> list[Any]:
        values = gather(value)
        time.sleep(2.5 * watcher.TICK_SECONDS * ranks.rank)
        return values

    ranks.gather = gathered  # type: ignore[method-assign]


@pytest.mark.parametrize("launcher", [True, False])
def test_a_rank_may_end_later_than_the_others(tmp_path: Path, launcher: bool) -> None:
    run_ranks(leave_late, 2, folder=tmp_path, launcher=launcher)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_signal_to_any_rank_saves_the_run(folder: Path, victim: int) -> None:
    name = f"stopped{victim}"
    ranks = RankProcesses(forever, 2, f"name={name}", folder=folder, launcher=victim == 1)
    metrics = folder / "runs" / name / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and metrics.read_bytes().count(b"\n") > 3)
    os.kill(ranks.processes[victim].pid or 0, signal.SIGUSR1)
    assert ranks.wait(30) == [128 + signal.SIGUSR1] * 2
    assert "interrupted after update" in ranks.errors(0)
    assert "interrupted" not in ranks.errors(1)
    assert load_checkpoint(folder / "runs" / name / "last").state["train_state"]["update"] > 0


def test_a_signal_ends_a_validation_of_all_ranks(folder: Path) -> None:
    for file in ("validating", "runs/slow"):
        assert not (folder / file).exists()
    ranks = RankProcesses(slow_validation, 2, "name=slow", "training.validation.every_updates=2", folder=folder)
    wait_until((folder / "validating").exists)
    os.kill(ranks.processes[1].pid or 0, signal.SIGTERM)
    assert ranks.wait(20) == [128 + signal.SIGTERM] * 2
    assert "interrupted after update 2 in its validation" in ranks.errors(0)
    assert load_checkpoint(folder / "runs" / "slow" / "last").state["train_state"]["validation_due"]


def out_of_memory(*options: str, ranks: Ranks) -> None:
    def update(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("no memory")

    if ranks.rank == 1:
        Learner.launch = update  # type: ignore[method-assign]
    forever(*options, ranks=ranks)


def test_a_rank_without_memory_is_named(folder: Path) -> None:
    ranks = RankProcesses(out_of_memory, 2, "name=memory", folder=folder)
    assert ranks.wait(30) == [1, 1]
    assert ranks.errors().count("error:") == 1
    assert "has not enough memory" in ranks.errors(1)
    assert "rank 1 on " in ranks.errors(1)


def perturbed(*options: str, ranks: Ranks, victim: int) -> None:
    """Train, and change the last bit of one weight of one rank after the first update."""
    apply = Learner._apply

    def applied(learner: Learner, number: int) -> None:
        apply(learner, number)
        if number == 1 and ranks.rank == victim:
            weight = next(iter(learner.weights.values())).view(-1)[:1]
            weight.copy_(torch.nextafter(weight, torch.ones(1)))

    with patch.object(Learner, "_apply", applied):
        run(*options, ranks=ranks)


@pytest.mark.parametrize(("size", "victim", "than"), [(2, 1, "rank 0"), (3, 0, "most ranks")])
def test_a_rank_with_other_weights_is_named_at_the_next_validation(
    folder: Path, size: int, victim: int, than: str
) -> None:
    name = f"perturbed{size}"
    options = (f"name={name}", "training.max_updates=4", "training.validation.every_updates=2")
    ranks = RankProcesses(partial(perturbed, victim=victim), size, *options, folder=folder)
    assert ranks.wait(60) == [1] * size
    errors = ranks.errors()
    assert errors.count("error:") == 1
    assert f"rank {victim} on " in errors
    assert f"has other weights than {than} after update 2" in errors
    assert not (folder / "runs" / name / "last").exists()


def test_sums_of_bits_see_every_change_and_no_order() -> None:
    values = torch.tensor([0.0, -0.0, 1.5, float("nan"), float("inf"), -3.0])
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        own = values.to(dtype)
        assert _sum_of_bits(own) == _sum_of_bits(own.flip(0))
        assert _sum_of_bits(own) == _sum_of_bits(own.repeat(2, 1).t()[:, 0])
        assert _sum_of_bits(own) != _sum_of_bits(own.abs())
    assert _sum_of_bits(torch.full((3, 1000), -1.0)) == 3000 * _sum_of_bits(torch.tensor(-1.0))


# -------------------------------------------------------------------------------------------------------- launching


def test_devices_and_torchrun_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    done = nmt("train", "toy.yaml", "--devices", "3")
    assert done.code == 2
    assert "--devices 3 conflicts with torchrun, which has started 2 processes" in done.stderr


class Failure(NamedTuple):
    """What torch reports of a process that has failed."""

    exitcode: int
    timestamp: int = 0
    local_rank: int = 0


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (None, 0),
        (SignalException("stopped", signal.SIGUSR1), 128 + signal.SIGUSR1),
        ({0: Failure(2), 1: Failure(-signal.SIGTERM)}, 2),
        ({1: Failure(-signal.SIGKILL)}, 1),
        ({0: Failure(-signal.SIGKILL), 1: Failure(-signal.SIGKILL)}, "killed (signal 9)"),
    ],
)
def test_the_launcher_returns_the_code_of_the_ranks(
    monkeypatch: pytest.MonkeyPatch, outcome: Any, code: int | str
) -> None:
    started = []

    def elastic_launch(config: Any, program: str) -> Callable[..., None]:
        def start(*arguments: str) -> None:
            started.append((config.nproc_per_node, arguments))
            if isinstance(outcome, dict):
                error = ChildFailedError.__new__(ChildFailedError)
                error.failures = outcome
                raise error
            if outcome is not None:
                raise outcome

        return start

    monkeypatch.setattr(launcher, "elastic_launch", elastic_launch)
    if isinstance(code, str):
        with pytest.raises(TrainingError, match=re.escape(code)):
            launcher.launch(2, ["train", "toy.yaml"])
    else:
        assert launcher.launch(2, ["train", "toy.yaml"]) == code
    assert started == [(2, ("-m", "nmt", "train", "toy.yaml"))]
