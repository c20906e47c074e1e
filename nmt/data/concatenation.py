"""Concatenated pairs: extra training examples that are several pairs one after another.

Who has only seen single sentences does badly on what is longer, wherever sentences end. Pairs put together at random
teach a model to find its place in a long source, and cost no more text (Kondo et al. 2021, Nguyen et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.alignments import Links
from nmt.data.shuffle import Permutation, make_key, uniform
from nmt.data.store import Rows

FEWEST = 2
"""Pairs that make an example of several."""


class SampledGroups(NamedTuple):
    """Pairs to put together, by their number in a window: those of one example after those of the other."""

    members: NDArray[np.int64]
    sizes: NDArray[np.int64]
    """How many pairs each example has."""


class ConcatenatedExamples(NamedTuple):
    """Examples, each of them one row or several that lie one after another."""

    first: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def lengths(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """How long the examples are, given how long the rows are."""
        ends = np.append(0, np.cumsum(lengths))
        sums: NDArray[np.int64] = ends[self.first + self.sizes] - ends[self.first]
        return sums

    def joined(self, rows: Rows) -> Rows:
        """The examples as rows; `rows` lie one after another without gaps. Copies no ids."""
        return Rows(rows.ids, rows.starts[self.first], self.lengths(rows.lengths))

    def members(self, examples: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows of some examples, and which of these examples each belongs to, counted from 0."""
        sizes = self.sizes[examples]
        owners = np.repeat(np.arange(len(examples)), sizes)
        return _runs(self.first[examples], sizes), owners


@dataclass(frozen=True)
class ConcatenationSampler:
    """What to put together.

    Attributes:
        share: Examples of several pairs for each pair of a window.
        most: An example has from two to so many pairs.
        max_pieces: Longest example on either side; pairs that would make it longer are left out of it.
    """

    share: float
    most: int
    max_pieces: int

    def draw(self, pairs: int, key: int) -> SampledGroups:
        """Draws among the `pairs` of a window: neighbours in a random order of them, the same for the same key."""
        count = math.floor(self.share * pairs + float(uniform(np.zeros(1), make_key(key, 0))[0]))
        chances = uniform(np.arange(count), make_key(key, 1))
        sizes = FEWEST + (chances * (self.most - FEWEST + 1)).astype(np.int64)
        total = int(sizes.sum())
        rounds = [Permutation(pairs, make_key(key, 2, number)) for number in range(-(-total // pairs))]
        places = np.arange(pairs)
        orders = [order(places) for order in rounds]
        members = np.concatenate([np.zeros(0, dtype=np.int64), *orders])[:total]
        return SampledGroups(members, sizes)

    def fit(self, lengths: Sequence[NDArray[np.int64]], drawn: SampledGroups) -> ConcatenatedExamples:
        """Each pair of a window alone, and after them what was drawn, as far as it is not too long.

        Args:
            lengths: Of each side: the pieces of the window's pairs, and after them of the members.
            drawn: The members. Of an example its first ones are taken, as many as fit; alone, none.
        """
        pairs = len(lengths[0]) - len(drawn.members)
        starts = np.cumsum(drawn.sizes) - drawn.sizes
        fits = np.ones(len(drawn.members), dtype=np.bool_)
        for side in lengths:
            ends = np.cumsum(side[pairs:])
            before = (ends - side[pairs:])[starts]
            fits &= ends - np.repeat(before, drawn.sizes) <= self.max_pieces
        kept = np.add.reduceat(fits, starts, dtype=np.int64) if len(starts) else drawn.sizes
        several = kept >= FEWEST
        return ConcatenatedExamples(
            np.concatenate([np.arange(pairs), pairs + starts[several]]),
            np.concatenate([np.ones(pairs, dtype=np.int64), kept[several]]),
        )


def join_links(
    links: Links, owners: NDArray[np.int64], source_lengths: NDArray[np.int64], target_lengths: NDArray[np.int64]
) -> Links:
    """The links of examples, given those of their members.

    Args:
        links: Of the members; rows are members.
        owners: The example of each member, ascending.
        source_lengths: Pieces of each member.
        target_lengths: Pieces of each member.
    """
    return Links(
        owners[links.rows],
        links.targets + _before(target_lengths, owners)[links.rows],
        links.sources + _before(source_lengths, owners)[links.rows],
        links.shares,
    )


def _before(lengths: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pieces that stand before each member in its example."""
    starts = np.cumsum(lengths) - lengths
    first: NDArray[np.int64] = starts[np.searchsorted(owners, owners)]
    return starts - first


def _runs(first: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each `first` on, as many as its size, one run after another."""
    ends = np.cumsum(sizes)
    numbers: NDArray[np.int64] = np.repeat(first - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
    return numbers
