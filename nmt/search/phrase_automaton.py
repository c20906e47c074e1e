"""Automata that read subword pieces and find phrases.

V vocabulary, N states of an automaton, W symbols of the longest piece, L letters of the phrases.

A phrase is found in the text, in any segmentation into pieces. It must be whole words: "Haus" is neither in "Hausboot"
nor in "Rathaus". In scripts without spaces between words (such as Chinese, Japanese and Thai) it is found anywhere. A
required phrase never ends before a combining mark, which belongs to its last letter.

Texts are sequences of symbols: characters, and bytes where a piece is a byte. A byte above 127 counts as part of a
word. If a model writes from right to left, symbols are read from the last to the first.

A state of an automaton is the set of positions in its phrases that a text may have reached. One phrase has about as
many states as characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data import words
from nmt.data.special_tokens import EOS, UNK
from nmt.data.tokenizer import WORD_START, SubwordModel

Phrase = tuple[int, ...]
"""The symbols of a phrase, without the space before its first word, in the order in which the model writes."""

BYTE = 0x110000
"""The symbol of a byte above 127 is this plus the byte, which is not a character."""
UNWRITABLE = BYTE
"""The symbol of text that the vocabulary cannot write; no piece has it, because no byte above 127 is 0."""

NO_SYMBOL = -1
INFINITE = 1 << 14
MATCHED = 1
"""The state in which a phrase has been found, in every automaton; it is never left. The first state is 0."""


class TokenSymbols:
    """The symbols of each piece of a vocabulary."""

    def __init__(self, subwords: SubwordModel) -> None:
        """Read the pieces of a subword model."""
        self._subwords = subwords
        rows = [
            subwords.in_text_order(_symbols(piece)) if number > EOS else []
            for number, piece in enumerate(subwords.pieces(range(subwords.size)))
        ]
        self.table: NDArray[np.int64] = np.full((len(rows), max(map(len, rows), default=1)), NO_SYMBOL)  # [V, W]
        for number, row in enumerate(rows):
            self.table[number, : len(row)] = row
        self._known = np.unique(self.table)
        self._is_word = np.array([symbol != NO_SYMBOL and is_word(int(symbol)) for symbol in self._known])
        self._is_mark = np.array([symbol != NO_SYMBOL and is_mark(int(symbol)) for symbol in self._known])
        self.has_marks = bool(self._is_mark.any())
        self.right_to_left = subwords.right_to_left

    def phrase(self, text: str) -> Phrase:
        """Return the symbols of a phrase as this vocabulary writes it; empty if nothing is left after tokenization."""
        (ids,) = self._subwords.encode([text])
        ids = self._subwords.in_text_order(ids)
        symbols: list[int] = []
        for number, piece in zip(ids, self._subwords.pieces(ids), strict=True):
            symbols += (UNWRITABLE,) if number == UNK else _symbols(piece)
        while symbols and symbols[0] == ord(" "):
            del symbols[0]
        return tuple(self._subwords.in_text_order(symbols))

    def classes(self, letters: Sequence[int]) -> NDArray[np.int64]:
        """Return the class of each symbol of the table [V, W].

        The class of a letter is its index in `letters`; L is any other word character, L + 1 any other combining mark,
        L + 2 any other symbol.
        """
        of_known = np.where(self._is_word, len(letters), np.where(self._is_mark, len(letters) + 1, len(letters) + 2))
        for index, letter in enumerate(letters):
            of_known[self._known == letter] = index
        of_known[self._known == NO_SYMBOL] = NO_SYMBOL
        classes: NDArray[np.int64] = of_known[np.searchsorted(self._known, self.table)]  # [V, W]
        return classes


def _symbols(piece: str) -> tuple[int, ...]:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        byte = int(piece[3:5], 16)
        return (byte if byte < 128 else BYTE + byte,)
    return tuple(map(ord, piece.replace(WORD_START, " ")))


def is_word(symbol: int) -> bool:
    """Return whether a symbol is part of a word, in scripts with spaces between words."""
    return symbol >= BYTE or words.is_word(chr(symbol))


def is_mark(symbol: int) -> bool:
    """Return whether a symbol is a combining mark outside of such words, as in Thai."""
    return symbol < BYTE and words.is_mark(chr(symbol)) and not is_word(symbol)


@dataclass(frozen=True)
class Automaton:
    """A finite automaton that reads pieces, and finds one or several phrases."""

    next_state: NDArray[np.int32]
    """The next state [N, V], by state and piece. After EOS it is `MATCHED` if the text ends with a phrase."""

    @cached_property
    def distances(self) -> NDArray[np.int16]:
        """The fewest pieces from each state to one where EOS or a word boundary completes a phrase [N]."""
        distance = np.full(len(self.next_state), INFINITE, np.int16)  # [N]
        distance[self.next_state[:, EOS] == MATCHED] = 0
        while True:
            through = distance[self.next_state[:, EOS + 1 :]].min(axis=1) + 1  # [N]
            shorter = np.minimum(distance, through).astype(np.int16)
            if np.array_equal(shorter, distance):
                return distance
            distance = shorter

    @property
    def required_length(self) -> int:
        """A number of pieces that is enough for a phrase from every state."""
        return int(self.distances.max())

    @property
    def can_be_written(self) -> bool:
        """Whether the vocabulary has the pieces for a phrase."""
        return self.required_length < INFINITE

    @cached_property
    def nearest(self) -> NDArray[np.int64]:
        """Pieces that are enough to complete a phrase with the fewest pieces, from every state."""
        far = np.flatnonzero((self.distances > 0) & (self.distances < INFINITE))
        after = self.distances[self.next_state[far, EOS + 1 :]]  # [far, V - EOS - 1]
        return np.unique(after.argmin(axis=1) + EOS + 1) if len(far) else np.zeros(0, np.int64)


class Positions(NamedTuple):
    """A state: the positions that a text may have reached, and the phrases that may begin with the next letter."""

    inside: frozenset[tuple[int, int]]
    """Pairs of a phrase and the number of its symbols that have been read, at least 1."""
    may_begin: int
    """0: no phrase. 1: phrases whose first letter is not part of a word. 2: all phrases."""


class _SymbolAutomaton:
    """The automaton that reads single symbols, with sets of positions as states."""

    def __init__(self, phrases: Sequence[Phrase], *, marks_before: bool, marks_after: bool) -> None:
        """Take the phrases, and whether none may begin after a mark that was read, or end before a mark to be read."""
        self._phrases = phrases
        self._marks_before = marks_before
        self._marks_after = marks_after
        self.letters = sorted({symbol for phrase in phrases for symbol in phrase})
        self._by_first: dict[int, list[int]] = {}
        for number, phrase in enumerate(phrases):
            self._by_first.setdefault(phrase[0], []).append(number)
        with_word = {is_word(first) for first in self._by_first}
        self._after_word = 1 if len(with_word) == 2 else 0 if with_word == {True} else 2

    def start(self) -> Positions:
        return Positions(frozenset(), 2)

    def complete(self, positions: Positions) -> bool:
        """Return whether a phrase is complete if a word ends here."""
        return any(position == len(self._phrases[number]) for number, position in positions.inside)

    def after(self, positions: Positions, letter: int) -> Positions | None:
        """Return the positions after a letter (a class of `TokenSymbols.classes`); None: a phrase has been found."""
        other = letter >= len(self.letters)
        symbol = NO_SYMBOL if other else self.letters[letter]
        word = letter == len(self.letters) if other else is_word(symbol)
        mark = letter == len(self.letters) + 1 if other else is_mark(symbol)
        moved = set()
        for number, position in positions.inside:
            phrase = self._phrases[number]
            if position == len(phrase):
                if not (word and is_word(phrase[-1])) and not (mark and self._marks_after):
                    return None
            elif phrase[position] == symbol:
                moved.add((number, position + 1))
        if positions.may_begin == 2 or (positions.may_begin == 1 and not word):
            moved.update((number, 1) for number in self._by_first.get(symbol, ()))
        for number, position in moved:
            phrase = self._phrases[number]
            if position == len(phrase) and not is_word(phrase[-1]) and not self._marks_after:
                return None
        if mark and self._marks_before:
            return Positions(frozenset(moved), 0)
        return Positions(frozenset(moved), self._after_word if word else 2)


def compile_phrases(phrases: Sequence[Phrase], vocabulary: TokenSymbols, *, required: bool = False) -> Automaton:
    """Return the automaton that finds any of some phrases.

    Args:
        phrases: The phrases, none of them empty.
        vocabulary: The symbols of the pieces.
        required: Whether the last letter of a phrase must have all of its marks within the phrase.
    """
    whole, right_to_left = required and vocabulary.has_marks, vocabulary.right_to_left
    automaton = _SymbolAutomaton(phrases, marks_before=whole and right_to_left, marks_after=whole and not right_to_left)
    start = automaton.start()
    numbers: dict[Positions, int] = {start: 0}
    steps: list[list[int]] = [[], [MATCHED] * (len(automaton.letters) + 3)]  # state 1 is MATCHED
    queue = [start]
    complete = {start: False}
    while queue:
        state = queue.pop()
        row = []
        for letter in range(len(automaton.letters) + 3):
            after = automaton.after(state, letter)
            if after is not None and after not in numbers:
                numbers[after] = len(steps)
                steps.append([])
                complete[after] = automaton.complete(after)
                queue.append(after)
            row.append(MATCHED if after is None else numbers[after])
        steps[numbers[state]] = row
    table = np.array(steps, dtype=np.int32)  # [N, L + 3]
    classes = vocabulary.classes(automaton.letters)  # [V, W]
    next_state = np.repeat(np.arange(len(table), dtype=np.int32)[:, None], len(classes), axis=1)  # [N, V]
    for column in classes.T:  # the i-th symbol of every piece
        longer = np.flatnonzero(column != NO_SYMBOL)
        next_state[:, longer] = table[next_state[:, longer], column[longer]]
    for state, number in numbers.items():
        if complete[state]:
            next_state[number, EOS] = MATCHED
    return Automaton(next_state)
