"""Draws questions, direct and indirect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from exercise.grammar.clause_kinds import dependent, question, statement
from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.determiners import WHICH
from exercise.grammar.nominals import Nominal, NounPhrase
from exercise.grammar.pronouns import Question
from exercise.grammar.words import Fragment, fragment
from exercise.lexicon.noun_groups import group
from exercise.lexicon.verbs import Verb
from exercise.morphology.tense import Tense
from exercise.sampling.clauses import ClauseSampler
from exercise.sampling.dice import Dice
from exercise.sampling.plans import Plan
from exercise.sampling.roles import SIMPLE_VERBS, of_people, suits

TENSES = (Tense.PRESENT, Tense.PRESENT, Tense.PAST, Tense.PERFECT, Tense.FUTURE)
GOING = ("go", "drive", "travel")


class QuestionSampler:
    """Draws questions.

    Args:
        dice: Where the choices come from.
        clauses: Draws the clauses.
    """

    def __init__(self, *, dice: Dice, clauses: ClauseSampler) -> None:
        self._dice = dice
        self._clauses = clauses

    def question(self, room: int) -> Fragment:
        """A direct question of about `room` words."""
        dice = self._dice
        plan = Plan(tense=dice.pick(TENSES), room=min(room, 9))
        kinds = ("yes or no", "yes or no", "subject", "object", "which", "adverb")
        kind = dice.pick(kinds)
        dice.note(f"question: {kind}")
        if kind == "yes or no":
            return question(self._clauses.clause(plan, None))
        if kind == "subject":
            verb = self._verb(plan.tense, lambda verb: of_people(verb) and verb.tense_is_visible)
            return statement(self._clauses.with_verb(verb, plan._replace(plain=True), {Slot.SUBJECT: Question(True)}))
        if kind == "adverb":
            return self._adverb(plan)
        return question(self._object(plan, which=kind == "which"))

    def indirect(self, tense: Tense, room: int, subject: Nominal | None) -> Fragment:
        """*whether the man sleeps*, *where the man lives*, as a subordinate clause."""
        dice = self._dice
        plan = Plan(tense=tense, room=room, depth=1)
        if dice.chance(0.5):
            dice.note("subordinate clause: ob")
            return dependent(self._clauses.clause(plan, subject), fragment("whether", "ob"))
        dice.note("indirect question")
        clause, word = self._without(plan._replace(depth=0), subject)
        return dependent(clause, word)

    def _verb(self, tense: Tense, fits: Callable[[Verb], bool]) -> Verb:
        while True:
            verb = self._dice.pick(SIMPLE_VERBS)
            if fits(verb) and suits(verb, None, tense):
                return verb

    def _object(self, plan: Plan, *, which: bool) -> Clause:
        """*What does the man buy?*, *Whom does she help?*, *Which book do you read?*."""
        verb = self._verb(plan.tense, lambda verb: bool(verb.accusative or verb.dative) and not verb.via)
        slot = Slot.ACCUSATIVE if verb.accusative else Slot.DATIVE
        noun = self._dice.pick(group(verb.accusative or verb.dative))
        asked: Nominal = Question(noun.kind == "person" or slot is Slot.DATIVE)
        if which and noun.countable:
            asked = NounPhrase(noun, WHICH, self._dice.chance(0.2))
        return self._clauses.with_verb(verb, plan._replace(plain=True), {slot: asked})

    def _adverb(self, plan: Plan) -> Fragment:
        clause, word = self._without(plan, None)
        return question(replace(clause, opening=word, front=Slot.OPENING))

    def _without(self, plan: Plan, subject: Nominal | None) -> tuple[Clause, Fragment]:
        """A clause without what *where*, *when* or *why* asks for, and that word."""
        dice = self._dice
        english = dice.pick(("where", "when", "why"))
        plan = plan._replace(plain=True, dynamic=english == "when")
        verb = self._clauses.verb(plan, subject)
        if english == "where":
            while not (
                verb.place or verb.direction in GOING or (of_people(verb) and not verb.direction and not verb.state)
            ):
                verb = self._clauses.verb(plan, subject)
        given = {} if subject is None else {Slot.SUBJECT: subject}
        clause = replace(self._clauses.with_verb(verb, plan, given), frequency=None)
        if english == "why":
            return replace(clause, cause=None), fragment("why", "warum")
        if english == "when":
            return replace(clause, time=None), fragment("when", "wann")
        if verb.place or verb.direction:
            clause = replace(clause, prepositional=clause.prepositional[:-1])
        return replace(clause, place=None), fragment("where", "wohin" if verb.direction else "wo")
