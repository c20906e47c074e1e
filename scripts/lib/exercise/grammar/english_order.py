"""The English word order of a clause."""

from __future__ import annotations

from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.nominals import Nominal, Role
from exercise.grammar.verb_phrases import english_verbs
from exercise.grammar.words import Word, Words, words
from exercise.morphology.german import Case


def english_front(clause: Clause) -> Words:
    """What stands before the subject."""
    if clause.front is Slot.SUBJECT:
        return ()
    if clause.front is Slot.ACCUSATIVE:
        return () if clause.accusative is None else clause.accusative.english(Role.OBJECT)
    if clause.front is Slot.DATIVE and clause.dative is not None:
        needs_to = clause.verb.verb.dative_to or clause.accusative is not None
        return (_to(clause.dative) if needs_to else ()) + clause.dative.english(Role.OBJECT)
    return clause.front_fragment().english


def english_clause(clause: Clause) -> Words:
    """Front, subject and predicate of anything but a question."""
    first, rest = english_verbs(clause.verb, clause.subject.agreement, question=False)
    result = english_front(clause) + clause.subject.english(Role.SUBJECT) + english_predicate(clause, first, rest)
    if clause.conjunct is not None:
        conjunction, second = clause.conjunct
        first, rest = english_verbs(second.verb, second.subject.agreement, question=False)
        result += conjunction.english + english_predicate(second, first, rest)
    return result


def english_predicate(clause: Clause, first: Words, rest: Words) -> Words:
    """Everything behind the subject."""
    negation = clause.verb.negation
    result = first
    if negation is not None:
        if first and first[0].text == "can":
            result = (Word("cannot", (*first[0].leaves, negation)),)
        else:
            result += words("not", negation)
    if clause.frequency is not None:
        result += clause.frequency.english
    result += rest + _english_objects(clause)
    if clause.manner is not None:
        result += clause.manner.english
    for part in clause.prepositional_behind():
        result += part.english
    if clause.company is not None:
        result += clause.company.english
    for slot, adverbial in ((Slot.PLACE, clause.place), (Slot.TIME, clause.time), (Slot.CAUSE, clause.cause)):
        if adverbial is not None and clause.front is not slot:
            result += adverbial.english
    for closing in clause.closing:
        result += closing.english
    return result


def _english_objects(clause: Clause) -> Words:
    """Particle and objects: *turns on the lamp*, *turns it on*, *gives him the book*, *gives it to him*."""
    verb = clause.verb.verb
    particle = words(verb.english.particle, clause.verb.verb_leaf)
    accusative = None if clause.front is Slot.ACCUSATIVE else clause.accusative
    dative = None if clause.front is Slot.DATIVE else clause.dative
    direct: Words = ()
    if accusative is not None:
        direct = words(verb.via, clause.verb.verb_leaf) + accusative.english(Role.OBJECT)
    result = direct + particle if accusative is not None and accusative.pronominal else particle + direct
    if dative is None:
        return result
    indirect = dative.english(Role.OBJECT)
    short_first = accusative is not None and accusative.definite and not dative.definite
    gone = clause.front is Slot.ACCUSATIVE
    if verb.dative_to or short_first or gone or (accusative is not None and accusative.pronominal):
        return result + _to(dative) + indirect
    return indirect + result


def _to(dative: Nominal) -> Words:
    """*to*, aligned with what shows the dative in German."""
    return (Word("to", dative.german(Case.DATIVE).words[0].leaves),)
