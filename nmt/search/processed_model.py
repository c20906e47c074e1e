"""Searching a model whose log-probabilities are changed on the way: penalties, blocking, constraints, diversity.

B sentences, K rows (hypotheses) each, R = B x K rows in all, t pieces so far, V vocabulary, S source length.

A `LogitsProcessor` changes the log-probabilities of the next piece. A `Selector` decides which continuations of a
sentence survive. Both may keep a tensor of marks, one row for each hypothesis, which follows the hypotheses through the
beam. `ProcessedModel` wraps a model with any number of processors. Beam search runs it like a model. A search without
processors does not use this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol

import torch
from torch import Tensor

from nmt.data.special_tokens import BOS, EOS, PAD
from nmt.search.coverage_penalty import AttentionSums, CoveragePenalty
from nmt.search.interface import Continuations, MemoryT, StateT, StepModel, TopKOutput
from nmt.search.top_k import top_k_continuations


class Stateful(Protocol):
    """What remembers something of each hypothesis."""

    def start(self) -> Tensor | None:
        """Return the marks of the empty hypothesis of each sentence of the batch [B, ...]; None: there are none."""

    def advance(self, marks: Tensor, ids: Tensor) -> Tensor:
        """Return the marks [R, ...] after the pieces `ids` [R], which are never BOS."""


class LogitsProcessor(Stateful, Protocol):
    """A change of the log-probabilities, which sees each row alone."""

    keeps_values: bool
    """Whether it does no more than bar pieces (minus infinity)."""

    def shape(self, log_probs: Tensor, pieces: Tensor, marks: Tensor | None) -> Tensor:
        """Return changed log-probabilities [R, V], at most 0.

        Args:
            log_probs: Of the next piece [R, V]; they stay as they are.
            pieces: What each row has so far [R, t], without BOS.
            marks: Of the rows.
        """


class Selector(Stateful, Protocol):
    """A way to choose the continuations of each sentence."""

    def choose(
        self, log_probs: Tensor, totals: Tensor, count: int, pieces: Tensor, marks: Tensor | None
    ) -> Continuations:
        """Return at most `count` continuations of each sentence.

        Args:
            log_probs: Of the next piece [R, V].
            totals: The log-probability of each hypothesis [B, K]; minus infinity: no hypothesis.
            count: How many there is room for.
            pieces: What each row has so far [R, t].
            marks: Of the rows.
        """


class Stateless:
    """What remembers nothing."""

    def start(self) -> Tensor | None:
        """Return None."""
        return None

    def advance(self, marks: Tensor, ids: Tensor) -> Tensor:
        """Return the marks."""
        return marks


class TopK(Stateless):
    """The most probable continuations."""

    def choose(
        self, log_probs: Tensor, totals: Tensor, count: int, pieces: Tensor, marks: Tensor | None
    ) -> Continuations:
        """See `top_k_continuations`."""
        return top_k_continuations(log_probs, totals, count)


@dataclass(frozen=True)
class ProcessedState(Generic[StateT]):
    """The state of a model's rows and what shaping remembers of them."""

    state: StateT
    pieces: Tensor | None
    """[R, t]; None before BOS."""
    marks: tuple[Tensor | None, ...]
    """Of each shaper, and of the chooser."""
    prefixes: Tensor | None
    """What each row starts with [R, P]."""
    coverage: AttentionSums | None

    def select(self, rows: Tensor) -> ProcessedState[StateT]:
        """Return the state of `rows` (indices [R'])."""
        return ProcessedState(
            self.state.select(rows),
            None if self.pieces is None else self.pieces.index_select(0, rows),
            tuple(None if marks is None else marks.index_select(0, rows) for marks in self.marks),
            None if self.prefixes is None else self.prefixes.index_select(0, rows),
            None if self.coverage is None else self.coverage.select(rows),
        )


class ProcessedOutput(NamedTuple, Generic[StateT]):
    """What a step gives."""

    log_probs: Tensor
    """Shaped [R, V]."""
    state: ProcessedState[StateT]
    weights: Tensor | None
    own: Tensor
    """As the model gives them [R, V]."""


class ProcessedModel(Generic[MemoryT, StateT]):
    """A model for the sentences of one batch, with shaped log-probabilities."""

    def __init__(
        self,
        model: StepModel[MemoryT, StateT],
        *,
        shapers: Sequence[LogitsProcessor],
        chooser: Selector,
        prefix: Prefix | None,
        coverage: CoveragePenalty | None,
    ) -> None:
        """Keep what is given.

        Args:
            model: What gives the log-probabilities.
            shapers: They are applied in this order.
            chooser: Chooses among what they leave.
            prefix: What translations start with, whatever the shapers say; None: nothing is given.
            coverage: What is added to the scores of hypotheses that end; None: nothing.
        """
        self._model = model
        self._shapers = tuple(shapers)
        self._chooser = chooser
        self._prefix = prefix
        self._coverage = coverage
        self._keeps_values = all(shaper.keeps_values for shaper in shapers)

    def encode(self, source: Tensor, lengths: Tensor) -> MemoryT:
        """Encode the batch that the shapers were made for."""
        return self._model.encode(source, lengths)

    def init_state(self, memory: MemoryT) -> ProcessedState[StateT]:
        """Return the first state, one row for each sentence of the batch."""
        state = self._model.init_state(memory)
        marks = tuple(each.start() for each in (*self._shapers, self._chooser))
        coverage = None if self._coverage is None else self._coverage.start()
        return ProcessedState(state, None, marks, None if self._prefix is None else self._prefix.start(), coverage)

    def step(self, ids: Tensor, state: ProcessedState[StateT], memory: MemoryT) -> ProcessedOutput[StateT]:
        """Feed one piece to each row: BOS to all at the start, and never again."""
        output = self._model.step(ids, state.state, memory)
        pieces, marks = self._remember(ids, state)
        coverage = None
        if self._coverage is not None and state.coverage is not None:
            coverage = self._coverage.add(state.coverage, output.weights)
        log_probs = output.log_probs
        for shaper, mark in zip(self._shapers, marks, strict=False):
            log_probs = shaper.shape(log_probs, pieces, mark)
        if self._prefix is not None and state.prefixes is not None:
            log_probs = self._prefix.force(log_probs, output.log_probs, pieces, state.prefixes)
        after = ProcessedState(output.state, pieces, marks, state.prefixes, coverage)
        return ProcessedOutput(log_probs, after, output.weights, output.log_probs)

    def continue_best(
        self, ids: Tensor, state: ProcessedState[StateT], memory: MemoryT, totals: Tensor, count: int
    ) -> TopKOutput[ProcessedState[StateT]]:
        """Feed one piece to each row, and return the continuations of each sentence that are chosen."""
        output = self.step(ids, state, memory)
        after = output.state
        assert after.pieces is not None
        found = self._chooser.choose(output.log_probs, totals, count, after.pieces, after.marks[-1])
        if not self._keeps_values:
            places = found.rows * output.own.shape[1] + found.pieces
            found = found._replace(own=output.own.view(len(totals), -1).gather(1, places))
        bonus = None
        if self._coverage is not None and after.coverage is not None:
            bonus = self._coverage.bonus(after.coverage)
        return TopKOutput(found, output.own[:, EOS], after, bonus)

    def _remember(self, ids: Tensor, state: ProcessedState[StateT]) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        """Return the pieces and marks of all rows after `ids` [R]."""
        if state.pieces is None:
            assert bool((ids == BOS).all())
            return ids.new_empty(len(ids), 0), state.marks
        marks = tuple(
            None if mark is None else each.advance(mark, ids)
            for each, mark in zip((*self._shapers, self._chooser), state.marks, strict=True)
        )
        return torch.cat([state.pieces, ids.unsqueeze(1)], dim=1), marks


class Prefix:
    """The first pieces of each sentence of a batch."""

    def __init__(self, pieces: Tensor) -> None:
        """Take the pieces [B, P], PAD behind them."""
        self._pieces = pieces

    def start(self) -> Tensor:
        """Return the prefix of each sentence [B, P]."""
        return self._pieces

    def force(self, log_probs: Tensor, own: Tensor, pieces: Tensor, prefixes: Tensor) -> Tensor:
        """Bar all but the prefix's next piece, in rows that are still within it.

        Args:
            log_probs: Of the next piece, shaped [R, V].
            own: As the model gives them [R, V].
            pieces: What each row has so far [R, t].
            prefixes: Of the rows [R, P].
        """
        place = pieces.shape[1]
        if place >= prefixes.shape[1]:
            return log_probs
        following = prefixes[:, place : place + 1]
        forced = torch.full_like(log_probs, -torch.inf).scatter(1, following, own.gather(1, following))
        return torch.where(following == PAD, log_probs, forced)
