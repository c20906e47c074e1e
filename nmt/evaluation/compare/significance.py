r"""Intervals of scores, and whether a system differs from the baseline by more than chance: sacreBLEU's own tests.

Paired bootstrap (Koehn 2004): test sets of the same size are drawn from the sentences with replacement. p is the share
of them in which the difference departs from its mean by more than the difference that was found.

Paired approximate randomisation (Riezler & Maxwell 2005): in each trial the two systems' translations of every
sentence change places or not, by the toss of a coin. p is the share of trials whose difference is larger.

Both count only what is strictly larger. Where the systems differ in few sentences, many trials have exactly the
difference that was found, are not counted, and p comes out far too small: 0.0001 for a system beside itself. If n
sentences differ, there are 2^n ways to change places, and two of them, none and all, have the difference that was
found: no p below 2^(1-n) can be right. Both tests are held to that bound, which changes nothing from n = 15 on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from nmt.log import Progress, logger
from nmt.metrics.corpus import MetricScore, as_score

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric
    from sacrebleu.significance import Result


LEVEL = 0.05
"""A p below this is called significant."""
EQUAL = 1e-9
"""A smaller difference is a rounding error. Its p is 1."""
LARGE_MEMORY = 4 << 30


@dataclass(frozen=True)
class Interval:
    """A 95% interval as sacreBLEU estimates it: the mean of resampled scores, and half of what 95% of them span."""

    mean: float
    half_width: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How a system's score differs from the baseline's."""

    value: float
    """Score of the system less that of the baseline."""
    bootstrap_p: float
    randomization_p: float
    differing_sentences: int
    """Sentences in which the two systems' counts differ."""
    sacrebleu_bootstrap_p: float
    """What sacreBLEU gives; the same but where that is below the bound."""
    sacrebleu_randomization_p: float


@dataclass(frozen=True)
class Tests:
    """All that resampling says of one metric."""

    intervals: list[Interval]
    """Of each system."""
    differences: list[Difference]
    """Of each system but the baseline, which is the first."""
    signature: str
    """sacreBLEU's signature of the bootstrap."""


def run_tests(systems: Sequence[Counts], *, samples: int, trials: int, bar: Progress) -> Tests:
    """Run both tests on one metric.

    Args:
        systems: The counts of each system; the first is the baseline.
        samples: Test sets drawn by the bootstrap.
        trials: Trials of approximate randomisation.
        bar: Counts the tests, two.
    """
    bootstrap, signature = _run("bs", systems, samples)
    bar.update(1)
    randomization, _ = _run("ar", systems, trials) if len(systems) > 1 else (bootstrap, "")
    bar.update(1)
    differences = [
        _difference(systems[0], system, bootstrap[0].score, *results)
        for system, *results in zip(systems[1:], bootstrap[1:], randomization[1:], strict=True)
    ]
    return Tests([_interval(result) for result in bootstrap], differences, signature)


def _run(kind: Literal["bs", "ar"], systems: Sequence[Counts], times: int) -> tuple[list[Result], str]:
    from sacrebleu.significance import PairedTest

    metric = cast("Metric", _Counted(systems[0].metric))
    named: list[Any] = [(str(number), system.rows) for number, system in enumerate(systems)]
    signatures, results = PairedTest(named, {"": metric}, None, test_type=kind, n_samples=times)()
    (name,) = signatures
    return cast("list[Result]", results[name]), str(signatures[name])


class _Counted:
    """A metric for sacreBLEU's tests that is given counts for texts: nothing is counted again."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def _extract_corpus_statistics(self, rows: Any, references: None) -> Any:
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._metric, name)


def _interval(result: Result) -> Interval:
    assert result.mean is not None
    assert result.ci is not None
    mean, half = float(result.mean), float(result.ci)
    return Interval(mean, half, mean - half, mean + half)


def _difference(baseline: Counts, system: Counts, score: float, bootstrap: Result, randomization: Result) -> Difference:
    differing = sum(list(one) != list(other) for one, other in zip(baseline.rows, system.rows, strict=True))
    least = min(1.0, 2.0 ** (1 - differing))
    assert bootstrap.p_value is not None
    assert randomization.p_value is not None
    if abs(bootstrap.score - score) < EQUAL:
        least = 1.0
    return Difference(
        value=bootstrap.score - score,
        bootstrap_p=max(least, bootstrap.p_value),
        randomization_p=max(least, randomization.p_value),
        differing_sentences=differing,
        sacrebleu_bootstrap_p=bootstrap.p_value,
        sacrebleu_randomization_p=randomization.p_value,
    )


def warn_of_memory(metrics: Mapping[str, Sequence[Counts]], *, samples: int, trials: int) -> None:
    """Warn if sacreBLEU's tests will need much memory: they hold all resampled test sets at once."""
    sentences = max(len(systems[0].rows) for systems in metrics.values())
    columns = max(len(systems[0].rows[0]) for systems in metrics.values())
    need = sentences * max(samples * (8 + 4 * columns), trials * (2 + 8))
    if need > LARGE_MEMORY:
        logger.warning(
            "the significance tests on %s sentences require about %d GB. Lower --samples and --trials reduce this.",
            f"{sentences:,}",
            need >> 30,
        )


Row = Sequence[float]
"""What is counted in one sentence, such as BLEU's lengths, matching n-grams and all n-grams."""


@dataclass(frozen=True)
class Counts:
    """One metric's counts of one system, a row for each sentence."""

    metric: Metric
    rows: list[Row]

    def score(self) -> MetricScore:
        """The score of the whole text, equal to that of sacreBLEU's `corpus_score`."""
        result = self._score(self.rows)
        return as_score(self.metric, result)

    def score_of(self, sentences: Iterable[int]) -> float | None:
        """The score of some of the sentences together; None where there are none."""
        rows = [self.rows[sentence] for sentence in sentences]
        return float(self._score(rows).score) if rows else None

    def _score(self, rows: list[Row]) -> Any:
        return self.metric._aggregate_and_compute(rows)  # type: ignore[arg-type]


def count(metric: Metric, hypotheses: Sequence[str], references: Sequence[str]) -> Counts:
    """Count what `metric` is computed from. Lines are stripped of trailing white space, as sacreBLEU's command does."""
    rows = metric._extract_corpus_statistics(
        [line.rstrip() for line in hypotheses], [[line.rstrip() for line in references]]
    )
    return Counts(metric, list(rows))
