"""Cleans lines and splits them into segments: sentences, or parts short enough for the model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nmt.config.schema import Config
from nmt.data.languages import find_language
from nmt.data.lines import is_blank
from nmt.data.tokenizer import SubwordModel
from nmt.data.writing_systems import UNKNOWN_SCRIPT

# Characters that some programs take for a line break or cannot show: C0 and C1 controls (such as tab, line feed,
# carriage return, NEL) and the line and paragraph separators.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# Where a long line is best split: after the end of a sentence, of a clause, of a word.
CLOSING = "[\"'»«”“’‘)\\]」』）】]*"
BREAKS = (
    re.compile(f"(?<![.!?…])[.!?…]+{CLOSING}\\s+|(?<![。！？])[。！？]+{CLOSING}\\s*"),
    re.compile(f"[,;:]{CLOSING}\\s+|\\s[–—-]\\s|[、，；：]"),
    re.compile("\\s+"),
)


def clean(line: str) -> str:
    """Return a line as the model reads it: control characters become spaces, a blank line becomes empty."""
    return "" if is_blank(line) else CONTROLS.sub(" ", line)


def one_line(text: str) -> str:
    """Return a text without line breaks of any kind and other control characters."""
    return CONTROLS.sub(" ", text).strip()


def sentence_separator(language: str, target: SubwordModel) -> str:
    """Return what is written between two sentences: a space, or nothing in scripts without spaces.

    Args:
        language: Code of the language, such as `de` or `zh-Hant`.
        target: The model's target subwords. Their script decides if the code is not in the table of languages.
    """
    found = find_language(language)
    if found.script == UNKNOWN_SCRIPT:
        found = find_language(language, target.pieces(range(target.size)))
    return found.separator


def split_long(text: str, *, max_pieces: int, count_pieces: Callable[[Sequence[str]], list[int]]) -> list[str]:
    """Split a text into short segments: after sentences, else after clauses, after words, or anywhere.

    Args:
        text: One line.
        max_pieces: Most pieces of a segment.
        count_pieces: Returns the number of pieces of each text.

    Returns:
        The segments in order. Together they are the whole text, except for spaces where it was split.
    """
    segments = (segment.strip() for segment in _split(text, max_pieces, count_pieces, level=0))
    return [segment for segment in segments if segment]


def _split(text: str, max_pieces: int, count_pieces: Callable[[Sequence[str]], list[int]], level: int) -> list[str]:
    spans = _halves(text) if level == len(BREAKS) else _spans(text, BREAKS[level])
    segments: list[str] = []
    room = 0
    for span, size in zip(spans, count_pieces(spans), strict=True):
        if size > max_pieces and len(span) > 1:
            segments += _split(span, max_pieces, count_pieces, min(level + 1, len(BREAKS)))
            room = 0
        elif segments and size <= room:
            segments[-1] += span
            room -= size
        else:
            segments.append(span)
            room = max_pieces - size
    return segments


def _spans(text: str, pattern: re.Pattern[str]) -> list[str]:
    ends = [match.end() for match in pattern.finditer(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]


def _halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


# Where a sentence may end: before a space if the mark is also used within words, otherwise anywhere.
SENTENCE_ENDS = re.compile(
    f"(?P<mark>(?<![.!?…])[.!?…]+)(?:{CLOSING})\\s+"
    f"|[؟۔።፧։៕](?:[؟!?۔።]*{CLOSING})\\s+"
    f"|(?P<own>[।॥။។؟])(?:[।॥။!?]*{CLOSING})\\s*"
    f"|(?<![。！？｡])[。！？｡]+(?P<closing>{CLOSING})\\s*"
)

OPENING = "\"'«»“”„‘‚([「『（【¿¡-–—"

# Abbreviations after which a full stop hardly ever ends a sentence, without the full stop, in lower case. Words of a
# few consonants and single letters need no list.
ENGLISH = (
    "al appt approx assn assoc ave bldg blvd bros capt cf co dec dept eds esp figs gen gov hon inc jan feb apr jun jul "
    "aug sep sept oct nov lt misc pres prof rep rev sen st univ viz"
)
GERMAN = (
    "abb abs abt allg bes bspw ca dipl ehem einschl etw evtl exkl ggf hl inkl ing jh mio okt dez str tel urspr verh "
    "verl zool fr frl geb gest hr sog tägl"
)
ROMANCE = (
    "av boul mme mlle mgr éd cie sté sra srta srs dra dña uds ud pág págs núm núms aprox avda cía ee uu ej excmo dott "
    "sig sigg sigra avv ecc pag pagg prov"
)
NORTHERN = "dhr mevr mej bijv blz enz ong resp kl bl dvs osv"
SLAVIC = (
    "ul pl św inż hab im nám tř např mj odst ust okr "
    "ул пр просп пер пл обл гор им тов проф акад доц инж рис табл стр гл тыс млн млрд руб коп ред изд см ср пос "
    "вул буд ім ін бул"
)
OTHERS = "doç yrd bkz tp ths gs jl bpk sdri श्री प्रो श्रीमती सुश्री মোঃ অধ্যা"
ABBREVIATIONS = frozenset(f"{ENGLISH} {GERMAN} {ROMANCE} {NORTHERN} {SLAVIC} {OTHERS}".split())
# Abbreviations only before a number or a bracket; otherwise they are words.
BEFORE_NUMBERS = frozenset(["art", "ch", "eq", "eqs", "no", "nos", "nr", "núm", "p", "pág", "pp", "sec", "vol", "vols"])
CONSONANTS = re.compile("[bcdfghjklmnpqrstvwxzčďřšťžżźćñßбвгджзклмнпрстфхцчшщ]{2,4}")
INITIALS = re.compile(r"(?:[^\W\d]{1,4}\.)+[^\W\d]{1,4}")
NUMBER_OR_BRACKET = re.compile(r"[\d([（]")
# Before a number, a full stop after a shorter word is more likely that of an abbreviation: `max. 5`, `Figs. 3`.
SHORT_WORD = 4
CAPITALS = 2

LONGEST_WORD = 40

# A Japanese quotation particle: the sentence continues after the quotation.
QUOTED = "とっ"


def split_sentences(text: str) -> list[str]:
    """Split a line into its sentences. In doubt nothing is split.

    Returns:
        The sentences in order. Together they are the whole text, except for spaces between them; an empty list for a
        blank text.
    """
    sentences = []
    start = 0
    for match in SENTENCE_ENDS.finditer(text):
        if match.end() < len(text) and _ends(text, start, match):
            sentences.append(text[start : match.end()].strip())
            start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Return whether the sentence that began at `start` ends at `match`."""
    following = text[match.end() : match.end() + 8]
    if match["closing"] is not None:
        return not (match["closing"] and following[0] in QUOTED)
    if match["own"] is not None:
        # These marks are also used around the numbers of verses.
        return match[0][-1].isspace() or following[0].isalpha()
    if following.lstrip(OPENING)[:1].islower():
        return False
    if match["mark"] != ".":
        return True
    words = text[max(start, match.start() - LONGEST_WORD) : match.start()].split()
    return not (words and _is_abbreviation(words[-1].lstrip(OPENING), following))


def _is_abbreviation(word: str, following: str) -> bool:
    """Return whether a full stop belongs to the word before it: `Dr`, `J`, `z.B`, the `3` of `3. Mai`."""
    letters = sum(not unicodedata.category(character).startswith("M") for character in word)
    if word.isdigit():
        return letters <= 2 or following[:1].isdigit()
    if NUMBER_OR_BRACKET.match(following) and (letters <= SHORT_WORD or word.casefold() in BEFORE_NUMBERS):
        return True
    return (
        word.casefold() in ABBREVIATIONS
        or (letters == 1 and word[0].isalpha())
        or (letters <= CAPITALS and word.isupper())
        or CONSONANTS.fullmatch(word.casefold()) is not None
        or INITIALS.fullmatch(word) is not None
    )


def max_segment_pieces(configs: Sequence[Config], overrides: Mapping[str, Any]) -> int:
    """Return the most source pieces that models translate at once.

    Args:
        configs: Their configurations. The model trained on the shortest sentences sets the limit of an ensemble.
        overrides: Decoding options of the user, named as in the schema, which take precedence.
    """
    limit: int | None = overrides.get("max_source_pieces")
    return limit or min(config.decoding.max_source_pieces or config.data.filters.max_pieces for config in configs)


class Segments(NamedTuple):
    """The segments of a line."""

    texts: list[str]
    ids: list[list[int]]
    """The source ids of each segment; none is empty."""
    too_long: bool
    """Whether the line was split because it has more pieces than the model was trained on."""


class Segmenter:
    """Splits lines into segments."""

    def __init__(self, subwords: SubwordModel, *, max_pieces: int | None, split_sentences: bool) -> None:
        """Configure the splitting.

        Args:
            subwords: The subword model of the source side.
            max_pieces: Most pieces of a segment. None: no limit.
            split_sentences: Whether each sentence is a segment of its own.
        """
        self._subwords = subwords
        self._max_pieces = max_pieces
        self._split_sentences = split_sentences

    def segment(self, text: str, ids: list[int]) -> Segments:
        """Return the segments of `text`, whose ids are `ids`; none if there are no ids.

        A line that is too long is split into its sentences first. Several sentences in one segment are rare in training
        data, and a model tends to skip some of them, even if the segment is short enough.
        """
        too_long = self._is_too_long(ids)
        sentences = split_sentences(text) if self._split_sentences or too_long else []
        if len(sentences) < 2:
            return self._fit(text, ids)
        fitted = [self._fit(*pair) for pair in zip(sentences, self._subwords.encode(sentences), strict=True)]
        return Segments(
            [text for segments in fitted for text in segments.texts],
            [row for segments in fitted for row in segments.ids],
            too_long=any(segments.too_long for segments in fitted) or (too_long and not self._split_sentences),
        )

    def _fit(self, text: str, ids: list[int]) -> Segments:
        if not self._is_too_long(ids):
            return Segments([text], [ids], too_long=False) if ids else Segments([], [], too_long=False)
        assert self._max_pieces is not None
        texts = split_long(text, max_pieces=self._max_pieces, count_pieces=self._count_pieces)
        rows = [(segment, row) for segment, row in zip(texts, self._subwords.encode(texts), strict=True) if row]
        return Segments([segment for segment, _ in rows], [row for _, row in rows], too_long=True)

    def _count_pieces(self, texts: Sequence[str]) -> list[int]:
        return list(map(len, self._subwords.encode(texts)))

    def _is_too_long(self, ids: list[int]) -> bool:
        return self._max_pieces is not None and len(ids) > self._max_pieces
