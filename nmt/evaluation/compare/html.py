"""Renders a comparison as one self-contained HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from html import escape

from nmt import __version__
from nmt.data.languages import find_language
from nmt.evaluation.compare.charts import ChartSpan, Group, colour, draw_bars, draw_intervals
from nmt.evaluation.compare.result import NAMES, Comparison, SystemResult
from nmt.evaluation.compare.sentences import ComparedSentence
from nmt.evaluation.compare.significance import LEVEL
from nmt.evaluation.compare.words import ORDERS

FEW = 30
"""Buckets with fewer sentences are drawn pale."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # not allowed in HTML


def render_page(comparison: Comparison) -> str:
    """Return the HTML page of a comparison."""
    title = f"{comparison.test}: {len(comparison.systems)} systems compared"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{_text(comparison.test)}</h1>",
        f'<p class="soft">{comparison.sentences:,} sentences. Baseline: {_text(comparison.systems[0].name)}.</p>',
        *(f"<p>Note: {_text(note)}</p>" for note in comparison.notes),
        *_scores(comparison),
        *_differences(comparison),
        *_by_length(comparison),
        *_by_frequency(comparison),
        *_repetition(comparison),
        *_examples(comparison),
        *_methods(comparison),
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
    """Yield a table from cells of HTML; the first cell of each row is its heading."""
    yield '<div class="scroll"><table><thead><tr>' + "".join(f"<th>{head}</th>" for head in heads) + "</tr></thead>"
    yield "<tbody>"
    for first, *others in rows:
        yield f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>"
    yield "</tbody></table></div>"


def _legend(comparison: Comparison) -> str:
    names = (f"<span>{_name(index, system)}</span>" for index, system in enumerate(comparison.systems))
    return f'<div class="legend">{"".join(names)}</div>'


def _scores(comparison: Comparison) -> Iterator[str]:
    yield "<h2>Scores</h2>"
    yield '<p class="soft">With 95% intervals. BLEU and chrF: higher is better. TER: lower is better.</p>'
    heads = [
        "System",
        *(head for metric in comparison.metrics for head in (NAMES[metric], "95% interval")),
        "Length ratio",
    ]
    rows = []
    for index, system in enumerate(comparison.systems):
        cells = [_name(index, system)]
        for metric in comparison.metrics:
            interval = system.intervals[metric]
            cells += [_number(system.scores[metric]), f"{interval.low:.2f} to {interval.high:.2f}"]
        rows.append([*cells, _number(system.length_ratio, 3)])
    yield from _table(heads, rows)
    for metric in comparison.metrics:
        spans = [ChartSpan(one.name, one.scores[metric], *_ends(one, metric)) for one in comparison.systems]
        drawing = draw_intervals(spans, title=f"{NAMES[metric]} with 95% intervals")
        yield f"<figure><figcaption>{NAMES[metric]}</figcaption>{drawing}</figure>"


def _ends(system: SystemResult, metric: str) -> tuple[float, float]:
    return system.intervals[metric].low, system.intervals[metric].high


def _differences(comparison: Comparison) -> Iterator[str]:
    if len(comparison.systems) < 2:
        return
    yield f"<h2>Difference from {_text(comparison.systems[0].name)}</h2>"
    yield (
        f'<p class="soft">p by paired bootstrap and by paired approximate randomisation; bold below {LEVEL:g}. '
        "Not corrected for the number of comparisons.</p>"
    )
    rows = []
    for index, system in enumerate(comparison.systems):
        for metric, difference in (system.differences or {}).items():
            both = (difference.bootstrap_p, difference.randomization_p)
            cells = [f'<span class="{"significant" if p < LEVEL else ""}">{p:.4f}</span>' for p in both]
            rows.append(
                [
                    _name(index, system),
                    NAMES[metric],
                    f"{difference.value:+.2f}",
                    *cells,
                    f"{difference.differing_sentences:,}",
                ]
            )
    heads = ["System", "Metric", "Difference", "p, bootstrap", "p, randomisation", "Sentences that differ"]
    yield from _table(heads, rows)


def _by_length(comparison: Comparison) -> Iterator[str]:
    yield f"<h2>By length of the {comparison.length_side}, in {comparison.length_unit}</h2>"
    yield (
        f'<p class="soft">Each bucket is a test set of its own. Scores of few sentences are unreliable: buckets of '
        f"fewer than {FEW} are pale.</p>"
    )
    yield _legend(comparison)
    for metric in comparison.metrics:
        groups = [
            Group(
                bucket.length,
                f"{bucket.sentences:,} sentences",
                [bucket.scores[system.name][metric] for system in comparison.systems],
                faint=bucket.sentences < FEW,
            )
            for bucket in comparison.by_length
        ]
        drawing = draw_bars(groups, _names(comparison), title=f"{NAMES[metric]} by length", digits=2)
        yield f"<figure><figcaption>{NAMES[metric]}</figcaption>{drawing}</figure>"
        rows = [
            [_name(index, system), *(_number(group.values[index]) for group in groups)]
            for index, system in enumerate(comparison.systems)
        ]
        yield from _table([NAMES[metric], *(f"{group.label}<br>{group.note}" for group in groups)], rows)


def _names(comparison: Comparison) -> list[str]:
    return [system.name for system in comparison.systems]


def _by_frequency(comparison: Comparison) -> Iterator[str]:
    yield "<h2>Words by their frequency in training</h2>"
    if comparison.by_frequency is None:
        yield "<p>There is no training text.</p>"
        return
    yield (
        '<p class="soft">F1 of words by their frequency in the training text. A word of a translation is correct if '
        "the reference of its sentence has it too, as often.</p>"
    )
    yield _legend(comparison)
    groups = [
        Group(
            f"{bucket.count} times",
            f"{bucket.reference_words:,} words",
            [None if one is None else 100 * one for one in (bucket.systems[name].f1 for name in _names(comparison))],
            faint=bucket.reference_words < FEW,
        )
        for bucket in comparison.by_frequency
    ]
    yield f"<figure>{draw_bars(groups, _names(comparison), title='F1 by frequency', digits=1)}</figure>"
    rows = [
        [_name(index, system), *(_number(group.values[index], 1) for group in groups)]
        for index, system in enumerate(comparison.systems)
    ]
    yield from _table(["F1, %", *(f"{group.label}<br>{group.note}" for group in groups)], rows)


def _repetition(comparison: Comparison) -> Iterator[str]:
    yield "<h2>Repetition and length</h2>"
    yield (
        '<p class="soft">Percentage of the n-grams that occur earlier in the same sentence, and sentences with a loop, '
        "where one to four words are immediately repeated.</p>"
    )
    texts = [(_name(index, system), system.repetition) for index, system in enumerate(comparison.systems)]
    rows = [
        [name, *(_number(repetition.ngrams[str(order)]) for order in ORDERS), f"{repetition.loops:,}", ratio]
        for (name, repetition), ratio in zip(
            [*texts, ("Reference", comparison.reference_repetition)],
            [*(_number(system.length_ratio, 3) for system in comparison.systems), "1.000"],
            strict=True,
        )
    ]
    yield from _table(["Text", *(f"{order}-grams" for order in ORDERS), "Loops", "Length ratio"], rows)


def _examples(comparison: Comparison) -> Iterator[str]:
    for system in comparison.systems:
        examples = system.examples
        if examples is None:
            continue
        yield f"<h2>{_text(system.name)} and {_text(comparison.systems[0].name)}</h2>"
        yield (
            f'<p class="soft">By chrF, {examples.sentences_better:,} sentences are better and '
            f"{examples.sentences_worse:,} worse. Marked words differ from the reference.</p>"
        )
        for heading, several in (("Better", examples.better), ("Worse", examples.worse)):
            if several:
                yield f"<h3>{heading}</h3>"
            for example in several:
                yield from _example(example, comparison, system.name)


def _example(example: ComparedSentence, comparison: Comparison, name: str) -> Iterator[str]:
    yield f'<div class="example"><p class="soft">Line {example.line:,}</p><dl>'
    if example.source is not None:
        yield f'<dt>Source</dt><dd dir="auto">{_text(example.source)}</dd>'
    yield f'<dt>Reference</dt><dd dir="auto">{_text(example.reference)}</dd>'
    both = (
        (comparison.systems[0].name, example.baseline, example.baseline_chrf),
        (name, example.system, example.system_chrf),
    )
    for who, line, chrf in both:
        marked = _mark(line, example.reference, whole_words=not find_language(comparison.target_language).by_character)
        yield f'<dt>{_text(who)} ({chrf:.1f})</dt><dd dir="auto">{marked}</dd>'
    yield "</dl></div>"


def _mark(line: str, reference: str, *, whole_words: bool) -> str:
    """Return a line as HTML, with marks where it differs from the reference."""
    words, wanted = (line.split(), reference.split()) if whole_words else (list(line), list(reference))
    between = " " if whole_words else ""
    parts = []
    for kind, start, end, _, _ in SequenceMatcher(None, words, wanted, autojunk=False).get_opcodes():
        text = _text(between.join(words[start:end]))
        if text:
            parts.append(text if kind == "equal" else f"<mark>{text}</mark>")
    return between.join(parts)


def _methods(comparison: Comparison) -> Iterator[str]:
    yield "<h2>How this was computed</h2>"
    yield (
        f"<p>Scores, intervals and tests: sacreBLEU. Bootstrap: {comparison.samples:,} resampled test sets (Koehn "
        f"2004). Randomization: {comparison.trials:,} trials (Riezler &amp; Maxwell 2005). If the systems differ in n "
        "sentences, p "
        "is at least 2<sup>1-n</sup>. An interval is the mean of the resampled scores, more and less half of what 95% "
        "of them span. Words by frequency: as in compare-mt (Neubig et al. 2019), cut by BLEU's tokenizer.</p>"
    )
    for metric in comparison.metrics:
        yield f"<p>{NAMES[metric]} <code>{_text(comparison.signatures[metric])}</code></p>"
    yield f'<p class="soft">nmt {_text(__version__)}</p>'


STYLE = """
:root { color-scheme: light dark;
  --ground: #ffffff; --text: #1d2129; --soft: #5c6573; --line: #d9dde3; --panel: #f5f6f8; --mark: #ffe2b8;
  --c0: #4c5563; --c1: #0072b2; --c2: #c8500a; --c3: #00805c; --c4: #a83f86; --c5: #8a6a00;
  --c6: #1f8fb8; --c7: #a02020; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #15181d; --text: #e4e7eb; --soft: #9aa4b2; --line: #343b45; --panel: #1e232a; --mark: #5c4312;
  --c0: #aab4c2; --c1: #56b0ea; --c2: #f08a4b; --c3: #3fc79a; --c4: #dd8ac2; --c5: #d9b646;
  --c6: #7fd0ee; --c7: #ee7f7f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .5rem 0; max-width: 46rem; } .soft, figcaption { color: var(--soft); font-size: .875rem; }
figure { margin: 1rem 0; } svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .3rem .75rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-weight: 600; font-size: .875rem; } tbody th { font-weight: 500; }
.significant { font-weight: 700; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; background: currentColor;
  margin-right: .4em; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .875rem; }
.example { background: var(--panel); border-radius: 6px; padding: .6rem .9rem; margin: .6rem 0; }
.example dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; margin: 0; }
.example dt { color: var(--soft); font-size: .875rem; max-width: 14rem; overflow-wrap: anywhere; }
.example dd { margin: 0; overflow-wrap: anywhere; }
mark { background: var(--mark); color: inherit; border-radius: 3px; }
code { font-size: .8rem; overflow-wrap: anywhere; }
text { font: 12px system-ui, sans-serif; fill: var(--text); stroke: none; } text.axis { fill: var(--soft); }
.grid { stroke: var(--line); } .span { stroke: currentColor; stroke-width: 2.5; }
circle, rect { fill: currentColor; } .faint { opacity: .4; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); } .c6 { color: var(--c6); } .c7 { color: var(--c7); }
@media (max-width: 40rem) { .example dl { grid-template-columns: 1fr; } }
"""
