"""A clause becomes words: as statement, question, subordinate clause, or infinitive."""

from __future__ import annotations

from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.english_order import english_clause, english_front, english_predicate
from exercise.grammar.german_order import german_front, german_rest
from exercise.grammar.nominals import Role
from exercise.grammar.verb_phrases import english_verbs, german_verbs
from exercise.grammar.words import COMMA, Fragment, Leaf, Word, Words, phrase, words


def statement(clause: Clause) -> Fragment:
    """A main clause: German with the finite verb in second place."""
    verbs = german_verbs(clause.verb, clause.subject.agreement)
    german = (*german_front(clause), verbs.finite, *german_rest(clause, verbs.right, with_subject=True))
    if clause.conjunct is not None:
        conjunction, second = clause.conjunct
        verbs = german_verbs(second.verb, second.subject.agreement)
        german += (*conjunction.german.words, verbs.finite)
        german += german_rest(second, verbs.right, with_subject=False)
    return Fragment(english_clause(clause), phrase(german))


def question(clause: Clause) -> Fragment:
    """A question; one with a question word has it in front (`clause.front`), the others have the verb there."""
    verbs = german_verbs(clause.verb, clause.subject.agreement)
    asked = clause.front is not Slot.SUBJECT
    german = german_front(clause) if asked else ()
    german = (*german, verbs.finite, *german_rest(clause, verbs.right, with_subject=True, inverted=True))
    first, rest = english_verbs(clause.verb, clause.subject.agreement, question=True)
    front = english_front(clause) if asked else ()
    subject = clause.subject.english(Role.SUBJECT)
    return Fragment((*front, *first, *subject, *english_predicate(clause, (), rest)), phrase(german))


def dependent(clause: Clause, introduction: Fragment | None) -> Fragment:
    """A subordinate clause with its commas in German: behind a conjunction, or (None) a relative clause.

    In a relative clause `clause.front` is the place of the relative pronoun.
    """
    verbs = german_verbs(clause.verb, clause.subject.agreement)
    if introduction is not None:
        german: Words = (COMMA, *introduction.german.words)
        english: Words = introduction.english
    else:
        german, english = (COMMA, *german_front(clause)), ()
    in_front = introduction is None and clause.front is Slot.SUBJECT
    german += german_rest(clause, verbs.final, with_subject=True, inverted=not in_front)
    if clause.conjunct is not None:
        conjunction, second = clause.conjunct
        verbs = german_verbs(second.verb, second.subject.agreement)
        german += conjunction.german.words + german_rest(second, verbs.final, with_subject=False)
    return Fragment(english + english_clause(clause), phrase((*german, COMMA)))


def infinitive(clause: Clause, introduction: Fragment | None) -> Fragment:
    """A clause with *to* and *zu*; `introduction` is *in order* and *um*, or None. The subject is not said."""
    to = Leaf()
    verb = clause.verb.verb
    leaf = clause.verb.verb_leaf
    zu = verb.german.zu_infinitive().split()
    right = (Word(zu[0], (to, leaf)),) if len(zu) == 1 else (Word(zu[0], (to,)), Word(zu[1], (leaf,)))
    english = words("to", to) + english_predicate(clause, (), words(verb.english.base, leaf))
    german = german_rest(clause, right, with_subject=False)
    if introduction is not None:
        english, german = introduction.english + english, introduction.german.words + german
    return Fragment(english, phrase((COMMA, *german, COMMA)))
