"""One definition of a word, and one of equal texts, for terms, constraints, flags, duplicates and overlaps.

A word is a run of letters, digits, marks and underscores. Combining marks belong to their word, in every script. In
scripts without spaces between words the borders of words are invisible, so a phrase is found anywhere. The same holds
for Hangul, because Korean attaches endings to words.

Two texts are equal if they are canonically equal (Unicode normalization form C): a composed letter equals its
decomposition. Characters that nobody sees, such as a soft hyphen or a mark of direction, do not count. Compatibility
forms, such as a superscript and a digit, are different texts.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

from nmt.data.text_form import IGNORABLE, LETTER_LIKE, normalize
from nmt.data.writing_systems import SCRIPTS

# Scripts whose words have no visible borders, or take endings (Hangul), by the first word of their characters' names.
# In Tibetan, a mark separates syllables.
NO_BORDERS = (
    *("CJK", "HANGUL"),
    *(script.name.upper() for script in SCRIPTS if script.own_letters and not script.spaced and script.code != "Tibt"),
)
JOINERS = "\u200c\u200d"
"""Zero-width joiner and non-joiner, which are part of words in Persian and in scripts of India."""

SPACING_MARKS = "\u0e33\u0eb3"
"""Vowels of Thai and Lao that continue a syllable, although Unicode counts them as letters."""

_UNSEEN = re.compile(f"(?![{JOINERS}{LETTER_LIKE}])[{IGNORABLE}]")
"""Invisible characters without which a text looks the same. Joiners change the letters beside them."""


def canonical(text: str) -> str:
    """Return the canonical form of a text (NFC). Equal texts have the same form."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def comparable(text: str) -> str:
    """Return the form in which lines are compared.

    It is canonical, without invisible characters except needed joiners, and has its words joined by single spaces.
    """
    return " ".join(_seen(text).split())


def _seen(text: str) -> str:
    """Return the canonical form of what is seen of a text."""
    return normalize(text if text.isascii() else _UNSEEN.sub("", text))


@functools.lru_cache(maxsize=1 << 16)
def is_word(character: str) -> bool:
    """Return whether a character is part of a word that has visible borders."""
    if character.isascii():
        return character.isalnum() or character == "_"
    if not (character.isalnum() or character in JOINERS or unicodedata.category(character).startswith("M")):
        return False
    return not unicodedata.name(character, "").startswith(NO_BORDERS)


def splits_word(before: str, after: str) -> bool:
    """Return whether there is no border between two adjacent characters: within a word, or before a combining mark."""
    return (is_word(before) and is_word(after)) or is_mark(after)


def is_mark(character: str) -> bool:
    """Return whether a character belongs to the letter before it, in every script."""
    return character in SPACING_MARKS or unicodedata.category(character).startswith("M")


def word_units(text: str) -> list[str]:
    """Split a text at the borders of words: words, single other characters, and a space for each white space.

    Characters of scripts without visible borders are units of their own, with their marks.
    """
    units: list[str] = []
    before = " "
    for character in canonical(text):
        if character.isspace():
            if before != " ":
                units.append(" ")
            before = " "
            continue
        if units and before != " " and splits_word(before, character):
            units[-1] += character
        else:
            units.append(character)
        before = character
    return units


class PhraseFinder:
    """Finds phrases in texts as whole words. Invisible characters do not count."""

    def __init__(self, phrases: Iterable[str]) -> None:
        """Index the phrases, none of them blank. Of two phrases that begin at the same place, the longer one counts."""
        self._by_first: dict[str, list[tuple[list[str], str]]] = {}
        for phrase in sorted(phrases, key=lambda phrase: (-len(phrase), phrase)):
            units = word_units(_seen(phrase).strip())
            self._by_first.setdefault(units[0], []).append((units, phrase))

    def find(self, text: str) -> list[str]:
        """Return the phrases in a text, in order, as they were given. Found phrases do not overlap."""
        units = word_units(_seen(text))
        found = []
        position = 0
        while position < len(units):
            for phrase, given in self._by_first.get(units[position], ()):
                if units[position : position + len(phrase)] == phrase:
                    found.append(given)
                    position += len(phrase) - 1
                    break
            position += 1
        return found
