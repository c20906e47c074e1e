"""Identifies the language of a text among those that the server translates."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nmt.data.languages import find_language
from nmt.data.writing_systems import SCRIPT_BY_CODE, characters_of, scripts_of

LONGEST_TEXT = 2_000
"""Characters that are looked at."""

MIXED = {
    "Jpan": ("Hiragana", "Katakana", "Han"),
    "Kore": ("Hangul",),
    **dict.fromkeys(("Hani", "Hans", "Hant"), ("Han",)),
}
"""Names of the scripts in which a language is written, if they are several."""


class Detection(NamedTuple):
    """A language that a text may be in."""

    language: str
    """Code of the language."""
    confidence: float
    """Between 0 and 100."""


class LanguageDetector:
    """Identifies languages by py3langid, and by the script for languages that it does not know.

    The identifier is loaded with the first text that needs it: one that may be in several languages.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        """Take the codes of the languages, at least one."""
        self._codes = list(codes)
        self._identifier: Any = None
        self._lock = threading.Lock()

    def detect(self, text: str) -> list[Detection]:
        """Return the languages by descending confidence. A text without letters gets equal confidences."""
        text = text[:LONGEST_TEXT]
        scripts = scripts_of(characters_of([text]))
        shares = {code: _share(scripts, find_language(code).script) for code in self._codes}
        possible = [code for code in self._codes if shares[code] > 0] or self._codes
        if len(possible) == 1:
            confidence = 100 * shares[possible[0]]
            return [Detection(possible[0], round(confidence, 1))]
        with self._lock:
            probabilities = self._probabilities(text, possible)
        ranked = sorted(probabilities.items(), key=lambda item: -item[1])
        return [Detection(code, round(100 * probability, 1)) for code, probability in ranked]

    def _probabilities(self, text: str, codes: list[str]) -> dict[str, float]:
        """Return the probability of each of `codes`; they sum to 1, unless the identifier knows none of them."""
        if self._identifier is None:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier  # takes 0.1 s

            self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            known = set(self._identifier.labels)
            self._identifier.set_languages([code for code in self._codes if code in known] or None)
        ranked = {str(code): float(probability) for code, probability in self._identifier.rank(text)}
        total = sum(ranked.get(code, 0.0) for code in codes)
        return {code: ranked.get(code, 0.0) / total if total else 1 / len(codes) for code in codes}


def _share(scripts: Mapping[str, float], script: str) -> float:
    """Return the share of the letters of a text that are in a script, given by its code."""
    known = SCRIPT_BY_CODE.get(script)
    names = MIXED.get(script) or ((known.name,) if known else ())
    return min(1.0, sum(scripts.get(name, 0.0) for name in names))
