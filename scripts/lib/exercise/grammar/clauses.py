"""A clause before its words are put in order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from exercise.grammar.nominals import Nominal
from exercise.grammar.verb_phrases import VerbPhrase
from exercise.grammar.words import Fragment


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
    """A clause by its parts.

    Attributes:
        verb: The verb phrase.
        subject: The subject.
        accusative: The accusative object.
        dative: The dative object.
        prepositional: What is closest to the verb: prepositional object, direction, predicate.
        frequency: An adverb such as *often*.
        manner: An adverb of manner.
        company: With whom, or by what vehicle.
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
    company: Fragment | None = None
    place: Fragment | None = None
    time: Fragment | None = None
    cause: Fragment | None = None
    opening: Fragment | None = None
    front: Slot = Slot.SUBJECT
    closing: tuple[Fragment, ...] = ()
    conjunct: tuple[Fragment, Clause] | None = None

    def front_fragment(self) -> Fragment:
        """What stands in front, where it is not a nominal."""
        chosen = {
            Slot.PREPOSITIONAL: self.prepositional[0] if self.prepositional else None,
            Slot.TIME: self.time,
            Slot.PLACE: self.place,
            Slot.CAUSE: self.cause,
            Slot.OPENING: self.opening,
        }[self.front]
        assert chosen is not None
        return chosen

    def prepositional_behind(self) -> tuple[Fragment, ...]:
        """`prepositional` without what stands in front."""
        return self.prepositional[1:] if self.front is Slot.PREPOSITIONAL else self.prepositional
