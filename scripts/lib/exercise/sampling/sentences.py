"""Draws whole sentences: main clauses, what depends on them, and how they are joined."""

from __future__ import annotations

from dataclasses import replace

from exercise.grammar.clause_kinds import statement
from exercise.grammar.clauses import Slot
from exercise.grammar.words import COMMA, Fragment, chunks, phrase
from exercise.lexicon.adverbials import CONNECTORS
from exercise.sampling.clauses import ClauseSampler
from exercise.sampling.complex_sentences import ComplexSampler
from exercise.sampling.dice import Dice
from exercise.sampling.expletives import ExpletiveSampler
from exercise.sampling.patterns import PatternSampler
from exercise.sampling.plans import Plan
from exercise.sampling.questions import QuestionSampler
from exercise.sampling.tenses import TenseSampler


class SentenceSampler:
    """Draws sentences.

    Args:
        dice: Where the choices come from.
    """

    def __init__(self, *, dice: Dice) -> None:
        self._dice = dice
        self._tenses = tenses = TenseSampler(dice=dice)
        self._clauses = clauses = ClauseSampler(dice=dice)
        self._questions = questions = QuestionSampler(dice=dice, clauses=clauses)
        self._expletives = expletives = ExpletiveSampler(dice=dice, clauses=clauses)
        self._patterns = PatternSampler(dice=dice, tenses=tenses, clauses=clauses)
        self._complex = ComplexSampler(
            dice=dice, tenses=tenses, clauses=clauses, questions=questions, expletives=expletives
        )

    def sentence(self, room: int) -> tuple[Fragment, str]:
        """A sentence of about `room` English words, and its final mark."""
        dice = self._dice
        self._tenses.new_sentence()
        if room <= 12 and dice.chance(0.14):
            return self._questions.question(room), "?"
        count = 1
        if room > 14:
            few, many = (1, 2) if room <= 28 else (2, 3) if room <= 42 else (3, 4)
            count = dice.weighted(((few, 3.0), (many, 2.0)))
        result = self._unit(room // count, first=True)
        for _ in range(count - 1):
            result = self._joined(result, room // count)
        return result, "."

    def _joined(self, first: Fragment, room: int) -> Fragment:
        """Two main clauses with *and*, *but*, *and therefore*."""
        dice = self._dice
        kind = dice.weighted((("and", 4.0), ("but", 3.0), ("connector", 2.0)))
        dice.note(f"coordinated main clauses: {kind}")
        conjunction = chunks("but=aber" if kind == "but" else "and=und")
        if kind == "connector":
            connector = chunks(dice.pick(CONNECTORS))
            clause = self._clauses.clause(Plan(tense=self._tenses.any(), room=room, depth=1), None)
            second = statement(replace(clause, opening=connector, front=Slot.OPENING))
        else:
            second = self._unit(room, first=False)
        english = (*first.english, COMMA, *conjunction.english, *second.english)
        german = (*first.german.words, COMMA, *conjunction.german.words, *second.german.words)
        return Fragment(english, phrase(german))

    # --------------------------------------------------------------------------------------------------- units

    def _unit(self, room: int, *, first: bool) -> Fragment:
        """A main clause with all that depends on it. `first`: whether it begins the sentence."""
        dice = self._dice
        choices = [(self._simple, 5.0 if room < 20 else 1.5)]
        if room <= 9:
            choices += [(self._expletives.statement, 0.5)]
        if 6 <= room <= 14:
            choices += [(self._patterns.correction, 0.4)]
        if room >= 6:
            choices += [(self._complex.trying, 1.0)]
        if room >= 8:
            choices += [
                (self._patterns.two_verbs, 1.7),
                (self._complex.reported, 1.8),
                (self._complex.purpose, 0.7),
                (self._patterns.about_thing, 1.8),
            ]
        if room >= 9:
            choices += [(self._complex.closing, 3.5), (self._complex.lasting, 0.7), (self._complex.so_that, 0.5)]
            choices += [(self._complex.opening, 2.0 if first else 0.0)]
        return dice.weighted(choices)(room)

    def _simple(self, room: int) -> Fragment:
        return statement(self._clauses.clause(Plan(tense=self._tenses.any(), room=room, main=True, depth=2), None))
