"""Generates the corpus: the right number of pairs of each length for each split, none of them twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exercise.grammar.words import alignment, line
from exercise.sampling.dice import Dice
from exercise.sampling.sentences import SentenceSampler

LENGTHS = (((3, 10), 0.39), ((11, 20), 0.35), ((21, 30), 0.12), ((31, 45), 0.09), ((46, 60), 0.05))
"""Ranges of English length in words, and the share of each."""

SHORTEST, LONGEST = 3, 60
"""In words, on both sides."""


@dataclass(frozen=True)
class Pair:
    """A sentence in both languages.

    Attributes:
        english: English text.
        german: German text.
        alignment: Pairs (English index, German index) of aligned tokens; tokens are what spaces separate.
        constructions: Names of the constructions in it.
    """

    english: str
    german: str
    alignment: tuple[tuple[int, int], ...]
    constructions: frozenset[str]


class Generator:
    """Generates pairs, all different on either side.

    Args:
        seed: Pairs are the same for the same seed.
    """

    def __init__(self, *, seed: int | str) -> None:
        self._dice = Dice(seed=seed)
        self._sentences = SentenceSampler(dice=self._dice)
        self._seen: set[str] = set()

    def pairs(self, count: int) -> list[Pair]:
        """The next `count` pairs: of each length a share as in `LENGTHS`, in random order."""
        wanted = [round(share * count) for _, share in LENGTHS]
        wanted[0] += count - sum(wanted)
        pairs = self._generate(wanted)
        self._dice.shuffle(pairs)
        return pairs

    def without(self, taken: set[str], pairs: Sequence[Pair]) -> list[Pair]:
        """Pairs of this generator again, with a new pair of like length for each that has a taken sentence."""
        kept = [pair for pair in pairs if pair.english not in taken and pair.german not in taken]
        counts, left = _counts(pairs), _counts(kept)
        self._seen |= taken
        pairs = kept + self._generate([counts[index] - left[index] for index in range(len(LENGTHS))])
        self._dice.shuffle(pairs)
        return pairs

    def _generate(self, wanted: list[int]) -> list[Pair]:
        """As many pairs as wanted of each range of `LENGTHS`, the long ones first."""
        pairs: list[Pair] = []
        for index in reversed(range(len(LENGTHS))):  # what turns out shorter than planned is still of use
            while wanted[index] > 0:
                pair = self._pair(*LENGTHS[index][0])
                fitting = None if pair is None else _range(pair)
                if pair is not None and fitting is not None and wanted[fitting] > 0 and self._is_new(pair):
                    wanted[fitting] -= 1
                    pairs.append(pair)
        return pairs

    def _pair(self, low: int, high: int) -> Pair | None:
        """A pair of very roughly `low` to `high` English words; none if German is out of range."""
        self._dice.notes.clear()
        room = self._dice.between(low, high)
        room += room // 6 if room > 30 else 0  # long sentences come out shorter than asked for
        sentence, end = self._sentences.sentence(room)
        english, german = line(sentence.english, end), line(sentence.german.words, end)
        if not SHORTEST <= len(german.tokens) <= LONGEST:
            return None
        return Pair(english.text, german.text, tuple(alignment(english, german)), frozenset(self._dice.notes))

    def _is_new(self, pair: Pair) -> bool:
        """Whether neither side was given before; from now on it was."""
        if pair.english in self._seen or pair.german in self._seen:
            return False
        self._seen.update((pair.english, pair.german))
        return True


def _range(pair: Pair) -> int | None:
    """The index in `LENGTHS` of the length of a pair."""
    length = pair.english.count(" ") + 1
    return next((index for index, ((low, high), _) in enumerate(LENGTHS) if low <= length <= high), None)


def _counts(pairs: Iterable[Pair]) -> Counter[int | None]:
    """The number of pairs of each range of `LENGTHS`."""
    return Counter(map(_range, pairs))


def constructions(pairs: Sequence[Pair]) -> dict[str, int]:
    """How many pairs have each construction, in alphabetical order."""
    counts = Counter(construction for pair in pairs for construction in pair.constructions)
    return dict(sorted(counts.items()))
