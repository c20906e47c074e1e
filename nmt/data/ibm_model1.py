"""IBM Model 1: the translation probabilities of pieces, trained on pairs without alignments (Brown et al. 1993).

Each target piece t_j of a pair comes from one source piece s_i or from none (s_0), with equal prior probability:

    p(t_1..t_n | s_1..s_m)  ~  prod_j sum_i p(t_j | s_i)

Expectation maximisation, from uniform p(t | s):

    c(t, s)   = sum over pairs and j with t_j = t of the share p(t | s) / sum_i p(t | s_i)
    p(t | s)  = c(t, s) / sum_t' c(t', s)

A *link* is one (i, j) of one pair. A *cell* is one (s, t) that occurs in a pair. A chunk stores its links as positions
in its own list of cells, so an iteration is a few numpy operations on each chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.store import Rows, Store

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

NULL_WORD = 0
"""The id of s_0: that of PAD, which no text has."""

ITERATIONS = 5
MAX_PIECES = 64  # pairs with a longer side are skipped: links grow with the square of the length
MAX_LINKS = 50_000_000  # of all pairs used, about 8 bytes of memory each
MAX_CELLS = 8_000_000  # the rarest cells are dropped beyond this; about 30 bytes each
CHUNK_LINKS = 2_000_000
COUNTED_PAIRS = 1 << 20  # of which lengths are in memory at once


class TranslationTable(NamedTuple):
    """p(target piece | source piece) of C cells, ordered by source and then target. `NULL_WORD` is a source too."""

    sources: IntArray
    """Source piece of each cell [C]."""
    targets: IntArray
    """Target piece of each cell [C]."""
    probabilities: FloatArray
    """p(target | source) of each cell [C]."""


class _LinkChunk(NamedTuple):
    """The links of some pairs, grouped by target position. A group has a link for each source position."""

    cells: IntArray
    """The cells of the chunk, ascending: first as keys, later as positions in the list of all cells [c]."""
    links: NDArray[np.int32]
    """Position of each link's cell in `cells` [N]."""
    starts: IntArray
    """Position of the first link of each group [G]."""


def train_ibm_model1(
    sources: Rows, targets: Rows, *, target_size: int, iterations: int = ITERATIONS, max_cells: int = MAX_CELLS
) -> TranslationTable:
    """Train p(t | s) on pairs of ids with at least one piece on both sides.

    Args:
        sources: Source ids, without EOS.
        targets: Target ids, without EOS; pair by pair with `sources`.
        target_size: Size of the target vocabulary.
        iterations: Iterations of expectation maximisation.
        max_cells: Most cells. The rarest ones beyond it are dropped.
    """
    chunks = [_chunk(sources, targets, pairs, target_size) for pairs in _chunked_pairs(sources, targets)]
    keys = _kept_cells(chunks, target_size, max_cells)
    # Cell 0 represents all dropped cells. Its probability is 0, so its links have no weight.
    chunks = [chunk._replace(cells=_positions(keys, chunk.cells)) for chunk in chunks]
    cell_sources, cell_targets = np.divmod(keys, target_size)
    probabilities = np.ones(len(keys))
    for _ in range(iterations):
        probabilities[0] = 0.0
        counts = np.zeros(len(keys))
        for chunk in chunks:
            counts[chunk.cells] += _probabilities(chunk, probabilities)
        totals = np.bincount(cell_sources[1:], counts[1:])
        probabilities[1:] = counts[1:] / totals[cell_sources[1:]]
    return TranslationTable(cell_sources[1:], cell_targets[1:], probabilities[1:])


def sample_pairs(store: Store, *, max_links: int = MAX_LINKS) -> tuple[Rows, Rows]:
    """Copy a sample of pairs into memory, spread evenly over a store, with about `max_links` links.

    Pairs with more than `MAX_PIECES` pieces on a side are skipped, if other pairs remain.
    """
    total = links = 0
    for _, sources, targets in _short_pairs(store):
        total += len(sources)
        links += int(((sources + np.int64(1)) * targets).sum())
    if not total:
        return store.rows(np.array([_shortest_pair(store)]))
    count = max(1, total * max_links // links) if links > max_links else total
    ranks = np.arange(count) * total // count
    chosen, before = [], 0
    for pairs, *_ in _short_pairs(store):
        here = slice(*np.searchsorted(ranks, [before, before + len(pairs)]))
        chosen.append(pairs[ranks[here] - before])
        before += len(pairs)
    return store.rows(np.concatenate(chosen))


def _parts(store: Store) -> Iterator[tuple[int, IntArray, IntArray]]:
    """Yield the number of the first pair of each part of a store, and the lengths of its sources and targets."""
    for first in range(0, len(store), COUNTED_PAIRS):
        part = slice(first, first + COUNTED_PAIRS)
        yield first, np.asarray(store.source_lengths[part]), np.asarray(store.target_lengths[part])


def _short_pairs(store: Store) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Yield the numbers of pairs with at most `MAX_PIECES` pieces on each side, and the lengths of both sides."""
    for first, sources, targets in _parts(store):
        places = np.flatnonzero((sources <= MAX_PIECES) & (targets <= MAX_PIECES))
        yield places + first, sources[places], targets[places]


def _shortest_pair(store: Store) -> int:
    """Return the number of the first pair whose longer side is shortest."""
    longest = ((np.maximum(sources, targets), first) for first, sources, targets in _parts(store))
    return min((int(lengths.min()), first + int(lengths.argmin())) for lengths, first in longest)[1]


def _chunked_pairs(sources: Rows, targets: Rows) -> Iterator[slice]:
    """Split the pairs into chunks of about CHUNK_LINKS links."""
    links = np.cumsum((sources.lengths + 1) * targets.lengths)
    ends = np.searchsorted(links, np.arange(CHUNK_LINKS, links[-1], CHUNK_LINKS))
    bounds = np.unique(np.concatenate([[0], ends, [len(links)]]))
    for first, end in pairwise(bounds):
        yield slice(int(first), int(end))


def _chunk(sources: Rows, targets: Rows, pairs: slice, target_size: int) -> _LinkChunk:
    """List all links of some pairs."""
    target_ids, target_pairs = _flat(targets, pairs)
    widths = sources.lengths[pairs][target_pairs] + 1  # links of each target position
    ends = np.cumsum(widths)
    starts = ends - widths
    # The position of a link in its group is its source position. Position 0 is s_0, so s_1 is at `first`.
    first = sources.starts[pairs][target_pairs]
    places = np.arange(ends[-1]) + np.repeat(first - starts - 1, widths)
    places[starts] = 0
    source_ids = sources.ids[places].astype(np.int64)
    source_ids[starts] = NULL_WORD
    keys = source_ids * target_size + np.repeat(target_ids, widths)
    cells, links = np.unique(keys, return_inverse=True)
    return _LinkChunk(cells, links.astype(np.int32), starts)


def _flat(rows: Rows, pairs: slice) -> tuple[IntArray, IntArray]:
    """Return the ids of some rows in one array, and the row of each id."""
    part: NDArray[Any] = rows.select(np.arange(pairs.start, pairs.stop)).ids
    return part.astype(np.int64), np.repeat(np.arange(pairs.stop - pairs.start), rows.lengths[pairs])


def _kept_cells(chunks: list[_LinkChunk], target_size: int, max_cells: int) -> IntArray:
    """Return the keys of the most frequent cells, ascending, after a -1 for all others. Cells of `NULL_WORD` stay."""
    keys = np.unique(np.concatenate([chunk.cells for chunk in chunks]))
    if len(keys) > max_cells:
        counts = np.zeros(len(keys), dtype=np.int64)
        for chunk in chunks:
            counts[np.searchsorted(keys, chunk.cells)] += np.bincount(chunk.links, minlength=len(chunk.cells))
        least = np.partition(counts, len(keys) - max_cells - 1)[len(keys) - max_cells - 1]
        keys = keys[(counts > least) | (keys // target_size == NULL_WORD)]
    return np.concatenate([[-1], keys])


def _positions(keys: IntArray, cells: IntArray) -> IntArray:
    """Return the positions of `cells` in `keys`; 0 for cells that are not in it."""
    places = np.searchsorted(keys, cells).clip(max=len(keys) - 1)
    return np.where(keys[places] == cells, places, 0)


def _probabilities(chunk: _LinkChunk, probabilities: FloatArray) -> FloatArray:
    """Return the expected counts c(t, s) of the cells of a chunk [c]."""
    values = probabilities[chunk.cells][chunk.links]
    sums = np.add.reduceat(values, chunk.starts)
    values /= np.repeat(sums, np.diff(chunk.starts, append=len(values)))
    return np.asarray(np.bincount(chunk.links, values, minlength=len(chunk.cells)), dtype=np.float64)
