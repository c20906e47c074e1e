"""Writing systems (scripts): the facts about each one, and which ones a text is written in."""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nmt.data.lines import is_blank

UNKNOWN_SCRIPT = "Zyyy"
"""The ISO 15924 code for a script that is not determined."""


class Script(NamedTuple):
    """One writing system.

    Attributes:
        code: ISO 15924 code.
        name: First word of the Unicode names of its letters, in title case.
        language: Code of the language of nearly all text in this script, if there is one.
        spaced: Whether spaces separate words.
        separator: What is written between two sentences.
        own_letters: Whether the names of its letters begin with `name`. False for mixtures such as Japanese.
    """

    code: str
    name: str
    language: str | None = None
    spaced: bool = True
    separator: str = " "
    own_letters: bool = True


def _unspaced(
    code: str, name: str, language: str | None = None, *, separator: str = "", own_letters: bool = True
) -> Script:
    return Script(code, name, language, spaced=False, separator=separator, own_letters=own_letters)


SCRIPTS = (
    Script("Latn", "Latin"),
    Script("Cyrl", "Cyrillic"),
    Script("Grek", "Greek", "el"),
    Script("Armn", "Armenian", "hy"),
    Script("Geor", "Georgian", "ka"),
    Script("Hebr", "Hebrew", "he"),
    Script("Arab", "Arabic"),
    Script("Syrc", "Syriac"),
    Script("Thaa", "Thaana", "dv"),
    Script("Nkoo", "Nko"),
    Script("Tfng", "Tifinagh"),
    Script("Ethi", "Ethiopic"),
    Script("Deva", "Devanagari"),
    Script("Beng", "Bengali"),
    Script("Guru", "Gurmukhi", "pa"),
    Script("Gujr", "Gujarati", "gu"),
    Script("Orya", "Oriya", "or"),
    Script("Taml", "Tamil", "ta"),
    Script("Telu", "Telugu", "te"),
    Script("Knda", "Kannada", "kn"),
    Script("Mlym", "Malayalam", "ml"),
    Script("Sinh", "Sinhala", "si"),
    Script("Mtei", "Meetei", "mni"),
    Script("Olck", "Ol", "sat"),
    Script("Mong", "Mongolian", "mn"),
    Script("Cher", "Cherokee", "chr"),
    Script("Cans", "Canadian"),
    Script("Hang", "Hangul", "ko"),
    Script("Kore", "Korean", "ko", own_letters=False),
    _unspaced("Hani", "Han", "zh", own_letters=False),  # its letters are called CJK
    _unspaced("Hans", "Simplified Han", "zh", own_letters=False),
    _unspaced("Hant", "Traditional Han", "zh", own_letters=False),
    _unspaced("Bopo", "Bopomofo", "zh"),
    _unspaced("Hira", "Hiragana", "ja"),
    _unspaced("Kana", "Katakana", "ja"),
    _unspaced("Jpan", "Japanese", "ja", own_letters=False),
    _unspaced("Thai", "Thai", "th"),
    _unspaced("Laoo", "Lao", "lo"),
    _unspaced("Khmr", "Khmer", "km"),
    _unspaced("Mymr", "Myanmar"),
    _unspaced("Java", "Javanese"),
    _unspaced("Bali", "Balinese"),
    _unspaced("Tibt", "Tibetan", separator=" "),  # a space follows the mark that ends a clause or sentence
)
SCRIPT_BY_CODE = {script.code: script for script in SCRIPTS}
SCRIPT_BY_NAME = {script.name: script for script in SCRIPTS}

# First words of Unicode names that mean one of the scripts above.
OTHER_NAMES = {"Cjk": "Han", "Ideographic": "Han", "Katakana-Hiragana": "Katakana"}

KANA_SHARE = 0.1
"""Text with at least this share of kana among its letters is Japanese."""


def characters_of(lines: Iterable[str]) -> Counter[str]:
    """Count each character of some lines, without spaces and lone surrogates (bytes that are not UTF-8)."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    for character in [each for each in counts if is_blank(each) or "\ud800" <= each <= "\udfff"]:
        del counts[character]
    return counts


def scripts_of(characters: Mapping[str, int]) -> dict[str, float]:
    """Return the share of each script in the letters of a text, the most frequent script first.

    Args:
        characters: The count of each character of the text.

    Returns:
        Shares from 0 to 1 by the script's name (`Script.name`, or the Unicode name for scripts not in `SCRIPTS`).
    """
    letters: Counter[str] = Counter()
    for character, count in characters.items():
        script = _script(character)
        if script is not None:
            letters[script] += count
    total = letters.total()
    return {script: count / total for script, count in letters.most_common()}


def shared_script(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Return the overlap of two texts' script shares (see `scripts_of`), from 0 to 1."""
    return sum(min(share, other.get(script, 0.0)) for script, share in one.items())


def main_script(scripts: Mapping[str, float]) -> Script | None:
    """Return the script that most of a text is written in; None if no script has half of the letters.

    Args:
        scripts: Shares as `scripts_of` returns them.
    """
    if scripts.get("Hiragana", 0.0) + scripts.get("Katakana", 0.0) > KANA_SHARE:
        return SCRIPT_BY_CODE["Jpan"]
    name, share = next(iter(scripts.items()), ("", 0.0))
    return SCRIPT_BY_NAME.get(name) if share >= 0.5 else None


def language_of_scripts(scripts: Mapping[str, float]) -> str | None:
    """Return the code of the language that nearly all text in these scripts is in; None if there are several."""
    script = main_script(scripts)
    return None if script is None else script.language


@functools.lru_cache(maxsize=1 << 16)
def _script(character: str) -> str | None:
    """Return the script of a letter by the first word of its Unicode name; None for all other characters."""
    character = unicodedata.normalize("NFKC", character)[:1]  # full-width and half-width forms count as plain letters
    if not character or unicodedata.category(character) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    word = unicodedata.name(character, "unknown").split()[0].title()
    return OTHER_NAMES.get(word, word)
