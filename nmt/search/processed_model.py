"""Searches a model whose log-probabilities are processed at each step: penalties, blocking, constraints, diversity.

B sentences, K rows (hypotheses) per sentence, R = B x K rows, t pieces so far, P prefix length, V vocabulary.

A `LogitsProcessor` changes the log-probabilities of the next piece. A `Selector` decides which continuations of a
sentence survive. Both may keep a state: an array with one row per hypothesis, which follows the hypotheses through the
beam. `ProcessedModel` wraps a model with any number of processors. Beam search runs it like a model. A search without
processors does not use this module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

from nmt.arrays import Array, gather, namespace, put, take_rows
from nmt.data.special_tokens import BOS, EOS, PAD
from nmt.search.coverage_penalty import AttentionSums, CoveragePenalty
from nmt.search.interface import Continuations, MemoryT, StateT, StepModel, TopKOutput
from nmt.search.top_k import top_k_continuations


class Stateful(Protocol):
    """A component with a state for each hypothesis."""

    def initial_state(self) -> Array | None:
        """Return the state of the empty hypothesis of each sentence [B, ...]; None if there is no state."""

    def advance(self, state: Array, ids: Array) -> Array:
        """Return the state [R, ...] after the pieces `ids` [R], which are never BOS."""


class LogitsProcessor(Stateful, Protocol):
    """A change of the log-probabilities, independent for each row."""

    only_masks: bool
    """Whether it only sets log-probabilities to -inf, and leaves the others unchanged."""

    def process(self, log_probs: Array, pieces: Array, state: Array | None) -> Array:
        """Return changed log-probabilities [R, V], at most 0.

        Args:
            log_probs: Of the next piece [R, V]; must not be changed in place.
            pieces: The pieces of each row so far [R, t], without BOS.
            state: The processor's state of the rows.
        """


class Selector(Stateful, Protocol):
    """A rule that selects the continuations of each sentence."""

    def select(self, log_probs: Array, totals: Array, count: int, pieces: Array, state: Array | None) -> Continuations:
        """Return at most `count` continuations of each sentence.

        Args:
            log_probs: Of the next piece [R, V].
            totals: The log-probability of each hypothesis [B, K]; -inf where there is no hypothesis.
            count: The size of the beam.
            pieces: The pieces of each row so far [R, t].
            state: The selector's state of the rows.
        """


class Stateless:
    """A component whose state never changes; by default it has none."""

    def initial_state(self) -> Array | None:
        """Return None: there is no state."""
        return None

    def advance(self, state: Array, ids: Array) -> Array:
        """Return the state unchanged."""
        return state


class TopK(Stateless):
    """Selects the most probable continuations."""

    def select(self, log_probs: Array, totals: Array, count: int, pieces: Array, state: Array | None) -> Continuations:
        """Return the best continuations; see `top_k_continuations`."""
        return top_k_continuations(log_probs, totals, count)


@dataclass(frozen=True)
class ProcessedState(Generic[StateT]):
    """The state of a model and of all processors, R rows."""

    model_state: StateT
    pieces: Array | None
    """[R, t]; None before BOS."""
    processor_states: tuple[Array | None, ...]
    """Of each processor, then of the selector."""
    prefixes: Array | None
    """The prefix of each row [R, P]."""
    attention_sums: AttentionSums | None

    def select(self, rows: Array) -> ProcessedState[StateT]:
        """Return the state of `rows` (indices [R'])."""
        return ProcessedState(
            self.model_state.select(rows),
            None if self.pieces is None else take_rows(self.pieces, rows),  # [R', t]
            tuple(None if state is None else take_rows(state, rows) for state in self.processor_states),
            None if self.prefixes is None else take_rows(self.prefixes, rows),  # [R', P]
            None if self.attention_sums is None else self.attention_sums.select(rows),
        )


@dataclass(frozen=True)
class ProcessedOutput(Generic[StateT]):
    """The output of one decoding step."""

    log_probs: Array
    """Processed log-probabilities [R, V]."""
    state: ProcessedState[StateT]
    weights: Array | None
    model_log_probs: Array
    """The model's own log-probabilities [R, V]."""


class ProcessedModel(Generic[MemoryT, StateT]):
    """A model for the sentences of one batch, with processed log-probabilities."""

    def __init__(
        self,
        model: StepModel[MemoryT, StateT],
        *,
        processors: Sequence[LogitsProcessor],
        selector: Selector,
        prefix: Prefix | None,
        coverage: CoveragePenalty | None,
    ) -> None:
        """Wrap a model.

        Args:
            model: Gives the log-probabilities.
            processors: Applied in this order.
            selector: Selects among the processed continuations.
            prefix: The beginning of each translation, which overrides the processors. None: no prefix.
            coverage: The penalty on the scores of hypotheses that end. None: no penalty.
        """
        self._model = model
        self._processors = tuple(processors)
        self._selector = selector
        self._prefix = prefix
        self._coverage = coverage
        self._only_masks = all(processor.only_masks for processor in processors)

    def encode(self, source: Array, lengths: Array) -> MemoryT:
        """Encode the batch for which the processors were made."""
        return self._model.encode(source, lengths)

    def init_state(self, memory: MemoryT) -> ProcessedState[StateT]:
        """Return the initial state, one row for each sentence of the batch."""
        return ProcessedState(
            self._model.init_state(memory),
            None,
            tuple(each.initial_state() for each in (*self._processors, self._selector)),
            None if self._prefix is None else self._prefix.ids,
            None if self._coverage is None else self._coverage.initial_sums(),
        )

    def step(self, ids: Array, state: ProcessedState[StateT], memory: MemoryT) -> ProcessedOutput[StateT]:
        """Feed one piece to each row: BOS to all rows in the first step, and never again."""
        output = self._model.step(ids, state.model_state, memory)
        pieces, processor_states = self._advance(ids, state)
        attention_sums = None
        if self._coverage is not None and state.attention_sums is not None:
            attention_sums = self._coverage.add(state.attention_sums, output.weights)
        log_probs = output.log_probs
        for processor, processor_state in zip(self._processors, processor_states, strict=False):
            log_probs = processor.process(log_probs, pieces, processor_state)
        if self._prefix is not None and state.prefixes is not None:
            log_probs = self._prefix.force(log_probs, output.log_probs, pieces, state.prefixes)
        after = ProcessedState(output.state, pieces, processor_states, state.prefixes, attention_sums)
        return ProcessedOutput(log_probs, after, output.weights, output.log_probs)

    def step_top_k(
        self, ids: Array, state: ProcessedState[StateT], memory: MemoryT, totals: Array, count: int
    ) -> TopKOutput[ProcessedState[StateT]]:
        """Feed one piece to each row, and return the selected continuations of each sentence."""
        output = self.step(ids, state, memory)
        after = output.state
        assert after.pieces is not None
        selected = self._selector.select(output.log_probs, totals, count, after.pieces, after.processor_states[-1])
        if not self._only_masks:
            columns = selected.rows * output.model_log_probs.shape[1] + selected.pieces  # [B, C]
            xp = namespace(totals)
            by_sentence = xp.reshape(output.model_log_probs, (len(totals), -1))  # [B, K * V]
            selected = selected._replace(model_log_probs=gather(by_sentence, columns))
        bonus = None
        if self._coverage is not None and after.attention_sums is not None:
            bonus = self._coverage.bonus(after.attention_sums)
        return TopKOutput(selected, output.model_log_probs[:, EOS], after, bonus)

    def _advance(self, ids: Array, state: ProcessedState[StateT]) -> tuple[Array, tuple[Array | None, ...]]:
        """Return the pieces and the processor states of all rows after `ids` [R]."""
        if state.pieces is None:
            assert bool((ids == BOS).all())
            return ids[:, None][:, :0], state.processor_states  # [R, 0]
        states = tuple(
            None if old is None else each.advance(old, ids)
            for each, old in zip((*self._processors, self._selector), state.processor_states, strict=True)
        )
        return namespace(ids).concat([state.pieces, ids[:, None]], axis=1), states  # [R, t + 1]


class Prefix:
    """Forces the first pieces of each sentence of a batch."""

    def __init__(self, ids: Array) -> None:
        """Take the prefixes [B, P], padded to the right."""
        self.ids = ids

    def force(self, log_probs: Array, model_log_probs: Array, pieces: Array, prefixes: Array) -> Array:
        """Mask all pieces but the next one of the prefix, in rows that have not passed their prefix.

        Args:
            log_probs: Processed log-probabilities of the next piece [R, V].
            model_log_probs: The model's own [R, V].
            pieces: The pieces of each row so far [R, t].
            prefixes: The prefixes of the rows [R, P].
        """
        position = pieces.shape[1]
        if position >= prefixes.shape[1]:
            return log_probs
        required = prefixes[:, position : position + 1]  # [R, 1]
        xp = namespace(log_probs)
        value = gather(model_log_probs, required)  # [R, 1]
        forced = put(xp.full_like(log_probs, -math.inf), required, value)  # [R, V]
        return xp.where(required == PAD, log_probs, forced)
