"""Kills commands at random and chosen moments. The command that follows must end as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign.forks import Ended, Kill, describe, run
from campaign.operations import MISHAPS, Operation
from campaign.scenarios import (
    SCENARIOS,
    Scenario,
    TemplateError,
    copy_folder,
    has_checkpoint,
    make_template,
    next_command,
)
from campaign.states import State, corrupt_files, differences, read_state, unpack

MOST_COMMANDS = 8
FAULTS = ("ENOSPC", "EROFS", "EIO", *MISHAPS)
REPEATED = 0.3
"""Probability that the next command is killed too."""
STOPPED = 0.25
"""Probability that a training gets SIGTERM before it is killed."""


class UndisturbedError(Exception):
    """A command failed without a kill."""


@dataclass
class Undisturbed:
    """What a command does when it is not disturbed."""

    template: Path
    state: State
    growing: dict[str, bytes]
    operations: list[Operation]
    seconds: float
    undisciplined: list[str]
    flaky: list[str] | None = None
    """How a second undisturbed command differs, if there was one."""


@dataclass
class Trial:
    """A command that is killed and continued."""

    scenario: Scenario
    kills: list[Kill]
    label: str
    problems: list[str] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    hits: int = 0
    """Kills that met a process that was alive."""


class KillCampaign:
    """Kills commands in a folder of its own."""

    def __init__(self, work: Path, *, seed: int, scenarios: Sequence[str] | None = None) -> None:
        self._work = work
        self._seed = seed
        self.broken: dict[str, str] = {}
        """Scenarios that fail without a kill, with the error."""
        self._scenarios = [SCENARIOS[name] for name in scenarios or SCENARIOS]
        self._known: dict[str, Undisturbed] = {}
        self._scratch = work / "scratch"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self.counts: Counter[str] = Counter()

    def random_trials(self, count: int, *, start: int = 0) -> Iterator[Trial]:
        """Yield trials with kills after a random time, which depend on the seed and their number only."""
        for number in range(start, start + count):
            rng = random.Random(f"{self._seed} random {number}")
            scenario = self._scenarios[number % len(self._scenarios)]
            if not self._works(scenario):
                continue
            known = self.undisturbed(scenario)
            kills = []
            while not kills or rng.random() < REPEATED:
                stop = rng.randint(1, len(known.operations)) if rng.random() < self._stops(scenario) else None
                kills.append(Kill(seconds=max(0.002, rng.uniform(0.0, 1.02) * known.seconds), stop_at=stop))
            yield Trial(scenario, kills, f"random {number}")

    def targeted_trials(self, count: int) -> Iterator[Trial]:
        """Yield trials with a kill before an operation on a file: kinds of operations first, then all others."""
        rng = random.Random(f"{self._seed} targeted")
        every = [
            (scenario, number, operation)
            for scenario in self._scenarios
            if self._works(scenario)
            for number, operation in enumerate(self.undisturbed(scenario).operations, 1)
        ]
        rng.shuffle(every)
        seen: Counter[tuple[str, Operation]] = Counter()
        ranked = []
        for scenario, number, operation in every:
            kind = (scenario.name, Operation(operation.name, _without_numbers(operation.path)))
            ranked.append((seen[kind], scenario, number, operation))
            seen[kind] += 1
        ranked.sort(key=lambda one: one[0])
        for number, (_, scenario, position, operation) in enumerate(ranked[:count]):
            kills = [Kill(operation=position)]
            if rng.random() < REPEATED:
                kills.append(Kill(operation=rng.randint(1, len(self.undisturbed(scenario).operations))))
            yield Trial(scenario, kills, f"targeted {number} ({operation.name} {operation.path})")

    def fault_trials(self, count: int, *, start: int = 0) -> Iterator[Trial]:
        """Yield trials in which the disk is full or read-only, an operation fails, or files vanish or change."""
        for number in range(start, start + count):
            rng = random.Random(f"{self._seed} fault {number}")
            scenario = self._scenarios[number % len(self._scenarios)]
            if self._works(scenario):
                position = rng.randint(1, len(self.undisturbed(scenario).operations))
                fault = FAULTS[number // len(self._scenarios) % len(FAULTS)]
                yield Trial(scenario, [Kill(operation=position, fault=fault)], f"fault {number}")

    @staticmethod
    def _stops(scenario: Scenario) -> float:
        return STOPPED if scenario.command[0] == "train" else 0.0

    def _works(self, scenario: Scenario) -> bool:
        """Return whether a command works without a kill."""
        if scenario.name in self.broken:
            return False
        try:
            self.undisturbed(scenario)
        except (UndisturbedError, TemplateError) as error:
            self.broken[scenario.name] = str(error)
            return False
        return True

    def undisturbed(self, scenario: Scenario) -> Undisturbed:
        """Run the command of a scenario without a kill, once for each scenario."""
        if scenario.name in self._known:
            return self._known[scenario.name]
        template = self._work / "templates" / scenario.name.replace(" ", "-")
        make_template(scenario, template, self._work / "cache", self._scratch)
        ended, state = self._run_undisturbed(scenario, template)
        self._known[scenario.name] = found = Undisturbed(
            template=template,
            state=state,
            growing={name: unpack(self._work / "folder" / name) for name in scenario.growing},
            operations=ended.operations,
            seconds=ended.seconds,
            undisciplined=ended.undisciplined,
        )
        return found

    def _run_undisturbed(self, scenario: Scenario, template: Path) -> tuple[Ended, State]:
        folder = self._fresh(template)
        ended = run(scenario.command, folder, scratch=self._scratch, record=True, learn=True, before=scenario.before)
        if ended.code != 0:
            raise UndisturbedError(f"{scenario.name} failed without a kill:\n{ended.errors}")
        return ended, read_state(folder)

    def run(self, trial: Trial) -> Trial:
        """Run a trial, and note its problems."""
        known = self.undisturbed(trial.scenario)
        folder = self._fresh(known.template)
        kills = list(trial.kills)
        command = tuple(trial.scenario.command)
        before = has_checkpoint(folder)
        ended: Ended | None = None
        for _ in range(MOST_COMMANDS):
            kill = kills.pop(0) if kills else None
            ended = run(command, folder, scratch=self._scratch, kill=kill, before=trial.scenario.before)
            trial.commands.append({"command": " ".join(command), "kill": str(kill), **describe(ended)})
            trial.problems += _bad_ending(ended)
            if ended.orphans:
                trial.problems.append(f"{ended.orphans} processes did not end")
            if ended.code == 0:
                trial.hits += kill is not None and kill.fault is not None
                if kill is not None and kill.fault is not None:
                    return trial  # an operation whose failure is no error, or the text is another one
                break
            if kill is not None and kill.fault in MISHAPS:
                return trial  # the error is clear; what is gone cannot be resumed
            trial.hits += ended.killed or (kill is not None and kill.fault is not None)
            trial.problems += [f"corrupt: {text}" for text in corrupt_files(folder, known.growing)]
            if not ended.killed and kill is None and "--overwrite" in command:
                break
            if not ended.killed and kill is None and (before or has_checkpoint(folder)):
                trial.problems.append(f"lost: {ended.errors.strip()[-300:]}")
                break
            before = before or has_checkpoint(folder)
            command = next_command(trial.scenario, command, ended)
        if ended is None or ended.code != 0:
            trial.problems.append(f"the last command ended with {ended and ended.code}")
        else:
            found = differences(known.state, read_state(folder))
            trial.problems += [f"different: {text}" for text in found]
        return trial

    def reduce(self, trial: Trial) -> Trial:
        """Return a trial of fewer kills that has a problem too."""
        for kills in [[kill] for kill in trial.kills] if len(trial.kills) > 1 else []:
            smaller = self.run(Trial(trial.scenario, kills, trial.label))
            if smaller.problems:
                return smaller
        return trial

    def check(self, scenario: Scenario) -> None:
        """Run the undisturbed command again: what differs between two of them is no fault of a kill."""
        known = self.undisturbed(scenario)
        if known.flaky is None:
            known.flaky = differences(known.state, self._run_undisturbed(scenario, known.template)[1])

    def keep(self, trial: Trial, folder: Path) -> None:
        """Copy what a trial has left."""
        folder.mkdir(parents=True, exist_ok=True)
        copy_folder(
            self._work / "folder", folder / f"{trial.scenario.name}-{trial.label.split(' (')[0]}".replace(" ", "-")
        )

    def _fresh(self, template: Path) -> Path:
        folder = self._work / "folder"
        copy_folder(template, folder)
        for lock in self._work.glob(".*.lock"):
            lock.unlink()
        return folder

    def close(self) -> None:
        """Remove all folders."""
        shutil.rmtree(self._work, ignore_errors=True)


def _bad_ending(ended: Ended) -> list[str]:
    problems = []
    if "Traceback" in ended.errors:
        problems.append(f"traceback: {ended.errors[-1500:]}")
    if "unexpected " in ended.errors and "This is a bug" in ended.errors:
        problems.append(f"unexpected: {ended.errors[-600:]}")
    return problems


def _without_numbers(path: str) -> str:
    return "".join("0" if character.isdigit() else character for character in path)


def campaign(
    kills: KillCampaign, trials: Iterator[Trial], *, minutes: float, keep: Path, show: Any = print
) -> list[Trial]:
    """Run trials until a time, print each failure, and return the failures."""
    failures: list[Trial] = []
    counts: Counter[str] = Counter()
    start = time.monotonic()
    for trial in trials:
        if time.monotonic() > start + 60 * minutes:
            show(f"stopped after {minutes} minutes")
            break
        kills.run(trial)
        counts["trials"] += 1
        counts["kills"] += trial.hits
        if trial.problems:
            smaller = kills.reduce(trial)
            kills.keep(smaller, keep)
            kills.check(trial.scenario)
            failures.append(smaller)
            for problem in {text.split(":")[0] for text in trial.problems}:
                counts[problem] += 1
            show(f"\nFAILED {smaller.scenario.name}, {smaller.label}: {'; '.join(map(str, smaller.kills))}")
            for text in smaller.problems[:12]:
                show(f"    {text}")
            for one in smaller.commands:
                show(f"    $ nmt {one['command']}  [{one['kill']}] -> {one['code']}")
    flaky = {name: known.flaky for name, known in kills._known.items() if known.flaky}
    undisciplined = {name: known.undisciplined for name, known in kills._known.items() if known.undisciplined}
    for name, lines in flaky.items():
        show(f"two undisturbed commands differ: {name}: {lines[:5]}")
    for name, lines in undisciplined.items():
        show(f"order of operations: {name}: {sorted(set(lines))[:12]}")
    for name, error in kills.broken.items():
        show(f"FAILED without a kill: {name}: {error}")
    show(f"{dict(counts)}, {time.monotonic() - start:.0f} s")
    return failures + [Trial(SCENARIOS[name], [], "undisturbed") for name in kills.broken]
