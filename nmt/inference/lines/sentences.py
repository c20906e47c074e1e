"""Sentences in a line: a paragraph cut where its sentences end, by rules.

A cut in the wrong place harms a translation more than a missing one, so where the rules are in doubt nothing is cut.
"""

from __future__ import annotations

import re

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
