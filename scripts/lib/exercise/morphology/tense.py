"""The tenses."""

from __future__ import annotations

from enum import Enum


class Tense(Enum):
    """English tense; the German one is Präsens, Präteritum, Perfekt, Plusquamperfekt, Futur."""

    PRESENT = "present"
    PAST = "simple past"
    PERFECT = "present perfect"
    PLUPERFECT = "past perfect"
    FUTURE = "will"
