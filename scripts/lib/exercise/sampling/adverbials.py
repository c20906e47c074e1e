"""Draws places, directions and other adverbials; the times are in `times`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from exercise.grammar.determiners import THE, A
from exercise.grammar.nominals import Agreement, NounPhrase, prepositional_phrase
from exercise.grammar.words import Fragment, chunks, fragment, phrase, words
from exercise.lexicon.adverbials import (
    BESIDE,
    CAUSES,
    CITIES,
    COUNTRIES,
    FREQUENCY,
    MANNER,
    PLACES,
)
from exercise.lexicon.noun_groups import group
from exercise.lexicon.verbs import Verb
from exercise.morphology.german import Case
from exercise.morphology.tense import Tense
from exercise.sampling.dice import Dice
from exercise.sampling.nominals import FAMILY, NominalSampler
from exercise.sampling.times import TimeSampler

Decorate = Callable[[NounPhrase], NounPhrase]
"""What may be added to the noun of a place, such as a relative clause."""


def plain(phrase: NounPhrase) -> NounPhrase:
    """Adds nothing."""
    return phrase


class AdverbialSampler:
    """Draws adverbials.

    Args:
        dice: Where the choices come from.
        nominals: Draws the noun phrases in them.
    """

    def __init__(self, *, dice: Dice, nominals: NominalSampler) -> None:
        self._dice = dice
        self.times = TimeSampler(dice=dice)
        self._nominals = nominals

    # ------------------------------------------------------------------------------------------------- places

    def place(self, names: str, *, richness: float, decorate: Decorate) -> Fragment:
        """Where: one of a group of places."""
        self._dice.note("place, dative")
        noun = decorate(self._place_noun(names, richness))
        english, german = PLACES[noun.noun.singular].where
        return prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=noun)

    def scene(self, verb: Verb) -> Fragment:
        """Where something is done, for verbs that need not be told."""
        if verb.water:
            return self._at_noun("in", "in", Case.DATIVE, "swimming", 0.1, plain)
        return self.place("at_home" if verb.home else "out", richness=0.1, decorate=plain)

    def needed_place(self, kind: str, *, richness: float, decorate: Decorate) -> Fragment:
        """Where, for verbs that need to be told: `stay`, `live`, `thing`, `wall`, `seat`."""
        dice = self._dice
        if kind == "stay":
            if dice.chance(0.4):
                return chunks("at=zu home=Hause")
            return self.place("staying", richness=richness, decorate=decorate)
        if kind == "live":
            if dice.chance(0.4):
                return self._proper("in", "in", dice.pick(CITIES + COUNTRIES))
            return self.place("living", richness=richness, decorate=decorate)
        if kind == "wall":
            return self._at_noun("on", "an", Case.DATIVE, "wall", richness, decorate)
        if kind == "seat":
            return self._at_noun("on", "auf", Case.DATIVE, "seat", richness, decorate)
        return self._spot(Case.DATIVE, richness, decorate)

    def direction(self, kind: str, *, richness: float, decorate: Decorate) -> Fragment:
        """Where to, or where from (`from`): `go`, `drive`, `travel`, `onto`, `up`, `put`, `hang`, `seat`."""
        dice = self._dice
        if kind == "from":
            return self._origin(richness, decorate)
        if kind == "onto":
            return self._at_noun("onto", "auf", Case.ACCUSATIVE, "jumped_onto", richness, decorate)
        if kind == "up":
            return self._at_noun("onto", "auf", Case.ACCUSATIVE, "climbed", richness, decorate)
        if kind == "put":
            return self._spot(Case.ACCUSATIVE, richness, decorate)
        if kind == "hang":
            return self._at_noun("on", "an", Case.ACCUSATIVE, "wall", richness, decorate)
        if kind == "seat":
            return self._at_noun("on", "auf", Case.ACCUSATIVE, "seat", richness, decorate)
        if kind in ("go", "drive") and dice.chance(0.15):
            return chunks("home=nach+Hause")
        if kind == "go" and dice.chance(0.15):
            return self._to_somebody("to", "zu", richness)
        if kind in ("go", "drive") and dice.chance(0.15):
            dice.note("durch")
            return self._at_noun("through", "durch", Case.ACCUSATIVE, "crossed", richness, decorate)
        if kind == "travel" and dice.chance(0.65):
            return self._proper("to", "nach", dice.pick(CITIES + COUNTRIES))
        names = {"go": "walking", "drive": "driving", "travel": "travelling"}[kind]
        noun = decorate(self._place_noun(names, richness))
        english, german, case = PLACES[noun.noun.singular].to
        dice.note("direction, dative" if case is Case.DATIVE else "direction, accusative")
        return prepositional_phrase(english=english, german_preposition=german, case=case, nominal=noun)

    def somewhere(self, *, richness: float) -> Fragment:
        """A place that *be* can be said with."""
        dice = self._dice
        kind = dice.weighted((("out", 6.0), ("home", 2.0), ("person", 1.5)))
        if kind == "home":
            return chunks("at=zu home=Hause")
        return self.at_somebodys() if kind == "person" else self.place("out", richness=richness, decorate=plain)

    def at_somebodys(self) -> Fragment:
        """*at the doctor's*, *beim Arzt*."""
        self._dice.note("bei")
        noun = NounPhrase(self._dice.pick(group("professional")), THE, False)
        result = prepositional_phrase(english="at", german_preposition="bei", case=Case.DATIVE, nominal=noun)
        *others, last = result.english
        return Fragment((*others, last._replace(text=last.text + "'s")), result.german)

    def beside(self, *, richness: float) -> Fragment:
        """A place behind a noun: *next to the church*."""
        english, german = self._dice.pick(BESIDE[1:])
        noun = self._nominals.noun_phrase(
            self._dice.pick(group("landmark")), richness=richness, singular=True, owner=None
        )
        noun = replace(noun, determiner=THE, possessor=None)
        return prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=noun)

    def _place_noun(self, names: str, richness: float) -> NounPhrase:
        dice = self._dice
        noun = self._nominals.noun_phrase(dice.pick(group(names)), richness=richness, singular=True, owner=None)
        if noun.possessor is None and noun.noun.countable and dice.chance(0.6):
            return replace(noun, determiner=THE, many=False)
        return noun

    def _at_noun(
        self, english: str, german: str, case: Case, names: str, richness: float, decorate: Decorate
    ) -> Fragment:
        if german != "durch":
            self._dice.note("two-way preposition, " + case.name.lower())
        noun = self._nominals.noun_phrase(self._dice.pick(group(names)), richness=richness, singular=True, owner=None)
        return prepositional_phrase(english=english, german_preposition=german, case=case, nominal=decorate(noun))

    def _spot(self, case: Case, richness: float, decorate: Decorate) -> Fragment:
        """In, on or beside a piece of furniture and the like, where it is or where it goes."""
        kind = self._dice.weighted((("on", 5.0), ("in", 2.0), ("beside", 3.0)))
        if kind == "on":
            return self._at_noun("on", "auf", case, "surface", richness, decorate)
        if kind == "in":
            into = "in" if case is Case.DATIVE else "into"
            return self._at_noun(into, "in", case, "inside", richness, decorate)
        english, german = self._dice.pick(BESIDE)
        return self._at_noun(english, german, case, "beside", richness, decorate)

    def _origin(self, richness: float, decorate: Decorate) -> Fragment:
        dice = self._dice
        if dice.chance(0.25):
            return self._proper("from", "aus", dice.pick(CITIES + COUNTRIES))
        noun = decorate(self._place_noun("returning", richness))
        english, german = PLACES[noun.noun.singular].origin
        dice.note("origin")
        return prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=noun)

    def _to_somebody(self, english: str, german: str, richness: float) -> Fragment:
        self._dice.note("zu somebody")
        noun = self._dice.pick(group("professional,friend,uncle,grandmother,grandfather"))
        person = self._nominals.noun_phrase(noun, richness=richness, singular=True, owner=None)
        return prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=person)

    def _proper(self, english: str, german: str, name: str) -> Fragment:
        self._dice.note("city or country")
        left, _, right = name.partition("=")
        first, second = fragment(english, german), fragment(left, right or left)
        return Fragment(first.english + second.english, phrase(first.german.words + second.german.words))

    # ------------------------------------------------------------------------------------------------- others

    def cause(self, *, richness: float) -> Fragment:
        """*because of the rain*, *despite the cold*."""
        self._dice.note("genitive preposition")
        english, german, names = self._dice.pick(CAUSES)
        noun = self._nominals.noun_phrase(self._dice.pick(group(names)), richness=richness, singular=True, owner=None)
        if noun.determiner is A:
            noun = replace(noun, determiner=THE)
        noun = replace(noun, possessor=None)
        return prepositional_phrase(english=english, german_preposition=german, case=Case.GENITIVE, nominal=noun)

    def frequency(self, tense: Tense) -> Fragment:
        """*often*, *already* and the like."""
        self._dice.note("adverb of frequency")
        return chunks(self._dice.pick(FREQUENCY[tense]))

    def manner(self, english: str) -> Fragment:
        """How."""
        self._dice.note("adverb of manner")
        return fragment(english, MANNER[english])

    def for_somebody(self, *, richness: float, subject: Agreement) -> Fragment:
        """*for his mother*, *für seine Mutter*."""
        self._dice.note("für")
        person = self._nominals.object("person", richness=richness, owner=subject)
        return prepositional_phrase(english="for", german_preposition="für", case=Case.ACCUSATIVE, nominal=person)

    def company(self, subject: Agreement) -> Fragment:
        """*with his sister*, *without his brother*."""
        self._dice.note("company")
        english, german, case = self._dice.pick((("with", "mit", Case.DATIVE), ("without", "ohne", Case.ACCUSATIVE)))
        person = NounPhrase(self._dice.pick(FAMILY), self._nominals.possessive(subject), False)
        return prepositional_phrase(english=english, german_preposition=german, case=case, nominal=person)

    def by_vehicle(self) -> Fragment:
        """*by train*, *mit dem Zug*."""
        self._dice.note("by vehicle")
        noun = NounPhrase(self._dice.pick(group("bus,train,car,bicycle")), THE, False)
        by, german = noun.determiner_leaf, noun.german(Case.DATIVE).words
        return Fragment(words("by", by) + words(noun.noun.singular, noun.noun_leaf), phrase(words("mit", by) + german))
