"""Finds the items of a text that a translation must keep unchanged: tags, placeholders, addresses and emoji.

The mark of an access key is an item too, such as the `&` of `&File` and the `_` of `_File` in the labels of programs.

`--protect` and the quality flags use these patterns. The borders of items are ASCII: `%s` is found in `共有%s个文件`,
and an e-mail address ends before a Korean particle. A line is read once from left to right, so that hostile lines take
no longer than others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["tag", "placeholder", "url", "emoji", "access key"]


class ProtectedItem(NamedTuple):
    """An item of a text."""

    text: str
    kind: Kind
    start: int


# The letters of the Latin script beyond ASCII, which may follow an ASCII letter in an address.
LATIN = "À-ÖØ-öø-ɏ\u0300-\u036fḀ-ỿ"
MAIL = rf"A-Za-z0-9{LATIN}"
# Addresses in Greek or Cyrillic letters are found if both sides of the @ are.
URL = (
    r"(?P<address>(?:https?|ftps?|sftp|wss?|git|ssh|file)://|(?<![A-Za-z0-9_.])www\.(?=[A-Za-z0-9]))"
    rf"|(?P<mail>(?<![{MAIL}_.+-])[{MAIL}_.+-]{{1,64}}@[{MAIL}-]+(?:\.[{MAIL}-]+)+"
    r"|(?<!\w)[\u0370-\u052f0-9_.+-]{1,64}@[\u0370-\u052f0-9-]+(?:\.[\u0370-\u052f0-9-]+)+)"
)

ATTRIBUTE = r"""\s+[^\s"'<>=]+(?:\s*=\s*(?:"[^"<]*"|'[^'<]*'|[^\s"'<>]+))?"""
TAG = (
    r"<!--[^<>]*-->|<[%?][^<>]*[%?]>"
    rf"|<[A-Za-z][\w:.-]*(?:{ATTRIBUTE})*\s*/?>|</?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>|</?[0-9]{{1,4}}\s*/?>"
    r"|&(?:amp;)*lt;/?(?:[A-Za-z][A-Za-z0-9:._-]*(?:\s(?:(?!&(?:amp;)*[lg]t;)[^<>])*)?|[0-9]{1,4})\s*/?&(?:amp;)*gt;"
)

# A format such as %s, %-5.2lf or %1$s. A plain one such as %d may have the letters of a unit after it, as in %dms.
FLAGS_AND_WIDTH = r"[-+0#']{0,4}(?:[0-9]{1,4}|\*(?:[0-9]{1,2}\$)?)?(?:\.(?:[0-9]{1,3}|\*)?)?"
CONVERSION = "[diouxXeEfFgGaAcCsSpnrmu@]"
UNIT = "(?=(?:[kKMGTP]?i?[Bb]|ms|s|m|h|x|px|pt|em|th|K|M|G)?(?![A-Za-z0-9_]))"
# No placeholder begins right after a number (50%), unless the number belongs to another placeholder (%1%2).
NOT_PERCENTAGE = "(?:(?<![0-9])|(?<=%[0-9])|(?<=%[0-9]{2})|(?<=%L[0-9]))"
PERCENT = (
    r"%\([^()]{1,80}\)[-+ 0#]{0,4}[0-9]*(?:\.[0-9]+)?[A-Za-z]"
    r"|%[-+0#]?[0-9]{0,3}<[A-Za-z]\w{0,40}>(?:[-+0#]?[0-9]{0,3}(?:\.[0-9]{1,3})?[diouxXeEfgGcs](?![A-Za-z0-9_]))?"
    r"|%[A-Za-z_][A-Za-z0-9_.-]{1,60}%(?![A-Za-z0-9%(])"
    rf"|{NOT_PERCENTAGE}%[0-9]{{1,2}}\${FLAGS_AND_WIDTH}(?:hh|h|ll|l|q|L|j|z|t)?[A-Za-z@](?:%%)?"
    rf"|{NOT_PERCENTAGE}%{FLAGS_AND_WIDTH}(?:hh|h|ll|l|q|L|j|z|Z|t|I64|I32)?{CONVERSION}{UNIT}(?:%%)?"
    rf"|{NOT_PERCENTAGE}%[A-Za-z](?![A-Za-z0-9_])(?:%%)?"
    rf"|{NOT_PERCENTAGE}%L?[0-9]{{1,2}}(?:%(?![A-Za-z0-9%(]))?(?![A-Za-z0-9_])"
    r"|(?:%%)+"
)
NAME = r"[\w.\[\]()'\"]{1,60}"
FORMAT_SPEC = r"(?:![rsa])?(?::(?:[^{}]|\{\w{0,40}\}){0,40})?"
BRACES = (
    r"\{\{\{[^{}]{0,80}\}\}\}|\{\{[^{}]{0,80}\}\}|\{%[^{}]{0,120}%\}|[$%#@]?\{[^{}\s]{0,80}\}"
    rf"|[$%#@]?\{{ ?[$-]?(?:{NAME}(?: ?[-+*/%|] ?{NAME}){{0,4}})?{FORMAT_SPEC} ?\}}"
    r"|\$t\([^()]{1,80}\)"
)
ENTITY = r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});"
# A name after a colon, as frameworks for websites write it. Only well-known names, and names that no word looks like:
# some people write a space before a colon and none after it.
COLON_NAMES = (
    "attributes?|values?|min|max|size|count|names?|date|time|format|digits|decimal|seconds|minutes|hours|days|users?"
    "|username|email|number|total|amount|title|url|link|files?|filename|path|type|key|id|code|version|field|model"
)
NO_WORD_BEFORE = r"""(?<![^\s(\[{>"'«„“‘])"""
COLON = (
    rf"{NO_WORD_BEFORE}:(?:(?:{COLON_NAMES}|{COLON_NAMES.title()}|{COLON_NAMES.upper()}|[a-z][a-z0-9]*_[a-z0-9_]+|[a-z]+[0-9]{{1,2}})"
    r"(?![A-Za-z0-9_:-])|[a-z0-9_+-]{2,40}:(?![A-Za-z0-9]))"
)
# In Chinese, Japanese and Korean programs the access key follows the label: 文件(&F).
KEY_IN_BRACKETS = r"\([&_][A-Za-z0-9]\)"
UNDERSCORED = r"(?<![A-Za-z0-9_])__[A-Za-z][A-Za-z0-9_]{0,80}__(?![A-Za-z0-9_])"
# The start of an ICU message argument with a format, which may contain further arguments.
ICU = (
    r"\{\s{0,8}\w{1,60}\s{0,8},\s{0,8}"
    r"(?:plural|selectordinal|select|number|date|time|duration|ordinal|spellout|choice|list)\s{0,8}[,}]"
)
# Characters that are emoji alone or before a variation selector, flags, key caps, and sequences with joiners.
PICTURE = (
    r"(?:[\u231a\u231b\u23e9-\u23f3\u23f8-\u23fa\u25fd\u25fe\u2600-\u2775\u2794-\u27bf\u2b1b\u2b1c\u2b50\u2b55"
    r"\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a\U0001f201-\U0001f251\U0001f300-\U0001faff]"
    r"|[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f100-\U0001f1e5](?=\ufe0f))"
    r"\ufe0f?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]{0,16}"
)
EMOJI = rf"(?:(?:{PICTURE})(?:\u200d(?:{PICTURE})){{0,8}}|[\U0001f1e6-\U0001f1ff]{{2}}|(?<![0-9])[0-9#*]\ufe0f?\u20e3)+"
# The mark of an access key before a letter, at the start of a word or within it. See _is_access_key.
ACCESS_KEY = r"(?<![&_])[&_](?=[^\W\d_])"
MAX_LABEL = 100
"""Length of the longest text that may be the label of a program with an access key."""
SHORT_PART = 2
"""Letters of one part of a word with an access key within it: E&xit, but not cut&paste."""
PROTECTED = (
    f"{URL}|(?P<tag>{TAG})|(?P<icu>{ICU})"
    f"|(?P<placeholder>{BRACES}|{PERCENT}|{ENTITY}|{UNDERSCORED}|{COLON}|{KEY_IN_BRACKETS})"
    f"|(?P<emoji>{EMOJI})|(?P<access_key>{ACCESS_KEY})"
)
SIGNS = re.compile(
    r"[%&:<@_{$\u00a9\u00ae\u203c\u2049\u20e3\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001ffff]|www\."
)
"""Every item has one of these. The pattern of the items, which takes long to compile, reads only texts with one."""
WORD_BEFORE, WORD_AFTER = re.compile(r"[^\W\d_]*\Z"), re.compile(r"[^\W\d_]*")

# These patterns are compiled when an address is found.
# Without brackets: an address ends before a bracket that it does not open.
ADDRESS_RUN = rf"(?:[!#-%'*-;=?-Z^_a-z|~{LATIN}]|&(?!(?:amp;)*(?:quot|lt|gt|apos|nbsp|#[0-9]{{1,5}});))+"
# A letter or mark of any script but Latin.
FOREIGN_RUN = (
    r"(?:(?![\x00-\x7f\u0964\u0965\u104a\u104b])[\w\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0dff"
    r"\u0e31-\u0e4e\u0eb1-\u0ecd\u1000-\u109f\u1780-\u17d3\u200c\u200d]){1,400}"
)
# Scripts without spaces between words, and Hangul with its particles: the sentence may continue right after an address.
HAN = "\u2e80-\u2fdf\u3005-\u3007\u3031-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
UNSPACED = f"[{HAN}\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\ua960-\ua97f\uac00-\ud7ff]"
IDEOGRAPH = f"[{HAN}]"
TITLE_BEFORE = re.compile(r"/(?:wiki|w|item|tags?|category|topic|search|hashtag|title|baike)/$")
ADDRESS_AFTER = re.compile(r"[/._?#=&-][A-Za-z0-9%]")
URL_PUNCTUATION = ".,;:!?'’…*_~([{"
OPENING = {")": "(", "]": "[", "}": "{"}


def find_protected(text: str) -> list[ProtectedItem]:
    """Return the items of a text that must be unchanged in its translation, in order."""
    items: list[ProtectedItem] = []
    if SIGNS.search(text) is None:
        return items
    protected = re.compile(PROTECTED)
    braces: dict[int, int] | None = None
    position = 0
    while (match := protected.search(text, position)) is not None:
        start, position = match.span()
        if match["icu"] is not None:
            braces = matching_braces(text) if braces is None else braces
            if start not in braces:
                position = start + 1
                continue
            position = braces[start]
        elif match["address"] is not None:
            end = _address_end(text, position)
            if end == position:
                continue
            position = end
        elif match["access_key"] is not None and not _is_access_key(text, start):
            continue
        items.append(ProtectedItem(text[start:position], _kind(match), start))
    return items if _has_one_mark(text, items) else [item for item in items if item.kind != "access key"]


def without_protected(text: str) -> str:
    """Return a text without its items, which are in no language."""
    parts, end = [], 0
    for item in find_protected(text):
        parts.append(text[end : item.start])
        end = item.start + len(item.text)
    return " ".join([*parts, text[end:]])


def _has_one_mark(text: str, items: Sequence[ProtectedItem]) -> bool:
    """Return whether the text beside its other items has no mark but the one of an access key. A label has only one."""
    keys = [item for item in items if item.kind == "access key"]
    others = sum(item.text.count(keys[0].text) for item in items if item.kind != "access key") if keys else 0
    return not keys or (len(keys) == 1 and text.count(keys[0].text) == 1 + others)


def _kind(match: re.Match[str]) -> Kind:
    if match["address"] or match["mail"]:
        return "url"
    if match["access_key"]:
        return "access key"
    return "tag" if match["tag"] else "emoji" if match["emoji"] else "placeholder"


def _is_access_key(text: str, place: int) -> bool:
    """Return whether the mark at a place is one of an access key: `&File`, `_File`, `E&xit`, but not `R&D` or `a_b`."""
    if len(text) > MAX_LABEL:
        return False
    before, after = text[:place], text[place + 1 :]
    if not before or before[-1].isspace() or before[-1] in "([{>\"'«„“‘":
        return True
    left, right = WORD_BEFORE.search(before), WORD_AFTER.match(after)
    if text[place] == "_" or left is None or right is None or not after[0].islower():
        return False
    sizes = len(left[0]), len(right[0])
    return 0 < min(sizes) <= SHORT_PART < max(sizes)


def matching_braces(text: str) -> dict[int, int]:
    """Return where the argument of each opening brace ends, as ICU reads a message: an apostrophe quotes braces."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "{":
            opened.append(position)
        elif character == "}" and opened:
            ends[opened.pop()] = position + 1
        elif character == "'" and text[position + 1 : position + 2] in ("{", "}"):
            # The quotation must end soon: otherwise the apostrophe is one of the text.
            closed = text.find("'", position + 2, position + 82)
            position = max(position, closed)
        position += 1
    return ends


def _address_end(text: str, begin: int) -> int:
    """Return where an address ends whose scheme, or `www.`, ends at `begin`; `begin` if nothing follows."""
    position = begin
    opened: list[str] = []
    while position < len(text):
        character = text[position]
        if character in "([{":
            opened.append(character)
            position += 1
        elif opened and opened[-1] == OPENING.get(character):
            opened.pop()
            position += 1
        else:
            run = re.compile(ADDRESS_RUN).match(text, position)
            if run is None:
                run = re.compile(FOREIGN_RUN).match(text, position)
                if run is None or not _continues(text, begin, position, run.end()):
                    break
            position = run.end()
    while position > begin and text[position - 1] in URL_PUNCTUATION:
        position -= 1
    return position


def _continues(text: str, begin: int, position: int, end: int) -> bool:
    """Return whether the letters between `position` and `end` belong to an address whose host starts at `begin`.

    Letters of other scripts are part of an address at the start of its host, or of a part of its path. In scripts
    without spaces that is ambiguous, because a sentence may continue after the last slash.
    """
    before = text[position - 1]
    if position == begin:
        return text[begin - 1] == "/"
    if before in ".-" and not text[position - 2].isascii():
        return True
    if before not in "/=_#(%~&+-":
        return False
    if before != "/" or not re.compile(UNSPACED).match(text, position):
        return True
    if TITLE_BEFORE.search(text, max(begin - 1, position - 12), position) or ADDRESS_AFTER.match(text, end):
        return True
    deep = "/" in text[max(begin, position - 200) : position - 1]
    return (
        deep and re.compile(IDEOGRAPH).match(text, position) is not None and (end == len(text) or text[end].isspace())
    )
