"""Exact duplicates in bounded memory: sorted 128-bit hashes on disk, compared part by part over all shards.

Each shard stores the hashes of its pairs in ascending order, each hash once. So all equal hashes of the corpus are in
one range of hashes, and a range is read from all shards at once. Two different pairs share a hash with a probability of
about 10^-22 for a corpus of 100 million pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.data.store import ArrayWriter, map_array

HASHES, PLACES, REPEATED = "hashes", "places", "repeated"
HASH_BYTES = 16
COMPARED_AT_ONCE = 1 << 21
"""Hashes; each takes about 60 bytes while it is compared."""


def hash_pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return the 128-bit hashes of pairs in the form of `nmt.data.words.comparable`, one after another."""
    blake = hashlib.blake2b
    # The form has no line end.
    return b"".join(
        [blake(f"{source}\n{target}".encode(), digest_size=HASH_BYTES).digest() for source, target in pairs]
    )


def write_hashes(folder: Path, digests: bytes) -> None:
    """Store the hashes of the pairs of a shard.

    `hashes` has the first halves of the distinct hashes in ascending order, then their second halves. `places` has the
    place of the first pair with each hash, and `repeated` the places of the other pairs.
    """
    halves = np.frombuffer(digests, np.dtype("<u8")).reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: equal hashes stay in the order of the corpus
    ordered = halves[order]
    new: NDArray[np.bool_] = np.ones(len(order), dtype=np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    for name, kind, values in (
        (HASHES, np.uint64, ordered[new].T.ravel()),
        (PLACES, np.uint32, order[new]),
        (REPEATED, np.uint32, np.sort(order[~new])),
    ):
        writer = ArrayWriter(folder / name, kind)
        writer.add(values)
        writer.close()


def read_repeated(folder: Path) -> NDArray[np.int64]:
    """Return the places of the pairs of a shard that repeat a pair of the same shard."""
    places: NDArray[np.int64] = map_array(folder / REPEATED, np.uint32).astype(np.int64)
    return places


def ranges(pairs: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of first halves, both ends included, that have about `COMPARED_AT_ONCE` hashes each."""
    parts = max(1, -(-pairs // COMPARED_AT_ONCE))
    bounds = [(part << 64) // parts for part in range(parts + 1)]
    for low, after in pairwise(bounds):
        yield low, after - 1


@dataclass(frozen=True)
class RepeatFinder:
    """Finds the pairs that repeat a pair of an earlier shard.

    Attributes:
        folders: The folders of the shards, in the order of the corpus.
        starts: The number of the first pair of each shard.
    """

    folders: Sequence[Path]
    starts: Sequence[int]

    def __call__(self, bounds: tuple[int, int]) -> NDArray[np.int64]:
        """Return the numbers of such pairs whose first half of the hash is in a range, both ends included."""
        firsts, seconds, numbers = [], [], []
        for folder, start in zip(self.folders, self.starts, strict=True):
            hashes = map_array(folder / HASHES, np.uint64)
            count = len(hashes) // 2
            low = int(np.searchsorted(hashes[:count], np.uint64(bounds[0]), side="left"))
            high = int(np.searchsorted(hashes[:count], np.uint64(bounds[1]), side="right"))
            firsts.append(np.asarray(hashes[low:high]))
            seconds.append(np.asarray(hashes[count + low : count + high]))
            numbers.append(map_array(folder / PLACES, np.uint32)[low:high].astype(np.int64) + start)
        return _repeated(np.concatenate(firsts), np.concatenate(seconds), np.concatenate(numbers))


def _repeated(first: NDArray[np.uint64], second: NDArray[np.uint64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers whose two halves occur before."""
    order = np.argsort(first, kind="stable")
    equal = first[order[1:]] == first[order[:-1]]
    if not equal.any():
        return numbers[:0]
    candidate = np.zeros(len(order), dtype=np.bool_)
    candidate[1:] |= equal
    candidate[:-1] |= equal
    rest = np.sort(order[candidate])
    order = rest[np.lexsort((second[rest], first[rest]))]
    equal = (first[order[1:]] == first[order[:-1]]) & (second[order[1:]] == second[order[:-1]])
    repeated: NDArray[np.int64] = numbers[order[1:][equal]]
    return repeated
