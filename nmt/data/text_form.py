"""The form of text: canonical normalisation, invisible characters, and the spelling of a corpus.

Unicode has several spellings of the same text. A letter with an accent is one character or two, and the marks of a
letter may have different orders. Such spellings are canonically equivalent: they look the same and mean the same. The
subword model reads all of them in the form NFC. A target corpus may be written in another form throughout. It is
learned here, and translations are written in it.

Most invisible characters (Default_Ignorable_Code_Point of Unicode) are remains of typesetting, such as the soft hyphen.
Some scripts need some of them: Persian and the scripts of India need joiners, Khmer separates words by zero-width
spaces. The others are removed. Marks of direction beside right-to-left letters are kept. Other marks of direction are
kept if the target corpus has them.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nmt.small_files import parse_json

CanonicalForm = Literal["NFC", "NFD"]

IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Unicode's default-ignorable characters, as the inside of a character class."""
ZERO_WIDTH_SPACE, NON_JOINER, JOINER = "\u200b", "\u200c", "\u200d"
DIRECTION_MARKS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
VARIATION_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
LETTER_LIKE = "\u115f\u1160\u17b4\u17b5"
"""Ignorable characters that take the place of a letter or vowel in Hangul and Khmer."""
LINE_SPACES = "\t\x0b\x0c\x1c-\x1f\x85\u2028\u2029"
"""White space that separates columns, lines and pages. In a sentence it means a space."""
OTHER_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""White space of its own width or without a line break, such as the no-break space of French."""

NO_JOINERS = frozenset(
    (
        *("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "GEORGIAN", "HANGUL", "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO"),
        *("THAI", "LAO", "ETHIOPIC", "CHEROKEE", "COMBINING", "FULLWIDTH", "HALFWIDTH", "MODIFIER"),
    )
)
"""Scripts whose letters need no joiners, by the first words of their names."""
WORDS_WITHOUT_SPACES = frozenset(
    ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE", "BALINESE", "TAI", "CHAM", "SUNDANESE")
)
"""Scripts in which a zero-width space separates words, by the first words of the names of their characters."""
FLAG, KEYCAP = "\U0001f3f4", "\u20e3"

MAX_FORM_LINES = 50_000
"""Lines of a target corpus from which its canonical form is learned."""
MAX_SPELLINGS = 2_000
MIN_USUAL = 2 / 3
"""Share of a cluster's occurrences from which a spelling replaces the one of the corpus' form."""
MIN_MARKED = 0.001
"""Share of lines with marks of direction apart from right-to-left letters from which a corpus needs these marks."""
LAST_COMBINING = 0x1E94A
"""Last character with a combining class in Unicode 17."""

_IGNORABLE = re.compile(f"[{IGNORABLE}]")
_LINE_SPACES = re.compile(f"[{LINE_SPACES}]")
_TOKENS = re.compile(r"(\s+)")
_DIRECTION_MARKS = re.compile(f"[{DIRECTION_MARKS}]")
_VARIATION_SELECTORS = re.compile(f"[{VARIATION_SELECTORS}]")
_ZERO_WIDTH_SPACES = re.compile(f"{ZERO_WIDTH_SPACE}{{2,}}")


def normalize(line: str, *, all_marks: bool = False) -> str:
    """Return a line as the subword model reads it: in NFC, without needless invisible characters.

    Canonically equivalent lines give equal results. Each part between two spaces is changed independently of the rest.

    Args:
        line: The line.
        all_marks: Whether to keep marks of direction that are not beside right-to-left letters, except within words.
    """
    if line.isascii() and line.isprintable():
        return line
    line = unicodedata.normalize("NFC", plain_spaces(line))
    if not _IGNORABLE.search(line):
        return line
    return unicodedata.normalize("NFC", without_ignorable(line, all_marks=all_marks))


def plain_spaces(line: str) -> str:
    """Return a line with a space for each tab and other separator of lines and columns."""
    return _LINE_SPACES.sub(" ", line)


def single_zero_width_spaces(text: str) -> str:
    """Return a text with one zero-width space for each run of them."""
    return _ZERO_WIDTH_SPACES.sub(ZERO_WIDTH_SPACE, text)


def without_ignorable(line: str, *, all_marks: bool = False) -> str:
    """Remove the default-ignorable characters that the script does not need; see `normalize`."""
    if not _IGNORABLE.search(line):
        return line
    tokens = _TOKENS.split(line)
    return "".join(_clean_token(token, all_marks) if _IGNORABLE.search(token) else token for token in tokens)


def _clean_token(token: str, all_marks: bool) -> str:
    """Remove needless ignorable characters from a text without white space."""
    return single_zero_width_spaces(
        "".join(
            character
            for index, character in enumerate(token)
            if not _IGNORABLE.match(character)
            or (all_marks and _DIRECTION_MARKS.match(character) and not _within_word(token, index))
            or _needed(token, index)
        )
    )


def _within_word(token: str, index: int) -> bool:
    """Whether the visible characters around a place are letters or digits."""
    return _visible(token[:index][::-1]).isalnum() and _visible(token[index + 1 :]).isalnum()


def _needed(token: str, index: int) -> bool:
    """Whether the script around an ignorable character needs it."""
    character = token[index]
    before, after = _visible(token[:index][::-1]), _visible(token[index + 1 :])
    if character == ZERO_WIDTH_SPACE:
        return any(first_name(each) in WORDS_WITHOUT_SPACES for each in (before, after))
    if character in (NON_JOINER, JOINER):
        if character == JOINER and _is_symbol(before) and _is_symbol(after):
            return True  # a sequence of emoji
        return any(joins(each) for each in (before, after))
    if _DIRECTION_MARKS.match(character):
        return any(unicodedata.bidirectional(each) in ("R", "AL") for each in token if not _IGNORABLE.match(each))
    if _VARIATION_SELECTORS.match(character):
        return _takes_variation(before, after)
    if "\u180b" <= character <= "\u180f":
        return "MONGOLIAN" in (first_name(before), first_name(after))
    if character == "\u034f":
        return "HEBREW" in (first_name(before), first_name(after))
    if "\U000e0020" <= character <= "\U000e007f":
        return FLAG in token[:index]
    return character in LETTER_LIKE


def _visible(characters: str) -> str:
    """Return the first character that is not ignorable; empty if all are."""
    return next((each for each in characters if not _IGNORABLE.match(each)), "")


@functools.lru_cache(maxsize=1 << 14)
def first_name(character: str) -> str:
    """Return the first word of the Unicode name of a character, which is the script of a letter."""
    return unicodedata.name(character, " ").split(" ")[0] if character else ""


def joins(character: str) -> bool:
    """Return whether the script of a character needs joiners."""
    return bool(character) and unicodedata.category(character)[0] in "LM" and first_name(character) not in NO_JOINERS


def _is_symbol(character: str) -> bool:
    return bool(character) and unicodedata.category(character) in ("So", "Sk", "Sm", "Cn")


def _takes_variation(before: str, after: str) -> bool:
    """Whether a variation selector between two characters chooses a form of the first one."""
    if not before:
        return False
    category = unicodedata.category(before)
    return after == KEYCAP if category == "Nd" else category in ("So", "Sk", "Sm", "Po", "Lo", "Pd", "Cn")


@dataclass(frozen=True)
class TextForm:
    """The spelling of a target corpus among canonically equivalent ones.

    Attributes:
        form: NFC, or NFD for a corpus that is decomposed throughout.
        spelling: The corpus' own spelling of parts that it writes otherwise than `form`, such as composed letters that
            NFC excludes, or marks in another order.
        all_marks: Whether the corpus has marks of direction that are not beside right-to-left letters.
    """

    form: CanonicalForm = "NFC"
    spelling: Mapping[str, str] = field(default_factory=dict)
    all_marks: bool = False

    def write(self, text: str) -> str:
        """Return a text in this form."""
        if text.isascii():
            return text
        text = unicodedata.normalize(self.form, text)
        return self._pattern.sub(lambda match: self.spelling[match.group()], text) if self.spelling else text

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Whole clusters, or the marks of a cluster after its first character."""
        marks = f"[{re.escape(combining_marks())}]"
        clusters = [text for text in self.spelling if text[0] not in combining_marks()]
        tails = [text for text in self.spelling if text[0] in combining_marks()]
        return re.compile(f"(?:{_any_of(clusters)}|(?<!{marks}){_any_of(tails)})(?!{marks})")

    def dump(self) -> bytes:
        """Return this form as JSON. Its first key is always `form`."""
        value = {"form": self.form, "spelling": dict(self.spelling)}
        return json.dumps(value | ({"with_all_marks": True} if self.all_marks else {}), sort_keys=True).encode()

    @classmethod
    def load(cls, data: bytes) -> TextForm:
        """Read what `dump` returned.

        Raises:
            ValueError: It is damaged, or of a later version.
        """
        value = parse_json(data)
        if not isinstance(value, dict):
            raise ValueError("its form of text is damaged")
        all_marks = value.pop("with_all_marks", False)
        if value.get("form") not in ("NFC", "NFD") or set(value) != {"form", "spelling"}:
            raise ValueError("its form of text is unknown to this version")
        spelling = value["spelling"]
        if not isinstance(spelling, dict) or not all(key and isinstance(text, str) for key, text in spelling.items()):
            raise ValueError("its form of text is damaged")
        return cls(value["form"], spelling, all_marks is True)


def learn_form(lines: Iterable[str]) -> TextForm:
    """Return the form of a corpus, and the spellings that are far more frequent in it than those of that form.

    If a corpus mixes spellings of a letter, the form decides, so that translations are uniform.

    Args:
        lines: Text of the corpus, all of which is kept in memory.
    """
    texts, total, marked = [], 0, 0
    for line in lines:
        total += 1
        if not line.isascii():
            texts.append(without_ignorable(line))
            if _DIRECTION_MARKS.search(line):
                marked += without_ignorable(line, all_marks=True) != texts[-1]
    all_marks = marked > 0 and marked >= MIN_MARKED * total
    forms: Counter[CanonicalForm] = Counter()
    for text in texts:
        composed, decomposed = (unicodedata.is_normalized(form, text) for form in ("NFC", "NFD"))
        if composed != decomposed:
            forms["NFC" if composed else "NFD"] += 1
    form: CanonicalForm = "NFD" if forms["NFD"] > forms["NFC"] else "NFC"
    if all(unicodedata.is_normalized(form, text) for text in texts):
        return TextForm(form, all_marks=all_marks)
    clusters: Counter[str] = Counter()
    for text in texts:
        clusters.update(split_clusters(text))
    return TextForm(form, _spellings(clusters, form), all_marks)


def split_clusters(text: str) -> list[str]:
    """Return each character of a text with the marks after it that can combine with it canonically."""
    clusters: list[str] = _cluster().findall(text)
    return clusters


@functools.cache
def _cluster() -> re.Pattern[str]:
    return re.compile(f".[{re.escape(combining_marks())}]*", re.DOTALL)


def _spellings(clusters: Mapping[str, int], form: CanonicalForm) -> dict[str, str]:
    """Return the parts of clusters that are usually not in a form, each with its usual spelling.

    Args:
        clusters: The count of each character with the marks that follow it.
        form: The form.
    """
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for cluster, count in clusters.items():
        normal = unicodedata.normalize(form, cluster)
        found[normal][cluster] += count
        if len(normal) > 1:  # its marks alone, in the same order after other letters
            same = cluster[0] == normal[0] and len(cluster) > 1
            found[normal[1:]][cluster[1:] if same else normal[1:]] += count
    usual = {}
    for normal, spelled in found.items():
        text, count = max(sorted(spelled.items()), key=lambda item: item[1])
        usual[normal] = text if count >= MIN_USUAL * spelled.total() else normal

    def by_marks(normal: str) -> str:
        """Return the spelling of a cluster that follows from its marks alone."""
        return (
            normal
            if len(normal) == 1 or normal[0] in combining_marks()
            else normal[0] + usual.get(normal[1:], normal[1:])
        )

    other = [normal for normal, spelled in usual.items() if spelled != by_marks(normal)]
    frequent = sorted(other, key=lambda normal: (-found[normal].total(), normal))[:MAX_SPELLINGS]
    return {normal: usual[normal] for normal in sorted(frequent)}


@functools.cache
def combining_marks() -> str:
    """Return all characters that can combine canonically with the character before them."""
    marks = set(map(chr, (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))))  # vowels and final consonants of Hangul
    for number in range(LAST_COMBINING + 1):
        character = chr(number)
        if unicodedata.combining(character):
            marks.add(character)
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            marks.add(chr(int(parts[1], 16)))
    return "".join(sorted(marks))


def _any_of(texts: Iterable[str]) -> str:
    """Return a pattern for any of some texts, the longest that fits."""
    longest_first = sorted(texts, key=lambda text: (-len(text), text))
    return f"(?:{'|'.join(map(re.escape, longest_first))})" if longest_first else "(?!)"


def spaces_to_read(known: Iterable[str]) -> Mapping[int, str]:
    """Return the table for `str.translate` that replaces white space and marks that a vocabulary does not have.

    White space becomes a space. Zero-width spaces, non-joiners and marks of direction vanish.

    Args:
        known: All characters of the vocabulary.
    """
    vocabulary = set(known)
    return {
        ord(character): value
        for characters, value in ((OTHER_SPACES, " "), (ZERO_WIDTH_SPACE + NON_JOINER + DIRECTION_MARKS, ""))
        for character in _members(characters)
        if character not in vocabulary
    }


def _members(characters: str) -> Sequence[str]:
    """Return all characters of the inside of a character class."""
    blocks = ("".join(map(chr, range(start, start + 0x100))) for start in range(0, 0x3100, 0x100))
    return [character for block in blocks for character in re.findall(f"[{characters}]", block)]
