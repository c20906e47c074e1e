"""Reads generated German (and English) like a strict teacher, with rules and tables of its own."""

from __future__ import annotations

import re

import pytest

from exercise.generator import Pair
from exercise.lexicon.adjectives import ADJECTIVES
from exercise.lexicon.nouns import NOUNS
from exercise.lexicon.verbs import BE, MODALS, VERBS, WEATHER
from exercise.morphology.german import IRREGULAR_PRESENT
from exercise.morphology.numerals import german_cardinal, german_ordinal

# Which case and gender (M, F, N, P for the plural) a form can be: "nM" is the nominative masculine.
DER = {
    "der": "nM dF gF gP", "die": "nF nP aF aP", "das": "nN aN", "den": "aM dP", "dem": "dM dN", "des": "gM gN",
}  # fmt: skip
DIESER = {"er": "nM dF gF gP", "e": "nF nP aF aP", "es": "nN aN gM gN", "en": "aM dP", "em": "dM dN"}
EIN = {"": "nM nN aN", "e": "nF aF nP aP", "en": "aM dP", "em": "dM dN", "er": "dF gF gP", "es": "gM gN"}
STRONG = {"er": "nM dF gF gP", "e": "nF nP aF aP", "es": "nN aN", "en": "aM dP gM gN", "em": "dM dN"}
WEAK = {
    "e": "nM nF nN aF aN",
    "en": "aM dM dF dN gM gF gN nP aP dP gP",
}
MIXED = {"er": "nM", "es": "nN aN", "e": "nF aF", "en": "aM dM dF dN gM gF gN nP aP dP gP"}
CONTRACTIONS = {
    **dict.fromkeys(("im", "am", "zum", "vom", "beim"), "dM dN"), "zur": "dF", "ins": "aN", "ans": "aN",
}  # fmt: skip
PREPOSITIONS = {
    **dict.fromkeys(("mit", "von", "zu", "bei", "aus", "nach", "vor"), "d"),
    **dict.fromkeys(("über",), "a"),
    **dict.fromkeys(("in", "an", "auf", "hinter", "neben", "unter", "vor"), "da"),
    **dict.fromkeys(("wegen", "trotz"), "g"),
}


def readings(entry: str) -> set[str]:
    return set(entry.split())


def noun_readings() -> dict[str, set[str]]:
    """For every form of every noun what it can be."""
    table: dict[str, set[str]] = {}

    def add(form: str, what: str) -> None:
        table.setdefault(form, set()).update(what.split())

    for noun in (noun.german for noun in NOUNS.values()):
        gender = "MFN"[noun.gender]
        add(noun.nominative, f"n{gender}")
        add(noun.genitive, f"g{gender}")
        oblique = noun.genitive if gender == "M" and not noun.genitive.endswith("s") else noun.nominative
        add(oblique, f"a{gender} d{gender}")
        if noun.plural:
            add(noun.plural, "nP aP gP")
            add(noun.plural if noun.plural[-1] in "ns" else noun.plural + "n", "dP")
    return table


NOUN_READINGS = noun_readings()
STEMS = {stem for adjective in ADJECTIVES.values() for stem in (adjective.stem, *adjective.german[1:]) if stem}
STEMS |= {german_ordinal(number) for number in range(1, 32)}
ADJECTIVE = re.compile(f"({'|'.join(sorted(STEMS, key=len, reverse=True))})(e|en|er|es|em)")
EIN_WORD = re.compile("(ein|kein|mein|dein|sein|ihr|unser)(e|en|em|er|es|)")
DIESER_WORD = re.compile("(dies|jed|welch|einig|viel)(e|en|em|er|es)")
STRONG_DETERMINERS = ("einig", "viel")
NUMBERS = {german_cardinal(number) for number in range(1, 100)}


def first_lower(sentence: str) -> list[str]:
    words = sentence.rstrip(".?").split()
    if words[0] not in NOUN_READINGS:
        words[0] = words[0][0].lower() + words[0][1:]
    return words


NAMES = """
    Anna Emma Julia Laura Maria Daniel Martin Paul Peter Simon Berlin Hamburg London Madrid Köln München Wien
    Rom Österreich Frankreich Deutschland Italien Spanien Montag Dienstag Mittwoch Donnerstag Freitag Samstag
    Sonntag Januar Februar März April Mai Juni Juli August September Oktober November Dezember Frühling Sommer
    Herbst Winter Morgen Nachmittag Abend Nacht Tag Tage Tagen Woche Wochen Monat Monate Monaten Jahr Jahre
    Jahren Stunden Minuten Uhr Viertel Hause
"""


@pytest.fixture(scope="module")
def pairs(small) -> list[Pair]:
    return [pair for split in small.values() for pair in split]


def determiner(word: str) -> tuple[set[str], dict[str, str]] | None:
    """The readings of a determiner, and the table of the adjectives behind it."""
    if word in DER:
        return readings(DER[word]), WEAK
    if word in CONTRACTIONS:
        return readings(CONTRACTIONS[word]), WEAK
    if match := DIESER_WORD.fullmatch(word):
        strong = match[1] in STRONG_DETERMINERS
        return readings((STRONG if strong else DIESER)[match[2]]), STRONG if strong else WEAK
    if match := EIN_WORD.fullmatch(word):
        return readings(EIN[match[2]]), MIXED
    return None


def may_be_relative(words: list[str], place: int) -> bool:
    """Whether a word could be a relative pronoun: behind a comma, or a comma and a preposition."""
    if words[place] not in RELATIVE or place == 0:
        return False
    return words[place - 1].endswith(",") or (words[place - 1] in PREPOSITIONS and words[place - 2].endswith(","))


def noun_phrase(words: list[str], end: int) -> tuple[int, set[str]]:
    """Where the noun phrase that ends in the noun `words[end]` begins, and all that it can be."""
    possible = set(NOUN_READINGS[words[end].rstrip(",")])
    start = end
    endings = []
    while start > 0 and (match := ADJECTIVE.fullmatch(words[start - 1])):
        endings.append(match[2])
        start -= 1
    if start > 1 and words[start - 1] in NUMBERS and words[start - 2] in ("halb", "nach", "vor"):
        return start, possible  # a clock time before a noun without article
    if start > 0 and words[start - 1] in NUMBERS:
        start -= 1
        possible &= {"nP", "aP", "dP", "gP"}
    front = determiner(words[start - 1]) if start > 0 else None
    alone = agreeing(possible, STRONG, endings)
    if front is None:
        return start, alone
    together = agreeing(possible & front[0], front[1], endings)
    if words[start - 1] == "ihr":  # the dative of "sie", perhaps
        return (start - 1, together) if together else (start, alone)
    if may_be_relative(words, start - 1):  # a relative pronoun before a noun without article, perhaps
        governed = PREPOSITIONS.get(words[start - 2], "nadg")
        return (start - 1, together) if any(reading[0] in governed for reading in together) else (start, alone)
    return start - 1, together


def agreeing(possible: set[str], table: dict[str, str], endings: list[str]) -> set[str]:
    """Those readings that the endings of the adjectives have too."""
    for ending in endings:
        possible = possible & readings(table.get(ending, ""))
    return possible


def test_articles_adjectives_nouns_and_prepositions_agree(pairs):
    checked = 0
    for pair in pairs:
        words = first_lower(pair.german)
        for end, word in enumerate(words):
            noun = word.rstrip(",")
            if noun not in NOUN_READINGS or (noun == "Uhr" and words[end - 1] in ("ein", *NUMBERS)):
                continue
            start, possible = noun_phrase(words, end)
            assert possible, f"{' '.join(words[start : end + 1])!r} in {pair.german}"
            before = words[start - 1] if start > 0 else ""
            alone = words[start] not in CONTRACTIONS
            if alone and before in PREPOSITIONS:
                cases = {reading[0] for reading in possible}
                assert cases & set(PREPOSITIONS[before]), (
                    f"{before} {' '.join(words[start : end + 1])} in {pair.german}"
                )
            checked += 1
    assert checked > 10_000


def finite_forms() -> set[str]:
    """Every finite form as it stands at the end of a subordinate clause."""
    forms = {form for row in IRREGULAR_PRESENT.values() for form in row} | {"hatte", "hatten", "war", "waren"}
    for modal in MODALS:
        forms |= {modal.german_past, modal.german_past + "n"}
    for verb in (*VERBS, BE, *WEATHER):
        german = verb.german
        present = [german.present(person, plural) for person, plural in ((1, False), (2, False), (3, False), (3, True))]
        forms |= {german.prefix + form for form in (*present, german.past(3, False), german.past(3, True))}
    return forms


FINITE = finite_forms()
WITH_ZU = {verb.german.zu_infinitive() for verb in VERBS if verb.german.prefix}
SUBORDINATING = {"dass", "weil", "obwohl", "wenn", "als", "nachdem", "bevor", "während", "sobald", "bis", "damit", "ob"}
RELATIVE = {"der", "die", "das", "den", "dem", "denen", "dessen", "deren"}


def segments(words: list[str]) -> list[list[str]]:
    """The words between commas, without comparisons behind the verb (*weil er älter ist als ich*)."""
    result: list[list[str]] = [[]]
    for word in words:
        result[-1].append(word.rstrip(","))
        if word.endswith(","):
            result.append([])
    return [part[: end_before_comparison(part)] for part in result]


def end_before_comparison(part: list[str]) -> int:
    ends = [i for i in range(1, len(part)) if part[i] in ("als", "wie") and part[i - 1] in FINITE]
    return ends[0] if ends else len(part)


def is_relative(segment: list[str]) -> bool:
    return segment[0] in RELATIVE or (len(segment) > 1 and segment[0] in PREPOSITIONS and segment[1] in RELATIVE)


def test_subordinate_clauses_have_their_verb_at_the_end(pairs):
    checked = 0
    for pair in pairs:
        parts = segments(first_lower(pair.german))
        for index, part in enumerate(parts):
            if part[0] not in SUBORDINATING or (
                part[0] == "während" and part[1] in ("des", "der") and part[-1] not in FINITE
            ):
                continue
            rest = index + 1
            while part[-1] not in FINITE and rest < len(parts):  # a relative clause or "sondern ..." inside
                part = [*part, *parts[rest]] if not is_relative(parts[rest]) else part
                if rest + 1 < len(parts) and is_relative(parts[rest]):
                    part = [*part, *parts[rest + 1]]
                    rest += 1
                rest += 1
            assert any(word in FINITE for word in part), pair.german
            if rest == index + 1:
                assert part[-1] in FINITE, pair.german
                checked += 1
    assert checked > 1500


def test_relative_clauses_have_their_verb_at_the_end(pairs):
    checked = 0
    for pair in pairs:
        parts = segments(first_lower(pair.german))
        for index, part in enumerate(parts[1:], start=1):
            infinitive = "zu" in part or part[-1] in WITH_ZU
            before = parts[index - 1]
            if not is_relative(part) or infinitive or is_relative(before) or before[-1] in ("und", "aber"):
                continue
            inner = [*part, *(word for other in parts[index + 1 :] for word in other)]
            assert any(word in FINITE for word in inner), pair.german
            last = index == len(parts) - 1 or not is_relative(parts[index + 1])
            if last and "um" not in part[:1]:
                assert part[-1] in FINITE, pair.german
                checked += 1
    assert checked > 500


def test_a_clause_in_front_is_followed_by_a_finite_verb(pairs):
    finite = {form for verb in (*VERBS, BE, *WEATHER) for form in [
        *(verb.german.present(person, plural) for person, plural in ((1, False), (2, False), (3, False), (3, True))),
        verb.german.past(3, False), verb.german.past(3, True),
    ]} | FINITE  # fmt: skip
    checked = 0
    for pair in pairs:
        parts = segments(first_lower(pair.german))
        if parts[0][0] in SUBORDINATING - {"während"} and parts[0][-1] in FINITE and not is_relative(parts[1]):
            assert parts[1][0] in finite, pair.german
            checked += 1
    assert checked > 150


def test_contractions_are_made_unless_a_relative_clause_follows(pairs):
    loose = re.compile(r"(?<!,) (in dem|an dem|zu dem|zu der|von dem|bei dem|in das) ")
    checked = 0
    for pair in pairs:
        for match in loose.finditer(pair.german):
            following = segments(pair.german[match.end() :].split())[1:]
            pair_of_nouns = re.match(r"\w+( \w+)? und ", pair.german[match.end() :])
            assert pair_of_nouns or any(is_relative(part) for part in following), pair.german
            checked += 1
    assert checked > 3


def test_german_writing(pairs):
    for pair in pairs:
        german = pair.german
        assert german[0].isupper()
        assert german[-1] in ".?"
        assert "  " not in german
        assert not re.search(r",,|,\.|,\?|\s,", german)
        assert re.fullmatch(r"[A-Za-zÄÖÜäöüß ,]+[.?]", german), german
        for word in re.findall(r"\w+", german)[1:]:
            known = word in NOUN_READINGS or word[0].islower()
            assert known or word.removesuffix("s") in NAMES.split() or word in NAMES.split(), (word, german)


def test_english_writing(pairs):
    bases = {verb.english.base for verb in VERBS}
    for pair in pairs:
        english = pair.english
        assert english[0].isupper()
        assert english[-1] in ".?"
        assert not re.search(r",,|,\.|,\?|\s,|  ", english)
        for article, word in re.findall(r"\b([Aa]n?) (\w+)", english):
            vowel = word[0].lower() in "aeiou" and not word.startswith("uni")
            assert (article.lower() == "an") == vowel, english
        for _, following in re.findall(r"\b([Dd]oes|[Dd]id|[Dd]o) not (\w+)", english):
            assert following in bases | {"want", "like", "have"}, english
        assert not re.search(r"\b(I|we|they) (does|has|is)\b", english)
        assert not re.search(r"(?i)(?<!did )(?<!does )\b(he|she|it) (do|have|are|were)\b", english)


@pytest.mark.parametrize(
    "wrong",
    [
        "der alte Frau",
        "mit die Frau",
        "ein alte Mann",
        "mit den alten Männer",
        "einen Student",
        "für der Mann",
        "das großes Haus",
        "zum Schule",
        "drei altes Autos",
    ],
)
def test_the_teacher_finds_mistakes(wrong):
    words = wrong.split()
    start, possible = noun_phrase(words, len(words) - 1)
    governed = {**PREPOSITIONS, "für": "a"}.get(words[start - 1]) if start > 0 else None
    if governed:
        possible = {reading for reading in possible if reading[0] in governed}
    assert not possible
