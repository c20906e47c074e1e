"""English morphology: plurals are in the lexicon; here are verbs, pronouns, a and an, the genitive."""

from __future__ import annotations

from dataclasses import dataclass

VOWELS = "aeiou"
AN_BEFORE = ("hour", "honest")
A_BEFORE = ("uni", "use", "one", "euro")


def indefinite_article(following: str) -> str:
    """*a* or *an*, by the sound of the following word."""
    word = following.lower()
    if word.startswith(AN_BEFORE):
        return "an"
    if word.startswith(A_BEFORE):
        return "a"
    return "an" if word[0] in VOWELS else "a"


def genitive(noun: str, plural: bool) -> str:
    """The noun with 's, or with an apostrophe alone after the s of a plural."""
    return noun + "'" if plural and noun.endswith("s") else noun + "'s"


@dataclass(frozen=True)
class EnglishVerb:
    """A verb by its principal parts.

    Attributes:
        base: `turn`
        past: `turned`
        participle: `turned`
        particle: What follows the verb: `on`; or "".
    """

    base: str
    past: str
    participle: str
    particle: str

    @property
    def is_be(self) -> bool:
        return self.base == "be"

    def present(self, person: int, plural: bool) -> str:
        """Present tense."""
        if self.is_be:
            return "are" if plural or person == 2 else ("am" if person == 1 else "is")
        if plural or person != 3:
            return self.base
        if self.base in ("do", "go"):
            return self.base + "es"
        if self.base == "have":
            return "has"
        if self.base.endswith(("s", "sh", "ch", "x", "z")):
            return self.base + "es"
        if self.base.endswith("y") and self.base[-2] not in VOWELS:
            return self.base[:-1] + "ies"
        return self.base + "s"

    def preterite(self, person: int, plural: bool) -> str:
        """Simple past."""
        if self.is_be:
            return "were" if plural or person == 2 else "was"
        return self.past


def english_verb(entry: str) -> EnglishVerb:
    """A verb from its principal parts and particle, such as ``turn turned turned on``."""
    base, past, participle, *particle = entry.split()
    return EnglishVerb(base, past, participle, " ".join(particle))


BE = english_verb("be was been")
HAVE = english_verb("have had had")
DO = english_verb("do did done")

PRONOUNS: dict[tuple[int, bool], tuple[str, str]] = {
    (1, False): ("I", "me"),
    (2, False): ("you", "you"),
    (1, True): ("we", "us"),
    (3, True): ("they", "them"),
}
"""Subject and object form by person and plural."""
