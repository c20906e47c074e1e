"""Draws clauses: a verb, what it needs, and what may be added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from exercise.grammar.clause_kinds import dependent
from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.determiners import BARE, THE, WHICH
from exercise.grammar.nominals import Name, Nominal, NounPhrase, prepositional_phrase
from exercise.grammar.pronouns import Question, RelativeOwner, RelativePronoun
from exercise.grammar.verb_phrases import VerbPhrase
from exercise.grammar.words import Fragment
from exercise.lexicon.adjectives import ADJECTIVES_OF
from exercise.lexicon.adverbials import PLACES
from exercise.lexicon.noun_groups import group
from exercise.lexicon.verbs import BE, MODALS, Verb
from exercise.morphology.german import Case
from exercise.morphology.tense import Tense
from exercise.sampling.additions import AdditionSampler, deniable
from exercise.sampling.adverbials import AdverbialSampler
from exercise.sampling.dice import Dice
from exercise.sampling.nominals import BARE_KINDS, NominalSampler
from exercise.sampling.plans import Plan
from exercise.sampling.predicates import PredicateSampler
from exercise.sampling.roles import ROLES, SIMPLE_VERBS, is_person, of_people, suits

DESCRIBED = group("animal,object,clothing,text,vehicle,food,place,furniture,event,device,part,idea,problem,question")
"""What *be* is said of, besides people."""
OUT = {noun.singular for noun in group("out")}


def stands_in_front(nominal: Nominal) -> bool:
    """Whether it begins its clause: relative pronouns and question words."""
    if isinstance(nominal, NounPhrase):
        return nominal.determiner is WHICH
    return isinstance(nominal, RelativePronoun | Question)


class ClauseSampler:
    """Draws clauses.

    Args:
        dice: Where the choices come from.
    """

    def __init__(self, *, dice: Dice) -> None:
        self._dice = dice
        self.nominals = NominalSampler(dice=dice)
        self.adverbials = AdverbialSampler(dice=dice, nominals=self.nominals)
        self._additions = AdditionSampler(dice=dice, adverbials=self.adverbials)
        self.predicates = PredicateSampler(dice=dice, nominals=self.nominals, adverbials=self.adverbials)

    # ------------------------------------------------------------------------------------------ the whole clause

    def clause(self, plan: Plan, subject: Nominal | None) -> Clause:
        """A clause with any verb, or with *be*; `subject` None stands for any."""
        given = {} if subject is None else {Slot.SUBJECT: subject}
        if not plan.dynamic and plan.tense in (Tense.PRESENT, Tense.PAST) and self._dice.chance(0.25):
            return self.copular(plan, given)
        return self.with_verb(self.verb(plan, subject), plan, given)

    def verb(self, plan: Plan, subject: Nominal | None) -> Verb:
        """A verb for a clause."""
        while True:
            verb = self._dice.pick(SIMPLE_VERBS)
            if suits(verb, subject, plan.tense) and not (plan.dynamic and verb.state):
                return verb

    def with_verb(self, verb: Verb, plan: Plan, given: Mapping[Slot, Nominal]) -> Clause:
        """A clause with this verb; `given` are the nominals that are already chosen."""
        parts = (verb.accusative, verb.dative, verb.prepositional, verb.place, verb.direction)
        spare = max(0, plan.room - 3 - 2 * sum(map(bool, parts)))
        subject = given.get(Slot.SUBJECT) or self._subject(verb, plan.tense, min(0.6, spare / 18))
        clause = Clause(verb=self._verb_phrase(verb, plan, subject), subject=subject)
        relative = spare >= 6 and plan.depth > 0 and not plan.closed and self._dice.chance(0.4)
        if relative:
            spare -= 6
            plan = plan._replace(closed=True)
        richness = min(0.6, spare / 20)
        clause = self._complete(clause, richness, given, plan.depth if relative else 0)
        return self._extend(clause, spare, plan)

    def copular(self, plan: Plan, given: Mapping[Slot, Nominal]) -> Clause:
        """A clause with *be*."""
        spare = max(0, plan.room - 4)
        richness = min(0.5, spare / 14)
        subject = given.get(Slot.SUBJECT) or self._described(plan.tense, richness)
        self._dice.note(f"tense: {plan.tense.value}")
        negated = not (plan.plain or plan.positive) and deniable(subject) and self._dice.chance(0.12)
        predicate = self.predicates.predicate(subject, room=plan.room - 3, richness=richness, negated=negated)
        verb = VerbPhrase(BE, plan.tense)
        if negated:
            self._dice.note("kein" if predicate.negation else "nicht")
            negation = predicate.negation or verb.auxiliary_leaf
            verb = replace(verb, negation=negation, nicht=predicate.negation is None)
        clause = Clause(verb=verb, subject=subject, prepositional=(predicate.words,))
        rest = spare - 2 if predicate.passing else 0
        return self._extend(clause, rest, plan._replace(closed=True, plain=True))

    def _extend(self, clause: Clause, spare: int, plan: Plan) -> Clause:
        """The clause with about `spare` words more."""
        subject = clause.subject
        crowded = clause.accusative or clause.dative or clause.prepositional or plan.main
        fits = spare >= 6 and plan.depth > 0 and bool(crowded)
        if fits and isinstance(subject, NounPhrase) and not subject.place and self._dice.chance(0.5):
            related = self.with_relative(subject, plan.tense, depth=plan.depth, other_than=clause.verb.verb)
            clause = replace(clause, subject=related)
            spare -= 6
        return self._additions.enrich(clause, spare, plan)

    # --------------------------------------------------------------------------------------- what a verb needs

    def _subject(self, verb: Verb, tense: Tense, richness: float) -> Nominal:
        singular = tense is Tense.PAST and not verb.tense_is_visible
        noted = set(self._dice.notes)
        while True:
            self._dice.notes = set(noted)  # of what is thrown away nothing remains
            subject = self.nominals.subject(verb.subject, richness=richness, singular=singular)
            if tense not in (Tense.PAST, Tense.PLUPERFECT) or subject.agreement.person != 2:
                return subject

    def _described(self, tense: Tense, richness: float) -> Nominal:
        """A subject for *be*."""
        if self._dice.chance(0.45):
            return self._subject(BE, tense, richness)
        noted = set(self._dice.notes)
        while True:
            self._dice.notes = set(noted)
            noun = self._dice.pick(DESCRIBED)
            subject = self.nominals.noun_phrase(noun, richness=richness, singular=False, owner=None)
            if len(self.predicates.adjectives(subject)) >= 2:
                break
        if noun.kind in ("place", "furniture", "vehicle") and richness > 0.1 and self._dice.chance(0.25):
            self._dice.note("place behind a noun")
            return replace(subject, place=self.adverbials.beside(richness=0.1))
        return subject

    def _verb_phrase(self, verb: Verb, plan: Plan, subject: Nominal) -> VerbPhrase:
        """The verb in its tense, perhaps with a modal verb or *gern*."""
        dice, tense = self._dice, plan.tense
        if verb.german.prefix:
            dice.note("separable verb")
        if verb.german.reflexive:
            dice.note("reflexive verb")
        if (
            not (plan.plain or verb.state or verb.accident)
            and is_person(subject)
            and tense in (Tense.PRESENT, Tense.PAST)
        ):
            present = tense is Tense.PRESENT
            if present and verb.fun and dice.chance(0.2):
                dice.note("gern")
                return VerbPhrase(verb, tense, gladly=True)
            if dice.chance(0.25 if present else 0.15):
                dice.note("modal verb")
                return VerbPhrase(verb, tense, modal=dice.pick([m for m in MODALS if present or m.english_past]))
        dice.note(f"tense: {tense.value}")
        return VerbPhrase(verb, tense)

    def _complete(self, clause: Clause, richness: float, given: Mapping[Slot, Nominal], depth: int) -> Clause:
        """Adds what the verb needs; with `depth` the last noun in English gets a relative clause."""
        verb, tense = clause.verb.verb, clause.verb.tense
        owner = clause.subject.agreement
        front = next((slot for slot, nominal in given.items() if stands_in_front(nominal)), Slot.SUBJECT)

        def chosen(slot: Slot, names: str, last: bool) -> Nominal | None:
            if slot in given or not names:
                return given.get(slot)
            nominal = self.nominals.object(names, richness=richness, owner=owner)
            while isinstance(nominal, Name) and nominal.is_same_person(clause.subject):
                nominal = self.nominals.name()
            if slot is Slot.DATIVE and isinstance(nominal, NounPhrase) and nominal.determiner is BARE:
                nominal = replace(nominal, determiner=THE)
            return decorate(nominal) if last and isinstance(nominal, NounPhrase) else nominal

        def decorate(phrase: NounPhrase) -> NounPhrase:
            return self.with_relative(phrase, tense, depth=depth, other_than=verb) if depth else phrase

        benefit = verb.benefit and self._dice.chance(0.15)
        around = bool(verb.prepositional or verb.place or verb.direction or benefit)
        dative = chosen(Slot.DATIVE, verb.dative, not around and (verb.dative_to or not verb.accusative))
        dative_first = dative is None or (not verb.dative_to and (dative.definite or dative.pronominal))
        accusative = chosen(Slot.ACCUSATIVE, verb.accusative, not around and dative_first)
        prepositional: list[Fragment] = []
        if verb.prepositional is not None:
            self._dice.note("prepositional object")
            needs = verb.prepositional
            nominal = chosen(Slot.PREPOSITIONAL, needs.nouns, True)
            assert nominal is not None
            prepositional.append(
                prepositional_phrase(
                    english=needs.english,
                    german_preposition=needs.german,
                    case=needs.case,
                    nominal=nominal,
                    verb=clause.verb.verb_leaf,
                )
            )
        if verb.place:
            prepositional.append(self.adverbials.needed_place(verb.place, richness=richness, decorate=decorate))
        if verb.direction:
            prepositional.append(self.adverbials.direction(verb.direction, richness=richness, decorate=decorate))
        if benefit:
            prepositional.append(self.adverbials.for_somebody(richness=richness, subject=owner))
        if verb.dative:
            self._dice.note("two objects" if verb.accusative else "dative object")
        return replace(clause, accusative=accusative, dative=dative, prepositional=tuple(prepositional), front=front)

    # --------------------------------------------------------------------------------------- relative clauses

    def with_relative(self, phrase: NounPhrase, tense: Tense, *, depth: int, other_than: Verb) -> NounPhrase:
        """The noun phrase with a relative clause.

        Args:
            phrase: The noun phrase.
            tense: The tense of the clause around it, which that of the relative clause goes with.
            depth: How deep relative clauses may be nested, this one included.
            other_than: The verb of the clause around it, which is not said twice.
        """
        dice = self._dice
        noun, tense = phrase.noun, self._relative_tense(tense)
        if noun.kind in BARE_KINDS or phrase.part_of is not None:  # "the roof of the house that is old": which of them?
            return phrase
        pronoun = RelativePronoun(noun, phrase.many)
        verbs = {slot: self._fitting(slot, pronoun, tense, other_than) for slot in ROLES[noun.singular]}
        choices = [(slot.value, 4.0 if slot is Slot.SUBJECT else 2.0) for slot, fitting in verbs.items() if fitting]
        if tense in (Tense.PRESENT, Tense.PAST):
            choices += [("be", 2.0)] if ADJECTIVES_OF[noun.singular] and not phrase.attributes else []
            choices += [("whose", 1.5)] if noun.kind == "person" else []
        choices += [("where", 3.0)] if noun.singular in OUT else []
        if not choices:
            return phrase
        kind = dice.weighted(choices)
        dice.note(f"relative clause, {kind}")
        plan = Plan(tense=tense, room=dice.between(4, 8), depth=depth - 1)
        if kind == "be":
            clause = self.copular(plan._replace(depth=0), {Slot.SUBJECT: pronoun})
        elif kind == "whose":
            owner = RelativeOwner(phrase.agreement, dice.pick(group("owned")), dice.chance(0.25))
            clause = self.copular(plan._replace(room=5, depth=0), {Slot.SUBJECT: owner})
        elif kind == "where":
            clause = self._inside(pronoun, tense, other_than)
        else:
            clause = self.with_verb(dice.pick(verbs[Slot(kind)]), plan, {Slot(kind): pronoun})
        return replace(phrase, relative=dependent(clause, None))

    def _fitting(self, slot: Slot, pronoun: RelativePronoun, tense: Tense, other_than: Verb) -> list[Verb]:
        """The verbs of a relative clause whose pronoun is in this place."""
        subject = pronoun if slot is Slot.SUBJECT else None
        verbs = ROLES[pronoun.noun.singular][slot]
        return [verb for verb in verbs if suits(verb, subject, tense) and verb is not other_than]

    def _inside(self, pronoun: RelativePronoun, tense: Tense, other_than: Verb) -> Clause:
        """*the garden in which the man works*."""
        verb = other_than
        while verb is other_than or verb.state or verb.place or verb.direction or verb.water or not of_people(verb):
            verb = self._dice.pick(SIMPLE_VERBS)
        clause = self.with_verb(verb, Plan(tense=tense, room=0), {})
        english, german = PLACES[pronoun.noun.singular].where
        place = prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=pronoun)
        return replace(clause, place=place, front=Slot.PLACE)

    def _relative_tense(self, tense: Tense) -> Tense:
        dice = self._dice
        if tense in (Tense.PAST, Tense.PLUPERFECT):
            return Tense.PAST
        return dice.weighted(((Tense.PRESENT, 6.0), (Tense.PAST, 2.0), (Tense.PERFECT, 2.0)))
