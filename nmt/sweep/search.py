"""Search of options: Optuna proposes the options of each trial from the scores of the earlier ones.

The journal of the study in the folder of the sweep has all trials, so a search that is killed is resumed. The sampler
of a trial depends only on the seed, its number and the earlier trials. A search of one run after another is therefore
reproducible, with any number of interruptions.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from nmt.config import Config
from nmt.config.introspection import find
from nmt.errors import ConfigError, UsageError
from nmt.log import logger
from nmt.sweep.plan import Plan, Run, configure, runs_of
from nmt.sweep.run import Measure, Measurements, check_same, read_result, train_all, write_result
from nmt.sweep.schema import BASE, SearchedOption, Sweep, Variant

JOURNAL = "search.journal"
LOWER_IS_BETTER = ("loss", "aer")
DEFINITION = "definition"
SEED_STEP = 1_000_003
"""The sampler of trial n has the seed of the search plus n times this number."""


@dataclass
class _Open:
    """A trial that is not finished."""

    variant: Variant
    number: int
    waiting: set[str]
    """Names of its runs that have no result yet."""
    values: list[float] = field(default_factory=list)
    failed: bool = False


class OptionSearch:
    """A search with its study, which is stored in the folder of the sweep."""

    def __init__(self, sweep: Sweep, overrides: Sequence[str], output: Path, *, overwrite: bool) -> None:
        """Open or begin the search.

        Args:
            sweep: The sweep, which has a search.
            overrides: Options of all runs.
            output: The folder of the sweep, which exists.
            overwrite: Begin again.

        Raises:
            ConfigError: The base or a bound of an option is not valid.
            UsageError: The search in the folder has other options, ranges, metric or seeds.
        """
        assert sweep.search is not None
        self._sweep, self._search, self._overrides, self._output = sweep, sweep.search, overrides, output
        self._options = {option.key: option for option in self._search.options}
        self._base = self._configure([Variant(name=BASE)])
        self._check_bounds()
        self._space = {key: _distribution(option) for key, option in self._options.items()}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        journal = output / JOURNAL
        if overwrite:
            journal.unlink(missing_ok=True)
        lower = sweep.metrics[0] in LOWER_IS_BETTER
        self._study = optuna.create_study(
            study_name="search",
            storage=JournalStorage(JournalFileBackend(str(journal))),
            direction="minimize" if lower else "maximize",
            load_if_exists=True,
        )
        self._check_definition()
        self._variants: dict[int, Variant] = {}

    def _configure(self, variants: Sequence[Variant]) -> dict[str, Config]:
        names: set[str | None] = {variant.name for variant in variants}
        return configure(self._sweep, variants, self._overrides, names)

    def _check_bounds(self) -> None:
        """Check the options with the extreme values of each, so that a wrong one is found before the first training."""
        ends = [(option, value) for option in self._search.options for value in _ends(option)]
        self._configure(
            [
                Variant(name=f"{option.key}-{index}", options=_overrides(option, value))
                for index, (option, value) in enumerate(ends)
            ]
        )

    def _check_definition(self) -> None:
        options = [option.model_dump(mode="json") for option in self._search.options]
        found = {"options": options, "seed": self._search.seed, "metric": self._sweep.metrics[0]}
        found["seeds"] = self._sweep.seeds
        known = self._study.user_attrs.get(DEFINITION)
        if known is None:
            self._study.set_user_attr(DEFINITION, found)
        elif known != found:
            differing = ", ".join(name for name in found if known.get(name) != found[name])
            raise UsageError(
                f"{self._output / JOURNAL}: the search was begun with other {differing}. Restore them, choose another "
                "name with --name, or search again with --overwrite"
            )

    def run(
        self,
        *,
        settings: Mapping[str, Any],
        measure: Measure,
        report: Callable[[Plan], object],
        overwrite: bool,
        parallel: int,
    ) -> None:
        """Train and measure trials until the number of trials or minutes is reached, and `report` after each run.

        Args:
            settings: How runs are measured.
            measure: Measures a trained run.
            report: Writes a report of the runs of a plan.
            overwrite: Train everything again.
            parallel: Number of trainings at the same time.

        Raises:
            UsageError: A run or a result of that name has other options.
            NMTError: A run cannot be measured. Interrupted after a signal, with everything saved.
        """
        self._settings, self._fresh = settings, overwrite
        self._open: dict[int, _Open] = {}
        self._by_run: dict[str, int] = {}
        self._failed: list[Run] = []
        for run, folder in train_all(self._runs(), overwrite=overwrite, parallel=parallel):
            if folder is None:
                self._failed.append(run)  # or interrupted: then no further run is requested
                continue
            write_result(run, self._output, settings, measure(run.config, folder))
            self._take(run, read_result(run, self._output, settings))
            report(self.plan())
        self._take_failed()

    def _runs(self) -> Iterator[Run]:
        """Yield the runs to train. A trial is chosen when its first run is requested."""
        trials: Iterator[Variant] = self._trials()
        base = [Variant(name=BASE)] if self._sweep.baseline == BASE else []
        for variant in itertools.chain(base, trials):
            self._take_failed()
            try:
                runs = self._runs_of(variant)
            except ConfigError as error:
                logger.warning("%s: left out, because the combination is not valid: %s", variant.name, error)
                self._tell_failed(variant)
                continue
            for run in runs:
                if not self._fresh:
                    check_same(run, self._output)
                    result = read_result(run, self._output, self._settings)
                    if result is not None:
                        self._take(run, result)
                        continue
                yield run

    def _runs_of(self, variant: Variant) -> list[Run]:
        runs = runs_of(self._sweep, self._base if variant.name == BASE else self._configure([variant]))
        for one in self._open.values():
            if one.variant is variant:
                one.waiting = {run.name for run in runs}
                self._by_run |= dict.fromkeys(one.waiting, one.number)
        return runs

    def _trials(self) -> Iterator[Variant]:
        """Yield the trials that an interruption has left, then new ones."""
        for left in self._study.get_trials(states=(TrialState.RUNNING,)):
            yield self._opened(left.number, left.params)
        while len(self._study.trials) < self._search.trials and self._has_time():
            number = len(self._study.trials)
            self._study.sampler = optuna.samplers.TPESampler(seed=self._search.seed + SEED_STEP * number)
            trial = self._study.ask(self._space)
            yield self._opened(trial.number, trial.params)

    def _opened(self, number: int, params: Mapping[str, Any]) -> Variant:
        variant = self._variant(number, params)
        self._open[number] = _Open(variant, number, set())
        logger.info("%s: %s", variant.name, ", ".join(variant.options))
        return variant

    def _has_time(self) -> bool:
        """Whether the training time of all finished runs is below the limit."""
        if self._search.minutes is None:
            return True
        results = [read_result(run, self._output, self._settings) for run in self.plan().runs]
        seconds = sum(float(result["training_seconds"]) for result in results if result is not None)
        return seconds < 60 * self._search.minutes

    def _take_failed(self) -> None:
        """End the trials whose training failed."""
        while self._failed:
            self._take(self._failed.pop(), None)

    def _take(self, run: Run, result: Measurements | None) -> None:
        """Take the result of a run, None if it failed. The last run of a trial ends the trial."""
        one = self._open.get(self._by_run.get(run.name, -1))
        if one is None:
            return  # the base
        one.waiting.discard(run.name)
        value = None if result is None else result[self._sweep.metrics[0]]
        one.failed = one.failed or value is None
        if value is not None:
            one.values.append(value)
        if one.waiting:
            return
        if one.failed:
            self._tell_failed(one.variant)
        else:
            self._study.tell(one.number, sum(one.values) / len(one.values))
            del self._open[one.number]

    def _tell_failed(self, variant: Variant) -> None:
        for number, one in list(self._open.items()):
            if one.variant is variant:
                self._study.tell(number, state=TrialState.FAIL)
                del self._open[number]

    def plan(self) -> Plan:
        """Return the plan of all trials so far: the base, then the best trial first."""
        lower = self._sweep.metrics[0] in LOWER_IS_BETTER
        known = self._study.get_trials(states=(TrialState.COMPLETE, TrialState.RUNNING))
        trials = sorted(known, key=lambda trial: _rank(trial, lower=lower))
        variants = [self._variant(trial.number, trial.params) for trial in trials]
        configs = dict(self._base) if self._sweep.baseline == BASE else {}
        for variant in variants:
            try:
                configs |= self._configure([variant])
            except ConfigError:
                continue  # it was left out
        base = [Variant(name=BASE)] if BASE in configs else []
        return Plan(self._sweep, [*base, *variants], runs_of(self._sweep, configs))

    def best(self) -> tuple[Variant, float] | None:
        """Return the best trial and its score; None before the first is finished."""
        if not self._study.get_trials(states=(TrialState.COMPLETE,)):
            return None
        trial = self._study.best_trial
        assert trial.value is not None
        return self._variant(trial.number, trial.params), trial.value

    def _variant(self, number: int, params: Mapping[str, Any]) -> Variant:
        options = [each for key, value in params.items() for each in _overrides(self._options[key], value)]
        return Variant(name=f"trial-{number + 1:03d}", options=options)


def _rank(trial: FrozenTrial, *, lower: bool) -> tuple[bool, float, int]:
    """Return the key that sorts trials: finished ones first, the best one before the others."""
    value = trial.value
    return value is None, 0.0 if value is None else value if lower else -value, trial.number


def _overrides(option: SearchedOption, value: Any) -> list[str]:
    """Return the options of a trial for a value of the range, or for the number of a choice."""
    return [f"{option.key}={json.dumps(value)}"] if option.choices is None else option.choices[value]


def _is_whole(option: SearchedOption) -> bool:
    """Return whether the values of a range are whole numbers."""
    path = tuple(int(part) if part.isdecimal() else part for part in option.key.split("."))
    found = find(path)
    return found is not None and found.kind is int


def _distribution(option: SearchedOption) -> BaseDistribution:
    if option.choices is not None:
        return CategoricalDistribution(range(len(option.choices)))
    low, high = _ends(option)
    if _is_whole(option):
        return IntDistribution(low, high, log=option.log, step=int(option.step or 1))
    return FloatDistribution(low, high, log=option.log, step=option.step)


def _ends(option: SearchedOption) -> Sequence[Any]:
    """Return the extreme values of a range, or the numbers of all choices."""
    if option.choices is not None:
        return range(len(option.choices))
    whole = _is_whole(option)
    ends = (value for value in (option.low, option.high) if value is not None)
    return [int(value) if whole and value.is_integer() else value for value in ends]
