"""Attention as one HTML page: a heat map for each line. Loads nothing; light or dark as the reader's system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from nmt.inference.attention_map import AttentionMap

LEAST_SHOWN = 0.005
"""Smaller weights would not be seen, and most are: leaving them out makes a page several times smaller."""
HEIGHT_OF_LETTER = 0.48
"""Of a slanted label, in em for each column of a terminal that it would take."""

STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #22303c; --faint: #6b7883; --line: #dfe5ea;
  --weight: 8 81 156; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14191e; --ink: #dde5ec; --faint: #8d9aa6; --line: #2b343c; --weight: 107 188 255; }
}
body { margin: 2rem; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0; }
h2 { font-size: 1rem; margin: 0 0 .4rem; }
section { margin-top: 2rem; padding-top: 1.2rem; border-top: 1px solid var(--line); }
p { margin: .15rem 0; max-width: 60rem; }
.faint, .end { color: var(--faint); }
.scale { display: inline-block; width: 8rem; height: .8rem; vertical-align: -.1rem; border: 1px solid var(--line);
  background: linear-gradient(to right, transparent, rgb(var(--weight))); }
.map { overflow-x: auto; margin-top: .6rem; }
table { border-collapse: collapse; margin-right: 6rem; font-size: .87rem; }
td { min-width: 1.5rem; height: 1.5rem; padding: 0; border: 1px solid var(--line);
  background: rgb(var(--weight) / var(--w, 0)); }
td:hover { outline: 2px solid var(--ink); }
th { font-weight: normal; white-space: nowrap; }
tbody th { position: sticky; left: 0; padding: 0 .5rem 0 0; text-align: right; background: var(--paper); }
tr:hover th { text-decoration: underline; }
thead th { position: relative; height: var(--height); padding: 0; }
thead span { position: absolute; bottom: .1rem; left: .9rem; transform: rotate(-55deg); transform-origin: left bottom; }
"""


class HtmlEntry(NamedTuple):
    """What the page shows of one line."""

    line: int
    source: str
    translation: str
    attention: AttentionMap
    remark: str
    """What there is to say about it; may be empty."""


def page(entries: Iterable[HtmlEntry], *, source_language: str, target_language: str) -> Iterator[str]:
    """Give an HTML page in parts: its head, each entry, its end.

    Args:
        entries: What it shows.
        source_language: Code of the source's language, from which browsers choose fonts.
        target_language: Likewise.
    """
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Attention</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Attention</h1>\n"
        '<p class="faint">A row for each piece of the translation, a column for each of the source. The darker a cell '
        "stands out, the more of the row&rsquo;s attention it has; point at it for the number. "
        '0&nbsp;<span class="scale"></span>&nbsp;1</p>\n'
    )
    for entry in entries:
        yield _section(entry, escape(source_language), escape(target_language))
    yield "</body>\n</html>\n"


def _section(entry: HtmlEntry, source_language: str, target_language: str) -> str:
    remark = f'<p class="faint">{escape(entry.remark)}</p>\n' if entry.remark else ""
    return (
        f'<section id="line-{entry.line}">\n<h2>Line {entry.line}</h2>\n'
        f'<p lang="{source_language}" dir="auto">{escape(entry.source)}</p>\n'
        f'<p lang="{target_language}" dir="auto">{escape(entry.translation)}</p>\n{remark}'
        f'<div class="map"><table>\n{_head(entry.attention, source_language)}'
        f'<tbody lang="{target_language}">\n{_rows(entry.attention)}</tbody>\n</table></div>\n</section>\n'
    )


def _head(attention: AttentionMap, language: str) -> str:
    height = max(map(cell_len, attention.source.texts)) * HEIGHT_OF_LETTER + 1
    cells = "".join(
        f'<th scope="col"{_end(place in attention.source.ends)}><span dir="auto">{escape(text)}</span></th>'
        for place, text in enumerate(attention.source.texts)
    )
    return (
        f'<thead lang="{language}" style="--height: {height:.1f}em"><tr><td style="border: 0"></td>{cells}</tr>'
        "</thead>\n"
    )


def _rows(attention: AttentionMap) -> str:
    rows = []
    for place, (text, weights) in enumerate(zip(attention.target.texts, attention.weights, strict=True)):
        label = f'<th scope="row" dir="auto"{_end(place in attention.target.ends)}>{escape(text)}</th>'
        rows.append(f"<tr>{label}{_cells(text, weights, attention.source.texts)}</tr>\n")
    return "".join(rows)


def _cells(target: str, weights: NDArray[np.float32], sources: list[str]) -> str:
    return "".join(
        f'<td style="--w: {weight:.2f}" title="{escape(f"{target} ← {source}: {weight:.2f}")}"></td>'
        if weight >= LEAST_SHOWN
        else "<td></td>"
        for source, weight in zip(sources, weights.tolist(), strict=True)
    )


def _end(is_end: bool) -> str:
    return ' class="end"' if is_end else ""
