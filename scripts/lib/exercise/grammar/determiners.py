"""What stands before a noun: articles and their like, adjectives and ordinal numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from exercise.grammar.words import Leaf
from exercise.lexicon.adjectives import Adjective
from exercise.morphology import german as german_forms
from exercise.morphology.german import Case, Gender
from exercise.morphology.numerals import english_ordinal, german_ordinal


class Declension(Enum):
    """Which endings an adjective takes after a determiner."""

    WEAK = german_forms.WEAK
    MIXED = german_forms.MIXED
    STRONG = german_forms.STRONG


@dataclass(frozen=True)
class Determiner:
    """An article or what stands in its place.

    Attributes:
        singular: English before a singular; `a` becomes `an` where it must.
        plural: English before a plural.
        stem: German stem, or "" for no word at all; the definite article has a table of its own.
        endings: Table of the German endings, or of the whole words if there is no stem.
        declension: Endings of adjectives behind it.
        definite: See `Nominal`.
    """

    singular: str
    plural: str
    stem: str
    endings: german_forms.Table | None
    declension: Declension
    definite: bool

    def german(self, case: Case, gender: Gender, plural: bool) -> str:
        return "" if self.endings is None else self.stem + german_forms.cell(self.endings, case, gender, plural)


def _ein_word(singular: str, plural: str, stem: str, definite: bool) -> Determiner:
    return Determiner(singular, plural, stem, german_forms.EIN_ENDINGS, Declension.MIXED, definite)


def _dieser_word(singular: str, plural: str, stem: str) -> Determiner:
    return Determiner(singular, plural, stem, german_forms.DIESER_ENDINGS, Declension.WEAK, True)


THE = Determiner("the", "the", "", german_forms.DEFINITE, Declension.WEAK, True)
A = _ein_word("a", "", "ein", False)
NO = _ein_word("no", "no", "kein", False)
ANY = _ein_word("a", "any", "kein", False)  # under a negated verb, whose *not* belongs to it; mass nouns: *any*
BARE = Determiner("", "", "", None, Declension.STRONG, False)
THIS = _dieser_word("this", "these", "dies")
EVERY = _dieser_word("every", "", "jed")
WHICH = _dieser_word("which", "which", "welch")
SOME = Determiner("", "some", "einig", german_forms.STRONG, Declension.STRONG, False)
MANY = Determiner("", "many", "viel", german_forms.STRONG, Declension.STRONG, False)
POSSESSIVES = {
    "my": _ein_word("my", "my", "mein", True),
    "your": _ein_word("your", "your", "dein", True),
    "his": _ein_word("his", "his", "sein", True),
    "her": _ein_word("her", "her", "ihr", True),
    "our": _ein_word("our", "our", "unser", True),
    "their": _ein_word("their", "their", "ihr", True),
}


# ----------------------------------------------------------------------------------------- adjectives and numbers


class Degree(Enum):
    """Index of the forms of an adjective."""

    POSITIVE = 0
    COMPARATIVE = 1
    SUPERLATIVE = 2


class Attribute(NamedTuple):
    """An adjective or ordinal number in front of a noun."""

    english: str
    stem: str
    leaf: Leaf


def attribute(adjective: Adjective, degree: Degree) -> Attribute:
    """An adjective in front of a noun."""
    stem = adjective.stem if degree is Degree.POSITIVE else adjective.german[degree.value]
    return Attribute(adjective.english[degree.value], stem, Leaf())


def ordinal(number: int) -> Attribute:
    """An ordinal number in front of a noun."""
    return Attribute(english_ordinal(number), german_ordinal(number), Leaf())
