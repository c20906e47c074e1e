"""Draws clauses: a verb, what it needs, and what may be added."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from nmt.exercise.adjectives import ABOUT_PEOPLE, ADJECTIVES_OF, Adjective
from nmt.exercise.adverbial_sampler import AdverbialSampler
from nmt.exercise.clauses import Clause, Slot, dependent
from nmt.exercise.dice import Dice
from nmt.exercise.german import Case, Gender
from nmt.exercise.nominal_sampler import NominalSampler
from nmt.exercise.nominals import (
    A,
    ANY,
    Agreement,
    BARE,
    Degree,
    EVERY,
    NO,
    Name,
    Nominal,
    NounPhrase,
    Pair,
    Pronoun,
    RelativeOwner,
    RelativePronoun,
    Role,
    THE,
    attribute,
    prepositional_phrase,
)
from nmt.exercise.nouns import Noun, group
from nmt.exercise.numerals import english_cardinal, german_cardinal
from nmt.exercise.verb_phrases import Tense, VerbPhrase
from nmt.exercise.verbs import BE, MODALS, VERBS, Verb
from nmt.exercise.words import Fragment, Leaf, chunks, fragment, phrase, words

SIMPLE_VERBS = tuple(verb for verb in VERBS if not verb.clause)
TENSES = ((Tense.PRESENT, 42.0), (Tense.PAST, 33.0), (Tense.PERFECT, 14.0), (Tense.FUTURE, 11.0))
VERY = {"tired", "hungry", "ill", "angry", "dirty", "strange"}


class Gap(NamedTuple):
    """The place of a relative pronoun or question word."""

    slot: Slot
    nominal: Nominal


def _nouns_of(names: str) -> frozenset[str]:
    return frozenset(noun.singular for noun in group(names)) if names else frozenset()


SUBJECTS = {verb: _nouns_of(verb.subject) for verb in SIMPLE_VERBS}
ACCUSATIVES = {verb: _nouns_of(verb.accusative) for verb in SIMPLE_VERBS}
DATIVES = {verb: _nouns_of(verb.dative) for verb in SIMPLE_VERBS}
PREPOSITIONALS = {verb: _nouns_of(verb.prepositional.nouns if verb.prepositional else "") for verb in SIMPLE_VERBS}


class ClauseSampler:
    """Draws clauses.

    Args:
        dice: Where the choices come from.
    """

    def __init__(self, *, dice: Dice) -> None:
        self._dice = dice
        self.nominals = NominalSampler(dice=dice)
        self.adverbials = AdverbialSampler(dice=dice, nominals=self.nominals)

    def tense(self) -> Tense:
        """A tense for a main clause."""
        return self._dice.weighted(TENSES)

    # ------------------------------------------------------------------------------------------ the whole clause

    def clause(self, *, tense: Tense, room: int, subject: Nominal | None = None, depth: int = 1) -> Clause:
        """A clause of about `room` words, with any verb or a predicate.

        Args:
            tense: Its tense.
            room: How long it should be; it may be shorter or longer.
            subject: Its subject, or None for any.
            depth: How many relative clauses may be inside each other.
        """
        if tense in (Tense.PRESENT, Tense.PAST) and self._dice.chance(0.16):
            return self.copular(tense=tense, room=room, subject=subject, depth=depth)
        verb = self._verb(tense, subject)
        return self.with_verb(verb, tense=tense, room=room, subject=subject, depth=depth)

    def with_verb(
        self, verb: Verb, *, tense: Tense, room: int, subject: Nominal | None, depth: int, gap: Gap | None = None
    ) -> Clause:
        """A clause with this verb.

        Args:
            verb: The verb.
            tense: Its tense.
            room: How long it should be.
            subject: Its subject, or None for any.
            depth: How many relative clauses may be inside each other.
            gap: The nominal in front of a relative clause or question, or None.
        """
        dice = self._dice
        needed = 3 + 2 * sum(map(bool, (verb.accusative, verb.dative, verb.prepositional, verb.place, verb.direction)))
        spare = max(0, room - needed)
        richness = min(0.6, spare / 18)
        if gap is not None and gap.slot is Slot.SUBJECT:
            subject = gap.nominal
        elif subject is None:
            singular = tense is Tense.PAST and not verb.tense_is_visible
            subject = self.nominals.subject(verb.subject, richness=richness, singular=singular)
            while tense is Tense.PAST and subject.agreement.person == 2:
                subject = self.nominals.subject(verb.subject, richness=richness, singular=singular)
        owner = subject.agreement
        clause = Clause(verb=self._verb_phrase(verb, tense, subject), subject=subject)
        clause = self._complete(clause, richness, owner, gap)
        return self._enrich(clause, spare, depth, gap)

    def _verb(self, tense: Tense, subject: Nominal | None) -> Verb:
        """A verb that suits the tense and the subject."""
        while True:
            verb = self._dice.pick(SIMPLE_VERBS)
            if verb.state and tense not in (Tense.PRESENT, Tense.PAST):
                continue
            if subject is None or self._suits(verb, subject, tense):
                return verb

    def _suits(self, verb: Verb, subject: Nominal, tense: Tense) -> bool:
        if tense is Tense.PAST and not verb.tense_is_visible and not subject.agreement.third_singular:
            return False
        noun = noun_of(subject)
        return noun.singular in SUBJECTS[verb] if noun is not None else verb.subject in ("person", "animate")

    def _verb_phrase(self, verb: Verb, tense: Tense, subject: Nominal) -> VerbPhrase:
        """The verb in its tense, perhaps with a modal verb or *gern*."""
        dice = self._dice
        if verb.german.prefix:
            dice.note("separable verb")
        if verb.german.reflexive:
            dice.note("reflexive verb")
        if not verb.state and is_person(subject):
            if tense in (Tense.PRESENT, Tense.PAST) and dice.chance(0.24 if tense is Tense.PRESENT else 0.14):
                modals = [modal for modal in MODALS if tense is Tense.PRESENT or modal.english_past]
                dice.note("modal verb")
                return VerbPhrase(verb, tense, modal=dice.pick(modals))
            if tense is Tense.PRESENT and verb.fun and dice.chance(0.15):
                dice.note("gern")
                return VerbPhrase(verb, tense, gladly=True)
        dice.note(f"tense: {tense.value}")
        return VerbPhrase(verb, tense)

    def _complete(self, clause: Clause, richness: float, owner: Agreement, gap: Gap | None) -> Clause:
        """Adds what the verb needs."""
        verb = clause.verb.verb
        slot = None if gap is None else gap.slot
        if gap is not None and slot is not Slot.SUBJECT:
            clause = replace(clause, front=gap.slot)
        if verb.accusative:
            filled = gap is not None and slot is Slot.ACCUSATIVE
            nominal = gap.nominal if gap is not None and filled else self._object(verb.accusative, richness, owner)
            clause = replace(clause, accusative=nominal)
        if verb.dative:
            filled = gap is not None and slot is Slot.DATIVE
            nominal = gap.nominal if gap is not None and filled else self._object(verb.dative, richness, owner)
            clause = replace(clause, dative=nominal)
        around: list[Fragment] = []
        if verb.prepositional is not None:
            needs = verb.prepositional
            filled = gap is not None and slot is Slot.PREPOSITIONAL
            nominal = gap.nominal if gap is not None and filled else self._object(needs.nouns, richness, owner)
            if needs.english or needs.german:
                around.append(
                    prepositional_phrase(
                        english=needs.english, german_preposition=needs.german, case=needs.case, nominal=nominal
                    )
                )
            self._dice.note("prepositional object")
        if verb.place:
            around.append(self.adverbials.needed_place(verb.place, richness=richness))
        if verb.direction:
            around.append(self.adverbials.direction(verb.direction, richness=richness))
        return replace(clause, prepositional=tuple(around))

    def _object(self, names: str, richness: float, owner: Agreement) -> Nominal:
        return self.nominals.object(names, richness=richness, owner=owner)
