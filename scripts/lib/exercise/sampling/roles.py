"""Which noun can do what with which verb."""

from __future__ import annotations

from exercise.grammar.clauses import Slot
from exercise.grammar.nominals import Nominal
from exercise.grammar.pronouns import noun_of
from exercise.lexicon.noun_groups import group
from exercise.lexicon.nouns import NOUNS
from exercise.lexicon.verbs import VERBS, Verb
from exercise.morphology.tense import Tense

SIMPLE_VERBS = tuple(verb for verb in VERBS if not verb.clause)
"""The verbs that need no other clause."""


def _nouns_of(names: str) -> frozenset[str]:
    return frozenset(noun.singular for noun in group(names)) if names else frozenset()


def _prepositional(verb: Verb) -> str:
    return "" if verb.prepositional is None else verb.prepositional.nouns


TAKES: dict[Slot, dict[Verb, frozenset[str]]] = {
    Slot.SUBJECT: {verb: _nouns_of(verb.subject) for verb in VERBS},
    Slot.ACCUSATIVE: {verb: _nouns_of("" if verb.via else verb.accusative) for verb in VERBS},
    Slot.DATIVE: {verb: _nouns_of(verb.dative) for verb in VERBS},
    Slot.PREPOSITIONAL: {verb: _nouns_of(_prepositional(verb)) for verb in VERBS},
}
"""The nouns that a verb takes in each place of its clause, by English singular. Objects behind an English preposition
that cannot leave its verb are left out."""

ROLES: dict[str, dict[Slot, tuple[Verb, ...]]] = {
    noun: {slot: tuple(verb for verb in SIMPLE_VERBS if noun in takes[verb]) for slot, takes in TAKES.items()}
    for noun in NOUNS
}
"""The other way round: the verbs that take a noun in each place."""


def of_people(verb: Verb) -> bool:
    """Whether people can be its subject."""
    return "man" in TAKES[Slot.SUBJECT][verb]


def is_person(nominal: Nominal) -> bool:
    """Whether it is a person."""
    noun = noun_of(nominal)
    return noun is None or noun.kind == "person"


def is_place(nominal: Nominal) -> bool:
    """Whether it is a place."""
    noun = noun_of(nominal)
    return noun is not None and noun.kind in ("place", "sea")


def suits(verb: Verb, subject: Nominal | None, tense: Tense) -> bool:
    """Whether the verb can have this subject (None: any) in this tense."""
    if verb.state and tense not in (Tense.PRESENT, Tense.PAST):
        return False
    if subject is None:
        return True
    if tense in (Tense.PAST, Tense.PLUPERFECT) and subject.agreement.person == 2:
        return False  # German says it in the perfect
    if tense is Tense.PAST and not verb.tense_is_visible and not subject.agreement.third_singular:
        return False
    noun = noun_of(subject)
    return of_people(verb) if noun is None else noun.singular in TAKES[Slot.SUBJECT][verb]
