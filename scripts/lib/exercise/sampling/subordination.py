"""Subordinate clauses with their conjunctions, and the pronouns in them that mean what was named before."""

from __future__ import annotations

from exercise.grammar.clause_kinds import dependent
from exercise.grammar.clauses import Clause
from exercise.grammar.determiners import ANY, EVERY, NO
from exercise.grammar.nominals import Name, Nominal, NounPhrase, Pair
from exercise.grammar.pronouns import Pronoun
from exercise.grammar.words import COMMA, Fragment, fragment
from exercise.lexicon.conjunctions import Conjunction
from exercise.morphology.german import Gender
from exercise.sampling.dice import Dice
from exercise.sampling.roles import is_person


def subordinate(dice: Dice, conjunction: Conjunction, clause: Clause) -> Fragment:
    """A subordinate clause behind its main clause."""
    dice.note(f"subordinate clause: {conjunction.german}")
    result = dependent(clause, fragment(conjunction.english, conjunction.german))
    return Fragment((COMMA, *result.english), result.german) if conjunction.comma else result


def again(subject: Nominal) -> Pronoun | None:
    """The pronoun for a person or several that were just named; None where there is none to be sure of."""
    if isinstance(subject, Pronoun):
        return Pronoun(subject.agreement, subject.thing)
    if not is_person(subject):
        return None
    if isinstance(subject, NounPhrase) and subject.determiner in (EVERY, NO, ANY):
        return None
    if not isinstance(subject, Name | NounPhrase | Pair) or (
        not subject.agreement.plural and subject.agreement.gender is Gender.NEUTER
    ):
        return None
    return Pronoun(subject.agreement, False)
