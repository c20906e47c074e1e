"""IBM Model 1: which target pieces translate which source piece, learnt from pairs alone (Brown et al. 1993).

Each target piece t_j of a pair comes from one source piece s_i or from none (s_0), all equally likely beforehand:

    p(t_1..t_n | s_1..s_m)  ~  prod_j sum_i p(t_j | s_i)

Expectation maximisation, from uniform p(t | s):

    c(t, s)   = sum over pairs and j with t_j = t of the share p(t | s) / sum_i p(t | s_i)
    p(t | s)  = c(t, s) / sum_t' c(t', s)

A *link* is one (i, j) of one pair, a *cell* one (s, t) that occurs together. Links are kept in chunks as places in a
chunk's own list of cells, so that an iteration is a few numpy operations on each chunk.
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
"""The source piece s_0 that stands for none: the id of PAD, which no text has."""

ITERATIONS = 5
MAX_PIECES = 64  # pairs with a longer side are passed over: links grow with the square of the length
MAX_LINKS = 50_000_000  # of all pairs looked at, about 8 bytes of memory each
MAX_CELLS = 8_000_000  # beyond, the rarest are forgotten; about 30 bytes each
CHUNK_LINKS = 2_000_000


class TranslationTable(NamedTuple):
    """p(target piece | source piece) of all cells, ordered by source and then target; `NULL_WORD` is a source too."""

    sources: IntArray
    """Source piece of each cell [C]."""
    targets: IntArray
    """Target piece of each cell [C]."""
    probabilities: FloatArray
    """p(target | source) of each cell [C]."""


class _LinkChunk(NamedTuple):
    """The links of some pairs: grouped by target position, in each group one link for each source position."""

    cells: IntArray
    """The cells that occur here, ascending: first as keys, later as places in the list of all [c]."""
    links: NDArray[np.int32]
    """The place of each link's cell in `cells` [N]."""
    starts: IntArray
    """Where each group starts [G]."""


def train_ibm_model1(
    sources: Rows, targets: Rows, *, target_size: int, iterations: int = ITERATIONS, max_cells: int = MAX_CELLS
) -> TranslationTable:
    """Learns p(t | s) from pairs of ids, both sides of which have at least one piece.

    Args:
        sources: Source ids, without EOS.
        targets: Target ids, without EOS; pair by pair with `sources`.
        target_size: Number of target pieces there are; V.
        iterations: Of expectation maximisation.
        max_cells: Where more pairs of pieces occur together, those that do so least often are forgotten.
    """
    chunks = [_chunk(sources, targets, pairs, target_size) for pairs in _chunked_pairs(sources, targets)]
    keys = _kept_cells(chunks, target_size, max_cells)
    # The first cell stands for all that are forgotten: its probability is 0, so its links get no share.
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
    """Copies pairs that are spread evenly over a store into memory, as many as have `max_links` links.

    Pairs with more than `MAX_PIECES` pieces on a side are passed over, if that leaves any.
    """
    longest = np.maximum(store.source_lengths, store.target_lengths)
    pairs = np.flatnonzero(longest <= MAX_PIECES)
    if not len(pairs):
        pairs = np.array([longest.argmin()])
    links = int(((store.source_lengths[pairs] + np.int64(1)) * store.target_lengths[pairs]).sum())
    if links > max_links:
        count = max(1, len(pairs) * max_links // links)
        pairs = pairs[np.arange(count) * len(pairs) // count]
    return store.rows(pairs)


def _chunked_pairs(sources: Rows, targets: Rows) -> Iterator[slice]:
    """Cuts the pairs into chunks of about CHUNK_LINKS links."""
    links = np.cumsum((sources.lengths + 1) * targets.lengths)
    ends = np.searchsorted(links, np.arange(CHUNK_LINKS, links[-1], CHUNK_LINKS))
    bounds = np.unique(np.concatenate([[0], ends, [len(links)]]))
    for first, end in pairwise(bounds):
        yield slice(int(first), int(end))


def _chunk(sources: Rows, targets: Rows, pairs: slice, target_size: int) -> _LinkChunk:
    """Lists all links of some pairs."""
    target_ids, target_pairs = _flat(targets, pairs)
    widths = sources.lengths[pairs][target_pairs] + 1  # links of each target position
    ends = np.cumsum(widths)
    starts = ends - widths
    # The place of a link in its group is its source position; 0 is s_0, so s_1 is at `first`.
    first = sources.starts[pairs][target_pairs]
    places = np.arange(ends[-1]) + np.repeat(first - starts - 1, widths)
    places[starts] = 0
    source_ids = sources.ids[places].astype(np.int64)
    source_ids[starts] = NULL_WORD
    keys = source_ids * target_size + np.repeat(target_ids, widths)
    cells, links = np.unique(keys, return_inverse=True)
    return _LinkChunk(cells, links.astype(np.int32), starts)


def _flat(rows: Rows, pairs: slice) -> tuple[IntArray, IntArray]:
    """The ids of some rows one after another, and which of these rows each belongs to."""
    part: NDArray[Any] = rows.select(np.arange(pairs.start, pairs.stop)).ids
    return part.astype(np.int64), np.repeat(np.arange(pairs.stop - pairs.start), rows.lengths[pairs])


def _kept_cells(chunks: list[_LinkChunk], target_size: int, max_cells: int) -> IntArray:
    """The keys of the most frequent cells, ascending, behind a -1 for all others. Those of `NULL_WORD` all stay."""
    keys = np.unique(np.concatenate([chunk.cells for chunk in chunks]))
    if len(keys) > max_cells:
        counts = np.zeros(len(keys), dtype=np.int64)
        for chunk in chunks:
            counts[np.searchsorted(keys, chunk.cells)] += np.bincount(chunk.links, minlength=len(chunk.cells))
        least = np.partition(counts, len(keys) - max_cells - 1)[len(keys) - max_cells - 1]
        keys = keys[(counts > least) | (keys // target_size == NULL_WORD)]
    return np.concatenate([[-1], keys])


def _positions(keys: IntArray, cells: IntArray) -> IntArray:
    """Where `cells` are in `keys`; 0 for those that are not."""
    places = np.searchsorted(keys, cells).clip(max=len(keys) - 1)
    return np.where(keys[places] == cells, places, 0)


def _probabilities(chunk: _LinkChunk, probabilities: FloatArray) -> FloatArray:
    """What the links of each cell of a chunk add up to: c(t, s) [c]."""
    values = probabilities[chunk.cells][chunk.links]
    sums = np.add.reduceat(values, chunk.starts)
    values /= np.repeat(sums, np.diff(chunk.starts, append=len(values)))
    return np.asarray(np.bincount(chunk.links, values, minlength=len(chunk.cells)), dtype=np.float64)
