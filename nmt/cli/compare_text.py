"""The text report of `nmt compare`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from nmt.cli.text_table import MARGIN, table
from nmt.evaluation.compare.result import NAMES, Comparison, SystemResult
from nmt.evaluation.compare.sentences import ComparedSentence
from nmt.evaluation.compare.significance import LEVEL
from nmt.evaluation.compare.words import ORDERS

LONGEST_NAME = 24
"""Maximum width of a name in the tables, in columns. Longer names are shortened, and listed above the tables."""


def render_text(comparison: Comparison, *, examples: int) -> Iterator[str]:
    """Yield the lines of the report, with at most `examples` gains and `examples` losses per system."""
    names = _short_names(comparison)
    yield f"{comparison.test}: {comparison.sentences:,} sentences, baseline {comparison.systems[0].name}"
    for short, system in zip(names, comparison.systems, strict=True):
        if short != system.name:
            yield f"{MARGIN}{short} is {system.name}"
    for note in comparison.notes:
        yield f"note: {note}"
    yield ""
    yield from _scores(comparison, names)
    yield from _by_length(comparison, names)
    yield from _by_frequency(comparison, names)
    yield from _repetition(comparison, names)
    if examples:
        yield from _examples(comparison, names, examples)
    yield ""
    for metric in comparison.metrics:
        yield f"{NAMES[metric]:<5} {comparison.signatures[metric]}"


def _short_names(comparison: Comparison) -> list[str]:
    short = []
    for number, system in enumerate(comparison.systems, 1):
        name = system.name
        if cell_len(name) > LONGEST_NAME:
            name = f"{number}: …{name[-LONGEST_NAME // 2 :]}"
        short.append(name)
    return short


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _scores(comparison: Comparison, names: Sequence[str]) -> Iterator[str]:
    rows = [["", *(NAMES[metric] for metric in comparison.metrics), "length"]]
    for name, system in zip(names, comparison.systems, strict=True):
        scores = [f"{system.scores[one]:.2f} ± {system.intervals[one].half_width:.2f}" for one in comparison.metrics]
        rows.append([name, *scores, _number(system.length_ratio)])
        rows += _differences(system, comparison.metrics)
    yield from table(rows)
    yield "±: half of the 95% bootstrap interval. length: words relative to the reference."
    if len(comparison.systems) > 1:
        yield f"p: p-value of the difference from the baseline. *: below {LEVEL:g}, uncorrected."


def _differences(system: SystemResult, metrics: Sequence[str]) -> Iterator[list[str]]:
    if system.differences is None:
        return
    several = [system.differences[metric] for metric in metrics]
    yield ["  difference", *(f"{one.value:+.2f}  " for one in several), ""]
    yield ["  p, bootstrap", *(_p(one.bootstrap_p) for one in several), ""]
    yield ["  p, randomisation", *(_p(one.randomization_p) for one in several), ""]


def _p(value: float) -> str:
    return f"{value:.4f}{' *' if value < LEVEL else '  '}"


def _by_length(comparison: Comparison, names: Sequence[str]) -> Iterator[str]:
    yield ""
    yield f"By length of the {comparison.length_side}, in {comparison.length_unit}"
    rows = [["", *(bucket.length for bucket in comparison.by_length)]]
    rows.append(["sentences", *(f"{bucket.sentences:,}" for bucket in comparison.by_length)])
    for metric in comparison.metrics:
        rows.append([NAMES[metric], *("" for _ in comparison.by_length)])
        for name, system in zip(names, comparison.systems, strict=True):
            rows.append([f"  {name}", *(_number(one.scores[system.name][metric]) for one in comparison.by_length)])
    yield from table(rows)


def _by_frequency(comparison: Comparison, names: Sequence[str]) -> Iterator[str]:
    if comparison.by_frequency is None:
        return
    yield ""
    yield "F1 of words (%), by their frequency in the training text"
    rows = [["", *(bucket.count for bucket in comparison.by_frequency)]]
    rows.append(["words of the reference", *(f"{bucket.reference_words:,}" for bucket in comparison.by_frequency)])
    for name, system in zip(names, comparison.systems, strict=True):
        values = (bucket.systems[system.name].f1 for bucket in comparison.by_frequency)
        rows.append([name, *(_number(None if value is None else 100 * value, 1) for value in values)])
    yield from table(rows)


def _repetition(comparison: Comparison, names: Sequence[str]) -> Iterator[str]:
    yield ""
    yield "repeated n-grams within a sentence (%), and number of sentences with a loop"
    texts = [system.repetition for system in comparison.systems]
    rows = [["", *(f"{order}-grams" for order in ORDERS), "loops"]]
    for name, one in zip([*names, "reference"], [*texts, comparison.reference_repetition], strict=True):
        rows.append([name, *(_number(one.ngrams[str(order)]) for order in ORDERS), f"{one.loops:,}"])
    yield from table(rows)


def _examples(comparison: Comparison, names: Sequence[str], limit: int) -> Iterator[str]:
    for name, system in zip(names, comparison.systems, strict=True):
        if system.examples is None:
            continue
        counts = f"{system.examples.sentences_better:,} better, {system.examples.sentences_worse:,} worse by chrF"
        yield ""
        yield f"{name} compared with {names[0]}: {counts}"
        for kind, several in (("better", system.examples.better), ("worse", system.examples.worse)):
            for example in several[:limit]:
                yield from _example(example, kind, names[0], name)


def _example(example: ComparedSentence, kind: str, baseline: str, name: str) -> Iterator[str]:
    yield f"{MARGIN}line {example.line:,}, {kind}: chrF {example.baseline_chrf:.1f} → {example.system_chrf:.1f}"
    rows = [("source", example.source), ("reference", example.reference), (baseline, example.baseline)]
    shown = [[f"{MARGIN * 2}{label}", text] for label, text in [*rows, (name, example.system)] if text is not None]
    width = max(len(label) for label, _ in shown)
    for label, text in shown:
        yield f"{label:<{width}}  {text}".rstrip()
