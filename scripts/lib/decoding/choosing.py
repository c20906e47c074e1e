"""Makes a row: chooses its options on the validation set, and says what they score on lines that did not choose them.

What is tuned on some lines looks better on these than on others. So the lines are cut into halves, the odd ones and the
even ones: options chosen on one half translate the other. The two halves together make the row's score; the options
chosen on all lines, which a user would take, are what the row reports and what test sets are translated with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from decoding.bench import Bench, Method, Output
from decoding.rows import Row
from nmt.config.schema import DecodingConfig
from nmt.evaluation.reranking import FloatArray, RerankScores, in_order, ranking, tune_weights
from nmt.evaluation.tuning import TrialScores, applicable, tune


class Chosen(NamedTuple):
    """A row and what was chosen for it."""

    method: Method
    weights: dict[str, float] | None
    """Of the models that rerank."""


class Scored(NamedTuple):
    """A row of the table."""

    chosen: Chosen
    scores: dict[str, float]
    """`bleu` and `chrf`; where something was tuned, each half of the lines with what the other half chose."""
    same_lines: dict[str, float] | None
    """The scores with what all lines chose; None: nothing was tuned."""
    seconds: float


def score_row(row: Row, bench: Bench, *, metric: str) -> Scored:
    """Choose what a row leaves open, and score it.

    Raises:
        NMTError: Something does not fit into memory, or cannot be scored.
    """
    every = range(len(bench.text.sources))
    halves = (every[0::2], every[1::2])
    if row.reranked:
        return _score_reranked(row, bench, halves, metric)
    if not row.plan:
        output = bench.translate(row.start(bench.models))
        return Scored(Chosen(row.start(bench.models), None), _scores(output), None, output.seconds)
    method = choose_decoding(row, bench, every, metric)
    output = bench.translate(method)
    lines = list(output.lines)
    for chosen_on, applied_to in (halves, halves[::-1]):
        other = bench.translate(choose_decoding(row, bench, chosen_on, metric)).lines
        for number in applied_to:
            lines[number] = other[number]
    return Scored(Chosen(method, None), _scores_of(bench, lines), _scores(output), output.seconds)


def choose_decoding(row: Row, bench: Bench, lines: Sequence[int], metric: str) -> Method:
    """Tune the options of a row on some of the lines, as `nmt tune` does."""
    start = row.start(bench.models)

    def measure(decoding: DecodingConfig) -> TrialScores:
        output = bench.translate(start._replace(decoding=decoding))
        scores = {name: counts.score_of(lines) for name, counts in output.counts.items()}
        return TrialScores({name: value or 0.0 for name, value in scores.items()}, len(output.lines) / output.seconds)

    attention = bench.models.first.config.model.attention.score != "none"
    trials = tune(start.decoding, applicable(row.plan, attention=attention), metric=metric, measure=measure)
    *_, best = [trial.decoding for trial in trials if trial.best]
    return start._replace(decoding=best)


def apply(chosen: Chosen, bench: Bench) -> Output:
    """Translate a text with what was chosen on another."""
    if chosen.weights is None:
        return bench.translate(chosen.method)
    judged, seconds = bench.judge(chosen.method)
    lines = [_best(one, in_order(chosen.weights, bench.features)) for one in judged]
    return Output(lines, bench.text.counts(lines), seconds)


def _score_reranked(row: Row, bench: Bench, halves: Sequence[Sequence[int]], metric: str) -> Scored:
    method = row.start(bench.models)
    judged, seconds = bench.judge(method)
    weights = _tune_weights(bench, judged, range(len(judged)), metric)
    found = [_best(one, weights) for one in judged]
    lines = list(found)
    for chosen_on, applied_to in (halves, halves[::-1]):
        own = _tune_weights(bench, judged, chosen_on, metric)
        for number in applied_to:
            lines[number] = _best(judged[number], own)
    named = {name: round(float(weight), 4) for name, weight in zip(bench.features, weights, strict=True)}
    return Scored(Chosen(method, named), _scores_of(bench, lines), _scores_of(bench, found), seconds)


def _tune_weights(bench: Bench, judged: Sequence[RerankScores], lines: Sequence[int], metric: str) -> FloatArray:
    options: Any = bench.text.config.evaluation
    return tune_weights(
        [judged[number] for number in lines],
        [bench.text.references[number] for number in lines],
        metric=metric,
        bleu_tokenizer=options.bleu_tokenizer,
        lowercase=options.lowercase,
        target_language=bench.text.config.data.target_language,
    ).weights


def _best(judged: RerankScores, weights: FloatArray) -> str:
    return judged.nbest.texts[ranking(judged, weights)[0]] if judged.nbest.texts else ""


def _scores(output: Output) -> dict[str, float]:
    return {name: counts.score().value for name, counts in output.counts.items()}


def _scores_of(bench: Bench, lines: Sequence[str]) -> dict[str, float]:
    return {name: counts.score().value for name, counts in bench.text.counts(lines).items()}
