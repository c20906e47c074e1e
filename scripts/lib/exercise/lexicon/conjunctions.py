"""Subordinating conjunctions and the tenses that go with them."""

from __future__ import annotations

from typing import NamedTuple

from exercise.morphology.tense import Tense


class Conjunction(NamedTuple):
    """A conjunction.

    Attributes:
        english: In English.
        german: In German.
        comma: Whether English has a comma before it.
        happening: Whether only something that happens makes sense behind it.
        tenses: The pairs of tenses it can join: main clause, subordinate clause.
    """

    english: str
    german: str
    comma: bool
    happening: bool
    tenses: tuple[tuple[Tense, Tense], ...]


_PRESENT, _PAST = (Tense.PRESENT, Tense.PRESENT), (Tense.PAST, Tense.PAST)
_FUTURE, _PERFECT = (Tense.FUTURE, Tense.PRESENT), (Tense.PERFECT, Tense.PRESENT)
CONJUNCTIONS = (
    Conjunction("because", "weil", False, False, (_PRESENT, _PAST, _FUTURE, _PERFECT, (Tense.PRESENT, Tense.PERFECT))),
    Conjunction("although", "obwohl", True, False, (_PRESENT, _PAST, _FUTURE, _PERFECT)),
    Conjunction("if", "wenn", False, False, (_PRESENT, _FUTURE)),
    Conjunction("when", "wenn", False, True, (_PRESENT, _FUTURE)),
    Conjunction("when", "als", False, True, (_PAST,)),
    Conjunction("while", "während", False, True, (_PRESENT, _PAST)),
    Conjunction("before", "bevor", False, True, (_PRESENT, _PAST, _FUTURE)),
    Conjunction("after", "nachdem", False, True, ((Tense.PAST, Tense.PLUPERFECT), (Tense.PRESENT, Tense.PERFECT))),
    Conjunction("as soon as", "sobald", False, True, (_PRESENT, _PAST, _FUTURE)),
)
"""Those that may also begin the sentence."""

UNTIL = Conjunction("until", "bis", False, True, (_PRESENT, _PAST))
SO_THAT = Conjunction("so that", "damit", False, True, (_PRESENT, _PAST))
