"""Search with constraints: phrases that every translation must contain, and phrases that none may contain.

B sentences, K rows (hypotheses) per sentence, R = B x K rows, C automata per sentence, c continuations, V pieces of the
search (the vocabulary, or the pieces that a shortlist allows), N automaton states of the batch, m candidate
continuations.

Every hypothesis that ends contains its required phrases. The beam is allocated as in dynamic beam allocation (Post &
Vilar 2018): candidates are the best continuations overall, the best of each hypothesis, and the best of each hypothesis
that makes progress. They are sorted into banks by the number of pieces that they still need, and each bank gets the
same share of the beam. What a bank cannot fill goes to the others.

A piece is masked if it would leave too few positions for the remaining phrases, so the length limit is kept too. For
one phrase the number of positions is exact. For several it is an upper bound, so a few translations that would just
have fitted are lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import Array, from_host, gather, namespace
from nmt.data.special_tokens import EOS
from nmt.search.interface import Continuations
from nmt.search.phrase_automaton import MATCHED, Automaton
from nmt.search.top_k import top_k_continuations


class AvoidedPhraseProcessor:
    """A logits processor that forbids phrases, unless the prefix of the translation contains them."""

    only_masks = True

    def __init__(
        self,
        automaton: Automaton,
        limits: NDArray[np.int64],
        *,
        like: Array,
        allowed: NDArray[np.int64] | None = None,
    ) -> None:
        """Move the automaton to the device.

        Args:
            automaton: Of all phrases.
            limits: Length limit of each sentence [B] in pieces.
            like: An array of the model.
            allowed: The ids of the pieces of the search [V]. None: pieces are ids.
        """
        self._initial = from_host(np.stack([np.zeros_like(limits), limits], axis=1), like)  # [B, 2]
        self._next_state = from_host(_transitions(automaton, allowed), like)  # [N, V]
        self._may_end = self._next_state[:, EOS] != MATCHED  # [N]

    def initial_state(self) -> Array:
        """Return the first automaton state and the length limit of each sentence [B, 2]."""
        return self._initial

    def advance(self, state: Array, ids: Array) -> Array:
        """Return the next automaton states and the length limits [R, 2]."""
        xp = namespace(state)
        following = xp.astype(self._next_state[state[:, 0], ids], xp.int64)  # [R]
        # Only a prefix can complete a phrase. The text after it must not contain one again.
        return xp.stack([xp.where(following == MATCHED, 0, following), state[:, 1]], axis=1)

    def process(self, log_probs: Array, pieces: Array, state: Array | None) -> Array:
        """Mask the pieces that would complete a phrase, and EOS where it would.

        The last piece before the length limit must not lead to a state where EOS completes a phrase, because only EOS
        can follow.
        """
        assert state is not None
        following = self._next_state[state[:, 0]]  # [R, V]
        masked = following == MATCHED  # [R, V]
        last = state[:, 1:] - pieces.shape[1] == 1  # [R, 1]
        if last.any():
            dead_end = ~self._may_end[following] & last  # [R, V]
            dead_end[:, EOS] = False
            masked |= dead_end
        return namespace(log_probs).where(masked, -math.inf, log_probs)


class RequiredPhraseSelector:
    """A selector under which every translation contains the phrases of its sentence."""

    def __init__(
        self,
        automata: Sequence[Sequence[Automaton]],
        limits: NDArray[np.int64],
        *,
        like: Array,
        allowed: NDArray[np.int64] | None = None,
    ) -> None:
        """Concatenate the automata of a batch into one transition table.

        Args:
            automata: One for each phrase of each sentence; the same object for the same phrase.
            limits: Length limit of each sentence [B] in pieces, at least the sum of its `Automaton.required_length`.
            like: An array of the model.
            allowed: The ids of the pieces of the search [V]. None: pieces are ids. The pieces that a sentence may use
                must include `Automaton.nearest` of its phrases.
        """
        distinct = list({id(automaton): automaton for row in automata for automaton in row}.values())
        tables, needs, full, starts, offset = [], [], [], {}, 1
        for automaton in distinct:
            distances = automaton.distances
            tables.append(_transitions(automaton, allowed) + np.int32(offset))
            needs.append(distances)
            full.append(np.full(len(distances), automaton.required_length, np.int16))
            starts[id(automaton)] = offset
            offset += len(distances)
        width = tables[0].shape[1]
        # State 0 pads sentences with fewer phrases than others: it needs nothing and is never left.
        self._next_state = from_host(np.concatenate([np.zeros((1, width), np.int32), *tables]), like)  # [N, V]
        self._needs = from_host(np.concatenate([np.zeros(1, np.int16), *needs]), like)  # [N]
        self._full = from_host(np.concatenate([np.zeros(1, np.int16), *full]), like)  # [N]
        most = max(len(row) for row in automata)
        initial = np.zeros((len(automata), 1 + most), np.int64)  # [B, 1 + C]
        initial[:, 0] = limits
        for columns, row in zip(initial, automata, strict=True):
            columns[1 : 1 + len(row)] = [starts[id(automaton)] for automaton in row]
        self._initial = from_host(initial, like)

    def initial_state(self) -> Array:
        """Return the length limit of each sentence and the first states of its automata [B, 1 + C]."""
        return self._initial

    def advance(self, state: Array, ids: Array) -> Array:
        """Return the length limits and the next states [R, 1 + C]."""
        xp = namespace(state)
        following = xp.astype(self._next_state[state[:, 1:], ids[:, None]], xp.int64)  # [R, C]
        return xp.concat([state[:, :1], following], axis=1)

    def select(self, log_probs: Array, totals: Array, count: int, pieces: Array, state: Array | None) -> Continuations:
        """Allocate the beam to banks, and return the continuations."""
        assert state is not None
        xp = namespace(log_probs)
        states, left = state[:, 1:], state[:, :1] - pieces.shape[1]  # [R, C], [R, 1]
        need_after = self._need_after(states)  # [R, V]
        # A sentence without phrases may be in the batch too. Its length limit is the search's business alone.
        constrained = xp.any(states > 0, axis=1, keepdims=True)  # [R, 1]
        masked = (need_after >= left) & constrained  # [R, V]
        masked[:, EOS] = self._need(states) > 0
        possible = xp.where(masked, -math.inf, log_probs)  # [R, V]
        possible[:, :EOS] = -math.inf
        progress = xp.where(need_after >= self._need(states)[:, None], -math.inf, possible)  # [R, V]
        need_after[:, EOS] = 0
        return _allocate(possible, progress, totals, need_after, count)

    def _need(self, states: Array) -> Array:
        """Return a number of pieces [R] that is enough for all phrases, from states [R, C].

        One phrase that has begun can be completed at once. Each other one needs its length from the beginning.
        """
        xp = namespace(states)
        need = self._needs[states]  # [R, C]
        full = xp.where(need > 0, self._full[states], 0)  # [R, C]
        return xp.sum(full, axis=1) - xp.max(full - need, axis=1)

    def _need_after(self, states: Array) -> Array:
        """Return a number of pieces [R, V] that is enough for all phrases after each next piece."""
        xp = namespace(states)
        total = most = xp.zeros((), dtype=xp.int16, device=states.device)
        for phrase in range(states.shape[1]):
            state = states[:, phrase]  # [R]
            need = self._needs[self._next_state[state]]  # [R, V]
            full = xp.where(need > 0, self._full[state][:, None], 0)  # [R, V]
            total = total + full
            most = xp.maximum(most, full - need)
        return total - most


def _transitions(automaton: Automaton, allowed: NDArray[np.int64] | None) -> NDArray[np.int32]:
    """Return the next state of an automaton by state and piece of the search."""
    return automaton.next_state if allowed is None else automaton.next_state[:, allowed]


def _allocate(possible: Array, progress: Array, totals: Array, need_after: Array, count: int) -> Continuations:
    """Select `count` continuations of each sentence from banks.

    Args:
        possible: Log-probabilities [R, V] of the continuations that are not masked.
        progress: The same for the continuations that make progress alone.
        totals: Log-probability of each hypothesis [B, K].
        need_after: Pieces still needed after each continuation [R, V].
        count: The size of the beam.
    """
    xp = namespace(possible)
    sentences, rows = totals.shape
    size = possible.shape[1]
    by_sentence = xp.reshape(possible, (sentences, -1))  # [B, K * V]
    overall = top_k_continuations(possible, totals, count)
    best = overall.rows * size + overall.pieces  # [B, c]
    first = xp.arange(rows, device=totals.device) * size  # [K]
    of_each_row = [
        xp.reshape(xp.argmax(values, axis=1), (sentences, rows)) + first  # [B, K]
        for values in (possible, progress)
    ]
    candidates = xp.sort(xp.concat([best, *of_each_row], axis=1), axis=1)  # [B, m], as columns of `by_sentence`
    log_probs = gather(by_sentence, candidates)  # [B, m]
    value = log_probs + gather(totals, candidates // size)  # [B, m]
    # A duplicate counts once.
    value[:, 1:] = xp.where(candidates[:, 1:] == candidates[:, :-1], -math.inf, value[:, 1:])
    # At most `count` banks, by the number of pieces needed.
    need_by_sentence = xp.reshape(need_after, (sentences, -1))  # [B, K * V]
    need = xp.astype(gather(need_by_sentence, candidates), xp.int64)  # [B, m]
    most = xp.max(xp.where(value == -math.inf, 0, need), axis=1, keepdims=True)  # [B, 1]
    bank = xp.clip(need * count // (most + 1), max=count - 1)  # [B, m]
    # Best first, then by rank within the bank.
    order = xp.argsort(-value, axis=1, stable=True)  # [B, m]
    candidates, log_probs, value, bank = (gather(each, order) for each in (candidates, log_probs, value, bank))
    banks = xp.arange(count, device=totals.device)  # [count]
    same_bank = xp.astype(bank[:, :, None] == banks, xp.int64)  # [B, m, count]
    rank = xp.sum(xp.cumulative_sum(same_bank, axis=1) * same_bank, axis=2)  # [B, m]
    rank = xp.where(value == -math.inf, candidates.shape[1] + 1, rank)
    selected = xp.argsort(rank, axis=1, stable=True)[:, :count]  # [B, c]
    columns, log_probs, value = (gather(each, selected) for each in (candidates, log_probs, value))  # [B, c] each
    log_probs = xp.where(value == -math.inf, -math.inf, log_probs)
    return Continuations(log_probs, columns // size, columns % size)
