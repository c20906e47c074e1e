"""Attention as an HTML page with one heat map per line.

The page is a single file that loads nothing. It follows the light or dark theme of the browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.cells import cell_len

from nmt.inference.attention_map import AttentionMap

MIN_SHOWN_WEIGHT = 0.005
"""Smaller weights are invisible. Omitting them, most of all weights, makes a page several times smaller."""
EM_PER_COLUMN = 0.48
"""Height of a slanted label in em, for each terminal column of its text."""

TEMPLATES = Environment(
    loader=PackageLoader("nmt.plots"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
)
END = "</body>\n</html>\n"


class HtmlEntry(NamedTuple):
    """One line of text on the page."""

    line: int
    """From 1."""
    source: str
    translation: str
    attention: AttentionMap
    note: str
    """A remark below the sentences. May be empty."""


def attention_page(entries: Iterable[HtmlEntry], *, source_language: str, target_language: str) -> Iterator[str]:
    """Generate an HTML page in parts: the head, a section for each entry, the end.

    Args:
        entries: Lines to show.
        source_language: Language code of the source, from which browsers select fonts.
        target_language: Language code of the translations.
    """
    yield TEMPLATES.get_template("attention_head.html").render() + "\n"
    section = TEMPLATES.get_template("attention_section.html")
    for entry in entries:
        parts = section.render(
            entry=entry,
            weights=entry.attention.weights.tolist(),
            label_height=max(map(cell_len, entry.attention.source.texts)) * EM_PER_COLUMN + 1,
            min_weight=MIN_SHOWN_WEIGHT,
            source_language=source_language,
            target_language=target_language,
        )
        yield parts + "\n"
    yield END
