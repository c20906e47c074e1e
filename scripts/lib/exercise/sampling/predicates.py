"""Draws what is said with *be*: adjectives, comparisons, professions, ages, places."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from exercise.grammar.determiners import ANY, BARE, THE, A, Attribute, Degree, attribute
from exercise.grammar.nominals import Nominal, NounPhrase, Pair, Role
from exercise.grammar.pronouns import noun_of
from exercise.grammar.words import Fragment, Leaf, Phrase, chunks, fragment, words
from exercise.lexicon.adjectives import ABOUT_PEOPLE, ADJECTIVES_OF, Adjective
from exercise.lexicon.noun_groups import group
from exercise.morphology.german import Case, Gender
from exercise.morphology.numerals import english_cardinal, german_cardinal
from exercise.sampling.adverbials import AdverbialSampler
from exercise.sampling.dice import Dice
from exercise.sampling.nominals import NominalSampler

INTENSIFIABLE = {"tired", "hungry", "ill", "angry"}
INTENSIFIERS = ("very=sehr", "too=zu", "quite=ziemlich")
MOVABLE_KINDS = ("animal", "object", "clothing", "text", "vehicle")


class Predicate(NamedTuple):
    """What follows *be*.

    Attributes:
        words: It.
        negation: The leaf of *not* where German says *kein*, or None.
        passing: Whether it can be true at one time and not at another.
    """

    words: Fragment
    negation: Leaf | None
    passing: bool


class PredicateSampler:
    """Draws predicates.

    Args:
        dice: Where the choices come from.
        nominals: Draws the noun phrases in them.
        adverbials: Draws the places.
    """

    def __init__(self, *, dice: Dice, nominals: NominalSampler, adverbials: AdverbialSampler) -> None:
        self._dice = dice
        self._nominals = nominals
        self._adverbials = adverbials

    def predicate(self, subject: Nominal, *, room: int, richness: float, negated: bool) -> Predicate:
        """Something that can be said of the subject.

        Args:
            subject: What it is said of.
            room: About how many words there are for it.
            richness: How likely adjectives and the like are.
            negated: Whether it is said with *not*.
        """
        dice = self._dice
        noun = noun_of(subject)
        person = noun is None or noun.kind == "person"
        choices = [("adjective", 5.0)]
        if room >= 2 and not negated:
            choices += [("intensified", 3.0)]
        if (person and not isinstance(subject, Pair)) or (noun is not None and noun.kind in MOVABLE_KINDS):
            choices += [("place", 2.0 if room >= 3 else 0.0)]
        if room >= 4:
            choices += [("comparison", 6.0), ("equality", 1.5)]
        _, plural, gender = subject.agreement
        if person and gender is Gender.MASCULINE and subject.agreement.third_singular and not plural:
            choices += [("profession", 3.0)]
        if room >= 4 and not negated and (person or (noun is not None and noun.kind == "animal")):
            choices += [("age", 2.5)]
        kind = dice.weighted(choices)
        dice.note(f"be: {kind}")
        if kind == "profession":
            return self._profession(richness, negated=negated)
        if kind == "place":
            return Predicate(self._adverbials.somewhere(richness=richness), None, True)
        if kind == "age":
            number = dice.between(2, 12 if noun is not None and noun.kind == "animal" else 99)
            counted = f"{english_cardinal(number)}={german_cardinal(number)}"
            return Predicate(chunks(f"{counted} years=Jahre old=alt"), None, False)
        return Predicate(self._adjective(kind, subject), None, kind == "adjective")

    def adjectives(self, subject: Nominal) -> list[Adjective]:
        """The adjectives that can be said of the subject and are not in front of it already."""
        noun = noun_of(subject)
        possible = ABOUT_PEOPLE if noun is None else ADJECTIVES_OF[noun.singular]
        used = {used.stem for used in subject.attributes} if isinstance(subject, NounPhrase) else set()
        return [adjective for adjective in possible if adjective.stem not in used]

    def _adjective(self, kind: str, subject: Nominal) -> Fragment:
        dice = self._dice
        possible = self.adjectives(subject)
        gradable = [adjective for adjective in possible if adjective.gradable]
        if kind in ("comparison", "equality") and gradable:
            other = self._other(subject, adjective := dice.pick(gradable))
            if other is not None:
                return self._compare(adjective, other, equal=kind == "equality")
        if kind == "intensified":
            chosen = [
                adjective for adjective in possible if adjective.gradable or adjective.english[0] in INTENSIFIABLE
            ]
            if chosen:
                adjective = dice.pick(chosen)
                return chunks(f"{dice.pick(INTENSIFIERS)} {adjective.english[0]}={adjective.german[0]}")
        adjective = dice.pick(possible)
        return fragment(adjective.english[0], adjective.german[0])

    def _other(self, subject: Nominal, adjective: Adjective) -> NounPhrase | None:
        """Something else that the adjective can be said of."""
        noun = noun_of(subject)
        kind = "person" if noun is None else noun.kind
        others = [other for other in group(kind) if other is not noun and adjective in ADJECTIVES_OF[other.singular]]
        if not others or (noun is not None and not noun.countable):
            return None
        other = self._nominals.noun_phrase(self._dice.pick(others), richness=0.0, singular=True, owner=None)
        return replace(other, attributes=(), determiner=THE if other.determiner is A else other.determiner)

    def _compare(self, adjective: Adjective, other: NounPhrase, *, equal: bool) -> Fragment:
        self._dice.note("comparative" if not equal else "so ... wie")
        if equal:
            start = chunks(f"as=so {adjective.english[0]}={adjective.german[0]} as=wie")
        else:
            english, german = adjective.english[1], adjective.german[1]
            start = chunks(f"{english.replace(' ', '+')}={german} than=als")
        *before, als = start.german.words  # in a subordinate clause the verb goes before als or wie
        tail = (als, *other.german(Case.NOMINATIVE).words)
        return Fragment(start.english + other.english(Role.SUBJECT), Phrase(tuple(before), tail))

    def _profession(self, richness: float, *, negated: bool) -> Predicate:
        """*a teacher*, *Lehrer*; *a good teacher*, *ein guter Lehrer*; *not a teacher*, *kein Lehrer*."""
        noun = self._dice.pick(group("profession"))
        adjectives: tuple[Attribute, ...] = ()
        if self._dice.chance(0.2 + richness):
            adjectives = (attribute(self._dice.pick(ABOUT_PEOPLE), Degree.POSITIVE),)
        result = NounPhrase(noun, ANY if negated else A, False, attributes=adjectives)
        german = result.german(Case.NOMINATIVE)
        if not negated and not adjectives:
            silent = NounPhrase(noun, BARE, False, noun_leaf=result.noun_leaf)
            german = silent.german(Case.NOMINATIVE)
            english = words("a", result.noun_leaf) + words(noun.singular, result.noun_leaf)
            english = (english[0]._replace(text=result.english(Role.OBJECT)[0].text), *english[1:])
            return Predicate(Fragment(english, german), None, False)
        return Predicate(
            Fragment(result.english(Role.OBJECT), german), result.determiner_leaf if negated else None, False
        )
