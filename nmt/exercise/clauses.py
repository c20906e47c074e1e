"""A clause and its word order in both languages.

German, by fields: front, finite verb, middle, right bracket, end; in a subordinate clause all verbs are in the right
bracket. The middle is ordered: subject, pronouns (accusative, dative, reflexive), time, cause, definite objects
(dative, accusative), adverb, *nicht*, manner, place, indefinite objects, prepositional object or direction. A relative
clause that would stand alone between the middle and the right bracket moves behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nmt.exercise.german import Case, reflexive_pronoun
from nmt.exercise.nominals import Nominal, Role
from nmt.exercise.verb_phrases import VerbPhrase, english_verbs, german_verbs
from nmt.exercise.words import COMMA, Fragment, Leaf, Phrase, Word, Words, phrase, words


class Slot(Enum):
    """What can stand in front of a clause."""

    SUBJECT = "subject"
    ACCUSATIVE = "accusative"
    DATIVE = "dative"
    PREPOSITIONAL = "prepositional"
    TIME = "time"
    PLACE = "place"
    CAUSE = "cause"
    OPENING = "opening"


@dataclass(frozen=True)
class Clause:
    """A clause before its words are put in order.

    Attributes:
        verb: The verb phrase.
        subject: The subject.
        accusative: The accusative object.
        dative: The dative object.
        prepositional: What is closest to the verb: prepositional object, direction, predicate.
        frequency: An adverb such as *often*.
        manner: An adverb of manner.
        place: Where it happens.
        time: When it happens; the order of several is already that of each language.
        cause: *because of the rain*.
        opening: What may stand in front and nowhere else: a subordinate clause, *therefore*, *where*.
        front: What stands in front. In a relative clause: the relative pronoun's slot.
        closing: Clauses at the end.
        conjunct: A second verb phrase with the same subject, and the *and* before it.
    """

    verb: VerbPhrase
    subject: Nominal
    accusative: Nominal | None = None
    dative: Nominal | None = None
    prepositional: tuple[Fragment, ...] = ()
    frequency: Fragment | None = None
    manner: Fragment | None = None
    place: Fragment | None = None
    time: Fragment | None = None
    cause: Fragment | None = None
    opening: Fragment | None = None
    front: Slot = Slot.SUBJECT
    closing: tuple[Fragment, ...] = ()
    conjunct: tuple[Fragment, Clause] | None = None


# ---------------------------------------------------------------------------------------------------- whole clauses


def statement(clause: Clause) -> Fragment:
    """A main clause: German with the finite verb in second place."""
    verbs = german_verbs(clause.verb, clause.subject.agreement)
    german = (*_german_front(clause), verbs.finite, *_german_rest(clause, verbs.right, with_subject=True))
    if clause.conjunct is not None:
        conjunction, second = clause.conjunct
        verbs = german_verbs(second.verb, second.subject.agreement)
        german += (*conjunction.german.words, verbs.finite)
        german += _german_rest(second, verbs.right, with_subject=False)
    return Fragment(_english_clause(clause), phrase(german))


def question(clause: Clause) -> Fragment:
    """A question; one with a question word has it in front (`clause.front`), the others have the verb there."""
    verbs = german_verbs(clause.verb, clause.subject.agreement)
    asked = clause.front is not Slot.SUBJECT
    german = _german_front(clause) if asked else ()
    german = (*german, verbs.finite, *_german_rest(clause, verbs.right, with_subject=True, inverted=True))
    first, rest = english_verbs(clause.verb, clause.subject.agreement, question=True)
    front = _english_front(clause) if asked else ()
    subject = clause.subject.english(Role.SUBJECT)
    return Fragment((*front, *first, *subject, *_english_predicate(clause, (), rest)), phrase(german))


def dependent(clause: Clause, introduction: Fragment | None) -> Fragment:
    """A subordinate clause with its commas in German: behind a conjunction, or (None) a relative clause.

    In a relative clause `clause.front` is the place of the relative pronoun.
    """
    verbs = german_verbs(clause.verb, clause.subject.agreement)
    if introduction is not None:
        german: Words = (COMMA, *introduction.german.words)
        english: Words = introduction.english
    else:
        german, english = (COMMA, *_german_front(clause)), ()
    in_front = introduction is None and clause.front is Slot.SUBJECT
    german += _german_rest(clause, verbs.final, with_subject=True, inverted=not in_front)
    if clause.conjunct is not None:
        conjunction, second = clause.conjunct
        verbs = german_verbs(second.verb, second.subject.agreement)
        german += conjunction.german.words + _german_rest(second, verbs.final, with_subject=False)
    return Fragment(english + _english_clause(clause), phrase((*german, COMMA)))


def infinitive(clause: Clause, introduction: Fragment | None) -> Fragment:
    """A clause with *to* and *zu*; `introduction` is *in order* and *um*, or None. The subject is not said."""
    to = Leaf()
    verb = clause.verb.verb
    leaf = clause.verb.verb_leaf
    zu = verb.german.zu_infinitive().split()
    right = (Word(zu[0], (to, leaf)),) if len(zu) == 1 else (Word(zu[0], (to,)), Word(zu[1], (leaf,)))
    english = words("to", to) + _english_predicate(clause, (), words(verb.english.base, leaf))
    german = _german_rest(clause, right, with_subject=False)
    if introduction is not None:
        english, german = introduction.english + english, introduction.german.words + german
    return Fragment(english, phrase((COMMA, *german, COMMA)))


# ---------------------------------------------------------------------------------------------------------- German


def _nominal(nominal: Nominal | None, case: Case) -> Phrase:
    return phrase(()) if nominal is None else nominal.german(case)


def _front_fragment(clause: Clause) -> Fragment:
    """The fragment in front, where it is one."""
    chosen = {
        Slot.PREPOSITIONAL: clause.prepositional[0] if clause.prepositional else None,
        Slot.TIME: clause.time,
        Slot.PLACE: clause.place,
        Slot.CAUSE: clause.cause,
        Slot.OPENING: clause.opening,
    }[clause.front]
    assert chosen is not None
    return chosen


def _german_front(clause: Clause) -> Words:
    if clause.front is Slot.SUBJECT:
        front = clause.subject.german(Case.NOMINATIVE)
    elif clause.front is Slot.ACCUSATIVE:
        front = _nominal(clause.accusative, Case.ACCUSATIVE)
    elif clause.front is Slot.DATIVE:
        front = _nominal(clause.dative, Case.DATIVE)
    else:
        front = _front_fragment(clause).german
    return front.words + front.tail


def _german_rest(clause: Clause, right: Words, *, with_subject: bool, inverted: bool = False) -> Words:
    """Middle, right bracket and end. `inverted`: the subject is in the middle although it is `clause.front`."""
    start = _german_start(clause, subject=with_subject and (inverted or clause.front is not Slot.SUBJECT))
    middle = [part for part in _german_middle(clause) if part.words]
    result = start
    tail: Words = ()
    for part in middle[:-1]:
        result += part.words + part.tail
    if middle:
        result += middle[-1].words
        tail = middle[-1].tail
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


def _german_middle(clause: Clause) -> list[Phrase]:
    nouns = [
        (nominal.definite, nominal.german(case))
        for nominal, case, slot in reversed(_objects(clause))
        if nominal is not None and not nominal.pronominal and clause.front is not slot
    ]
    verb = clause.verb
    adverbs: Words = ()
    if clause.frequency is not None:
        adverbs += clause.frequency.german.words
    if verb.gladly:
        adverbs += words("gern", verb.gladly_leaf)
    if verb.nicht and verb.negation is not None:
        adverbs += words("nicht", verb.negation)
    return [
        *_unless_front(clause, Slot.TIME, clause.time),
        *_unless_front(clause, Slot.CAUSE, clause.cause),
        *(noun for definite, noun in nouns if definite),
        phrase(adverbs),
        *([] if clause.manner is None else [clause.manner.german]),
        *_unless_front(clause, Slot.PLACE, clause.place),
        *(noun for definite, noun in nouns if not definite),
        *(part.german for part in _prepositional(clause)),
    ]


def _unless_front(clause: Clause, slot: Slot, part: Fragment | None) -> list[Phrase]:
    return [] if part is None or clause.front is slot else [part.german]


def _prepositional(clause: Clause) -> tuple[Fragment, ...]:
    return clause.prepositional[1:] if clause.front is Slot.PREPOSITIONAL else clause.prepositional


# --------------------------------------------------------------------------------------------------------- English


def _english_front(clause: Clause) -> Words:
    if clause.front is Slot.SUBJECT:
        return ()
    if clause.front is Slot.ACCUSATIVE:
        return () if clause.accusative is None else clause.accusative.english(Role.OBJECT)
    if clause.front is Slot.DATIVE and clause.dative is not None:
        needs_to = clause.verb.verb.dative_to or clause.accusative is not None
        return (_to(clause.dative) if needs_to else ()) + clause.dative.english(Role.OBJECT)
    return _front_fragment(clause).english


def _english_clause(clause: Clause) -> Words:
    """Front, subject and predicate of anything but a question."""
    first, rest = english_verbs(clause.verb, clause.subject.agreement, question=False)
    result = _english_front(clause) + clause.subject.english(Role.SUBJECT) + _english_predicate(clause, first, rest)
    if clause.conjunct is not None:
        conjunction, second = clause.conjunct
        first, rest = english_verbs(second.verb, second.subject.agreement, question=False)
        result += conjunction.english + _english_predicate(second, first, rest)
    return result


def _english_predicate(clause: Clause, first: Words, rest: Words) -> Words:
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
    for part in _prepositional(clause):
        result += part.english
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
    direct = () if accusative is None else accusative.english(Role.OBJECT)
    result = direct + particle if accusative is not None and accusative.pronominal else particle + direct
    if dative is None:
        return result
    indirect = dative.english(Role.OBJECT)
    short_first = accusative is not None and accusative.definite and not dative.definite
    if verb.dative_to or short_first or (accusative is not None and accusative.pronominal):
        return result + _to(dative) + indirect
    return indirect + result


def _to(dative: Nominal) -> Words:
    """*to*, aligned with what shows the dative in German."""
    return (Word("to", dative.german(Case.DATIVE).words[0].leaves),)
