"""Draws what may be added to a clause: adverbials and negation."""

from __future__ import annotations

from dataclasses import replace

from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.determiners import ANY, BARE, EVERY, MANY, NO, SOME, A
from exercise.grammar.nominals import Nominal, NounPhrase
from exercise.grammar.words import Leaf
from exercise.lexicon.adverbials import FREQUENCY, ONE_WORD_TIMES
from exercise.lexicon.verbs import BE
from exercise.sampling.adverbials import AdverbialSampler
from exercise.sampling.dice import Dice
from exercise.sampling.plans import Plan
from exercise.sampling.roles import is_place, of_people

STEPS = {"time": 0.6, "place": 0.6, "manner": 0.6, "frequency": 0.25, "cause": 0.25}
"""What can be added, and how likely it is tried."""


def deniable(subject: Nominal) -> bool:
    """Whether *not* means the same in both languages with this subject."""
    return not (isinstance(subject, NounPhrase) and subject.determiner in (EVERY, NO, SOME, MANY))


class AdditionSampler:
    """Draws additions.

    Args:
        dice: Where the choices come from.
        adverbials: Draws the adverbials.
    """

    def __init__(self, *, dice: Dice, adverbials: AdverbialSampler) -> None:
        self._dice = dice
        self._adverbials = adverbials

    def enrich(self, clause: Clause, spare: int, plan: Plan) -> Clause:
        """Adds what there is room for: about `spare` words."""
        dice, times = self._dice, self._adverbials.times
        if clause.verb.verb.subject == "schedule":
            return replace(clause, time=times.day_and_clock() if spare > 3 else times.clock("at", "um"))
        if not (plan.plain or plan.positive) and deniable(clause.subject) and dice.chance(0.1):
            clause = self._negated(clause)
        steps = list(STEPS)
        dice.shuffle(steps)
        for step in steps:
            if spare < 1 or not dice.chance(STEPS[step]) or not self._suits(clause, step, spare, plan):
                continue
            free = plan.main and clause.front is Slot.SUBJECT and step in ("time", "place", "cause")
            in_front = free and (plan.closed or dice.chance(0.5))
            if plan.closed and not in_front and step not in ("frequency", "manner"):
                continue
            clause, spare = self._with(clause, step, spare, plan), spare - 3
            if in_front:
                dice.note("inversion")
                clause = replace(clause, front=Slot(step))
        return clause

    def _suits(self, clause: Clause, step: str, spare: int, plan: Plan) -> bool:
        """Whether the clause can have this adverbial."""
        phrase, verb = clause.verb, clause.verb.verb
        happens = not verb.state
        if step == "time":
            known = phrase.tense in ONE_WORD_TIMES and (happens or verb is BE)
            return known and not clause.frequency and not plan.timeless
        if phrase.negation is not None:
            return False
        if step == "frequency":
            known = phrase.tense in FREQUENCY and (happens or verb is BE) and not (phrase.modal or phrase.gladly)
            # not "no man never", "every day often", "until he never"
            return known and deniable(clause.subject) and not clause.time and not plan.positive
        if step == "manner":
            in_the_way = plan.closed and (clause.accusative or clause.dative)
            return bool(verb.manner) and not (clause.place or clause.frequency or in_the_way)
        if step == "place":
            visited = clause.accusative is not None and is_place(clause.accusative)
            said_already = bool(verb.place or verb.direction or visited or clause.manner)
            return happens and of_people(verb) and spare >= 3 and not said_already
        return happens and spare >= 3 and clause.time is None

    def _with(self, clause: Clause, step: str, spare: int, plan: Plan) -> Clause:
        """The clause with this adverbial."""
        adverbials, verb, tense = self._adverbials, clause.verb.verb, clause.verb.tense
        if step == "time":
            return replace(clause, time=adverbials.times.time(tense, room=min(spare, 6)))
        if step == "frequency":
            return replace(clause, frequency=adverbials.frequency(tense))
        if step == "place":
            return replace(clause, place=adverbials.scene(verb))
        if step == "cause":
            return replace(clause, cause=adverbials.cause(richness=0.2))
        how = self._dice.pick(verb.manner)
        if how not in ("vehicle", "company"):
            return replace(clause, manner=adverbials.manner(how))
        if plan.closed:
            return clause
        with_whom = adverbials.company(clause.subject.agreement) if how == "company" else adverbials.by_vehicle()
        return replace(clause, company=with_whom)

    # ---------------------------------------------------------------------------------------------- negation

    def _negated(self, clause: Clause) -> Clause:
        """The clause with *nicht*, or with *kein* at its indefinite object, if it can be denied at all."""
        phrase, accusative = clause.verb, clause.accusative
        modal = phrase.modal
        indefinite = isinstance(clause.dative, NounPhrase) and not clause.dative.definite
        if phrase.gladly or indefinite or clause.manner or (modal is not None and not modal.negatable):
            return clause
        if accusative is None or accusative.definite:
            self._dice.note("nicht")
            return replace(clause, verb=replace(phrase, negation=Leaf(), nicht=True))
        if not isinstance(accusative, NounPhrase) or accusative.number is not None:
            return clause
        if accusative.determiner not in (A, BARE):
            return clause
        denied = replace(accusative, determiner=ANY)
        self._dice.note("kein")
        clause = replace(clause, verb=replace(phrase, negation=denied.determiner_leaf), accusative=denied)
        return clause
