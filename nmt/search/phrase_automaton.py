"""Phrases that a translation must have or must not have, as automata that read pieces.

V vocabulary, S states of an automaton, W symbols of the longest piece.

A phrase is found in the text, not in the pieces: it counts however it is cut into pieces. It must stand there as whole
words: "Haus" is neither in "Hausboot" nor in "Rathaus". In writing without spaces between words (Chinese, Japanese,
Thai and so on) it counts anywhere.

Texts are sequences of symbols: characters, and bytes where a piece is a byte; such a byte counts as part of a word.
Where a model writes from right to left, all of them are read from the last symbol to the first.
An automaton's state is the set of places in its phrases that a text may have come to; the states of one phrase are
about as many as its characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nmt.data.special_tokens import EOS, UNK
from nmt.data.tokenizer import WORD_START, SubwordModel
from nmt.data.writing_systems import SCRIPTS

Phrase = tuple[int, ...]
"""The symbols of a phrase, without the space before its first word, in the order in which the model writes them."""

BYTE = 0x110000
"""A piece that is a byte above 127 is this plus the byte: no character."""
UNWRITABLE = BYTE
"""What the vocabulary has no piece for: no piece has this symbol, as no byte above 127 is 0."""

NO_SYMBOL = -1
INFINITE = 1 << 14
# Scripts whose words have no visible borders, or take endings (Hangul), by the first word of their characters' names.
# In Tibetan, a mark separates syllables.
NO_BORDERS = (
    *("CJK", "HANGUL"),
    *(script.name.upper() for script in SCRIPTS if script.own_letters and not script.spaced and script.code != "Tibt"),
)

MATCHED = 1
"""The state of every automaton in which a phrase has been found; it is never left. States begin with 0."""


class TokenSymbols:
    """The symbols of each piece of a vocabulary."""

    def __init__(self, subwords: SubwordModel) -> None:
        """Read them from a subword model."""
        self._subwords = subwords
        rows = [
            subwords.turned(_symbols(piece)) if number > EOS else []
            for number, piece in enumerate(subwords.pieces(range(subwords.size)))
        ]
        self.table: NDArray[np.int64] = np.full((len(rows), max(map(len, rows), default=1)), NO_SYMBOL)
        for number, row in enumerate(rows):
            self.table[number, : len(row)] = row
        every = np.unique(self.table)
        self._known = every
        self._is_word = np.array([symbol != NO_SYMBOL and is_word(int(symbol)) for symbol in every])

    def phrase(self, text: str) -> Phrase:
        """Return the symbols of a phrase, as this vocabulary writes them; none if there is no text in it."""
        (ids,) = self._subwords.encode([text])
        ids = self._subwords.turned(ids)
        symbols: list[int] = []
        for number, piece in zip(ids, self._subwords.pieces(ids), strict=True):
            symbols += (UNWRITABLE,) if number == UNK else _symbols(piece)
        while symbols and symbols[0] == ord(" "):
            del symbols[0]
        return tuple(self._subwords.turned(symbols))

    def classes(self, letters: Sequence[int]) -> NDArray[np.int64]:
        """Return the table with each symbol by its place in `letters`; other word characters and others behind them."""
        of_known = np.where(self._is_word, len(letters), len(letters) + 1)
        for place, letter in enumerate(letters):
            of_known[self._known == letter] = place
        of_known[self._known == NO_SYMBOL] = NO_SYMBOL
        classes: NDArray[np.int64] = of_known[np.searchsorted(self._known, self.table)]
        return classes


def _symbols(piece: str) -> tuple[int, ...]:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        byte = int(piece[3:5], 16)
        return (byte if byte < 128 else BYTE + byte,)
    return tuple(map(ord, piece.replace(WORD_START, " ")))


def is_word(symbol: int) -> bool:
    """Return whether a symbol is part of a word, of which spaces and the like are the borders."""
    if symbol >= BYTE:
        return True
    character = chr(symbol)
    if not (character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")):
        return False
    return not unicodedata.name(character, "").startswith(NO_BORDERS)


@dataclass(frozen=True)
class Automaton:
    """What has been found of one or several phrases, after each sequence of pieces."""

    following: NDArray[np.int32]
    """The next state [S, V], by state and piece. After EOS it is `MATCHED` if any phrase is there."""

    @cached_property
    def distances(self) -> NDArray[np.int16]:
        """Return the fewest pieces from each state to one after which EOS or a word's border completes a phrase [S]."""
        distance = np.full(len(self.following), INFINITE, np.int16)
        distance[self.following[:, EOS] == MATCHED] = 0
        while True:
            through = distance[self.following[:, EOS + 1 :]].min(axis=1) + 1
            shorter = np.minimum(distance, through).astype(np.int16)
            if np.array_equal(shorter, distance):
                return distance
            distance = shorter

    @cached_property
    def nearest(self) -> NDArray[np.int64]:
        """Return pieces with which a phrase can be completed as fast as with any others, from every state."""
        far = np.flatnonzero((self.distances > 0) & (self.distances < INFINITE))
        after = self.distances[self.following[far, EOS + 1 :]]
        return np.unique(after.argmin(axis=1) + EOS + 1) if len(far) else np.zeros(0, np.int64)


Places = frozenset[tuple[int, int]]
"""Which phrases have come to which of their symbols."""


class _Positions:
    """The states of an automaton that reads single symbols."""

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        self._phrases = phrases
        self.letters = sorted({symbol for phrase in phrases for symbol in phrase})

    def start(self) -> Places:
        return self._beginnings(after_word=False)

    def _beginnings(self, *, after_word: bool) -> Places:
        return frozenset(
            (number, 0) for number, phrase in enumerate(self._phrases) if not (after_word and is_word(phrase[0]))
        )

    def complete(self, places: Places) -> bool:
        """Return whether a phrase is there if a word ends here."""
        return any(place == len(self._phrases[number]) for number, place in places)

    def after(self, places: Places, letter: int) -> Places | None:
        """Return the places after a letter (by number, see `PieceSymbols.classes`); None: a phrase is there."""
        other = letter >= len(self.letters)
        word = letter == len(self.letters) if other else is_word(self.letters[letter])
        moved = set()
        for number, place in places:
            phrase = self._phrases[number]
            if place == len(phrase):
                if not word:
                    return None
            elif not other and phrase[place] == self.letters[letter]:
                if place + 1 == len(phrase) and not is_word(phrase[-1]):
                    return None
                moved.add((number, place + 1))
        return frozenset(moved) | self._beginnings(after_word=word)


def compile_phrases(phrases: Sequence[Phrase], vocabulary: TokenSymbols) -> Automaton:
    """Return the automaton that finds any of `phrases` (none of them empty)."""
    places = _Positions(phrases)
    # State 1 is MET.
    numbers: dict[Places, int] = {places.start(): 0}
    steps: list[list[int]] = [[], [MATCHED] * (len(places.letters) + 2)]
    waiting = [places.start()]
    complete = {places.start(): False}
    while waiting:
        state = waiting.pop()
        row = []
        for letter in range(len(places.letters) + 2):
            after = places.after(state, letter)
            if after is not None and after not in numbers:
                numbers[after] = len(steps)
                steps.append([])
                complete[after] = places.complete(after)
                waiting.append(after)
            row.append(MATCHED if after is None else numbers[after])
        steps[numbers[state]] = row
    table = np.array(steps, dtype=np.int32)
    classes = vocabulary.classes(places.letters)
    following = np.repeat(np.arange(len(table), dtype=np.int32)[:, None], len(classes), axis=1)
    for column in classes.T:
        here = np.flatnonzero(column != NO_SYMBOL)
        following[:, here] = table[following[:, here], column[here]]
    for state, number in numbers.items():
        if complete[state]:
            following[number, EOS] = MATCHED
    return Automaton(following)
