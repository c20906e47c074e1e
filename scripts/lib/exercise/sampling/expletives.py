"""Draws sentences with *it* and *there*: weather, clock times, what there is."""

from __future__ import annotations

from dataclasses import replace

from exercise.grammar.clause_kinds import statement
from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.determiners import BARE, NO, THE, THIS, A
from exercise.grammar.nominals import Agreement, NounPhrase, Role, prepositional_phrase
from exercise.grammar.pronouns import Pronoun
from exercise.grammar.verb_phrases import VerbPhrase
from exercise.grammar.words import Fragment, Leaf, chunks, phrase, words
from exercise.lexicon.adverbials import PLACES
from exercise.lexicon.noun_groups import group
from exercise.lexicon.verbs import BE, WEATHER
from exercise.morphology.german import Case, Gender
from exercise.morphology.tense import Tense
from exercise.sampling.adverbials import plain
from exercise.sampling.clauses import ClauseSampler
from exercise.sampling.dice import Dice

IT = Agreement(3, False, Gender.NEUTER)
FEELING = ("cold=kalt", "warm=warm", "hot=heiß", "dark=dunkel", "quiet=ruhig")
SIGHTS = group("bridge,church,cinema,hospital,hotel,library,market,museum,park,restaurant,school")
AROUND = group("city,village")


class ExpletiveSampler:
    """Draws sentences whose subject means nothing.

    Args:
        dice: Where the choices come from.
        clauses: Draws the noun phrases and adverbials in them.
    """

    def __init__(self, *, dice: Dice, clauses: ClauseSampler) -> None:
        self._dice = dice
        self._clauses = clauses

    def statement(self, room: int) -> Fragment:
        """A short sentence of about `room` words."""
        kind = self._dice.pick(("weather", "clock", "there is"))
        self._dice.note(f"expletive: {kind}")
        if kind == "there is":
            return self._there_is(room)
        if kind == "clock":
            return self._clock()
        tense = self._dice.pick((Tense.PRESENT, Tense.PAST))
        clause = self.weather(tense)
        adverbials = self._clauses.adverbials
        if room >= 6:
            clause = replace(clause, place=adverbials.place("outdoors", richness=0.1, decorate=plain))
        clause = replace(clause, time=adverbials.times.time(tense, room=min(room - 3, 3)))
        return statement(replace(clause, front=self._dice.pick((Slot.SUBJECT, Slot.TIME))))

    def weather(self, tense: Tense) -> Clause:
        """*it is raining*, *it was cold*."""
        it = Pronoun(IT, True)
        if self._dice.chance(0.5):
            return Clause(verb=VerbPhrase(self._dice.pick(WEATHER), tense), subject=it)
        return Clause(verb=VerbPhrase(BE, tense), subject=it, prepositional=(chunks(self._dice.pick(FEELING)),))

    def _clock(self) -> Fragment:
        """*It is half past two.*."""
        tense = self._dice.pick((Tense.PRESENT, Tense.PAST))
        time = self._clauses.adverbials.times.clock("", "")
        return statement(Clause(verb=VerbPhrase(BE, tense), subject=Pronoun(IT, True), prepositional=(time,)))

    def _there_is(self, room: int) -> Fragment:
        """*There is a park in the village.*, *Es gibt im Dorf einen Park.*."""
        nominals = self._clauses.nominals
        noun = nominals.noun_phrase(self._dice.pick(SIGHTS), richness=0.3, singular=False, owner=None)
        determiner = self._dice.pick((A, A, NO)) if noun.number is None else BARE
        noun = replace(noun, determiner=determiner, possessor=None, many=noun.number is not None)
        around = NounPhrase(self._dice.pick(AROUND), self._dice.pick((THE, THE, THIS)), False)
        english, german = PLACES[around.noun.singular].where
        place = prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=around)
        there, be = Leaf(), Leaf()
        verb = words("are" if noun.many else "is", be)
        return Fragment(
            words("there", there) + verb + noun.english(Role.OBJECT) + place.english,
            phrase(words("es", there) + words("gibt", be) + place.german.words + noun.german(Case.ACCUSATIVE).words),
        )
