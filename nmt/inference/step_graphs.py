"""Decoder steps that a CUDA device records once and replays: CUDA graphs.

A step of a search launches dozens of small kernels, and a GPU waits for each launch. A CUDA graph launches them all at
once. It reads and writes fixed memory, so each recorded step has static buffers for its inputs, and its outputs are
copied before the next step overwrites them.

A graph has fixed shapes. Few shapes serve all batches: the numbers of sentences and of source positions are rounded up.
Each row depends on its own sentence alone, and masked positions have no attention, so padding changes no result. The
encoded sentences are copied when they change, the other inputs at each step.

B sentences, S source length, R rows (the hypotheses of all sentences), C continuations, V vocabulary, O output size.
Static buffers have B' >= B sentences, S' >= S positions and R' = B' * R / B rows.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.log import logger
from nmt.model.graphs import CudaRecorder, Recorder, Recording, are_close, autocast_type, autocast_without_cache, leaves
from nmt.model.layers import round_up
from nmt.model.memory import AttentionState, CellState, DecoderState, Memory

MAX_GRAPHS = 128
"""Graphs that are kept. The one that was used least recently is dropped first."""
EAGER_STEPS = 2
"""Steps of each shape that are computed without a graph, because recording takes as long as several steps."""
MAX_COUNTED_SHAPES = 4096
MIN_WIDTH = 8
"""Fewest source positions of a graph."""


class StepInputs(NamedTuple):
    """The inputs of one decoder step."""

    ids: Tensor
    """The last pieces [R]."""
    state: DecoderState
    """The state of the rows."""
    memory: Memory
    """The encoded sentences."""
    totals: Tensor | None = None
    """The log-probability of each hypothesis [B, R / B]. None: the step does not select continuations."""
    num_continuations: int = 0
    """C, with `totals`."""


class StepResult(NamedTuple):
    """The outputs of one decoder step."""

    by_row: tuple[Tensor, ...]
    """Tensors [R, ...]: log-probabilities, inputs of the output layer."""
    by_sentence: tuple[Tensor, ...]
    """Tensors [B, ...]: continuations."""
    state: DecoderState
    """The state after the step."""
    weights: Tensor | None
    """Attention weights [R, S]."""


StepFunction = Callable[[StepInputs], StepResult]


class StepGraphs:
    """Computes decoder steps, with graphs for the shapes that recur. Threads may share it.

    If a recording fails, or its first replay differs from the computed step, all further steps are computed without
    graphs.
    """

    def __init__(
        self,
        record: Recorder | None = None,
        *,
        max_graphs: int = MAX_GRAPHS,
        eager_steps: int = EAGER_STEPS,
    ) -> None:
        """Choose how to record.

        Args:
            record: Records a computation. None: as a CUDA graph.
            max_graphs: Graphs that are kept.
            eager_steps: Steps of each shape before the recording.
        """
        self._record = CudaRecorder() if record is None else record
        self._max_graphs = max_graphs
        self._eager_steps = eager_steps
        self._graphs = OrderedDict[Hashable, _Graph]()
        self._counts = OrderedDict[Hashable, int]()
        self._lock = threading.Lock()
        self._works = True

    def clear(self) -> None:
        """Drop all graphs and free their memory."""
        with self._lock:
            self._graphs.clear()

    def run(self, function: StepFunction, inputs: StepInputs) -> StepResult:
        """Return `function(inputs)`, computed or replayed, in new tensors.

        Args:
            function: Reads and writes tensors on the device alone, and treats rows independently. Equal functions
                compute the same, with weights that stay in their place.
            inputs: They are not changed while a search uses them.
        """
        if self._works:
            with self._lock, torch.inference_mode():
                graph = self._graph(function, inputs)
                if graph is not None:
                    return graph.run(inputs)
        return function(inputs)

    def _graph(self, function: StepFunction, inputs: StepInputs) -> _Graph | None:
        """Return the graph of these shapes, recorded if they have recurred; None if the step is to be computed."""
        size = _Size.of(inputs)
        key = (function, size, _precision(inputs))
        graph = self._graphs.get(key)
        if graph is not None:
            self._graphs.move_to_end(key)
            return graph
        count = self._counts.pop(key, 0)
        self._counts[key] = count + 1
        if len(self._counts) > MAX_COUNTED_SHAPES:
            self._counts.popitem(last=False)
        if count < self._eager_steps or not self._works:
            return None
        while len(self._graphs) >= self._max_graphs:
            self._graphs.popitem(last=False)
        try:
            graph = _Graph(function, inputs, size, self._record)
        except Exception as error:  # whatever fails, the step can be computed
            self._works = False
            self._graphs.clear()
            reason = str(error).partition("\n")[0]
            logger.warning("cuda_graphs: a step could not be recorded. Computing without graphs. (%s)", reason)
            return None
        self._graphs[key] = graph
        return graph


class _Size(NamedTuple):
    """The sizes of a graph."""

    sentences: int
    """B'."""
    width: int
    """S'."""
    rows: int
    """Of each sentence: R / B."""
    num_continuations: int
    """C; 0 if continuations are not selected."""

    @classmethod
    def of(cls, inputs: StepInputs) -> _Size:
        """Return the sizes of the graph for `inputs`: two values between two powers of two."""
        sentences, width = inputs.memory.mask.shape
        return cls(
            round_up(sentences, digits=2),
            round_up(max(width, MIN_WIDTH), digits=2),
            len(inputs.ids) // sentences,
            inputs.num_continuations,
        )


def _precision(inputs: StepInputs) -> Hashable:
    """Return what else a graph depends on: number formats."""
    types = tuple(values.dtype for values in leaves(inputs.state))
    return types, inputs.memory.states.dtype, autocast_type(inputs.ids.device)


class _Graph:
    """A recorded step with its static buffers."""

    def __init__(
        self,
        function: StepFunction,
        inputs: StepInputs,
        size: _Size,
        record: Recorder,
    ) -> None:
        """Make the buffers, and record the step with the values of `inputs`.

        Raises:
            RuntimeError: The replayed step differs from the computed one.
        """
        self._inputs = _buffers(inputs, size)
        self._loaded: list[weakref.ref[Tensor]] = []
        self._load(inputs)
        autocast = autocast_without_cache(inputs.ids.device)

        def compute() -> StepResult:
            with autocast:
                return function(self._inputs)

        self._recording: Recording[StepResult] = record(compute)
        self._recording.replay()
        if not are_close(self._cut(inputs), function(inputs)):
            raise RuntimeError("the replayed step differs from the computed one")

    def run(self, inputs: StepInputs) -> StepResult:
        """Return the result of the step for `inputs`."""
        self._load(inputs)
        self._recording.replay()
        return self._cut(inputs)

    def _load(self, inputs: StepInputs) -> None:
        """Copy the inputs to the buffers. The encoded sentences are copied if they are others than before."""
        memory = [*leaves(inputs.memory._replace(final=()))]
        if not self._loaded or any(old() is not new for old, new in zip(self._loaded, memory, strict=True)):
            self._loaded = []
            for buffer, values in zip(leaves(self._inputs.memory), memory, strict=True):
                buffer.zero_()  # the mask of a longer sentence must not be left
                _copy(values, buffer)
            self._loaded = [weakref.ref(values) for values in memory]
        own = (inputs.ids, inputs.state, inputs.totals)
        buffers = (self._inputs.ids, self._inputs.state, self._inputs.totals)
        for buffer, values in zip(leaves(buffers), leaves(own), strict=True):
            _copy(values, buffer)

    def _cut(self, inputs: StepInputs) -> StepResult:
        """Return copies of the outputs without padding."""
        rows, (sentences, width) = len(inputs.ids), inputs.memory.mask.shape
        outputs = self._recording.outputs
        cells, attention = outputs.state
        coverage = attention.coverage
        return StepResult(
            tuple(values[:rows].clone() for values in outputs.by_row),
            tuple(values[:sentences].clone() for values in outputs.by_sentence),
            DecoderState(
                tuple(CellState(hidden[:rows].clone(), cell[:rows].clone()) for hidden, cell in cells),
                AttentionState(
                    None if attention.feed is None else attention.feed[:rows].clone(),
                    None if coverage is None else coverage[:rows, :width].clone(),
                    None if attention.position is None else attention.position[:rows].clone(),
                ),
            ),
            None if outputs.weights is None else outputs.weights[:rows, :width].clone(),
        )


def _buffers(inputs: StepInputs, size: _Size) -> StepInputs:
    """Return buffers of zeros for inputs of a size."""
    sentences, width = size.sentences, size.width
    rows = sentences * size.rows
    memory, (cells, attention) = inputs.memory, inputs.state

    def buffer(values: Tensor | None, count: int, axis: int | None = None) -> Any:
        if values is None:
            return None
        shape = [count, *values.shape[1:]]
        if axis is not None:
            shape[axis] = width
        return values.new_zeros(shape)

    states = buffer(memory.states, sentences, -2)  # [B', S', M]
    return StepInputs(
        buffer(inputs.ids, rows),  # [R']
        DecoderState(
            tuple(CellState(buffer(hidden, rows), buffer(cell, rows)) for hidden, cell in cells),  # [R', H] each
            AttentionState(
                buffer(attention.feed, rows),  # [R', O]
                buffer(attention.coverage, rows, -1),  # [R', S']
                buffer(attention.position, rows),  # [R']
            ),
        ),
        Memory(
            states,
            states if memory.keys is memory.states else buffer(memory.keys, sentences, -2),  # [B', (N,) S', A]
            buffer(memory.mask, sentences, -1),  # [B', S']
            (),
            buffer(memory.values, sentences, -2),  # [B', N, S', M/N]
            buffer(memory.embeddings, sentences, -2),  # [B', S', E]
        ),
        buffer(inputs.totals, sentences),  # [B', R / B]
        inputs.num_continuations,
    )


def _copy(values: Tensor, buffer: Tensor) -> None:
    """Copy `values` to the beginning of each dimension of `buffer`."""
    buffer[tuple(slice(size) for size in values.shape)].copy_(values)
