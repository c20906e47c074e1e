"""Searching under constraints: phrases that each translation must have, and phrases that none may have.

B sentences, K rows (hypotheses) each, R = B x K rows in all, C phrases, V vocabulary, U pieces that a search uses.

Required phrases are met in every hypothesis that ends. The beam is shared out as in dynamic beam allocation (Post &
Vilar 2018): candidates are the best continuations of all, the best of each hypothesis, and the best of each hypothesis
that brings it nearer to its goal. They are put into banks by how many pieces they still need, and each bank gets the
same share of the beam; what a bank cannot fill goes to the others.

A piece that would leave too little room for what is still needed is barred, so the length limit is met too. For one
phrase this room is exact; for several it is what is enough whatever they share, so that a few translations that would
just have met the limit are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.special_tokens import EOS
from nmt.search.interface import Continuations
from nmt.search.phrase_automaton import INFINITE, MATCHED, Automaton
from nmt.search.top_k import top_k_continuations


class Avoided:
    """No translation has any of the phrases of an automaton, unless its prefix has it."""

    keeps_values = True

    def __init__(
        self,
        automaton: Automaton,
        limits: Tensor,
        *,
        device: torch.device,
        pieces: NDArray[np.int64] | None = None,
    ) -> None:
        """Keep the automaton.

        Args:
            automaton: Of all the phrases.
            limits: Longest translation of each sentence [B] in pieces.
            device: Of the model.
            pieces: The ids that the search's numbers stand for [U]; None: they are ids.
        """
        self._limits = limits.to(device)
        self._following = torch.from_numpy(_columns(automaton, pieces)).to(device)
        self._may_end = self._following[:, EOS] != MATCHED

    def start(self) -> Tensor:
        """Return the first state and the limit of each sentence [B, 2]."""
        return torch.stack([torch.zeros_like(self._limits), self._limits], dim=1)

    def advance(self, marks: Tensor, ids: Tensor) -> Tensor:
        """Return the next states, and the limits [R, 2]."""
        following = self._following[marks[:, 0], ids].long()
        # Only a prefix leads to a phrase. What follows it has none again.
        return torch.stack([following.masked_fill(following == MATCHED, 0), marks[:, 1]], dim=1)

    def shape(self, log_probs: Tensor, pieces: Tensor, marks: Tensor | None) -> Tensor:
        """Bar the pieces, and EOS, with which a phrase would be there.

        The last piece before the limit must not leave one that EOS would complete, as only EOS can follow.
        """
        assert marks is not None
        following = self._following[marks[:, 0]]
        barred = following == MATCHED
        last = marks[:, 1:] - pieces.shape[1] == 1
        if last.any():
            unfinished = ~self._may_end[following] & last
            unfinished[:, EOS] = False
            barred |= unfinished
        return log_probs.masked_fill(barred, -torch.inf)


class Required:
    """Every translation has all the phrases of its sentence."""

    def __init__(
        self,
        phrases: Sequence[Sequence[Automaton]],
        limits: Tensor,
        *,
        device: torch.device,
        pieces: NDArray[np.int64] | None = None,
    ) -> None:
        """Lay the automata of a batch in a row.

        Args:
            phrases: An automaton for each phrase of each sentence; the same object for the same phrase.
            limits: Longest translation of each sentence [B] in pieces, no less than `needed` says.
            device: Of the model.
            pieces: The ids that the search's numbers stand for [U]; None: they are ids. What each sentence may use of
                them must have the pieces `Automaton.nearest` of its phrases.
        """
        distinct = list({id(automaton): automaton for several in phrases for automaton in several}.values())
        tables, needs, full, starts, offset = [], [], [], {}, 1
        for automaton in distinct:
            distance = automaton.distances
            tables.append(_columns(automaton, pieces) + np.int32(offset))
            needs.append(distance)
            full.append(np.full(len(distance), full_distance(distance), np.int16))
            starts[id(automaton)] = offset
            offset += len(distance)
        width = tables[0].shape[1]
        # State 0 is that of a sentence with fewer phrases than others: it needs nothing and is never left.
        self._following = torch.from_numpy(np.concatenate([np.zeros((1, width), np.int32), *tables])).to(device)
        self._needs = torch.from_numpy(np.concatenate([np.zeros(1, np.int16), *needs])).to(device)
        self._full = torch.from_numpy(np.concatenate([np.zeros(1, np.int16), *full])).to(device)
        most = max(len(several) for several in phrases)
        self._start = torch.zeros(len(phrases), 1 + most, dtype=torch.int64, device=device)
        self._start[:, 0] = limits.to(device)
        for row, several in zip(self._start, phrases, strict=True):
            for place, automaton in enumerate(several, 1):
                row[place] = starts[id(automaton)]

    def start(self) -> Tensor:
        """Return the length limit of each sentence and the states of its automata [B, 1 + C]."""
        return self._start

    def advance(self, marks: Tensor, ids: Tensor) -> Tensor:
        """Return the marks with the next states."""
        return torch.cat([marks[:, :1], self._following[marks[:, 1:], ids.unsqueeze(1)].long()], dim=1)

    def choose(
        self, log_probs: Tensor, totals: Tensor, count: int, pieces: Tensor, marks: Tensor | None
    ) -> Continuations:
        """Share the beam out."""
        assert marks is not None
        states, left = marks[:, 1:], marks[:, :1] - pieces.shape[1]
        needed = self._need_after(states)
        barred = needed >= left
        barred[:, EOS] = self._need(states) > 0
        allowed = log_probs.masked_fill(barred, -torch.inf)
        allowed[:, :EOS] = -torch.inf
        nearer = allowed.masked_fill(needed >= self._need(states).unsqueeze(1), -torch.inf)
        needed[:, EOS] = 0
        return _share(allowed, nearer, totals, needed, count)

    def _need(self, states: Tensor) -> Tensor:
        """Return how many pieces are enough for all phrases, from states [R, C] (or any [..., C]).

        One phrase that has begun can be completed at once; each other one takes what it does from its beginning.
        """
        need = self._needs[states]
        full = self._full[states].where(need > 0, 0)
        return full.sum(-1) - (full - need).amax(-1)

    def _need_after(self, states: Tensor) -> Tensor:
        """Return how many pieces are enough after each piece [R, V]."""
        total = most = torch.zeros((), dtype=torch.int16, device=states.device)
        for state in states.unbind(1):
            following = self._following[state]
            need = self._needs[following]
            full = self._full[state].unsqueeze(1).where(need > 0, 0)
            total = total + full
            most = torch.maximum(most, full - need)
        return total - most


def _columns(automaton: Automaton, pieces: NDArray[np.int64] | None) -> NDArray[np.int32]:
    """Return the next state of an automaton by state and the number of a piece."""
    return automaton.following if pieces is None else automaton.following[:, pieces]


def full_distance(distances: np.typing.NDArray[np.int16]) -> int:
    """Return how many pieces are enough for a phrase, whatever stands before it."""
    return int(distances.max())


def can_be_written(automaton: Automaton) -> bool:
    """Return whether the vocabulary has the pieces for a phrase."""
    return full_distance(automaton.distances) < INFINITE


def needed(automata: Sequence[Automaton]) -> int:
    """Return how many pieces a translation must be allowed for these phrases."""
    return sum(full_distance(automaton.distances) for automaton in automata)


def _share(allowed: Tensor, nearer: Tensor, totals: Tensor, needed: Tensor, count: int) -> Continuations:
    """Choose `count` continuations of each sentence out of banks.

    Args:
        allowed: Log-probabilities [R, V] without what is barred.
        nearer: The same without what brings a hypothesis no nearer to its goal.
        totals: [B, K].
        needed: What is still needed after each piece [R, V].
        count: How many are wanted.
    """
    sentences, rows = totals.shape
    size = allowed.shape[1]
    sums = (allowed.view(sentences, rows, size) + totals.unsqueeze(2)).view(sentences, -1)
    overall = top_k_continuations(allowed, totals, count)
    best = overall.rows * size + overall.pieces
    first = torch.arange(rows, device=totals.device) * size
    each = [values.argmax(1).view(sentences, rows) + first for values in (allowed, nearer)]
    places = torch.cat([best, *each], dim=1).sort(dim=1).values
    value = sums.gather(1, places)
    again = torch.zeros_like(places, dtype=torch.bool)
    again[:, 1:] = places[:, 1:] == places[:, :-1]
    value = value.masked_fill(again, -torch.inf)
    # As many banks as there is room for, by need.
    need = needed.view(sentences, -1).gather(1, places).long()
    most = need.masked_fill(value == -torch.inf, 0).amax(1, keepdim=True)
    bank = torch.div(need * count, most + 1, rounding_mode="floor").clamp_max(count - 1)
    # Best first; then by rank within the bank.
    order = value.sort(dim=1, descending=True, stable=True).indices
    places, value, bank = (each.gather(1, order) for each in (places, value, bank))
    same = torch.nn.functional.one_hot(bank, count)
    rank = (same.cumsum(1) * same).sum(2).masked_fill(value == -torch.inf, places.shape[1] + 1)
    chosen = rank.sort(dim=1, stable=True).indices[:, :count]
    place = places.gather(1, chosen)
    row = torch.div(place, size, rounding_mode="floor")
    log_probs = allowed.view(sentences, -1).gather(1, place)
    # What was found twice counts once.
    log_probs = log_probs.masked_fill(value.gather(1, chosen) == -torch.inf, -torch.inf)
    return Continuations(log_probs, row, place % size)
