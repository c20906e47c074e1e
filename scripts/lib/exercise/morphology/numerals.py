"""Cardinal and ordinal numbers from 1 to 99."""

from __future__ import annotations


def _list(names: str) -> tuple[str, ...]:
    return tuple(names.split())


ENGLISH_SMALL = _list(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
GERMAN_SMALL = _list(
    "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn neunzehn"
)
ENGLISH_TENS = _list("twenty thirty forty fifty sixty seventy eighty ninety")
GERMAN_TENS = _list("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
ENGLISH_ORDINALS = _list("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
GERMAN_ORDINALS = _list("erst zweit dritt viert fünft sechst siebt acht neunt zehnt elft zwölft")


def english_cardinal(number: int) -> str:
    """`twenty-one`."""
    if number < 20:
        return ENGLISH_SMALL[number - 1]
    tens, ones = divmod(number, 10)
    return ENGLISH_TENS[tens - 2] + (f"-{ENGLISH_SMALL[ones - 1]}" if ones else "")


def german_cardinal(number: int) -> str:
    """`einundzwanzig`; 1 is `eins`."""
    if number < 20:
        return GERMAN_SMALL[number - 1]
    tens, ones = divmod(number, 10)
    front = f"{GERMAN_SMALL[ones - 1].removesuffix('s') if ones == 1 else GERMAN_SMALL[ones - 1]}und" if ones else ""
    return front + GERMAN_TENS[tens - 2]


def english_ordinal(number: int) -> str:
    """`third`, `twentieth`, `twenty-first`, up to 31."""
    if number <= 12:
        return ENGLISH_ORDINALS[number - 1]
    if number < 20:
        return ENGLISH_SMALL[number - 1] + "th"
    tens, ones = divmod(number, 10)
    ten = ENGLISH_TENS[tens - 2]
    return f"{ten}-{ENGLISH_ORDINALS[ones - 1]}" if ones else ten.removesuffix("y") + "ieth"


def german_ordinal(number: int) -> str:
    """The stem before an adjective ending: `dritt`, `zwanzigst`."""
    if number <= 12:
        return GERMAN_ORDINALS[number - 1]
    return german_cardinal(number) + ("t" if number < 20 else "st")
