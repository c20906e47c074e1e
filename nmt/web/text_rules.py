"""The rules of text that the JavaScript engine shares with Python: classes of characters, patterns and abbreviations.

Every rule is declared in `nmt.data.text_form` or `nmt.inference.segmentation`, and only converted here.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from nmt.data import text_form
from nmt.inference import segmentation

PLANES = (range(0x20000), range(0x30000, 0x32400), range(0xE0000, 0xE1000))
"""Code points that have letters, marks and signs. The others are ideographs, or have no characters."""


@functools.cache
def text_rules() -> dict[str, Any]:
    """Return all rules, serializable as JSON."""
    return {
        "classes": {
            "space": character_class(str.isspace),
            "invisible": character_class(lambda each: each.isspace() or unicodedata.category(each) in ("Cc", "Cf")),
            "word": character_class(str.isalnum) + "\U00020000-\U0002ffff",
            "joining": character_class(text_form.joins),
            "words_without_spaces": _named(text_form.WORDS_WITHOUT_SPACES),
            "mongolian": _named({"MONGOLIAN"}),
            "hebrew": _named({"HEBREW"}),
            "right_to_left": character_class(lambda each: unicodedata.bidirectional(each) in ("R", "AL")),
            "ignorable": text_form.IGNORABLE,
            "direction_marks": text_form.DIRECTION_MARKS,
            "variation_selectors": text_form.VARIATION_SELECTORS,
            "letter_like": text_form.LETTER_LIKE,
            "line_spaces": text_form.LINE_SPACES,
        },
        "marks": _escaped(text_form.combining_marks()),
        "spaces_to_read": {chr(code): value for code, value in text_form.spaces_to_read("").items()},
        "patterns": {
            "controls": javascript_pattern(segmentation.CONTROLS),
            "breaks": list(map(javascript_pattern, segmentation.BREAKS)),
            "sentence_ends": javascript_pattern(segmentation.SENTENCE_ENDS),
            "consonants": javascript_pattern(segmentation.CONSONANTS),
            "initials": javascript_pattern(segmentation.INITIALS),
            "number_or_bracket": javascript_pattern(segmentation.NUMBER_OR_BRACKET),
        },
        "opening": list(segmentation.OPENING),
        "quoted": segmentation.QUOTED,
        "abbreviations": sorted(segmentation.ABBREVIATIONS),
        "before_numbers": sorted(segmentation.BEFORE_NUMBERS),
        "sizes": {
            "longest_word": segmentation.LONGEST_WORD,
            "short_word": segmentation.SHORT_WORD,
            "capitals": segmentation.CAPITALS,
        },
    }


def character_class(holds: Callable[[str], bool]) -> str:
    """Return the inside of a character class of the characters for which `holds` is true."""
    ranges: list[list[int]] = []
    for plane in PLANES:
        for number in plane:
            if 0xD800 <= number < 0xE000 or not holds(chr(number)):
                continue
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
    pairs = (tuple(_escaped(chr(number)) for number in dict.fromkeys(each)) for each in ranges)
    return "".join(map("-".join, pairs))


def javascript_pattern(pattern: re.Pattern[str]) -> str:
    """Return a pattern in the syntax of JavaScript, for the flag `u`, with the character classes of Python."""
    space = character_class(str.isspace)
    text = pattern.pattern.replace("(?P<", "(?<").replace("\\s", f"[{space}]")
    return text.replace("[^\\W\\d]", "[\\p{L}\\p{Nl}\\p{No}_]").replace("\\d", "\\p{Nd}")


def _named(first_words: set[str] | frozenset[str]) -> str:
    return character_class(lambda each: text_form.first_name(each) in first_words)


def _escaped(characters: str) -> str:
    return re.sub(r"[\\\]\[^-]", lambda match: "\\" + match.group(), characters)
