"""Lines of text on their way to the model and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nmt.config.schema import Config
from nmt.data.languages import find_language
from nmt.data.lines import is_blank
from nmt.data.tokenizer import SubwordModel

# Characters that some program takes for the end of a line or cannot show: C0 and C1 controls (tab, line feed, carriage
# return, NEL among them) and the line and paragraph separators.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# Where a line that is too long is best cut: behind the end of a sentence, of a clause, of a word.
CLOSING = "[\"'»«”“’‘)\\]」』）】]*"
CUTS = (
    re.compile(f"(?<![.!?…])[.!?…]+{CLOSING}\\s+|(?<![。！？])[。！？]+{CLOSING}\\s*"),
    re.compile(f"[,;:]{CLOSING}\\s+|\\s[–—-]\\s|[、，；：]"),
    re.compile("\\s+"),
)


def clean(line: str) -> str:
    """Return a line as the model should see it: control characters are spaces; empty if there is nothing to see."""
    return "" if is_blank(line) else CONTROLS.sub(" ", line)


def one_line(text: str) -> str:
    """Return a translation as a line: without line breaks of any kind or other control characters."""
    return CONTROLS.sub(" ", text).strip()


def sentence_separator(language: str, target: SubwordModel) -> str:
    """Return what is written between two sentences: a space, or nothing in scripts without spaces.

    Args:
        language: Code of the language, such as `de` or `zh-Hant`.
        target: The model's target subwords. Their script decides if the code is not in the table of languages.
    """
    return find_language(language, target.pieces(range(target.size))).separator


def split_long(text: str, *, longest: int, count: Callable[[Sequence[str]], list[int]]) -> list[str]:
    """Cut a text into parts that are short enough: at ends of sentences, else of clauses, of words, anywhere.

    Args:
        text: One line.
        longest: Most pieces of a part.
        count: Gives the number of pieces of each of some texts.

    Returns:
        The parts in order: the whole text, but for spaces at the cuts.
    """
    parts = (part.strip() for part in _split(text, longest, count, level=0))
    return [part for part in parts if part]


def _split(text: str, longest: int, count: Callable[[Sequence[str]], list[int]], level: int) -> list[str]:
    segments = _halves(text) if level == len(CUTS) else _segments(text, CUTS[level])
    parts: list[str] = []
    room = 0
    for segment, size in zip(segments, count(segments), strict=True):
        if size > longest and len(segment) > 1:
            parts += _split(segment, longest, count, min(level + 1, len(CUTS)))
            room = 0
        elif parts and size <= room:
            parts[-1] += segment
            room -= size
        else:
            parts.append(segment)
            room = longest - size
    return parts


def _segments(text: str, cut: re.Pattern[str]) -> list[str]:
    ends = [match.end() for match in cut.finditer(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]


def _halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


CLOSING = "[\"'»«”“’‘)\\]」』）】]*"

# A sentence may end here: with a space behind it in most scripts, without one in Chinese and Japanese.
ENDS = re.compile(
    f"(?P<mark>(?<![.!?…])[.!?…]+|[؟۔।॥։።፧။។])(?:{CLOSING})\\s+|(?<![。！？｡])[。！？｡]+(?P<closing>{CLOSING})\\s*"
)

OPENING = "\"'«»“”„‘‚([「『（【¿¡-–—"

# Behind these a full stop hardly ever ends a sentence. Without the full stop, in lower case.
ENGLISH = (
    "mr mrs ms dr prof sr jr st gen col capt lt sgt rev hon gov sen rep vs eds approx dept jan feb aug sept oct nov"
)
GERMAN = "hr fr frl dipl ing str bzw ca evtl ggf inkl zzgl vgl bd abb tel mio mrd sog geb gest verh okt dez hl"
OTHERS = "mme mlle mgr av sra srta dña ud uds dott avv ecc dhr mevr bijv"
ABBREVIATIONS = frozenset(f"{ENGLISH} {GERMAN} {OTHERS}".split())
# These are words as well, and abbreviations before a number alone.
BEFORE_NUMBERS = frozenset(["art", "ch", "eq", "fig", "no", "nr", "núm", "p", "pág", "pp", "sec", "vol"])

LONGEST_WORD = 40

# Said of what was just quoted, in Japanese: the sentence goes on.
QUOTED = "とっ"


def split_sentences(text: str) -> list[str]:
    """Cut a line into its sentences.

    Returns:
        The sentences in order: the whole text, but for spaces at the cuts. None for a text of spaces.
    """
    sentences = []
    start = 0
    for match in ENDS.finditer(text):
        if match.end() < len(text) and _ends(text, start, match):
            sentences.append(text[start : match.end()].strip())
            start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the sentence that began at `start` ends at `match`."""
    if match["mark"] is None:
        return not (match["closing"] and text[match.end()] in QUOTED)
    following = text[match.end() : match.end() + 8].lstrip(OPENING)
    if following[:1].islower():
        return False
    if match["mark"] != ".":
        return True
    before = text[max(start, match.start() - LONGEST_WORD) : match.start()].split()
    return not (before and _is_abbreviation(before[-1].lstrip(OPENING), number=following[:1].isdigit()))


def _is_abbreviation(word: str, *, number: bool) -> bool:
    """Whether a full stop belongs to the word before it: `Dr`, `J`, `z.B`, the `3` of `3. Mai`.

    Args:
        word: The word.
        number: Whether a number follows.
    """
    return (
        word.casefold() in (ABBREVIATIONS | BEFORE_NUMBERS if number else ABBREVIATIONS)
        or (len(word) == 1 and word.isalpha())
        or (len(word) <= 2 and word.isdigit())
        or re.fullmatch(r"(?:[^\W\d]{1,3}\.)+[^\W\d]{1,3}", word) is not None
    )


def max_segment_tokens(configs: Sequence[Config], given: Mapping[str, Any]) -> int:
    """Return the most source pieces that models translate at once.

    Args:
        configs: Their configurations. Of several models the one that has seen the shortest sentences decides.
        given: Decoding options of the user, named as in the schema, which come before.
    """
    longest: int | None = given.get("max_source_pieces")
    return longest or min(config.decoding.max_source_pieces or config.data.filters.max_pieces for config in configs)


class Segments(NamedTuple):
    """The parts of a line."""

    texts: list[str]
    ids: list[list[int]]
    """The pieces of each; none is empty."""
    over_long: bool
    """Whether something was cut because it has more pieces than the model was trained on."""


class Segmenter:
    """Cuts lines into parts."""

    def __init__(self, subwords: SubwordModel, *, longest: int | None, sentences: bool) -> None:
        """Keeps what it is given.

        Args:
            subwords: Of the source side.
            longest: Most pieces of a part. None: any number.
            sentences: Whether each sentence is a part of its own.
        """
        self._subwords = subwords
        self._longest = longest
        self._sentences = sentences

    def cut(self, text: str, ids: list[int]) -> Segments:
        """Return the parts of `text`, which has the pieces `ids`; none if there are no pieces.

        What is too long as a whole is cut into its sentences: several of them together, even if they were not too
        long, are seldom what the model has learnt from, and it leaves some of them out.
        """
        cut_anyway = self._is_over_long(ids)
        texts = split_sentences(text) if self._sentences or cut_anyway else []
        if len(texts) < 2:
            return self._fitting(text, ids)
        every = [self._fitting(*pair) for pair in zip(texts, self._subwords.encode(texts), strict=True)]
        return Segments(
            [text for parts in every for text in parts.texts],
            [row for parts in every for row in parts.ids],
            over_long=any(parts.over_long for parts in every) or (cut_anyway and not self._sentences),
        )

    def _fitting(self, text: str, ids: list[int]) -> Segments:
        if not self._is_over_long(ids):
            return Segments([text], [ids], over_long=False) if ids else Segments([], [], over_long=False)
        assert self._longest is not None
        texts = split_long(
            text, longest=self._longest, count=lambda texts: list(map(len, self._subwords.encode(texts)))
        )
        rows = [(part, row) for part, row in zip(texts, self._subwords.encode(texts), strict=True) if row]
        return Segments([part for part, _ in rows], [row for _, row in rows], over_long=True)

    def _is_over_long(self, ids: list[int]) -> bool:
        return self._longest is not None and len(ids) > self._longest
