"""Draws what may be added to a clause: adverbials and negation."""

from __future__ import annotations

from dataclasses import replace

from nmt.exercise.grammar.clauses import Clause, Slot
from nmt.exercise.grammar.determiners import ANY, BARE, EVERY, MANY, NO, SOME, A
from nmt.exercise.grammar.nominals import Nominal, NounPhrase
from nmt.exercise.grammar.words import Leaf
from nmt.exercise.lexicon.adverbials import FREQUENCY, ONE_WORD_TIMES
from nmt.exercise.lexicon.verbs import BE
from nmt.exercise.sampling.adverbials import AdverbialSampler
from nmt.exercise.sampling.dice import Dice
from nmt.exercise.sampling.plans import Plan
from nmt.exercise.sampling.roles import is_place, of_people


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
        dice = self._dice
        verb = clause.verb.verb
        if verb.subject == "schedule":
            time = self._adverbials.times.day_and_clock() if spare > 3 else self._adverbials.times.clock("at", "um")
            return replace(clause, time=time)
        if not (plan.plain or plan.positive) and deniable(clause.subject) and dice.chance(0.1):
            clause = self._negated(clause)
        steps = ["time", "place", "manner", "frequency", "cause"]
        if plan.timeless:
            steps.remove("time")
        if plan.positive:
            steps.remove("frequency")  # not "until he never ..."
        dice.shuffle(steps)
        fronted = not plan.main
        for step in steps:
            if spare < 1 or not dice.chance(0.25 if step in ("cause", "frequency") else 0.6):
                continue
            may_end = not plan.closed
            in_front = not fronted and step in ("time", "place", "cause") and (plan.closed or dice.chance(0.5))
            if step == "manner" and plan.closed and (clause.accusative or clause.dative):
                continue
            added = self._add(clause, step, spare) if may_end or in_front or step in ("frequency", "manner") else clause
            if added is clause:
                continue
            clause, spare = added, spare - 3
            if in_front:
                dice.note("inversion")
                clause, fronted = replace(clause, front=Slot(step)), True
        return clause

    def _add(self, clause: Clause, step: str, spare: int) -> Clause:
        """The clause with one adverbial more, if it can have it."""
        phrase, verb = clause.verb, clause.verb.verb
        denied, copula = phrase.negation is not None, verb is BE
        dynamic = not verb.state
        if step == "time" and not clause.frequency and (dynamic or copula) and phrase.tense in ONE_WORD_TIMES:
            return replace(clause, time=self._adverbials.times.time(phrase.tense, room=min(spare, 6), simple=False))
        if denied:
            return clause
        if step == "frequency" and phrase.modal is None and not phrase.gladly and (dynamic or copula):
            if phrase.tense in FREQUENCY and not clause.time and deniable(clause.subject):
                return replace(clause, frequency=self._adverbials.frequency(phrase.tense))
        elif step == "manner" and verb.manner and not clause.place and clause.frequency is None:
            return replace(clause, manner=self._adverbials.manner(verb, clause.subject.agreement))
        elif step == "place" and dynamic and spare >= 3 and not clause.manner and of_people(verb):
            visited = clause.accusative is not None and is_place(clause.accusative)
            if not (verb.place or verb.direction or visited):
                return replace(clause, place=self._adverbials.scene(verb))
        elif step == "cause" and dynamic and spare >= 3 and clause.time is None:
            return replace(clause, cause=self._adverbials.cause(richness=0.2))
        return clause

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
