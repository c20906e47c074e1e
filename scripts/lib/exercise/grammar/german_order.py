"""The German word order of a clause.

By fields: front, finite verb, middle, right bracket, end; in a subordinate clause all verbs are in the right bracket.
The middle is ordered: subject, pronouns (reflexive, accusative, dative), time, cause, adverb, definite objects (dative,
accusative), *nicht*, manner, company, place, indefinite objects, prepositional object or direction. A relative clause
or comparison (*als ...*) that only adverbs or nothing would separate from the end moves behind the right bracket.
"""

from __future__ import annotations

from typing import NamedTuple

from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.nominals import Nominal
from exercise.grammar.words import Fragment, Phrase, Words, phrase, words
from exercise.morphology.german import Case, reflexive_pronoun


def _nominal(nominal: Nominal | None, case: Case) -> Phrase:
    return phrase(()) if nominal is None else nominal.german(case)


def german_front(clause: Clause) -> Words:
    """What stands in front of the finite verb, or of everything in a relative clause."""
    if clause.front is Slot.SUBJECT:
        front = clause.subject.german(Case.NOMINATIVE)
    elif clause.front is Slot.ACCUSATIVE:
        front = _nominal(clause.accusative, Case.ACCUSATIVE)
    elif clause.front is Slot.DATIVE:
        front = _nominal(clause.dative, Case.DATIVE)
    else:
        front = clause.front_fragment().german
    return front.words + front.tail


def german_rest(clause: Clause, right: Words, *, with_subject: bool, inverted: bool = False) -> Words:
    """Middle, right bracket and end. `inverted`: the subject is in the middle although it is `clause.front`."""
    start = _german_start(clause, subject=with_subject and (inverted or clause.front is not Slot.SUBJECT))
    result = start
    tail: Words = ()
    for part in _german_middle(clause):
        if part.heavy:
            result, tail = result + tail, part.phrase.tail
        result += part.phrase.words
    result += right + tail
    for closing in clause.closing:
        result += closing.german.words
    return result


def _german_start(clause: Clause, *, subject: bool) -> Words:
    """Subject and pronouns. *sich* goes before a subject that is a noun, the other pronouns behind it."""
    verb = clause.verb
    person, plural, _ = clause.subject.agreement
    reflexive: Words = ()
    if verb.verb.german.reflexive:
        reflexive = words(reflexive_pronoun(person, plural), verb.verb_leaf)
    result: Words = ()
    if subject:
        body, tail = clause.subject.german(Case.NOMINATIVE)
        result = body + tail + reflexive if clause.subject.pronominal else reflexive + body + tail
    else:
        result = reflexive
    for nominal, case, slot in _objects(clause):
        if nominal is not None and nominal.pronominal and clause.front is not slot:
            result += nominal.german(case).words
    return result


def _objects(clause: Clause) -> tuple[tuple[Nominal | None, Case, Slot], ...]:
    return (
        (clause.accusative, Case.ACCUSATIVE, Slot.ACCUSATIVE),
        (clause.dative, Case.DATIVE, Slot.DATIVE),
    )


class _Part(NamedTuple):
    """A part of the middle; a relative clause or comparison cannot pass a heavy one on its way to the end."""

    phrase: Phrase
    heavy: bool


def _german_middle(clause: Clause) -> list[_Part]:
    nouns = [
        (nominal.definite, nominal.german(case))
        for nominal, case, slot in reversed(_objects(clause))
        if nominal is not None and not nominal.pronominal and clause.front is not slot
    ]
    verb = clause.verb
    gladly = words("gern", verb.gladly_leaf) if verb.gladly else ()
    nicht = words("nicht", verb.negation) if verb.nicht and verb.negation is not None else ()
    return [
        *_heavy(clause.time, clause.front is Slot.TIME),
        *_heavy(clause.cause, clause.front is Slot.CAUSE),
        *([] if clause.frequency is None else [_Part(clause.frequency.german, False)]),
        _Part(phrase(gladly), False),
        *(_Part(noun, True) for definite, noun in nouns if definite),
        _Part(phrase(nicht), False),
        *([] if clause.manner is None else [_Part(clause.manner.german, False)]),
        *_heavy(clause.company, False),
        *_heavy(clause.place, clause.front is Slot.PLACE),
        *(_Part(noun, True) for definite, noun in nouns if not definite),
        *(_Part(part.german, True) for part in clause.prepositional_behind()),
    ]


def _heavy(part: Fragment | None, in_front: bool) -> list[_Part]:
    return [] if part is None or in_front else [_Part(part.german, True)]
