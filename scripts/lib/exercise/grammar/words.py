"""Words on both sides, and how they come to be aligned.

The grammar makes leaves: single choices (this noun, that tense) that both languages put into words. Each word
remembers the leaves it stands for; two words are aligned when they share one. Word order, separated verbs and
contractions (*zum* stands for the leaves of *to* and *the*) need no further thought.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Leaf:
    """One choice of the grammar that both languages express. Only its identity matters."""

    __slots__ = ()


class Word(NamedTuple):
    """A word and the leaves it stands for."""

    text: str
    leaves: tuple[Leaf, ...]


Words = tuple[Word, ...]

COMMA = Word(",", ())
"""Where a comma belongs; several in one place become one, and none is left before the end of the sentence."""


class Phrase(NamedTuple):
    """German words. `tail` may move behind the end of its clause: a relative clause with its commas, or *als ...*."""

    words: Words
    tail: Words


class Fragment(NamedTuple):
    """A piece of a sentence in both languages that no longer depends on what is around it."""

    english: Words
    german: Phrase


def words(text: str, *leaves: Leaf) -> Words:
    """The words of `text`, each standing for all of `leaves`."""
    return tuple(Word(part, leaves) for part in text.split())


def phrase(german: Words) -> Phrase:
    """A phrase without a tail."""
    return Phrase(german, ())


def fragment(english: str, german: str) -> Fragment:
    """A fixed expression; every English word is aligned with every German one."""
    leaf = Leaf()
    return Fragment(words(english, leaf), phrase(words(german, leaf)))


def chunks(text: str) -> Fragment:
    """A fixed expression in steps, in the same order in both languages, such as ``on=am Monday=Montag``.

    A ``+`` joins the words of one side of a step.
    """
    english: Words = ()
    german: Words = ()
    for step in text.split():
        left, right = step.split("=")
        part = fragment(left.replace("+", " "), right.replace("+", " "))
        english += part.english
        german += part.german.words
    return Fragment(english, phrase(german))


class Line(NamedTuple):
    """One side of a finished pair: its tokens, and the leaves of each."""

    tokens: tuple[str, ...]
    leaves: tuple[tuple[Leaf, ...], ...]

    @property
    def text(self) -> str:
        return " ".join(self.tokens)


def line(sentence: Iterable[Word], end: str) -> Line:
    """Writes words as a line of text: commas and the final mark join the word before them, the first letter is large.

    A token is what spaces separate, so punctuation belongs to the token of its word.
    """
    tokens: list[str] = []
    leaves: list[tuple[Leaf, ...]] = []
    for word in sentence:
        if word is not COMMA:
            tokens.append(word.text)
            leaves.append(word.leaves)
        elif tokens and not tokens[-1].endswith(","):
            tokens[-1] += ","
    tokens[0] = tokens[0][0].upper() + tokens[0][1:]
    tokens[-1] = tokens[-1].removesuffix(",") + end
    return Line(tuple(tokens), tuple(leaves))


def alignment(english: Line, german: Line) -> list[tuple[int, int]]:
    """The pairs (English index, German index) of tokens that share a leaf, in order."""
    places: defaultdict[Leaf, list[int]] = defaultdict(list)
    for position, leaves in enumerate(german.leaves):
        for leaf in leaves:
            places[leaf].append(position)
    links = {(i, j) for i, leaves in enumerate(english.leaves) for leaf in leaves for j in places[leaf]}
    return sorted(links)
