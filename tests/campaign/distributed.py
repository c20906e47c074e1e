"""Kills and stops each rank of a training in each phase. The run must end, and resume as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from process_ranks import RankProcesses
from toy_experiments import write_toy_experiment
from toy_runs import newest_tensors, records, run

PHASES = ("training", "validation", "checkpoint")
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
RANKS = 2
BATCHES = 2
"""Batches of an update, in all ranks."""
END_SECONDS = 30.0
UPDATES = 12
VALIDATION = 4
OPTIONS = (
    "name=toy",
    f"training.max_updates={UPDATES}",
    f"training.validation.every_updates={VALIDATION}",
    "training.checkpoint_every_updates=2",
    "training.log_every=1",
    "training.r_drop=1.0",
    "training.averaging.kind=ema",
    "tokenizer.sampling=0.1",
    "data.concatenation.ratio=0.2",
)
SHOWN_TRIALS = 10
REACHED = Path("reached")
RELATIVE = 1e-5
"""Difference of weights that another number of processes may make."""


@dataclass
class Trial:
    """A training one of whose ranks is killed or stopped, and which is then resumed."""

    number: int
    phase: str
    signal: signal.Signals
    victim: int
    update: int
    sizes: tuple[int, ...]
    """Number of ranks of each command."""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """From the signal to the end of all ranks."""

    def __str__(self) -> str:
        processes = " -> ".join(map(str, self.sizes))
        return f"{self.signal.name} to rank {self.victim} in {self.phase}, update {self.update}, {processes} processes"


def disturbed(*options: str, phase: str, update: int, **given: Any) -> None:
    """Train, and mark the moment at which the parent sends its signal."""
    owner, name, reached = _moment(phase, update)
    original = getattr(owner, name)

    def marked(*arguments: Any, **others: Any) -> Any:
        if reached(*arguments):
            REACHED.touch()
            time.sleep(0.2)
        return original(*arguments, **others)

    with patch.object(owner, name, marked):
        run(*options, **given)


def _moment(phase: str, update: int) -> tuple[Any, str, Callable[..., bool]]:
    """Return the owner and the name of a function that is called in a phase, and a condition on its arguments."""
    from nmt.training import trainer
    from nmt.training.learner import Learner
    from nmt.training.validation import Validator

    if phase == "training":
        return Learner, "launch", lambda learner, share, number: number >= update
    if phase == "validation":
        return Validator, "_translate", lambda *arguments: True
    return trainer, "save_checkpoint", lambda path, saved: saved.state["train_state"]["update"] >= update


def trials(count: int, *, seed: int, start: int = 0) -> Iterator[Trial]:
    """Yield trials: each rank in each phase with each signal, again and again."""
    matrix = list(product(range(RANKS), PHASES, SIGNALS))
    for number in range(start, start + count):
        rng = random.Random(f"{seed} distributed {number}")
        victim, phase, what = matrix[number % len(matrix)]
        others = rng.choice([(2,), (1,), (1, 2)])
        yield Trial(number, phase, what, victim, rng.randint(1, 11), (RANKS, *others))


class Distributed:
    """Runs trials in a folder of its own."""

    def __init__(self, work: Path) -> None:
        self._work = work
        work.mkdir(parents=True, exist_ok=True)
        write_toy_experiment(work, pairs=80)
        self._straight: dict[bool, Path] = {}

    def straight(self, *, several: bool) -> Path:
        """Return an undisturbed run, of one process or of several."""
        if several not in self._straight:
            size = RANKS if several else 1
            codes = self._start(run, size, *OPTIONS, f"name=straight{size}").wait()
            assert codes == [0] * size, codes
            self._straight[several] = self._work / "runs" / f"straight{size}"
        return self._straight[several]

    def run(self, trial: Trial) -> Trial:
        """Run a trial, and note its problems."""
        same = set(trial.sizes) == {RANKS}
        expected = self.straight(several=same)
        shutil.rmtree(self._work / "runs" / "toy", ignore_errors=True)
        (self._work / REACHED).unlink(missing_ok=True)
        work = partial(disturbed, phase=trial.phase, update=trial.update)
        trial.problems += self._disturb(trial, self._start(work, RANKS, *OPTIONS))
        for number, size in enumerate(trial.sizes[1:], 1):
            last = number == len(trial.sizes) - 1
            # A run that ends at a validation makes no other one.
            limit = UPDATES if last else min(UPDATES, (trial.update // VALIDATION + 2) * VALIDATION)
            ranks = self._start(run_or_resume, size, *OPTIONS, f"training.max_updates={limit}")
            codes = ranks.wait(600)
            if codes != [0] * size:
                trial.problems.append(f"resumed: exit codes {codes}: {ranks.errors()[-500:]}")
        if not trial.problems:
            trial.problems += compare(expected, self._work / "runs" / "toy", relative=0.0 if same else RELATIVE)
        return trial

    def _start(self, work: Callable[..., object], size: int, *options: str) -> RankProcesses:
        return RankProcesses(
            work, size, *options, f"training.accumulate={BATCHES // size}", folder=self._work, launcher=True
        )

    def _disturb(self, trial: Trial, ranks: RankProcesses) -> list[str]:
        reached, end = self._work / REACHED, time.monotonic() + 300
        while not reached.exists() and time.monotonic() < end:
            if all(process.exitcode is not None for process in ranks.processes):
                return [f"the phase did not come: exit codes {ranks.wait()}: {ranks.errors()[-500:]}"]
            time.sleep(0.005)
        time.sleep(random.Random(trial.number).uniform(0.0, 0.4))
        process = ranks.processes[trial.victim]
        if process.exitcode is not None:
            ranks.wait(60)
            return ["the victim had ended before the signal"]
        os.kill(process.pid or 0, trial.signal)
        began = time.monotonic()
        codes = ranks.wait(END_SECONDS)
        trial.seconds = time.monotonic() - began
        problems = []
        if None in codes:
            problems.append(f"not ended after {END_SECONDS:.0f} s: exit codes {codes}")
        if codes[trial.victim] != -signal.SIGKILL or codes[1 - trial.victim] != 1:
            problems.append(f"exit codes {codes}")
        errors = ranks.errors()
        if errors.count("error:") != 1 or f"rank {trial.victim} on" not in errors:
            problems.append(f"not one message that names the rank: {errors[-500:]}")
        return problems


def run_or_resume(*options: str, **given: Any) -> None:
    """Do what `nmt train --auto-resume` does."""
    from nmt.config import load_config
    from nmt.training.train import train_or_resume

    train_or_resume(load_config(Path("toy.yaml"), options), **given)


def compare(first: Path, second: Path, *, relative: float) -> list[str]:
    """Return how two runs differ: weights, optimizer and average, metrics as printed, translations."""
    ours, theirs = newest_tensors(first), newest_tensors(second)
    if ours.keys() != theirs.keys():
        return ["different: other tensors"]
    found = []
    for name, value in ours.items():
        if name.startswith("random."):
            continue
        distance = torch.linalg.vector_norm((value - theirs[name]).double())
        if distance > relative * torch.linalg.vector_norm(value.double()):
            found.append(f"different: {name}")
    if [_shown(record) for record in records(first)] != [_shown(record) for record in records(second)]:
        found.append("different: metrics")
    for path in (first / "translations").iterdir():
        if path.read_bytes() != (second / "translations" / path.name).read_bytes():
            found.append(f"different: {path.name}")
    return found


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    return {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in record.items()}


def campaign(work: Path, *, count: int, start: int, seed: int, minutes: float, show: Any = print) -> list[Trial]:
    """Run trials until a time, print each failure, and return the failures."""
    distributed = Distributed(work / "distributed")
    counts: Counter[str] = Counter()
    failures, seconds, began = [], list[float](), time.monotonic()
    for trial in trials(count, seed=seed, start=start):
        if time.monotonic() > began + 60 * minutes:
            show(f"stopped after {minutes} minutes")
            break
        distributed.run(trial)
        counts["trials"] += 1
        counts[f"{trial.signal.name} in {trial.phase}"] += 1
        seconds.append(trial.seconds)
        if trial.problems:
            failures.append(trial)
            show(f"FAILED {trial.number}: {trial}: " + "; ".join(trial.problems))
        if counts["trials"] % SHOWN_TRIALS == 0:
            show(f"{counts['trials']} trials, {len(failures)} failures. --start {trial.number + 1} continues")
    show(str(dict(counts)))
    if seconds:
        show(f"ended after {max(seconds):.1f} s at most, {statistics.median(seconds):.1f} s in the median")
    show(f"{len(failures)} failures, {time.monotonic() - began:.0f} s")
    return failures
