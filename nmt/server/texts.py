"""Translates whole texts and markup: splits them into lines, and puts the translations back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from nmt.inference.results import Translation
from nmt.inference.streaming import SourceLine
from nmt.server.directions import Direction, Options
from nmt.server.markup import HTML_RULES, Markup, TagRules

LINE_BREAKS = re.compile("(\r\n|[\n\r\x0b\x0c\x85\u2028\u2029])")


class TextRequest(NamedTuple):
    """What a client wants."""

    client: str
    """Identifies the client, for a fair share of the time."""
    options: Options = Options()
    alternatives: int = 0
    """Number of further translations."""
    is_markup: bool = False
    """Whether the texts are HTML or XML."""
    cached: bool = True
    tags: TagRules = HTML_RULES
    """How elements of the markup are treated."""


class TranslatedText(NamedTuple):
    """The translation of a text."""

    text: str
    alternatives: list[str]
    """At most as many as requested, all different, best first."""


async def translate_texts(
    texts: Sequence[str], route: Sequence[Direction], request: TextRequest
) -> list[TranslatedText]:
    """Translate texts in one direction, or through a pivot language.

    Line breaks and the space around lines stay. Alternatives come from the last direction.

    Raises:
        QueueFullError: Too many lines wait.
        NMTError: A line cannot be translated.
    """
    found = [TranslatedText(text, []) for text in texts]
    for place, direction in enumerate(route):
        count = request.alternatives if place == len(route) - 1 else 0
        found = await _translate([each.text for each in found], direction, request._replace(alternatives=count))
    return found


async def _translate(texts: Sequence[str], direction: Direction, request: TextRequest) -> list[TranslatedText]:
    documents = [Markup(text, request.tags) if request.is_markup else _Plain(text) for text in texts]
    lines = [line for document in documents for line in document.lines]
    options = _options(direction, request)
    translations = await direction.batcher.translate(
        [SourceLine(line) for line in lines], client=request.client, options=options, cached=request.cached
    )
    results, start = [], 0
    for document in documents:
        of_document = translations[start : start + len(document.lines)]
        start += len(of_document)
        ranked = [document.fill(_ranked(of_document, rank)) for rank in range(request.alternatives + 1)]
        best, *others = dict.fromkeys(ranked)
        results.append(TranslatedText(best, others))
    return results


def _options(direction: Direction, request: TextRequest) -> Options:
    """Return the options of a request for texts: sentences are split, tags protected, alternatives searched."""
    decoding = {"split_sentences": True, **dict(request.options.decoding)}
    if request.is_markup:
        decoding["protect"] = True
    if request.alternatives:
        count = request.alternatives + 1
        decoding |= {"n_best": count, "beam_size": max(count, direction.model.decoding.beam_size)}
    return request.options._replace(decoding=tuple(sorted(decoding.items())))


def _ranked(translations: Sequence[Translation], rank: int) -> list[str]:
    """Return the hypothesis of this rank of each line, or its best one."""
    return [each.hypotheses[rank].text if rank < len(each.hypotheses) else each.text for each in translations]


class _Plain:
    """A text without markup."""

    def __init__(self, text: str) -> None:
        parts = LINE_BREAKS.split(text)
        self._breaks = [*parts[1::2], ""]
        self._lines = parts[::2]

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self._lines]

    def fill(self, translations: Sequence[str]) -> str:
        filled = []
        for line, translation, end in zip(self._lines, translations, self._breaks, strict=True):
            stripped = line.strip()
            start = len(line) - len(line.lstrip()) if stripped else len(line)
            filled += [line[:start], translation, line[start + len(stripped) :], end]
        return "".join(filled)
