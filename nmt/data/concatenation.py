"""Concatenated pairs: extra training examples that are several pairs one after another.

A model that was trained on single sentences translates longer text badly. Random concatenations of pairs teach it to
find its place in a long source, without more text (Kondo et al. 2021, Nguyen et al. 2021).
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

MIN_PAIRS = 2
"""Smallest number of pairs in a concatenated example."""


class SampledGroups(NamedTuple):
    """The groups of pairs to concatenate, one after another.

    Attributes:
        members: Numbers of the pairs in the window, group by group; int64 [sum of sizes].
        sizes: Number of pairs of each group; int64 [groups].
    """

    members: NDArray[np.int64]
    sizes: NDArray[np.int64]


class ConcatenatedExamples(NamedTuple):
    """Examples of one or several consecutive rows.

    Attributes:
        first: The first row of each example; int64 [N].
        sizes: Number of rows of each example; int64 [N].
    """

    first: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def lengths(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the length of each example [N] from the length of each row."""
        ends = np.append(0, np.cumsum(lengths))
        sums: NDArray[np.int64] = ends[self.first + self.sizes] - ends[self.first]
        return sums

    def concatenate(self, rows: Rows) -> Rows:
        """Return the examples as rows, without copying ids. `rows` must follow each other without gaps."""
        return Rows(rows.ids, rows.starts[self.first], self.lengths(rows.lengths))

    def members(self, examples: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of some examples, and the position in `examples` that each row belongs to."""
        sizes = self.sizes[examples]
        owners = np.repeat(np.arange(len(examples)), sizes)
        return _runs(self.first[examples], sizes), owners


@dataclass(frozen=True)
class ConcatenationSampler:
    """Samples the pairs to concatenate.

    Attributes:
        ratio: Concatenated examples for each pair of a window.
        max_pairs: Most pairs of an example. The number is uniform from MIN_PAIRS to `max_pairs`.
        max_pieces: Longest example on either side. Pairs that would make it longer are left out of it.
    """

    ratio: float
    max_pairs: int
    max_pieces: int

    def sample(self, pairs: int, key: int) -> SampledGroups:
        """Sample groups from the `pairs` pairs of a window: neighbours in a random order, a function of the key."""
        count = math.floor(self.ratio * pairs + float(uniform(np.zeros(1), make_key(key, 0))[0]))
        draws = uniform(np.arange(count), make_key(key, 1))
        sizes = MIN_PAIRS + (draws * (self.max_pairs - MIN_PAIRS + 1)).astype(np.int64)
        total = int(sizes.sum())
        rounds = [Permutation(pairs, make_key(key, 2, number)) for number in range(-(-total // pairs))]
        positions = np.arange(pairs)
        orders = [order(positions) for order in rounds]
        members = np.concatenate([np.zeros(0, dtype=np.int64), *orders])[:total]
        return SampledGroups(members, sizes)

    def fit(self, lengths: Sequence[NDArray[np.int64]], groups: SampledGroups) -> ConcatenatedExamples:
        """Return the examples of a window: each pair alone, then the groups, shortened to `max_pieces`.

        Args:
            lengths: For each side, the pieces of the window's pairs, then the pieces of the members of the groups.
            groups: The groups. The first members that fit are kept. A group is dropped if fewer than MIN_PAIRS fit.
        """
        pairs = len(lengths[0]) - len(groups.members)
        starts = np.cumsum(groups.sizes) - groups.sizes
        fits = np.ones(len(groups.members), dtype=np.bool_)
        for side in lengths:
            ends = np.cumsum(side[pairs:])
            before = (ends - side[pairs:])[starts]
            fits &= ends - np.repeat(before, groups.sizes) <= self.max_pieces
        kept = np.add.reduceat(fits, starts, dtype=np.int64) if len(starts) else groups.sizes
        enough = kept >= MIN_PAIRS
        return ConcatenatedExamples(
            np.concatenate([np.arange(pairs), pairs + starts[enough]]),
            np.concatenate([np.ones(pairs, dtype=np.int64), kept[enough]]),
        )


def join_links(
    links: Links, owners: NDArray[np.int64], source_lengths: NDArray[np.int64], target_lengths: NDArray[np.int64]
) -> Links:
    """Return the links of concatenated examples from the links of their members.

    Args:
        links: Links of the members. Rows are members.
        owners: The example of each member, ascending.
        source_lengths: Pieces of each member.
        target_lengths: Pieces of each member.
    """
    return Links(
        owners[links.rows],
        links.targets + _offsets(target_lengths, owners)[links.rows],
        links.sources + _offsets(source_lengths, owners)[links.rows],
        links.shares,
    )


def _offsets(lengths: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of pieces before each member in its example."""
    starts = np.cumsum(lengths) - lengths
    first: NDArray[np.int64] = starts[np.searchsorted(owners, owners)]
    return starts - first


def _runs(first: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers `first`, `first` + 1, ... of each run, `size` of them, one run after another."""
    ends = np.cumsum(sizes)
    numbers: NDArray[np.int64] = np.repeat(first - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
    return numbers
