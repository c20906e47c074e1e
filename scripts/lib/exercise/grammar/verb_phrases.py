"""The verbs of a clause in both languages: tense, modal verbs, *do*, negation, the two halves of the German bracket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from exercise.grammar.nominals import Agreement
from exercise.grammar.words import Leaf, Word, Words, words
from exercise.lexicon.verbs import Modal, Verb
from exercise.morphology.english import DO, HAVE, EnglishVerb, english_verb
from exercise.morphology.german import HABEN, IRREGULAR_PRESENT, PLURAL, SEIN, WERDEN
from exercise.morphology.tense import Tense


@dataclass(frozen=True)
class VerbPhrase:
    """A verb with its tense and what comes with it.

    Attributes:
        verb: The verb.
        tense: With a modal verb only present and past.
        modal: The modal verb, or None.
        gladly: *likes to swim*, which German says with an adverb: *schwimmt gern*. In the present only.
        negation: The leaf of *not*, or None. Where German says *kein*, this is the leaf of that determiner.
        nicht: Whether the negation is *nicht*.
    """

    verb: Verb
    tense: Tense
    modal: Modal | None = None
    gladly: bool = False
    negation: Leaf | None = None
    nicht: bool = False
    verb_leaf: Leaf = field(default_factory=Leaf)
    auxiliary_leaf: Leaf = field(default_factory=Leaf)
    gladly_leaf: Leaf = field(default_factory=Leaf)


class EnglishVerbs(NamedTuple):
    """The English verbs of a clause.

    Attributes:
        first: What changes places with the subject in a question and stands before *not*; may be empty.
        rest: What follows, the particle apart.
    """

    first: Words
    rest: Words


def english_verbs(phrase: VerbPhrase, agreement: Agreement, *, question: bool) -> EnglishVerbs:
    """The verbs of a main or subordinate clause. `question`: the first one comes before the subject."""
    verb, auxiliary = phrase.verb.english, phrase.auxiliary_leaf
    person, plural, _ = agreement
    base = words(verb.base, phrase.verb_leaf)
    modal = phrase.modal
    if modal is not None and modal.auxiliary:
        form = modal.english_past if phrase.tense is Tense.PAST else modal.english
        return EnglishVerbs(words(form, auxiliary), words(modal.link, auxiliary) + base)
    if modal is not None:
        head = english_verb(f"{modal.english} {modal.english_past} {modal.english_past}")
        return _with_do(phrase, head, auxiliary, words(modal.link, auxiliary) + base, agreement, question)
    if phrase.tense is Tense.FUTURE:
        return EnglishVerbs(words("will", auxiliary), base)
    if phrase.tense in (Tense.PERFECT, Tense.PLUPERFECT):
        have = HAVE.present(person, plural) if phrase.tense is Tense.PERFECT else HAVE.past
        return EnglishVerbs(words(have, auxiliary), words(verb.participle, phrase.verb_leaf))
    if verb.is_be:
        be = verb.present(person, plural) if phrase.tense is Tense.PRESENT else verb.preterite(person, plural)
        return EnglishVerbs(words(be, phrase.verb_leaf), ())
    if phrase.gladly:
        like, leaf = english_verb("like liked liked"), phrase.gladly_leaf
        return _with_do(phrase, like, leaf, words("to", leaf) + base, agreement, question)
    return _with_do(phrase, verb, phrase.verb_leaf, (), agreement, question)


def _with_do(
    phrase: VerbPhrase, head: EnglishVerb, leaf: Leaf, rest: Words, agreement: Agreement, question: bool
) -> EnglishVerbs:
    """The finite verb, or a form of *do* and the base where there is *not* or a question."""
    person, plural, _ = agreement
    present = phrase.tense is Tense.PRESENT
    if question or phrase.negation is not None:
        form = DO.present(person, plural) if present else DO.past
        return EnglishVerbs(words(form, leaf), words(head.base, leaf) + rest)
    form = head.present(person, plural) if present else head.preterite(person, plural)
    return EnglishVerbs((), words(form, leaf) + rest)


class GermanVerbs(NamedTuple):
    """The German verbs of a clause.

    Attributes:
        finite: The left bracket of a main clause.
        right: The right bracket of a main clause: prefix, participle or infinitive; may be empty.
        final: All of it as it stands at the end of a subordinate clause.
    """

    finite: Word
    right: Words
    final: Words


def german_verbs(phrase: VerbPhrase, agreement: Agreement) -> GermanVerbs:
    """The verbs of a main or subordinate clause."""
    verb = phrase.verb.german
    person, plural, _ = agreement
    if phrase.modal is not None:
        return _bracket(_german_modal(phrase.modal, phrase.tense, agreement), verb.whole_infinitive(), phrase)
    if phrase.tense is Tense.FUTURE:
        return _bracket(WERDEN.present(person, plural), verb.whole_infinitive(), phrase)
    if phrase.tense in (Tense.PERFECT, Tense.PLUPERFECT):
        auxiliary = SEIN if verb.with_sein else HABEN
        perfect = phrase.tense is Tense.PERFECT
        form = auxiliary.present(person, plural) if perfect else auxiliary.past(person, plural)
        return _bracket(form, verb.participle, phrase)
    form = verb.present(person, plural) if phrase.tense is Tense.PRESENT else verb.past(person, plural)
    leaf = phrase.verb_leaf
    return GermanVerbs(Word(form, (leaf,)), words(verb.prefix, leaf), words(verb.prefix + form, leaf))


def _bracket(form: str, infinite: str, phrase: VerbPhrase) -> GermanVerbs:
    finite = Word(form, (phrase.auxiliary_leaf,))
    right = words(infinite, phrase.verb_leaf)
    return GermanVerbs(finite, right, (*right, finite))


def _german_modal(modal: Modal, tense: Tense, agreement: Agreement) -> str:
    person, plural, _ = agreement
    if tense is Tense.PAST:
        return modal.german_past + ("n" if plural else "")
    return IRREGULAR_PRESENT[modal.german][PLURAL if plural else person - 1]
