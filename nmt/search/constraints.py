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

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
        limits: Tensor,
        *,
        device: torch.device,
        allowed: NDArray[np.int64] | None = None,
    ) -> None:
        """Move the automaton to the device.

        Args:
            automaton: Of all phrases.
            limits: Length limit of each sentence [B] in pieces.
            device: The device of the model.
            allowed: The ids of the pieces of the search [V]. None: pieces are ids.
        """
        self._limits = limits.to(device)
        self._next_state = torch.from_numpy(_transitions(automaton, allowed)).to(device)  # [N, V]
        self._may_end = self._next_state[:, EOS] != MATCHED  # [N]

    def initial_state(self) -> Tensor:
        """Return the first automaton state and the length limit of each sentence [B, 2]."""
        return torch.stack([torch.zeros_like(self._limits), self._limits], dim=1)

    def advance(self, state: Tensor, ids: Tensor) -> Tensor:
        """Return the next automaton states and the length limits [R, 2]."""
        following = self._next_state[state[:, 0], ids].long()  # [R]
        # Only a prefix can complete a phrase. The text after it must not contain one again.
        return torch.stack([following.masked_fill(following == MATCHED, 0), state[:, 1]], dim=1)

    def process(self, log_probs: Tensor, pieces: Tensor, state: Tensor | None) -> Tensor:
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
        return log_probs.masked_fill(masked, -torch.inf)


class RequiredPhraseSelector:
    """A selector under which every translation contains the phrases of its sentence."""

    def __init__(
        self,
        automata: Sequence[Sequence[Automaton]],
        limits: Tensor,
        *,
        device: torch.device,
        allowed: NDArray[np.int64] | None = None,
    ) -> None:
        """Concatenate the automata of a batch into one transition table.

        Args:
            automata: One for each phrase of each sentence; the same object for the same phrase.
            limits: Length limit of each sentence [B] in pieces, at least the sum of its `Automaton.required_length`.
            device: The device of the model.
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
        self._next_state = torch.from_numpy(np.concatenate([np.zeros((1, width), np.int32), *tables])).to(
            device
        )  # [N, V]
        self._needs = torch.from_numpy(np.concatenate([np.zeros(1, np.int16), *needs])).to(device)  # [N]
        self._full = torch.from_numpy(np.concatenate([np.zeros(1, np.int16), *full])).to(device)  # [N]
        most = max(len(row) for row in automata)
        self._initial = torch.zeros(len(automata), 1 + most, dtype=torch.int64, device=device)  # [B, 1 + C]
        self._initial[:, 0] = limits.to(device)
        for columns, row in zip(self._initial, automata, strict=True):
            for column, automaton in enumerate(row, 1):
                columns[column] = starts[id(automaton)]

    def initial_state(self) -> Tensor:
        """Return the length limit of each sentence and the first states of its automata [B, 1 + C]."""
        return self._initial

    def advance(self, state: Tensor, ids: Tensor) -> Tensor:
        """Return the length limits and the next states [R, 1 + C]."""
        following = self._next_state[state[:, 1:], ids.unsqueeze(1)].long()  # [R, C]
        return torch.cat([state[:, :1], following], dim=1)

    def select(
        self, log_probs: Tensor, totals: Tensor, count: int, pieces: Tensor, state: Tensor | None
    ) -> Continuations:
        """Allocate the beam to banks, and return the continuations."""
        assert state is not None
        states, left = state[:, 1:], state[:, :1] - pieces.shape[1]  # [R, C], [R, 1]
        need_after = self._need_after(states)  # [R, V]
        # A sentence without phrases may be in the batch too. Its length limit is the search's business alone.
        constrained = (states > 0).any(1, keepdim=True)  # [R, 1]
        masked = (need_after >= left) & constrained  # [R, V]
        masked[:, EOS] = self._need(states) > 0
        possible = log_probs.masked_fill(masked, -torch.inf)  # [R, V]
        possible[:, :EOS] = -torch.inf
        progress = possible.masked_fill(need_after >= self._need(states).unsqueeze(1), -torch.inf)  # [R, V]
        need_after[:, EOS] = 0
        return _allocate(possible, progress, totals, need_after, count)

    def _need(self, states: Tensor) -> Tensor:
        """Return a number of pieces [R] that is enough for all phrases, from states [R, C].

        One phrase that has begun can be completed at once. Each other one needs its length from the beginning.
        """
        need = self._needs[states]  # [R, C]
        full = self._full[states].where(need > 0, 0)  # [R, C]
        return full.sum(-1) - (full - need).amax(-1)

    def _need_after(self, states: Tensor) -> Tensor:
        """Return a number of pieces [R, V] that is enough for all phrases after each next piece."""
        total = most = torch.zeros((), dtype=torch.int16, device=states.device)
        for state in states.unbind(1):
            need = self._needs[self._next_state[state]]  # [R, V]
            full = self._full[state].unsqueeze(1).where(need > 0, 0)  # [R, V]
            total = total + full
            most = torch.maximum(most, full - need)
        return total - most


def _transitions(automaton: Automaton, allowed: NDArray[np.int64] | None) -> NDArray[np.int32]:
    """Return the next state of an automaton by state and piece of the search."""
    return automaton.next_state if allowed is None else automaton.next_state[:, allowed]


def _allocate(possible: Tensor, progress: Tensor, totals: Tensor, need_after: Tensor, count: int) -> Continuations:
    """Select `count` continuations of each sentence from banks.

    Args:
        possible: Log-probabilities [R, V] of the continuations that are not masked.
        progress: The same for the continuations that make progress alone.
        totals: Log-probability of each hypothesis [B, K].
        need_after: Pieces still needed after each continuation [R, V].
        count: The size of the beam.
    """
    sentences, rows = totals.shape
    size = possible.shape[1]
    sums = (possible.view(sentences, rows, size) + totals.unsqueeze(2)).view(sentences, -1)  # [B, K * V]
    overall = top_k_continuations(possible, totals, count)
    best = overall.rows * size + overall.pieces  # [B, c]
    first = torch.arange(rows, device=totals.device) * size  # [K]
    of_each_row = [values.argmax(1).view(sentences, rows) + first for values in (possible, progress)]  # [B, K] each
    candidates = torch.cat([best, *of_each_row], dim=1).sort(dim=1).values  # [B, m], as columns of `sums`
    value = sums.gather(1, candidates)  # [B, m]
    duplicate = torch.zeros_like(candidates, dtype=torch.bool)  # [B, m]
    duplicate[:, 1:] = candidates[:, 1:] == candidates[:, :-1]
    value = value.masked_fill(duplicate, -torch.inf)
    # At most `count` banks, by the number of pieces needed.
    need = need_after.view(sentences, -1).gather(1, candidates).long()  # [B, m]
    most = need.masked_fill(value == -torch.inf, 0).amax(1, keepdim=True)  # [B, 1]
    bank = torch.div(need * count, most + 1, rounding_mode="floor").clamp_max(count - 1)  # [B, m]
    # Best first, then by rank within the bank.
    order = value.sort(dim=1, descending=True, stable=True).indices  # [B, m]
    candidates, value, bank = (each.gather(1, order) for each in (candidates, value, bank))
    same_bank = torch.nn.functional.one_hot(bank, count)  # [B, m, count]
    rank = (same_bank.cumsum(1) * same_bank).sum(2)  # [B, m]
    rank = rank.masked_fill(value == -torch.inf, candidates.shape[1] + 1)
    selected = rank.sort(dim=1, stable=True).indices[:, :count]  # [B, c]
    columns = candidates.gather(1, selected)  # [B, c]
    log_probs = possible.view(sentences, -1).gather(1, columns)  # [B, c]
    # A duplicate counts once.
    log_probs = log_probs.masked_fill(value.gather(1, selected) == -torch.inf, -torch.inf)
    return Continuations(log_probs, torch.div(columns, size, rounding_mode="floor"), columns % size)
