"""Everything that can be a subject or an object: noun phrases, names, and lists of them; pronouns are in `pronouns`.

A nominal is written in both languages by the clause that uses it, because its form depends on its role there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from exercise.grammar.determiners import THE, Attribute, Declension, Determiner
from exercise.grammar.words import COMMA, Fragment, Leaf, Phrase, Word, Words, phrase, words
from exercise.lexicon.nouns import Noun
from exercise.morphology.english import genitive, indefinite_article
from exercise.morphology.german import CONTRACTIONS, Case, Gender, cell
from exercise.morphology.numerals import english_cardinal, german_cardinal


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


class Ordinary:
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


# ---------------------------------------------------------------------------------------------------- noun phrases


@dataclass(frozen=True)
class NounPhrase(Ordinary):
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
            text = genitive(last.text, self.possessor.agreement.plural)
            return (*others, Word(text, (*last.leaves, self.determiner_leaf)))
        article = self.determiner.plural if self.many else self.determiner.singular
        if article == "a":
            article = "any" if not self.noun.countable else indefinite_article(following)
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
        ending = cell(declension.value, case, gender, self.many)
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
class Name(Ordinary):
    """A person's name, the same in both languages."""

    name: str
    gender: Gender
    leaf: Leaf = field(default_factory=Leaf)

    @property
    def agreement(self) -> Agreement:
        return Agreement(3, False, self.gender)

    def is_same_person(self, other: Nominal) -> bool:
        """Whether the other one is the same name."""
        return isinstance(other, Name) and other.name == self.name

    def english(self, role: Role) -> Words:
        return words(self.name, self.leaf)

    def german(self, case: Case) -> Phrase:
        return phrase(words(self.name + ("s" if case is Case.GENITIVE else ""), self.leaf))


@dataclass(frozen=True)
class Pair(Ordinary):
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
class Correction(Ordinary):
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


def prepositional_phrase(
    *, english: str, german_preposition: str, case: Case, nominal: Nominal, verb: Leaf | None = None
) -> Fragment:
    """A preposition with its nominal in the case it governs, the article contracted where German does.

    The English preposition may be "" for none; then the German one belongs to `verb` (*remember*, *sich erinnern an*).
    """
    leaf = verb if verb is not None and not english else Leaf()
    left = words(english, leaf) + nominal.english(Role.AFTER_PREPOSITION if english else Role.OBJECT)
    body, tail = nominal.german(case)
    contraction = CONTRACTIONS.get((german_preposition, body[0].text))
    if contraction is not None and nominal.contractible:
        return Fragment(left, Phrase((Word(contraction, (leaf, *body[0].leaves)), *body[1:]), tail))
    return Fragment(left, Phrase(words(german_preposition, leaf) + body, tail))
