"""Some pairs of a parallel text, evenly from all over it, and how many of all are repeated.

One pass, in bounded memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from nmt.config.schema import PairConfig
from nmt.data.corpus import MalformedLine, paths, read_training
from nmt.data.lines import is_blank

MOST_PAIRS = 200_000
"""Kept at most (and half as many at least, where the text has them)."""
MOST_CHARACTERS = 100_000_000
"""Kept at most, of both sides."""
MOST_HASHES = 1_000_000


@dataclass(frozen=True)
class Sample:
    """What a pass over a parallel text keeps of it.

    Attributes:
        files: Its files.
        total: Pairs in the whole text.
        duplicates: The share of all pairs that came before, word for word; blank lines are not counted as such.
        pairs: Every so many-th pair: (source, target). Bad bytes are lone surrogates.
    """

    files: tuple[str, ...]
    total: int
    duplicates: float
    pairs: list[tuple[str, str]]

    def sides(self) -> tuple[list[str], list[str]]:
        """The lines of either side."""
        return [source for source, _ in self.pairs], [target for _, target in self.pairs]


def take_sample(pair: PairConfig) -> Sample:
    """Look at all of a parallel text, packed or not, and keep some of it.

    Raises:
        DataError: A file cannot be read, or the two are of unequal length.
    """
    files = paths(pair)
    kept: list[tuple[str, str]] = []
    seen = _RepetitionCounter()
    total = filled = characters = 0
    stride = 1
    for line in read_training(pair):
        source, target = (line.line, "") if isinstance(line, MalformedLine) else line
        if not is_blank(source) or not is_blank(target):
            seen.add(source, target)
            filled += 1
        if total % stride == 0:
            kept.append((source, target))
            characters += len(source) + len(target)
            if (len(kept) > MOST_PAIRS or characters > MOST_CHARACTERS) and len(kept) > 1:
                kept = kept[::2]
                stride *= 2
                characters = sum(len(source) + len(target) for source, target in kept)
        total += 1
    duplicates = seen.repeated() * filled / max(1, total)
    return Sample(files=files, total=total, duplicates=duplicates, pairs=kept)


class _RepetitionCounter:
    """Counts repeated pairs among those whose hash is divisible by a number that grows with the text.

    A pair and its repetitions have one hash, so that all of them are looked at or none: the share of repeated pairs
    among them is that of the whole text.
    """

    def __init__(self) -> None:
        self._divisor = 1
        self._counts: dict[int, int] = {}

    def add(self, source: str, target: str) -> None:
        text = "\t".join((" ".join(source.split()), " ".join(target.split())))
        digest = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest()
        number = int.from_bytes(digest, "little")
        if number % self._divisor:
            return
        self._counts[number] = self._counts.get(number, 0) + 1
        if len(self._counts) > MOST_HASHES:
            self._divisor *= 2
            self._counts = {hash: count for hash, count in self._counts.items() if not hash % self._divisor}

    def repeated(self) -> float:
        """The share of pairs that came before."""
        looked_at = sum(self._counts.values())
        return (looked_at - len(self._counts)) / looked_at if looked_at else 0.0
