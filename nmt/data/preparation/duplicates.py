"""Finds repeated pairs in bounded memory: by sorting hashes that were written to disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.data.storage.arrays import map_array

SORTED_AT_ONCE = 1 << 23  # hashes; each takes 24 bytes while it is sorted


def first_occurrences(path: Path) -> NDArray[np.bool_]:
    """Tells for each 64-bit hash in a file (uint64) whether it is the first of its kind.

    Two different pairs share a hash with a probability of about 1 in 10^7 for a corpus of a million pairs.
    """
    hashes = map_array(path, np.uint64)
    first = np.ones(len(hashes), dtype=np.bool_)
    parts = -(-len(hashes) // SORTED_AT_ONCE)
    for part in range(parts):
        numbers = _members(hashes, part, parts) if parts > 1 else np.arange(len(hashes))
        chosen = hashes[numbers]
        order = np.argsort(chosen, kind="stable")  # equal hashes stay in the order of the corpus
        ordered = chosen[order]
        repeated = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        first[numbers[order[repeated]]] = False
    return first


def _members(hashes: NDArray[np.uint64], part: int, parts: int) -> NDArray[np.int64]:
    found = []
    for start in range(0, len(hashes), SORTED_AT_ONCE):
        found.append(np.flatnonzero(hashes[start : start + SORTED_AT_ONCE] % np.uint64(parts) == part) + start)
    return np.concatenate(found)
