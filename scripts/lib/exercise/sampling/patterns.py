"""Draws main clauses that follow a pattern: two verbs, a thing and then *it*, *not ... but ...*."""

from __future__ import annotations

from dataclasses import replace

from exercise.grammar.clause_kinds import statement
from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.determiners import ANY, A
from exercise.grammar.nominals import Correction, Nominal, NounPhrase
from exercise.grammar.pronouns import Pronoun
from exercise.grammar.verb_phrases import VerbPhrase
from exercise.grammar.words import Fragment, chunks, fragment
from exercise.lexicon.conjunctions import CONJUNCTIONS
from exercise.lexicon.noun_groups import group
from exercise.lexicon.verbs import BE
from exercise.morphology.tense import Tense
from exercise.sampling.clauses import ClauseSampler
from exercise.sampling.dice import Dice
from exercise.sampling.plans import Plan
from exercise.sampling.roles import ROLES, SIMPLE_VERBS, suits
from exercise.sampling.subordination import subordinate
from exercise.sampling.tenses import TenseSampler


class PatternSampler:
    """Draws main clauses of several parts.

    Args:
        dice: Where the choices come from.
        tenses: Draws the tenses.
        clauses: Draws the clauses.
    """

    def __init__(self, *, dice: Dice, tenses: TenseSampler, clauses: ClauseSampler) -> None:
        self._dice = dice
        self._tenses = tenses
        self._clauses = clauses

    def correction(self, room: int) -> Fragment:
        """*not an apple but a pear*."""
        dice = self._dice
        while True:
            verb = dice.pick(SIMPLE_VERBS)
            countable = [noun for noun in group(verb.accusative) if noun.countable] if verb.accusative else []
            if len(countable) > 1 and verb.subject == "person" and not verb.dative and not verb.direction:
                break
        denied = dice.pick(countable)
        similar = [noun for noun in countable if noun.kind == denied.kind and noun is not denied]
        asserted = dice.pick(similar or countable)
        first, second = NounPhrase(denied, ANY, False), NounPhrase(asserted, A, False)
        tense = self._tenses.simple() if verb.state else self._tenses.any()
        given: dict[Slot, Nominal] = {Slot.ACCUSATIVE: Correction(first, second)}
        clause = self._clauses.with_verb(verb, Plan(tense=tense, room=room // 2, closed=True, plain=True), given)
        dice.note("kein ... sondern")
        clause = replace(clause, verb=replace(clause.verb, negation=first.determiner_leaf), frequency=None)
        return statement(replace(clause, manner=None))

    def two_verbs(self, room: int) -> Fragment:
        """*buys a book and reads the newspaper*."""
        dice = self._dice
        plan = Plan(tense=self._tenses.any(), room=room // 2, main=True, plain=True, dynamic=True)
        noted = set(dice.notes)
        while True:
            dice.notes = set(noted)  # of what is thrown away nothing remains
            first = self._clauses.clause(plan, None)
            second = self._clauses.clause(plan._replace(main=False, timeless=first.time is not None), first.subject)
            if first.verb.verb is not second.verb.verb:
                break
        dice.note("coordinated verb phrases")
        return statement(replace(first, conjunct=(chunks("and=und"), second)))

    def about_thing(self, room: int) -> Fragment:
        """A thing and then *it*: *buys a book and reads it*, *sells the car because it is old*."""
        dice = self._dice
        plan = Plan(tense=self._tenses.any(), room=3, plain=True)
        noted = set(dice.notes)
        while True:
            dice.notes = set(noted)  # of what is thrown away nothing remains
            verb = dice.pick(SIMPLE_VERBS)
            if not suits(verb, None, plan.tense) or verb.subject != "person" or verb.via:
                continue
            clause = self._clauses.with_verb(verb, plan, {})
            thing = clause.accusative
            lonely = not (clause.dative or clause.prepositional)
            if lonely and isinstance(thing, NounPhrase) and thing.noun.kind != "person" and _is_simple(thing):
                break
        it = Pronoun(thing.agreement, not thing.many)
        dice.note("pronoun for a thing")
        if dice.chance(0.45):
            verbs = [other for other in ROLES[thing.noun.singular][Slot.ACCUSATIVE] if other is not verb]
            verbs = [other for other in verbs if suits(other, clause.subject, plan.tense) and not other.state]
            if verbs:
                given: dict[Slot, Nominal] = {Slot.SUBJECT: clause.subject, Slot.ACCUSATIVE: it}
                second = self._clauses.with_verb(dice.pick(verbs), plan._replace(room=room // 2), given)
                dice.note("coordinated verb phrases")
                return statement(replace(clause, conjunct=(chunks("and=und"), second)))
        return self._because_it(clause, thing, it)

    def _because_it(self, clause: Clause, thing: NounPhrase, it: Pronoun) -> Fragment:
        dice = self._dice
        adjectives = self._clauses.predicates.adjectives(thing)
        if not adjectives:
            return statement(clause)
        adjective = dice.pick(adjectives)
        said = fragment(adjective.english[0], adjective.german[0])
        tense = Tense.PAST if clause.verb.tense is Tense.PAST else Tense.PRESENT
        reason = Clause(verb=VerbPhrase(BE, tense), subject=it, prepositional=(said,))
        conjunction = CONJUNCTIONS[dice.between(0, 1)]
        return statement(replace(clause, closing=(subordinate(self._dice, conjunction, reason),)))


def _is_simple(thing: NounPhrase) -> bool:
    return thing.possessor is None and thing.part_of is None and thing.relative is None and thing.noun.kind != "place"
