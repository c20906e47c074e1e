"""Draws subjects and objects that make sense in their place."""

from __future__ import annotations

from dataclasses import replace

from exercise.grammar.determiners import (
    BARE,
    EVERY,
    MANY,
    NO,
    POSSESSIVES,
    SOME,
    THE,
    THIS,
    A,
    Attribute,
    Degree,
    Determiner,
    attribute,
    ordinal,
)
from exercise.grammar.nominals import Agreement, Name, Nominal, NounPhrase, Pair
from exercise.grammar.pronouns import Pronoun
from exercise.lexicon.adjectives import ADJECTIVES_OF, Adjective
from exercise.lexicon.adverbials import NAMES
from exercise.lexicon.noun_groups import group
from exercise.lexicon.nouns import NOUNS, Noun
from exercise.morphology.german import Gender
from exercise.sampling.dice import Dice

MAN = NOUNS["man"]
MASS_KINDS = ("staple", "drink")
BARE_KINDS = ("language", "hobby")
THE_ONLY = {noun.singular for noun in group("weather,sea")}
UNOWNED = {noun.singular for noun in group("king,queen,thief,tourist,man,woman,policeman,place")}
OWNED_PLACES = {"house", "garden", "kitchen", "room", "school", "city", "village", "hotel"}
FAMILY = group("brother,daughter,father,friend,grandfather,grandmother,mother,neighbour,sister,son,uncle")
POSSESSED = {noun.singular for noun in (*FAMILY, *group("owned,clothing,text,key,ring,idea,plan"))}
CROWDS = {
    noun.singular for noun in group("tourist,student,child,girl,boy,man,woman,animal,food,text,object,clothing,vehicle")
}
PARTS = {
    "door": "building,car,room,kitchen",
    "window": "building,car,room,kitchen",
    "roof": "building",
    "wall": "house,room,kitchen,bathroom",
}
OLD_AND_SUCH = {"old", "new", "small", "big", "beautiful", "expensive", "long", "short", "cheap"}
RED_AND_SUCH = {"red", "blue", "green", "black", "white"}
PERSONS = (
    (Agreement(1, False, Gender.MASCULINE), 3.0),
    (Agreement(2, False, Gender.MASCULINE), 2.0),
    (Agreement(3, False, Gender.MASCULINE), 3.0),
    (Agreement(3, False, Gender.FEMININE), 3.0),
    (Agreement(1, True, Gender.MASCULINE), 2.5),
    (Agreement(3, True, Gender.MASCULINE), 2.5),
)
SINGULAR_DETERMINERS = ((THE, 50.0), (A, 22.0), (THIS, 8.0), (None, 20.0))
PLURAL_DETERMINERS = ((THE, 45.0), (BARE, 12.0), (THIS, 8.0), (SOME, 7.0), (MANY, 7.0), (None, 21.0))
MASS_DETERMINERS = ((THE, 40.0), (BARE, 42.0), (THIS, 8.0), (None, 10.0))
"""None: a possessive."""


class NominalSampler:
    """Draws nominals.

    Args:
        dice: Where the choices come from.
    """

    def __init__(self, *, dice: Dice) -> None:
        self._dice = dice

    # -------------------------------------------------------------------------------------------- any nominal

    def subject(self, names: str, *, richness: float, singular: bool) -> Nominal:
        """A subject from a group of nouns; people may also be pronouns, names and pairs.

        Args:
            names: A group of nouns.
            richness: How likely adjectives and the like are, from 0 to 1.
            singular: Whether it must be in the third person singular.
        """
        dice = self._dice
        if names in ("person", "animate"):
            if dice.chance(0.3 - 0.2 * richness):
                return self.pronoun(third_singular=singular)
            if dice.chance(0.14):
                return self.name()
            if not singular and dice.chance(0.04 + 0.16 * richness):
                return self.pair(names)
        noun = dice.pick(group(names))
        if noun.countable and noun.singular not in THE_ONLY and dice.chance(0.05):
            if not singular and noun.kind != "place" and dice.chance(0.4):
                dice.note("every")
                return self._attributes(NounPhrase(noun, EVERY, False), richness)
            dice.note("kein as subject")
            return self._attributes(NounPhrase(noun, NO, False), richness)
        return self.noun_phrase(noun, richness=richness, singular=singular, owner=None)

    def object(self, names: str, *, richness: float, owner: Agreement | None) -> Nominal:
        """An object from a group of nouns; people may also be pronouns and names.

        Args:
            names: A group of nouns.
            richness: How likely adjectives and the like are, from 0 to 1.
            owner: The subject, which its possessive may refer to; a pronoun differs from it in person.
        """
        dice = self._dice
        noun = dice.pick(group(names))
        if noun.kind == "person" and MAN in group(names):
            if dice.chance(0.22 - 0.12 * richness):
                return self.pronoun(third_singular=False, unlike=owner)
            if dice.chance(0.12):
                return self.name()
        if dice.chance(0.02 + 0.1 * richness) and noun.countable:
            return self.pair_of(noun, names, owner)
        return self.noun_phrase(noun, richness=richness, singular=False, owner=owner)

    def pronoun(self, *, third_singular: bool, unlike: Agreement | None = None) -> Pronoun:
        """A personal pronoun for people, of another person than `unlike` if that is the first or second."""
        possible = [
            (agreement, weight)
            for agreement, weight in PERSONS
            if (not third_singular or agreement.third_singular)
            and (unlike is None or unlike.person == 3 or unlike.person != agreement.person)
        ]
        self._dice.note("personal pronoun")
        return Pronoun(self._dice.weighted(possible), False)

    def name(self) -> Name:
        """A person's name."""
        return Name(*self._dice.pick(NAMES))

    def pair(self, names: str) -> Pair:
        """Two different people or animals."""
        self._dice.note("coordinated noun phrases")
        first = self._plain(self._dice.pick(group(names)), None)
        if first.noun.kind == "person" and self._dice.chance(0.3):
            return Pair(self.name(), first)
        return self.pair_of(first.noun, names, None)

    def pair_of(self, noun: Noun, names: str, owner: Agreement | None) -> Pair:
        """A noun and another one of the group."""
        self._dice.note("coordinated noun phrases")
        others = [other for other in group(names) if other is not noun and other.countable]
        first = self._plain(noun, owner)
        second = self._plain(self._dice.pick(others), owner) if others else self._plain(noun, owner)
        return Pair(first, replace(second, determiner=first.determiner, many=first.many))

    # ------------------------------------------------------------------------------------------- noun phrases

    def noun_phrase(self, noun: Noun, *, richness: float, singular: bool, owner: Agreement | None) -> NounPhrase:
        """A noun with determiner and whatever else `richness` allows."""
        dice = self._dice
        if noun.kind in BARE_KINDS:
            return NounPhrase(noun, BARE, False)
        if noun.singular in THE_ONLY:
            return self._attributes(NounPhrase(noun, THE, False), richness)
        if noun.kind in MASS_KINDS:
            determiner = dice.weighted(MASS_DETERMINERS) or self.possessive(owner)
            return self._attributes(NounPhrase(noun, determiner, False), richness)
        if dice.chance(0.04 + 0.1 * richness) and noun.singular in POSSESSED:
            dice.note("possessive genitive")
            many = not singular and dice.chance(0.25)
            owned = NounPhrase(noun, THE, many, possessor=self._possessor(noun))
            return self._attributes(owned, richness)
        if noun.singular in PARTS and dice.chance(0.3):
            dice.note("genitive of a thing")
            whole = self._plain(dice.pick(group(PARTS[noun.singular])), owner)
            whole = replace(whole, many=False, determiner=THE)
            many = not singular and noun.singular == "window"
            return self._attributes(NounPhrase(noun, THE, many, part_of=whole), richness)
        if not singular and dice.chance(0.3):
            return self._attributes(self._plural(noun, owner), richness)
        return self._attributes(self._plain(noun, owner), richness)

    def possessive(self, owner: Agreement | None) -> Determiner:
        """A possessive, mostly that of the owner."""
        dice = self._dice
        dice.note("possessive")
        named = owner is not None and (owner.plural or owner.gender is not Gender.NEUTER)  # not the child and the girl
        if owner is None or not named or dice.chance(0.2):
            return POSSESSIVES[dice.pick(("my", "my", "your", "his", "her", "our", "their"))]
        if owner.plural:
            return POSSESSIVES["our" if owner.person == 1 else "their"]
        if owner.person != 3:
            return POSSESSIVES["my" if owner.person == 1 else "your"]
        return POSSESSIVES["his" if owner.gender is Gender.MASCULINE else "her"]

    def _plain(self, noun: Noun, owner: Agreement | None) -> NounPhrase:
        """Singular (or bare mass) noun and determiner."""
        if not noun.countable:
            return NounPhrase(noun, THE if noun.singular in THE_ONLY else BARE, False)
        determiner = self._dice.weighted(SINGULAR_DETERMINERS)
        if determiner is None and noun.singular in UNOWNED - OWNED_PLACES:
            determiner = THE
        return NounPhrase(noun, determiner or self.possessive(owner), False)

    def _plural(self, noun: Noun, owner: Agreement | None) -> NounPhrase:
        dice = self._dice
        determiner = dice.weighted(PLURAL_DETERMINERS)
        if determiner is None and noun.singular in UNOWNED:
            determiner = THE
        if dice.chance(0.3):
            dice.note("number")
            high = 99 if noun.singular in CROWDS and dice.chance(0.6) else 12
            determiner = BARE if determiner in (SOME, MANY, BARE, THIS) else determiner
            return NounPhrase(noun, determiner or self.possessive(owner), True, number=dice.between(2, high))
        return NounPhrase(noun, determiner or self.possessive(owner), True)

    def _possessor(self, noun: Noun) -> Nominal:
        dice = self._dice
        if dice.chance(0.4):
            return self.name()
        people = FAMILY if noun.kind != "person" else group("teacher,doctor,king,farmer,queen")
        determiner = dice.pick((THE, THIS)) if noun.kind == "person" or dice.chance(0.5) else self.possessive(None)
        return self._attributes(NounPhrase(dice.pick(people), determiner, False), 0.1)

    # ------------------------------------------------------------------------------------------- in front of it

    def _attributes(self, phrase: NounPhrase, richness: float) -> NounPhrase:
        """Adds adjectives or an ordinal number, perhaps."""
        dice = self._dice
        possible = ADJECTIVES_OF[phrase.noun.singular]
        if not possible or not dice.chance(0.08 + 0.5 * richness):
            return phrase
        attributes = self._ordinal(phrase) or self._superlative(phrase, possible)
        if not attributes:
            first = dice.pick(possible)
            attributes = (attribute(first, Degree.POSITIVE),)
            colours = [adjective for adjective in possible if adjective.english[0] in RED_AND_SUCH]
            if colours and first.english[0] in OLD_AND_SUCH and dice.chance(0.3):
                attributes += (attribute(dice.pick(colours), Degree.POSITIVE),)
        dice.note(f"adjective, {phrase.determiner.declension.name.lower()}")
        return replace(phrase, attributes=attributes)

    def _ordinal(self, phrase: NounPhrase) -> tuple[Attribute, ...]:
        suitable = phrase.noun.kind in ("event", "text", "vehicle") and phrase.noun.countable
        if not suitable or phrase.many or phrase.determiner is not THE or not self._dice.chance(0.15):
            return ()
        self._dice.note("ordinal number")
        return (ordinal(self._dice.between(1, 12)),)

    def _superlative(self, phrase: NounPhrase, possible: tuple[Adjective, ...]) -> tuple[Attribute, ...]:
        gradable = [adjective for adjective in possible if adjective.gradable]
        fits = phrase.determiner is THE and phrase.number is None and phrase.noun.countable
        if not fits or not gradable or not self._dice.chance(0.14):
            return ()
        self._dice.note("superlative")
        return (attribute(self._dice.pick(gradable), Degree.SUPERLATIVE),)
