"""Everything that can be a subject or an object: noun phrases, names, pronouns, and lists of them.

A nominal is written in both languages by the clause that uses it, because its form depends on its role there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from nmt.exercise import english as english_forms
from nmt.exercise import german as german_forms
from nmt.exercise.adjectives import Adjective
from nmt.exercise.german import Case, Gender
from nmt.exercise.nouns import Noun
from nmt.exercise.numerals import english_cardinal, english_ordinal, german_cardinal, german_ordinal
from nmt.exercise.words import COMMA, Fragment, Leaf, Phrase, Word, Words, phrase, words


class Role(Enum):
    """What an English pronoun does in its clause."""

    SUBJECT = "subject"
    OBJECT = "object"
    AFTER_PREPOSITION = "after preposition"


class Agreement(NamedTuple):
    """What verbs and pronouns agree with."""

    person: int
    plural: bool
    gender: Gender

    @property
    def third_singular(self) -> bool:
        return self.person == 3 and not self.plural


class Nominal(Protocol):
    """A subject or object.

    Attributes:
        agreement: Person, number and gender.
        pronominal: Whether German puts it among the pronouns, right behind the verb or conjunction.
        definite: Whether German puts it before adverbs and *nicht* when it is an object.
        contractible: Whether a preposition may join its article (*in dem* to *im*).
    """

    @property
    def agreement(self) -> Agreement: ...
    @property
    def pronominal(self) -> bool: ...
    @property
    def definite(self) -> bool: ...
    @property
    def contractible(self) -> bool: ...
    def english(self, role: Role) -> Words: ...
    def german(self, case: Case) -> Phrase: ...


class _Ordinary:
    """What most nominals have in common."""

    @property
    def pronominal(self) -> bool:
        return False

    @property
    def definite(self) -> bool:
        return True

    @property
    def contractible(self) -> bool:
        return False


# ----------------------------------------------------------------------------------------------------- determiners


class Declension(Enum):
    """Which endings an adjective takes after a determiner."""

    WEAK = german_forms.WEAK
    MIXED = german_forms.MIXED
    STRONG = german_forms.STRONG


@dataclass(frozen=True)
class Determiner:
    """An article or what stands in its place.

    Attributes:
        singular: English before a singular; `a` becomes `an` where it must.
        plural: English before a plural.
        stem: German stem, or "" for no word at all; the definite article has a table of its own.
        endings: Table of the German endings, or of the whole words if there is no stem.
        declension: Endings of adjectives behind it.
        definite: See `Nominal`.
    """

    singular: str
    plural: str
    stem: str
    endings: german_forms.Table | None
    declension: Declension
    definite: bool

    def german(self, case: Case, gender: Gender, plural: bool) -> str:
        return "" if self.endings is None else self.stem + german_forms.cell(self.endings, case, gender, plural)


def _ein_word(singular: str, plural: str, stem: str, definite: bool) -> Determiner:
    return Determiner(singular, plural, stem, german_forms.EIN_ENDINGS, Declension.MIXED, definite)


def _dieser_word(singular: str, plural: str, stem: str) -> Determiner:
    return Determiner(singular, plural, stem, german_forms.DIESER_ENDINGS, Declension.WEAK, True)


THE = Determiner("the", "the", "", german_forms.DEFINITE, Declension.WEAK, True)
A = _ein_word("a", "", "ein", False)
NO = _ein_word("no", "no", "kein", False)
ANY = _ein_word("a", "any", "kein", False)  # under a negated verb, whose *not* belongs to it; mass nouns: *any*
BARE = Determiner("", "", "", None, Declension.STRONG, False)
THIS = _dieser_word("this", "these", "dies")
EVERY = _dieser_word("every", "", "jed")
WHICH = _dieser_word("which", "which", "welch")
SOME = Determiner("", "some", "einig", german_forms.STRONG, Declension.STRONG, False)
MANY = Determiner("", "many", "viel", german_forms.STRONG, Declension.STRONG, False)
POSSESSIVES = {
    "my": _ein_word("my", "my", "mein", True),
    "your": _ein_word("your", "your", "dein", True),
    "his": _ein_word("his", "his", "sein", True),
    "her": _ein_word("her", "her", "ihr", True),
    "our": _ein_word("our", "our", "unser", True),
    "their": _ein_word("their", "their", "ihr", True),
}


# ----------------------------------------------------------------------------------------- adjectives and numbers


class Degree(Enum):
    """Index of the forms of an adjective."""

    POSITIVE = 0
    COMPARATIVE = 1
    SUPERLATIVE = 2


class Attribute(NamedTuple):
    """An adjective or ordinal number in front of a noun."""

    english: str
    stem: str
    leaf: Leaf


def attribute(adjective: Adjective, degree: Degree) -> Attribute:
    """An adjective in front of a noun."""
    stem = adjective.stem if degree is Degree.POSITIVE else adjective.german[degree.value]
    return Attribute(adjective.english[degree.value], stem, Leaf())


def ordinal(number: int) -> Attribute:
    """An ordinal number in front of a noun."""
    return Attribute(english_ordinal(number), german_ordinal(number), Leaf())


# ---------------------------------------------------------------------------------------------------- noun phrases


@dataclass(frozen=True)
class NounPhrase(_Ordinary):
    """A noun with all that belongs to it.

    Attributes:
        noun: The noun.
        determiner: The article or its like. With a `possessor`, the German article.
        many: Whether it is plural.
        number: A number in front, or None.
        attributes: Adjectives and ordinal numbers.
        possessor: A person, English 's, German genitive behind the noun.
        part_of: What it belongs to: English *of*, German genitive.
        place: A place behind the noun (*the house behind the church*).
        relative: A relative clause, commas included.
    """

    noun: Noun
    determiner: Determiner
    many: bool
    number: int | None = None
    attributes: tuple[Attribute, ...] = ()
    possessor: Nominal | None = None
    part_of: Nominal | None = None
    place: Fragment | None = None
    relative: Fragment | None = None
    determiner_leaf: Leaf = field(default_factory=Leaf)
    noun_leaf: Leaf = field(default_factory=Leaf)
    number_leaf: Leaf = field(default_factory=Leaf)
    of_leaf: Leaf = field(default_factory=Leaf)

    @property
    def agreement(self) -> Agreement:
        return Agreement(3, self.many, self.noun.german.gender)

    @property
    def definite(self) -> bool:
        return self.determiner.definite

    @property
    def contractible(self) -> bool:
        return self.determiner is THE and self.relative is None and not isinstance(self.possessor, Name)

    def english(self, role: Role) -> Words:
        rest: Words = ()
        if self.number is not None:
            rest += words(english_cardinal(self.number), self.number_leaf)
        for attribute in self.attributes:
            rest += words(attribute.english, attribute.leaf)
        rest += words(self.noun.english(self.many), self.noun_leaf)
        front = self._english_front(rest[0].text)
        if self.part_of is not None:
            rest += words("of", self.of_leaf) + self.part_of.english(Role.AFTER_PREPOSITION)
        for behind in (self.place, self.relative):
            if behind is not None:
                rest += behind.english
        return front + rest

    def _english_front(self, following: str) -> Words:
        if self.possessor is not None:
            *others, last = self.possessor.english(Role.OBJECT)
            text = english_forms.genitive(last.text, self.possessor.agreement.plural)
            return (*others, Word(text, (*last.leaves, self.determiner_leaf)))
        article = self.determiner.plural if self.many else self.determiner.singular
        if article == "a":
            article = "any" if not self.noun.countable else english_forms.indefinite_article(following)
        return words(article, self.determiner_leaf)

    def german(self, case: Case) -> Phrase:
        gender, noun = self.noun.german.gender, self.noun.german
        owner = self.possessor.german(Case.GENITIVE).words if self.possessor is not None else ()
        if isinstance(self.possessor, Name):  # Annas altes Haus
            result = owner
            declension, owner = Declension.STRONG, ()
        else:
            result = words(self.determiner.german(case, gender, self.many), self.determiner_leaf)
            declension = self.determiner.declension
        if self.number is not None:
            result += words(german_cardinal(self.number), self.number_leaf)
        ending = german_forms.cell(declension.value, case, gender, self.many)
        for attribute in self.attributes:
            result += words(attribute.stem + ending, attribute.leaf)
        result += words(noun.form(case, self.many), self.noun_leaf) + owner
        if self.part_of is not None:
            result += self._german_part_of(self.part_of)
        if self.place is not None:
            result += self.place.german.words
        return Phrase(result, () if self.relative is None else self.relative.german.words)

    def _german_part_of(self, whole: Nominal) -> Words:
        article, *rest = whole.german(Case.GENITIVE).words
        return (Word(article.text, (*article.leaves, self.of_leaf)), *rest)


@dataclass(frozen=True)
class Name(_Ordinary):
    """A person's name, the same in both languages."""

    name: str
    gender: Gender
    leaf: Leaf = field(default_factory=Leaf)

    @property
    def agreement(self) -> Agreement:
        return Agreement(3, False, self.gender)

    def english(self, role: Role) -> Words:
        return words(self.name, self.leaf)

    def german(self, case: Case) -> Phrase:
        return phrase(words(self.name + ("s" if case is Case.GENITIVE else ""), self.leaf))


@dataclass(frozen=True)
class Pronoun(_Ordinary):
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
            text = english_forms.PRONOUNS[person, plural][index]
        elif self.thing:
            text = "it"
        else:
            text = (("he", "him") if gender is Gender.MASCULINE else ("she", "her"))[index]
        return words(text, self.leaf)

    def german(self, case: Case) -> Phrase:
        return phrase(words(german_forms.personal_pronoun(*self.agreement, case), self.leaf))


@dataclass(frozen=True)
class RelativePronoun(_Ordinary):
    """*who*, *whom*, *which*, *that* and their German counterpart, which agrees with what it stands for."""

    agreement: Agreement
    human: bool
    leaf: Leaf = field(default_factory=Leaf)

    def english(self, role: Role) -> Words:
        if self.human:
            text = "who" if role is Role.SUBJECT else "whom"
        else:
            text = "which" if role is Role.AFTER_PREPOSITION else "that"
        return words(text, self.leaf)

    def german(self, case: Case) -> Phrase:
        _, plural, gender = self.agreement
        return phrase(words(german_forms.cell(german_forms.RELATIVE, case, gender, plural), self.leaf))


@dataclass(frozen=True)
class RelativeOwner(_Ordinary):
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
        relative = german_forms.cell(german_forms.RELATIVE, Case.GENITIVE, gender, plural)
        return phrase(words(relative, self.leaf) + words(self.noun.german.form(case, self.many), self.noun_leaf))


WHO = ("wer", "wen", "wem")
WHAT = ("was", "was")


@dataclass(frozen=True)
class Question(_Ordinary):
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


@dataclass(frozen=True)
class Pair(_Ordinary):
    """Two nominals joined by *and*."""

    first: Nominal
    second: Nominal
    leaf: Leaf = field(default_factory=Leaf)

    @property
    def agreement(self) -> Agreement:
        return Agreement(3, True, Gender.NEUTER)

    @property
    def definite(self) -> bool:
        return self.first.definite and self.second.definite

    def english(self, role: Role) -> Words:
        return self.first.english(role) + words("and", self.leaf) + self.second.english(role)

    def german(self, case: Case) -> Phrase:
        first, second = self.first.german(case), self.second.german(case)
        return Phrase(first.words + first.tail + words("und", self.leaf) + second.words, second.tail)


@dataclass(frozen=True)
class Correction(_Ordinary):
    """*not a ... but a ...*, *kein..., sondern ein...*: an object under a negated verb."""

    denied: NounPhrase
    asserted: NounPhrase
    leaf: Leaf = field(default_factory=Leaf)

    @property
    def agreement(self) -> Agreement:
        return self.asserted.agreement

    @property
    def definite(self) -> bool:
        return False

    def english(self, role: Role) -> Words:
        return self.denied.english(role) + words("but", self.leaf) + self.asserted.english(role)

    def german(self, case: Case) -> Phrase:
        start = (*self.denied.german(case).words, COMMA, *words("sondern", self.leaf))
        return phrase((*start, *self.asserted.german(case).words))


def prepositional_phrase(*, english: str, german_preposition: str, case: Case, nominal: Nominal) -> Fragment:
    """A preposition with its nominal in the case it governs, the article contracted where German does.

    Either preposition may be "" for none.
    """
    leaf = Leaf()
    left = words(english, leaf) + nominal.english(Role.AFTER_PREPOSITION if english else Role.OBJECT)
    body, tail = nominal.german(case)
    contraction = german_forms.CONTRACTIONS.get((german_preposition, body[0].text))
    if contraction is not None and nominal.contractible:
        return Fragment(left, Phrase((Word(contraction, (leaf, *body[0].leaves)), *body[1:]), tail))
    return Fragment(left, Phrase(words(german_preposition, leaf) + body, tail))
