"""Fonts that have the characters of a text, whatever its script.

matplotlib brings DejaVu Sans, which has Latin, Greek, Cyrillic, Arabic, Hebrew and others, but nothing of East and
South Asia. For the rest, all fonts of the system are looked through.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

import matplotlib
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry, fontManager

from nmt.log import logger

BASE_FAMILY = "DejaVu Sans"
SHOWN_CHARACTERS = 5

# The first word of a character's Unicode name is its script, but for these.
SCRIPTS = {
    "CJK": "Chinese characters",
    "IDEOGRAPHIC": "Chinese characters",
    "FULLWIDTH": "Chinese characters",
    "HALFWIDTH": "Japanese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "KATAKANA-HIRAGANA": "Japanese",
    "HANGUL": "Korean",
}
SANS_CJK = {"Chinese characters", "Japanese", "Korean"}

# Scripts whose letters change with their neighbours, or that run from right to left: matplotlib sets them so from 3.11.
SHAPED_SINCE = (3, 11)
SHAPED = {
    *("Arabic", "Hebrew", "Syriac", "Thaana", "Nko", "Mongolian", "Devanagari", "Bengali", "Gurmukhi", "Gujarati"),
    *("Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar", "Khmer"),
}


def script_of(character: str) -> str:
    """Return the script of a character in English, such as "Korean"; "symbols" for all that are no letters."""
    if unicodedata.category(character)[0] not in "LM":
        return "symbols"
    first = unicodedata.name(character, "unknown").split(" ")[0]
    return SCRIPTS.get(first, first.capitalize())


class Fonts:
    """Finds the fonts for each picture, and warns about each script once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def families(self, texts: Iterable[str]) -> list[str]:
        """Return the families that have the characters of `texts`, in the order to try them."""
        wanted = {character for text in texts for character in text if character.isprintable()}
        families, missing = find_families(wanted)
        for script in sorted({script_of(character) for character in wanted}):
            lost = sorted(character for character in missing if script_of(character) == script)
            if lost:
                self._tell(script, _without_font(script, lost))
            elif script in SHAPED and matplotlib.__version_info__ < SHAPED_SINCE:
                self._tell(
                    script,
                    f"{script}: matplotlib {matplotlib.__version__} sets its letters one by one from left to right. "
                    "Version 3.11 and HTML (-o FILE.html) show them as they are written.",
                )
        return families

    def _tell(self, script: str, text: str) -> None:
        if script not in self._told:
            logger.warning("%s", text)
        self._told.add(script)


def find_families(characters: set[str]) -> tuple[list[str], set[str]]:
    """Look for fonts that have all `characters`.

    Returns:
        Families in the order to try them, and the characters that no font has.
    """
    families = [BASE_FAMILY]
    missing = characters - _characters(font_manager.findfont(BASE_FAMILY))
    if missing:
        _notice_new_fonts()
    candidates = sorted(fontManager.ttflist, key=_preference)
    while missing:
        best = max(candidates, key=lambda font: len(missing & _characters(font.fname)))
        found = missing & _characters(best.fname)
        if not found:
            break
        families.append(best.name)
        missing = missing - found
    return families, missing


def _preference(font: FontEntry) -> tuple[bool, bool, bool, str]:
    """Of fonts that have the same characters the first is taken: upright, regular, without serifs."""
    return font.style != "normal", font.weight not in (400, "normal", "regular"), "Sans" not in font.name, font.name


def _notice_new_fonts() -> None:
    """Add fonts that were installed after matplotlib made its list of them, which it keeps for good."""
    known = {font.fname for font in fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:
            try:
                fontManager.addfont(path)
            except Exception as error:  # any that FreeType cannot read, each in its own way
                logger.debug("%s: not a font that can be used: %s", path, error)


@cache
def _characters(path: str) -> frozenset[str]:
    """Return the characters that a font file has."""
    try:
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()  # deleted since the list was made, or damaged


def _without_font(script: str, characters: list[str]) -> str:
    shown = " ".join(characters[:SHOWN_CHARACTERS]) + (" ..." if len(characters) > SHOWN_CHARACTERS else "")
    if script == "symbols":
        font = "Noto Sans Symbols 2 or Noto Emoji"
    else:
        font = "Noto Sans CJK" if script in SANS_CJK else f"Noto Sans {script}"
    return (
        f"{script}: no font of this system has {shown}: boxes stand for them. Install one, such as {font}, or write "
        "HTML (-o FILE.html), which takes the fonts of the browser."
    )
