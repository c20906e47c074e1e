"""Pronouns: personal, relative, and question words."""

from __future__ import annotations

from dataclasses import dataclass, field

from exercise.grammar.nominals import Agreement, Nominal, NounPhrase, Ordinary, Pair, Role
from exercise.grammar.words import Leaf, Phrase, Words, phrase, words
from exercise.lexicon.nouns import Noun
from exercise.morphology.english import PRONOUNS
from exercise.morphology.german import RELATIVE, Case, Gender, cell, personal_pronoun


@dataclass(frozen=True)
class Pronoun(Ordinary):
    """A personal pronoun. The third person singular neuter is *it*, whatever its German gender is.

    Attributes:
        agreement: Its person, number and German gender.
        thing: Whether it is *it*.
    """

    agreement: Agreement
    thing: bool
    leaf: Leaf = field(default_factory=Leaf)

    @property
    def pronominal(self) -> bool:
        return True

    def english(self, role: Role) -> Words:
        person, plural, gender = self.agreement
        index = 0 if role is Role.SUBJECT else 1
        if (person, plural) != (3, False):
            text = PRONOUNS[person, plural][index]
        elif self.thing:
            text = "it"
        else:
            text = (("he", "him") if gender is Gender.MASCULINE else ("she", "her"))[index]
        return words(text, self.leaf)

    def german(self, case: Case) -> Phrase:
        return phrase(words(personal_pronoun(*self.agreement, case), self.leaf))


@dataclass(frozen=True)
class RelativePronoun(Ordinary):
    """*who*, *whom*, *which*, *that* and their German counterpart, which agrees with what it stands for."""

    noun: Noun
    many: bool
    leaf: Leaf = field(default_factory=Leaf)

    @property
    def agreement(self) -> Agreement:
        return Agreement(3, self.many, self.noun.german.gender)

    def english(self, role: Role) -> Words:
        if self.noun.kind == "person":
            text = "who" if role is Role.SUBJECT else "whom"
        else:
            text = "which" if role is Role.AFTER_PREPOSITION else "that"
        return words(text, self.leaf)

    def german(self, case: Case) -> Phrase:
        _, plural, gender = self.agreement
        return phrase(words(cell(RELATIVE, case, gender, plural), self.leaf))


@dataclass(frozen=True)
class RelativeOwner(Ordinary):
    """*whose* with a noun: *the man whose dog barks*."""

    owner: Agreement
    noun: Noun
    many: bool
    leaf: Leaf = field(default_factory=Leaf)
    noun_leaf: Leaf = field(default_factory=Leaf)

    @property
    def agreement(self) -> Agreement:
        return Agreement(3, self.many, self.noun.german.gender)

    def english(self, role: Role) -> Words:
        return words("whose", self.leaf) + words(self.noun.english(self.many), self.noun_leaf)

    def german(self, case: Case) -> Phrase:
        _, plural, gender = self.owner
        relative = cell(RELATIVE, Case.GENITIVE, gender, plural)
        return phrase(words(relative, self.leaf) + words(self.noun.german.form(case, self.many), self.noun_leaf))


WHO = ("wer", "wen", "wem")
WHAT = ("was", "was")


@dataclass(frozen=True)
class Question(Ordinary):
    """*who*, *whom* or *what* in a question."""

    human: bool
    leaf: Leaf = field(default_factory=Leaf)

    @property
    def agreement(self) -> Agreement:
        return Agreement(3, False, Gender.MASCULINE)

    def english(self, role: Role) -> Words:
        if not self.human:
            return words("what", self.leaf)
        return words("who" if role is Role.SUBJECT else "whom", self.leaf)

    def german(self, case: Case) -> Phrase:
        return phrase(words((WHO if self.human else WHAT)[case], self.leaf))


def noun_of(nominal: Nominal) -> Noun | None:
    """The noun that says what a nominal is; None for people who are not named by a noun. Of a pair, its second."""
    if isinstance(nominal, NounPhrase | RelativeOwner | RelativePronoun):
        return nominal.noun
    if isinstance(nominal, Pair):
        return noun_of(nominal.second)
    return None
