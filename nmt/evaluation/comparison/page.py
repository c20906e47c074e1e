"""The report of a comparison: one HTML page with all that it needs in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from html import escape

from nmt import __version__
from nmt.data.preparation.filters import by_character
from nmt.evaluation.comparison.charts import Group, Span, colour, draw_bars, draw_intervals
from nmt.evaluation.comparison.result import NAMES, Comparison, SystemResult
from nmt.evaluation.comparison.sentences import Example
from nmt.evaluation.comparison.significance import LEVEL
from nmt.evaluation.comparison.style import STYLE
from nmt.evaluation.comparison.words import ORDERS

FEW = 30
"""Buckets with fewer sentences are drawn pale."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # not allowed in HTML


def render_page(found: Comparison) -> str:
    """Write the report of a comparison as an HTML page."""
    title = f"{found.test}: {len(found.systems)} systems compared"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{_text(found.test)}</h1>",
        f'<p class="soft">{found.sentences:,} sentences. Baseline: {_text(found.systems[0].name)}.</p>',
        *(f"<p>Note: {_text(note)}</p>" for note in found.notes),
        *_scores(found),
        *_differences(found),
        *_by_length(found),
        *_by_frequency(found),
        *_repetition(found),
        *_examples(found),
        *_methods(found),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _text(text: str) -> str:
    return escape(_CONTROL.sub("\ufffd", text))


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _name(index: int, system: SystemResult) -> str:
    return f'<span class="{colour(index)}"><span class="dot"></span></span>{_text(system.name)}'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of cells that are HTML already; the first of each row is its heading."""
    yield '<div class="scroll"><table><thead><tr>' + "".join(f"<th>{head}</th>" for head in heads) + "</tr></thead>"
    yield "<tbody>"
    for first, *others in rows:
        yield f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>"
    yield "</tbody></table></div>"


def _legend(found: Comparison) -> str:
    names = (f"<span>{_name(index, system)}</span>" for index, system in enumerate(found.systems))
    return f'<div class="legend">{"".join(names)}</div>'


def _scores(found: Comparison) -> Iterator[str]:
    yield "<h2>Scores</h2>"
    yield '<p class="soft">With 95% intervals. BLEU and chrF: higher is better. TER: lower is better.</p>'
    heads = ["System", *(head for metric in found.metrics for head in (NAMES[metric], "95% interval")), "Length ratio"]
    rows = []
    for index, system in enumerate(found.systems):
        cells = [_name(index, system)]
        for metric in found.metrics:
            interval = system.intervals[metric]
            cells += [_number(system.scores[metric]), f"{interval.low:.2f} to {interval.high:.2f}"]
        rows.append([*cells, _number(system.length_ratio, 3)])
    yield from _table(heads, rows)
    for metric in found.metrics:
        spans = [Span(one.name, one.scores[metric], *_ends(one, metric)) for one in found.systems]
        drawing = draw_intervals(spans, title=f"{NAMES[metric]} with 95% intervals")
        yield f"<figure><figcaption>{NAMES[metric]}</figcaption>{drawing}</figure>"


def _ends(system: SystemResult, metric: str) -> tuple[float, float]:
    return system.intervals[metric].low, system.intervals[metric].high


def _differences(found: Comparison) -> Iterator[str]:
    if len(found.systems) < 2:
        return
    yield f"<h2>Difference from {_text(found.systems[0].name)}</h2>"
    yield (
        f'<p class="soft">p by paired bootstrap and by paired approximate randomisation; bold below {LEVEL:g}. '
        "Not corrected for the number of comparisons.</p>"
    )
    rows = []
    for index, system in enumerate(found.systems):
        for metric, found_difference in (system.differences or {}).items():
            both = (found_difference.bootstrap_p, found_difference.randomization_p)
            cells = [f'<span class="{"significant" if p < LEVEL else ""}">{p:.4f}</span>' for p in both]
            rows.append(
                [
                    _name(index, system),
                    NAMES[metric],
                    f"{found_difference.value:+.2f}",
                    *cells,
                    f"{found_difference.differing_sentences:,}",
                ]
            )
    heads = ["System", "Metric", "Difference", "p, bootstrap", "p, randomisation", "Sentences that differ"]
    yield from _table(heads, rows)


def _by_length(found: Comparison) -> Iterator[str]:
    yield f"<h2>By length of the {found.length_side}, in {found.length_unit}</h2>"
    yield (
        f'<p class="soft">Each bucket scored as a test set of its own. Scores of few sentences say little: buckets of '
        f"fewer than {FEW} are pale.</p>"
    )
    yield _legend(found)
    for metric in found.metrics:
        groups = [
            Group(
                bucket.length,
                f"{bucket.sentences:,} sentences",
                [bucket.scores[system.name][metric] for system in found.systems],
                faint=bucket.sentences < FEW,
            )
            for bucket in found.by_length
        ]
        drawing = draw_bars(groups, _names(found), title=f"{NAMES[metric]} by length", digits=2)
        yield f"<figure><figcaption>{NAMES[metric]}</figcaption>{drawing}</figure>"
        rows = [
            [_name(index, system), *(_number(group.values[index]) for group in groups)]
            for index, system in enumerate(found.systems)
        ]
        yield from _table([NAMES[metric], *(f"{group.label}<br>{group.note}" for group in groups)], rows)


def _names(found: Comparison) -> list[str]:
    return [system.name for system in found.systems]


def _by_frequency(found: Comparison) -> Iterator[str]:
    yield "<h2>Words by their frequency in training</h2>"
    if found.by_frequency is None:
        yield "<p>Left out: there was no training text.</p>"
        return
    yield (
        '<p class="soft">F1 of the words that stand so often in the training text. A word of a translation is right if '
        "the reference of its sentence has it too, as often.</p>"
    )
    yield _legend(found)
    groups = [
        Group(
            f"{bucket.count} times",
            f"{bucket.reference_words:,} words",
            [None if one is None else 100 * one for one in (bucket.systems[name].f1 for name in _names(found))],
            faint=bucket.reference_words < FEW,
        )
        for bucket in found.by_frequency
    ]
    yield f"<figure>{draw_bars(groups, _names(found), title='F1 by frequency', digits=1)}</figure>"
    rows = [
        [_name(index, system), *(_number(group.values[index], 1) for group in groups)]
        for index, system in enumerate(found.systems)
    ]
    yield from _table(["F1, %", *(f"{group.label}<br>{group.note}" for group in groups)], rows)


def _repetition(found: Comparison) -> Iterator[str]:
    yield "<h2>Repetition and length</h2>"
    yield (
        '<p class="soft">Percent of the n-grams that came before in the same sentence; and sentences with a loop, '
        "where one to four words are followed by the same words at once.</p>"
    )
    texts = [(_name(index, system), system.repetition) for index, system in enumerate(found.systems)]
    rows = [
        [name, *(_number(repetition.ngrams[str(order)]) for order in ORDERS), f"{repetition.loops:,}", ratio]
        for (name, repetition), ratio in zip(
            [*texts, ("Reference", found.reference_repetition)],
            [*(_number(system.length_ratio, 3) for system in found.systems), "1.000"],
            strict=True,
        )
    ]
    yield from _table(["Text", *(f"{order}-grams" for order in ORDERS), "Loops", "Length ratio"], rows)


def _examples(found: Comparison) -> Iterator[str]:
    for system in found.systems:
        examples = system.examples
        if examples is None:
            continue
        yield f"<h2>{_text(system.name)} beside {_text(found.systems[0].name)}</h2>"
        yield (
            f'<p class="soft">By chrF, {examples.sentences_better:,} sentences are better and '
            f"{examples.sentences_worse:,} worse. Marked: words that are not in the reference at that place.</p>"
        )
        for heading, several in (("Better", examples.better), ("Worse", examples.worse)):
            if several:
                yield f"<h3>{heading}</h3>"
            for example in several:
                yield from _example(example, found, system.name)


def _example(example: Example, found: Comparison, name: str) -> Iterator[str]:
    yield f'<div class="example"><p class="soft">Line {example.line:,}</p><dl>'
    if example.source is not None:
        yield f'<dt>Source</dt><dd dir="auto">{_text(example.source)}</dd>'
    yield f'<dt>Reference</dt><dd dir="auto">{_text(example.reference)}</dd>'
    both = (
        (found.systems[0].name, example.baseline, example.baseline_chrf),
        (name, example.system, example.system_chrf),
    )
    for who, line, chrf in both:
        marked = _mark(line, example.reference, whole_words=not by_character(found.target_language))
        yield f'<dt>{_text(who)} ({chrf:.1f})</dt><dd dir="auto">{marked}</dd>'
    yield "</dl></div>"


def _mark(line: str, reference: str, *, whole_words: bool) -> str:
    """A line as HTML, marked where it departs from the reference."""
    words, wanted = (line.split(), reference.split()) if whole_words else (list(line), list(reference))
    between = " " if whole_words else ""
    parts = []
    for kind, start, end, _, _ in SequenceMatcher(None, words, wanted, autojunk=False).get_opcodes():
        text = _text(between.join(words[start:end]))
        if text:
            parts.append(text if kind == "equal" else f"<mark>{text}</mark>")
    return between.join(parts)


def _methods(found: Comparison) -> Iterator[str]:
    yield "<h2>How this was computed</h2>"
    yield (
        f"<p>Scores, intervals and tests: sacreBLEU. Bootstrap: {found.samples:,} resampled test sets (Koehn 2004). "
        f"Randomisation: {found.trials:,} trials (Riezler &amp; Maxwell 2005). If the systems differ in n sentences, p "
        "is at least 2<sup>1-n</sup>. An interval is the mean of the resampled scores, more and less half of what 95% "
        "of them span. Words by frequency: as in compare-mt (Neubig et al. 2019), cut by BLEU's tokenizer.</p>"
    )
    for metric in found.metrics:
        yield f"<p>{NAMES[metric]} <code>{_text(found.signatures[metric])}</code></p>"
    yield f'<p class="soft">nmt {_text(__version__)}</p>'
