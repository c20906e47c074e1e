"""Compares translations of one test set: computes the results that `nmt compare` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.config.schema import EvaluationConfig
from nmt.data.languages import find_language
from nmt.errors import UnequalLines, UsageError
from nmt.evaluation.compare.buckets import FREQUENCIES, check_bounds, length_of, score_by_length
from nmt.evaluation.compare.result import Comparison, SystemResult
from nmt.evaluation.compare.sentences import ComparedSentences, ComparedTexts, find_examples
from nmt.evaluation.compare.significance import Counts, Tests, count, run_tests, warn_of_memory
from nmt.evaluation.compare.words import (
    FrequencyBucket,
    Words,
    count_words,
    length_ratio,
    make_word_splitter,
    measure_repetition,
    score_by_frequency,
)
from nmt.evaluation.evaluate import sanity_warnings
from nmt.log import Progress, progress
from nmt.metrics.corpus import check_counts, for_short_texts, make_metric


@dataclass(frozen=True)
class TestText:
    """The text of a test set."""

    __test__ = False  # not a test of pytest's
    name: str
    sources: Sequence[str] | None
    """None if there are only references, which then determine sentence lengths."""
    references: Sequence[str]
    source_language: str | None
    target_language: str


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison."""

    evaluation: EvaluationConfig
    """Metrics, tokenizer and case."""
    samples: int
    """Number of bootstrap samples."""
    trials: int
    """Number of trials of approximate randomization."""
    bounds: Sequence[int]
    """Lower bounds of the length buckets, after 0."""
    examples: int
    """Example sentences for each direction."""


def compare(
    test: TestText, systems: dict[str, Sequence[str]], options: CompareOptions, *, training: Iterable[str] | None
) -> Comparison:
    """Compare translations of a test set.

    Args:
        test: The test set.
        systems: The translations by the names of the systems; the first is the baseline.
        options: The options.
        training: The lines of the target side of the training text. None: words are not grouped by frequency.

    Raises:
        DataError: A system has a different number of lines, or there are no lines.
        UsageError: The bounds are not increasing, or there is no metric.
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    for name, lines in systems.items():
        check_lines(name, lines, test)
    check_bounds(options.bounds)
    metrics: list[str] = list(options.evaluation.metrics)
    if not metrics:
        raise UsageError("no metric to compare: evaluation.metrics of the model is empty.")
    with progress((len(systems) + 2) * len(metrics), "comparing", "steps") as bar:
        prepared = _make_metrics(test, systems, options.evaluation)
        counts = {name: _count(lines, test, prepared, bar) for name, lines in systems.items()}
        by_metric = {metric: [counted[metric] for counted in counts.values()] for metric in metrics}
        warn_of_memory(by_metric, samples=options.samples, trials=options.trials)
        tests = {
            metric: run_tests(several, samples=options.samples, trials=options.trials, bar=bar)
            for metric, several in by_metric.items()
        }
    return _assemble(test, systems, counts, tests, options, training)


def check_lines(name: str, lines: Sequence[str], test: TestText) -> None:
    """Make sure that a system has one line for each line of the test set.

    Raises:
        DataError: The numbers of lines differ, or are 0.
    """
    if len(lines) != len(test.references):
        rule = "Each line must be the translation of the same line of the test set."
        raise UnequalLines(name, len(lines), f"the test set {test.name}", len(test.references), rule=rule)
    check_counts(len(lines), len(test.references))


def _make_metrics(test: TestText, systems: dict[str, Sequence[str]], evaluation: EvaluationConfig) -> dict[str, Any]:
    """Return the metrics by name. All systems are scored with the same order of BLEU."""
    references = [line.rstrip() for line in test.references]
    lines = [[line.rstrip() for line in system] for system in systems.values()]
    return {name: for_short_texts(_metric(name, test, evaluation), lines, references) for name in evaluation.metrics}


def _count(lines: Sequence[str], test: TestText, metrics: dict[str, Any], bar: Progress) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for name, metric in metrics.items():
        counts[name] = count(metric, lines, test.references)
        bar.update(1)
    return counts


def _metric(name: str, test: TestText, evaluation: EvaluationConfig) -> Any:
    return make_metric(
        name,
        bleu_tokenizer=evaluation.bleu_tokenizer,
        lowercase=evaluation.lowercase,
        target_language=test.target_language,
    )


def _assemble(
    test: TestText,
    systems: dict[str, Sequence[str]],
    counts: dict[str, dict[str, Counts]],
    tests: dict[str, Tests],
    options: CompareOptions,
    training: Iterable[str] | None,
) -> Comparison:
    evaluation = options.evaluation
    split = make_word_splitter(evaluation.bleu_tokenizer, test.target_language, lowercase=evaluation.lowercase)
    references = list(map(split, test.references))
    words = {name: list(map(split, lines)) for name, lines in systems.items()}
    examples = _find_examples(test, systems, counts, options)
    return Comparison(
        test=test.name,
        target_language=test.target_language,
        sentences=len(test.references),
        metrics=list(evaluation.metrics),
        signatures={metric: found.signature for metric, found in tests.items()},
        samples=options.samples,
        trials=options.trials,
        systems=[
            _result(index, name, counts[name], tests, words[name], references, examples.get(name))
            for index, name in enumerate(systems)
        ],
        reference_repetition=measure_repetition(references),
        length_side="reference" if test.sources is None else "source",
        length_unit=find_language(_length_language(test)).unit,
        by_length=score_by_length(_lengths(test), counts, options.bounds),
        by_frequency=None if training is None else _by_frequency(training, words, references, split),
        notes=_notes(test, systems, counts),
    )


def _by_frequency(
    training: Iterable[str], systems: dict[str, list[Words]], references: list[Words], split: Callable[[str], Words]
) -> list[FrequencyBucket]:
    wanted = {word for lines in (references, *systems.values()) for line in lines for word in line}
    with progress(None, "counting words", "lines") as bar:

        def split_all() -> Iterator[Words]:
            for line in training:
                yield split(line)
                bar.update(1)

        seen = count_words(split_all(), wanted)
    return score_by_frequency(systems, references, seen, FREQUENCIES)


def _lengths(test: TestText) -> list[int]:
    lines = test.references if test.sources is None else test.sources
    return [length_of(line, _length_language(test)) for line in lines]


def _length_language(test: TestText) -> str:
    return test.target_language if test.sources is None else test.source_language or ""


def _find_examples(
    test: TestText, systems: dict[str, Sequence[str]], counts: dict[str, dict[str, Counts]], options: CompareOptions
) -> dict[str, ComparedSentences]:
    """Find examples of each system except the baseline, always by chrF, which works for single sentences."""
    baseline, *others = systems
    if not others:
        return {}
    chrf = {
        name: counts[name].get("chrf") or count(_metric("chrf", test, options.evaluation), lines, test.references)
        for name, lines in systems.items()
    }
    found = {}
    for name in others:
        texts = ComparedTexts(test.sources, test.references, systems[baseline], systems[name])
        found[name] = find_examples(texts, chrf[baseline], chrf[name], limit=options.examples)
    return found


def _result(
    index: int,
    name: str,
    counts: dict[str, Counts],
    tests: dict[str, Tests],
    words: list[Words],
    references: list[Words],
    examples: ComparedSentences | None,
) -> SystemResult:
    return SystemResult(
        name=name,
        scores={metric: counted.score().value for metric, counted in counts.items()},
        intervals={metric: found.intervals[index] for metric, found in tests.items()},
        differences={metric: found.differences[index - 1] for metric, found in tests.items()} if index else None,
        length_ratio=length_ratio(words, references),
        repetition=measure_repetition(words),
        examples=examples,
    )


def _notes(test: TestText, systems: dict[str, Sequence[str]], counts: dict[str, dict[str, Counts]]) -> list[str]:
    """Return the warnings of `nmt evaluate`, with the names of the systems unless all are concerned."""
    names: dict[str, list[str]] = {}
    for name, lines in systems.items():
        scores = {metric: counted.score() for metric, counted in counts[name].items()}
        for remark in sanity_warnings(lines, test.references, scores):
            names.setdefault(remark, []).append(name)
    return [
        remark if len(several) == len(systems) else f"{', '.join(several)}: {remark}"
        for remark, several in names.items()
    ]
