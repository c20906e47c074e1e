"""Draws main clauses with other clauses that depend on them."""

from __future__ import annotations

from dataclasses import replace

from exercise.grammar.clause_kinds import dependent, infinitive, statement
from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.nominals import Nominal
from exercise.grammar.verb_phrases import VerbPhrase
from exercise.grammar.words import COMMA, Fragment, fragment
from exercise.lexicon.conjunctions import CONJUNCTIONS, SO_THAT, UNTIL, Conjunction
from exercise.lexicon.verbs import MODALS, VERBS
from exercise.morphology.tense import Tense
from exercise.sampling.clauses import ClauseSampler
from exercise.sampling.dice import Dice
from exercise.sampling.expletives import ExpletiveSampler
from exercise.sampling.plans import Plan
from exercise.sampling.questions import QuestionSampler
from exercise.sampling.roles import SIMPLE_VERBS, is_person, of_people
from exercise.sampling.subordination import again, subordinate
from exercise.sampling.tenses import TenseSampler

STATING = tuple(verb for verb in VERBS if verb.clause == "that")
ASKING = tuple(verb for verb in VERBS if verb.clause == "whether")
TRYING = tuple(verb for verb in VERBS if verb.clause == "to")
LASTING = tuple(verb for verb in SIMPLE_VERBS if verb.lasting)
MOVING = tuple(verb for verb in SIMPLE_VERBS if verb.direction in ("go", "drive", "travel"))
CAN = MODALS[0]


class ComplexSampler:
    """Draws complex sentences.

    Args:
        dice: Where the choices come from.
        tenses: Draws the tenses.
        clauses: Draws the clauses.
        questions: Draws the questions in them.
        expletives: Draws the weather in them.
    """

    def __init__(
        self,
        *,
        dice: Dice,
        tenses: TenseSampler,
        clauses: ClauseSampler,
        questions: QuestionSampler,
        expletives: ExpletiveSampler,
    ) -> None:
        self._dice = dice
        self._tenses = tenses
        self._clauses = clauses
        self._questions = questions
        self._expletives = expletives

    def closing(self, room: int) -> Fragment:
        """Main clause, subordinate clause."""
        conjunction, (tense, below) = self._conjunction()
        plan = Plan(tense=tense, room=room // 2, main=True, dynamic=conjunction.happening, depth=1)
        main = self._clauses.clause(plan, None)
        return statement(replace(main, closing=(self._below(conjunction, below, main, room - room // 2),)))

    def opening(self, room: int) -> Fragment:
        """Subordinate clause, main clause."""
        conjunction, (tense, below) = self._conjunction()
        happens = conjunction.happening
        plan = Plan(tense=below, room=room // 2, dynamic=happens, positive=happens, depth=1)
        clause = self._clauses.clause(plan, None)
        subject = self._again(clause)
        plan = Plan(tense=tense, room=room - room // 2, dynamic=happens, timeless=clause.time is not None, depth=1)
        main = self._clauses.clause(plan, subject)
        dependent_clause = dependent(clause, fragment(conjunction.english, conjunction.german))
        self._dice.note(f"fronted clause: {conjunction.german}")
        opening = Fragment((*dependent_clause.english, COMMA), dependent_clause.german)
        return statement(replace(main, opening=opening, front=Slot.OPENING))

    def _conjunction(self) -> tuple[Conjunction, tuple[Tense, Tense]]:
        while True:
            conjunction = self._dice.pick(CONJUNCTIONS)
            tenses = [both for both in conjunction.tenses if (both[0] is Tense.PAST) is self._tenses.past]
            if tenses:
                return conjunction, self._dice.pick(tenses)

    def _below(self, conjunction: Conjunction, tense: Tense, main: Clause, room: int) -> Fragment:
        """A subordinate clause behind the main clause."""
        if self._dice.chance(0.08) and tense in (Tense.PRESENT, Tense.PAST):
            return subordinate(self._dice, conjunction, self._expletives.weather(tense))
        happens = conjunction.happening
        timeless = main.time is not None
        plan = Plan(tense=tense, room=room, dynamic=happens, positive=happens, timeless=timeless, depth=1)
        return subordinate(self._dice, conjunction, self._clauses.clause(plan, self._again(main)))

    def _again(self, clause: Clause) -> Nominal | None:
        """A pronoun for the subject of the clause before, or None for something new."""
        return again(clause.subject) if self._dice.chance(0.4) else None

    def lasting(self, room: int) -> Fragment:
        """*waits until the train arrives*, *works for two hours*."""
        tense = self._tenses.simple()
        verb = self._dice.pick(LASTING)
        plan = Plan(tense=tense, room=room // 2, main=True, closed=True, plain=True)
        main = self._clauses.with_verb(verb, plan, {})
        if room < 12 or self._dice.chance(0.3):
            return statement(
                replace(main, time=self._clauses.adverbials.times.duration(), frequency=None, front=Slot.SUBJECT)
            )
        return statement(replace(main, closing=(self._below(UNTIL, tense, main, room // 2),)))

    def so_that(self, room: int) -> Fragment:
        """*so that the child can sleep*."""
        tense = self._tenses.simple()
        main = self._clauses.clause(Plan(tense=tense, room=room // 2, main=True, dynamic=True, depth=1), None)
        plan = Plan(tense=tense, room=room // 2, plain=True, dynamic=True, timeless=main.time is not None)
        while True:
            verb = self._clauses.verb(plan, None)
            if of_people(verb):
                break
        clause = self._clauses.with_verb(verb, plan, {})
        clause = replace(clause, verb=VerbPhrase(verb, tense, modal=CAN), frequency=None)
        return statement(replace(main, closing=(subordinate(self._dice, SO_THAT, clause),)))

    def reported(self, room: int) -> Fragment:
        """*says that ...*, *asks whether ...*."""
        dice = self._dice
        verb = dice.pick(STATING + ASKING)
        tense = self._tenses.simple()
        main = self._clauses.with_verb(verb, Plan(tense=tense, room=0, main=True, closed=True), {})
        inside = dice.pick((Tense.PAST, Tense.PLUPERFECT))
        if tense is Tense.PRESENT:
            inside = dice.pick((Tense.PRESENT, Tense.PERFECT, Tense.FUTURE))
        rest = max(4, room - 4)
        subject = again(main.subject) if dice.chance(0.25) else None
        if verb in ASKING:
            return statement(replace(main, closing=(self._questions.indirect(inside, rest, subject),)))
        deeper = rest >= 12 and dice.chance(0.5)
        clause = self._clauses.clause(Plan(tense=inside, room=rest // 2 if deeper else rest, depth=1), subject)
        if deeper:
            fitting = [c for c in CONJUNCTIONS if any(main_tense is inside for main_tense, _ in c.tenses)]
            if fitting:
                conjunction = dice.pick(fitting)
                below = dice.pick([below for main_tense, below in conjunction.tenses if main_tense is inside])
                clause = replace(clause, closing=(self._below(conjunction, below, clause, rest // 2),))
        dice.note("subordinate clause: dass")
        return statement(replace(main, closing=(dependent(clause, fragment("that", "dass")),)))

    def trying(self, room: int) -> Fragment:
        """*tries to open the window*."""
        verb = self._dice.pick(TRYING)
        plan = Plan(tense=self._tenses.any(), room=room // 3, main=True, closed=True)
        main = self._clauses.with_verb(verb, plan, {})
        self._dice.note("zu with infinitive")
        return statement(replace(main, closing=(infinitive(self._infinite(main, room // 2), None),)))

    def purpose(self, room: int) -> Fragment:
        """*in order to buy bread*."""
        verb = self._dice.pick(MOVING) if self._dice.chance(0.5) else None
        plan = Plan(tense=self._tenses.any(), room=room // 2, main=True, dynamic=True, closed=True)
        while verb is None or verb.accident or not of_people(verb):
            verb = self._clauses.verb(plan, None)
        noted = set(self._dice.notes)
        main = self._clauses.with_verb(verb, plan, {})
        while not is_person(main.subject):
            self._dice.notes = set(noted)  # of what is thrown away nothing remains
            main = self._clauses.with_verb(verb, plan, {})
        self._dice.note("um ... zu")
        return statement(
            replace(main, closing=(infinitive(self._infinite(main, room // 2), fragment("in order", "um")),))
        )

    def _infinite(self, main: Clause, room: int) -> Clause:
        """A clause with the same subject, to be said with an infinitive."""
        plan = Plan(tense=Tense.PRESENT, room=room, plain=True, dynamic=True, depth=1)
        while True:
            verb = self._clauses.verb(plan, main.subject)
            if of_people(verb) and not verb.accident:
                clause = self._clauses.with_verb(verb, plan, {Slot.SUBJECT: main.subject})
                return replace(clause, frequency=None, time=None, cause=None)
