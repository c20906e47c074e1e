"""Search for fonts that cover the characters of a text.

matplotlib includes DejaVu Sans, which covers Latin, Greek, Cyrillic, Arabic, Hebrew and other scripts, but none of
East or South Asia. For those, `find_families` searches the fonts of the system. Without such a font, an SVG leaves the
choice of the font to the program that shows it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

import matplotlib
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry, fontManager

from nmt.log import logger
from nmt.plots.canvas import ImageFormat

BASE_FAMILY = "DejaVu Sans"
VIEWER_FAMILY = "sans-serif"
"""Stands for the fonts of the program that shows an SVG."""
MAX_SHOWN_CHARACTERS = 5

# The first word of a character's Unicode name is its script, with these exceptions.
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

SHAPING_VERSION = (3, 11)
"""First version of matplotlib that joins letters and draws text from right to left."""
SHAPED_SCRIPTS = {
    *("Arabic", "Hebrew", "Syriac", "Thaana", "Nko", "Mongolian", "Devanagari", "Bengali", "Gurmukhi", "Gujarati"),
    *("Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar", "Khmer"),
}
"""Scripts whose letters change with their neighbours, or that run from right to left."""


def script_of(character: str) -> str:
    """Return the English name of a character's script, such as "Korean". Characters that are not letters: "symbols"."""
    if unicodedata.category(character)[0] not in "LM":
        return "symbols"
    first = unicodedata.name(character, "unknown").split(" ")[0]
    return SCRIPTS.get(first, first.capitalize())


class Fonts:
    """Selects fonts for several figures and warns at most once about each script."""

    def __init__(self) -> None:
        self._warned_scripts: set[str] = set()

    def families(self, texts: Iterable[str], *, format: ImageFormat) -> list[str]:
        """Return font families that cover the characters of `texts`, in order of preference.

        For an SVG, `VIEWER_FAMILY` is the last one if this machine has no font for some characters.
        """
        characters = {character for text in texts for character in text if character.isprintable()}
        families, missing = find_families(characters)
        if missing and format == "svg":
            return [*families, VIEWER_FAMILY]
        for script in sorted({script_of(character) for character in characters}):
            missing_of_script = sorted(character for character in missing if script_of(character) == script)
            if missing_of_script:
                self._warn_once(script, _missing_font(script, missing_of_script))
            elif script in SHAPED_SCRIPTS and matplotlib.__version_info__ < SHAPING_VERSION:
                self._warn_once(
                    script,
                    f"{script}: matplotlib {matplotlib.__version__} draws its letters separately, from left to right. "
                    "Write HTML instead (-o FILE.html), or install matplotlib 3.11.",
                )
        return families

    def _warn_once(self, script: str, text: str) -> None:
        if script not in self._warned_scripts:
            logger.warning("%s", text)
        self._warned_scripts.add(script)


def find_families(characters: set[str]) -> tuple[list[str], set[str]]:
    """Search the installed fonts for ones that cover `characters`.

    Returns:
        Font families in order of preference, and the characters that no font covers.
    """
    families = [BASE_FAMILY]
    missing = characters - _characters(font_manager.findfont(BASE_FAMILY))
    if missing:
        _add_new_fonts()
    candidates = sorted(fontManager.ttflist, key=_preference)
    while missing:
        best = max(candidates, key=lambda font: len(missing & _characters(font.fname)))
        covered = missing & _characters(best.fname)
        if not covered:
            break
        families.append(best.name)
        missing = missing - covered
    return families, missing


def _preference(font: FontEntry) -> tuple[bool, bool, bool, str]:
    """Return the sort key of fonts that cover the same characters: upright, regular and sans serif first."""
    return font.style != "normal", font.weight not in (400, "normal", "regular"), "Sans" not in font.name, font.name


def _add_new_fonts() -> None:
    """Add the fonts that were installed after matplotlib cached its list of fonts."""
    known = {font.fname for font in fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:
            try:
                fontManager.addfont(path)
            except Exception as error:  # FreeType raises various types for files that it cannot read
                logger.debug("%s: not a usable font: %s", path, error)


@cache
def _characters(path: str) -> frozenset[str]:
    """Return the characters that a font file covers."""
    try:
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()  # damaged, or deleted since matplotlib listed it


def _missing_font(script: str, characters: list[str]) -> str:
    shown = " ".join(characters[:MAX_SHOWN_CHARACTERS]) + (" ..." if len(characters) > MAX_SHOWN_CHARACTERS else "")
    if script == "symbols":
        font = "Noto Sans Symbols 2 or Noto Emoji"
    else:
        font = "Noto Sans CJK" if script in SANS_CJK else f"Noto Sans {script}"
    return (
        f"{script}: no installed font has {shown}. The picture shows boxes instead. Install a font such as {font}, "
        "or write SVG or HTML (-o FILE.svg, -o FILE.html), which use the fonts of the viewer."
    )
