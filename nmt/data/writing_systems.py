"""What a text is written in: its scripts, and the language that some of them tell."""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Mapping

LANGUAGES = {
    "Hangul": "ko",
    "Thai": "th",
    "Greek": "el",
    "Hebrew": "he",
    "Georgian": "ka",
    "Armenian": "hy",
    "Khmer": "km",
    "Lao": "lo",
    "Sinhala": "si",
    "Tamil": "ta",
    "Telugu": "te",
    "Kannada": "kn",
    "Malayalam": "ml",
    "Gujarati": "gu",
}
"""Scripts in which next to all text is of one language. Han is Chinese where there is no kana."""

NAMES = {"Cjk": "Han", "Ideographic": "Han", "Katakana-Hiragana": "Katakana"}
"""What other words in the names of characters mean."""


def scripts_of(characters: Mapping[str, int]) -> dict[str, float]:
    """The share of each script in a text's letters, the most frequent first.

    Args:
        characters: How often the text has each character.
    """
    letters: Counter[str] = Counter()
    for character, count in characters.items():
        script = _script(character)
        if script is not None:
            letters[script] += count
    total = letters.total()
    return {script: count / total for script, count in letters.most_common()}


def shared_script(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """How much of two texts is written in the same scripts, from 0 to 1; see `scripts_of`."""
    return sum(min(share, other.get(script, 0.0)) for script, share in one.items())


def language_of_scripts(scripts: Mapping[str, float]) -> str | None:
    """The code of the language that is written so, where that leaves little doubt."""
    if not scripts:
        return None
    if scripts.get("Hiragana", 0.0) + scripts.get("Katakana", 0.0) > 0.1:
        return "ja"
    main, share = next(iter(scripts.items()))
    if share < 0.5:
        return None
    return "zh" if main == "Han" else LANGUAGES.get(main)


@functools.lru_cache(maxsize=1 << 16)
def _script(character: str) -> str | None:
    """The script of a letter, as the first word of its Unicode name has it; None for all that is no letter."""
    character = unicodedata.normalize("NFKC", character)[:1]  # letters of full and half width are letters like others
    if not character or unicodedata.category(character) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    word = unicodedata.name(character, "unknown").split()[0].title()
    return NAMES.get(word, word)
