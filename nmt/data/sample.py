"""An evenly spread sample of a parallel text and its share of repeated pairs, in one pass and bounded memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from nmt.config.schema import PairConfig
from nmt.data.corpus import MalformedLine, paths, read_training
from nmt.data.lines import is_blank
from nmt.data.words import comparable

MAX_PAIRS = 200_000
"""Most pairs of a sample. A larger text gives at least half as many."""
MAX_CHARACTERS = 100_000_000
"""Most characters of a sample, of both sides."""
MAX_HASHES = 1_000_000


@dataclass(frozen=True)
class Sample:
    """A sample of a parallel text.

    Attributes:
        files: Its files.
        total: Pairs in the whole text.
        duplicates: Share of all pairs with the same words as an earlier pair. Blank pairs are not counted.
        pairs: Every n-th pair: (source, target). Bad bytes are lone surrogates.
    """

    files: tuple[str, ...]
    total: int
    duplicates: float
    pairs: list[tuple[str, str]]

    def sides(self) -> tuple[list[str], list[str]]:
        """Return the source lines and the target lines."""
        return [source for source, _ in self.pairs], [target for _, target in self.pairs]


def take_sample(pair: PairConfig) -> Sample:
    """Read a parallel text, packed or not, and keep a sample.

    Raises:
        DataError: A file cannot be read, or the two are of unequal length.
    """
    files = paths(pair)
    kept: list[tuple[str, str]] = []
    repetitions = _RepetitionCounter()
    total = visible = characters = 0
    stride = 1
    for line in read_training(pair):
        source, target = (line.line, "") if isinstance(line, MalformedLine) else line
        if not is_blank(source) or not is_blank(target):
            repetitions.add(source, target)
            visible += 1
        if total % stride == 0:
            kept.append((source, target))
            characters += len(source) + len(target)
            if (len(kept) > MAX_PAIRS or characters > MAX_CHARACTERS) and len(kept) > 1:
                kept = kept[::2]
                stride *= 2
                characters = sum(len(source) + len(target) for source, target in kept)
        total += 1
    duplicates = repetitions.repeated() * visible / max(1, total)
    return Sample(files=files, total=total, duplicates=duplicates, pairs=kept)


class _RepetitionCounter:
    """Counts repeated pairs among the pairs whose hash is divisible by a number that grows with the text.

    A pair and its repetitions have the same hash, so either all of them are counted or none. So the share of repeated
    pairs among them estimates the share in the whole text.
    """

    def __init__(self) -> None:
        self._divisor = 1
        self._counts: dict[int, int] = {}

    def add(self, source: str, target: str) -> None:
        text = "\t".join((comparable(source), comparable(target)))
        digest = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest()
        number = int.from_bytes(digest, "little")
        if number % self._divisor:
            return
        self._counts[number] = self._counts.get(number, 0) + 1
        if len(self._counts) > MAX_HASHES:
            self._divisor *= 2
            self._counts = {hash: count for hash, count in self._counts.items() if not hash % self._divisor}

    def repeated(self) -> float:
        """Return the share of pairs that repeat an earlier pair."""
        counted = sum(self._counts.values())
        return (counted - len(self._counts)) / counted if counted else 0.0
