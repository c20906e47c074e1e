"""CUDA graphs: computations that a GPU records once and replays, and a decoder that trains with them.

A decoder with input feeding computes one position after the other, with dozens of small kernels each, and a GPU waits
for each launch. A graph launches them all at once, but it has fixed memory: a second replay overwrites what the first
one left for the backward pass. So a graph of the forward pass alone would be wrong when it is used for all positions of
a sentence. Here the forward pass keeps the state before each position alone. The backward pass goes through the
positions in reverse, and its graph computes the position once more, then its gradients.

Random numbers are drawn outside: dropout masks are inputs of a position. So they are those of a run without graphs.

R rows, T positions.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.log import logger

MAX_GRAPHS = 32
"""Pairs of graphs that are kept in training. The one that was used least recently is dropped first."""
EAGER_BATCHES = 1
"""Batches of each shape that are computed without a graph."""
WARM_UP_RUNS = 2
"""Runs before a recording, in which libraries allocate their memory."""

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


class Recording(Protocol[ResultT_co]):
    """A recorded computation."""

    @property
    def outputs(self) -> ResultT_co:
        """The static buffers of the result, which each replay overwrites."""

    def replay(self) -> None:
        """Compute the outputs from the current values of the inputs."""


class Recorder(Protocol):
    """Records computations."""

    def __call__(self, compute: Callable[[], ResultT]) -> Recording[ResultT]:
        """Record `compute`, which returns nested tuples of tensors, and reads and writes tensors on the device alone.

        Raises:
            RuntimeError: The device cannot record it, as when it waits for the host.
        """


class CudaRecorder:
    """Records computations as CUDA graphs, which share one pool of memory for their intermediate results."""

    _one_at_a_time = threading.Lock()  # of the process

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, compute: Callable[[], ResultT]) -> Recording[ResultT]:
        with self._one_at_a_time:
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            before = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            before.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(before):
                for _ in range(WARM_UP_RUNS):
                    compute()
            torch.cuda.current_stream().wait_stream(before)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                outputs = compute()
            return _CudaRecording(graph, outputs)


class _CudaRecording(Generic[ResultT]):
    """A CUDA graph with its outputs."""

    def __init__(self, graph: torch.cuda.CUDAGraph, outputs: ResultT) -> None:
        self._graph = graph
        self.outputs = outputs

    def replay(self) -> None:
        self._graph.replay()


def autocast_type(device: torch.device) -> torch.dtype | None:
    """Return the number format of matrix products on `device`; None: that of the weights."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def autocast_without_cache(device: torch.device) -> torch.autocast:
    """Return a context with the present number format of matrix products, for a recording.

    Autocast keeps casts of weights until its context ends. A graph would read them after that.
    """
    dtype = autocast_type(device)
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None, cache_enabled=False)


def leaves(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested tuples and lists, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from leaves(each)


def floating(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return the tensors that may have gradients."""
    return [each for each in tensors if each.is_floating_point()]


def are_close(replayed: Any, computed: Any) -> bool:
    """Return whether two results are equal up to rounding in bf16. Equal log-probabilities may have other indices."""
    pairs = zip(leaves(replayed), leaves(computed), strict=True)
    return all(
        torch.allclose(ours, theirs.to(ours.dtype), rtol=5e-2, atol=5e-2, equal_nan=True)
        for ours, theirs in pairs
        if ours.is_floating_point()
    )


def rebuild(value: Any, tensors: Iterator[Tensor]) -> Any:
    """Return nested tuples and lists like `value` with other tensors, which come in the order of `leaves`."""
    if isinstance(value, Tensor):
        return next(tensors)
    if not isinstance(value, tuple | list):
        return value
    parts = [rebuild(each, tensors) for each in value]
    if isinstance(value, list):
        return parts
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


StateT = TypeVar("StateT")
PositionFunction = Callable[[Sequence[Tensor], Any, Any], tuple[tuple[Tensor, ...], Any]]
"""From the inputs of a position [R, ...], constants and the state before it, to its outputs and the state after it.

Constants and states are nested tuples of tensors, and may be differentiable. A state keeps its shapes."""


class PositionGraphs:
    """Computes the positions of sequences with graphs for the shapes that recur, in training.

    If a recording fails, or its first replay differs from the computed position, all further sequences are computed
    without graphs.
    """

    def __init__(
        self, record: Recorder | None = None, *, max_graphs: int = MAX_GRAPHS, eager_batches: int = EAGER_BATCHES
    ) -> None:
        """Choose how to record.

        Args:
            record: Records a computation. None: as a CUDA graph.
            max_graphs: Pairs of graphs that are kept.
            eager_batches: Batches of each shape before the recording.
        """
        self._record: Recorder = CudaRecorder() if record is None else record
        self._max_graphs = max_graphs
        self._eager_batches = eager_batches
        self._graphs = OrderedDict[Hashable, _PositionGraph]()
        self._counts: dict[Hashable, int] = {}
        self._sums: dict[int, Tensor] = {}  # of the gradients of a parameter, by its id
        self._works = True

    def __deepcopy__(self, memo: dict[int, Any]) -> PositionGraphs:
        """Return graphs for a copy of the network, which has weights in another place."""
        return PositionGraphs(self._record, max_graphs=self._max_graphs, eager_batches=self._eager_batches)

    def run(
        self,
        function: PositionFunction,
        sequences: Sequence[Tensor],
        constants: Any,
        state: StateT,
        parameters: Sequence[Tensor],
    ) -> tuple[list[Tensor], StateT] | None:
        """Run all positions of a batch.

        Args:
            function: Computes a position. Equal functions compute the same, with parameters that stay in their place.
            sequences: The inputs of all positions [R, T, ...].
            constants: Read at all positions.
            state: The state before the first position.
            parameters: The tensors that `function` reads beside its arguments, and that have gradients.

        Returns:
            The outputs [R, T, ...], and the state after the last position. None: there is no graph for these shapes.
        """
        if not self._works:
            return None
        inputs = _Inputs([values[:, 0] for values in sequences], constants, state)
        key = (
            function,
            autocast_type(sequences[0].device),
            tuple((values.shape, values.dtype) for values in leaves(inputs)),
            tuple(values.requires_grad for values in (*leaves((sequences, constants, state)), *parameters)),
        )
        graph = self._graphs.get(key) or self._recorded(key, function, inputs, parameters)
        if graph is None:
            return None
        self._graphs.move_to_end(key)
        tensors = [*sequences, *leaves(constants), *leaves(state), *parameters]
        found: tuple[Tensor, ...] = _Positions.apply(graph, len(sequences), *tensors)  # type: ignore[no-untyped-call]
        count = graph.num_outputs
        return list(found[:count]), rebuild(state, iter(found[count:]))

    def _recorded(
        self, key: Hashable, function: PositionFunction, inputs: _Inputs, parameters: Sequence[Tensor]
    ) -> _PositionGraph | None:
        """Return a new graph if the shapes have recurred and it can be recorded."""
        count = self._counts.get(key, 0)
        self._counts[key] = count + 1
        if count < self._eager_batches:
            return None
        while len(self._graphs) >= self._max_graphs:
            self._graphs.popitem(last=False)
        try:
            for each in parameters:
                if id(each) not in self._sums:
                    self._sums[id(each)] = torch.zeros_like(each)
            sums = [self._sums[id(each)] for each in parameters]
            self._graphs[key] = _PositionGraph(function, inputs, parameters, sums, self._record)
        except Exception as error:  # whatever fails, the positions can be computed
            self._works = False
            self._graphs.clear()
            reason = str(error).partition("\n")[0]
            logger.warning("cuda_graphs: a position could not be recorded. Training without graphs. (%s)", reason)
            return None
        return self._graphs[key]


class _Inputs(NamedTuple):
    """The inputs of a position."""

    values: list[Tensor]
    constants: Any
    state: Any


class _PositionGraph:
    """The graphs of a position, forward and backward, with their static buffers."""

    def __init__(
        self,
        function: PositionFunction,
        inputs: _Inputs,
        parameters: Sequence[Tensor],
        sums: Sequence[Tensor],
        record: Recorder,
    ) -> None:
        """Record both passes with the values of `inputs`.

        Raises:
            RuntimeError: A replayed pass differs from the computed one.

        Args:
            function: Computes a position.
            inputs: Of a position.
            parameters: See `PositionGraphs.run`.
            sums: A buffer for the gradient of each parameter, which all graphs may share.
            record: Records a computation.
        """
        autocast = autocast_without_cache(inputs.values[0].device)
        self.parameters = list(parameters)
        with torch.no_grad():
            with autocast:
                outputs, after = function(*inputs)
            # In bf16, the first state may have another number format than the states after it.
            types = [values.dtype for values in leaves(after)]
            state = rebuild(
                inputs.state,
                (values.to(dtype, copy=True) for values, dtype in zip(leaves(inputs.state), types, strict=True)),
            )
            values, constants = ([each.clone() for each in leaves(part)] for part in inputs[:2])
        self.inputs = _Inputs(values, rebuild(inputs.constants, iter(constants)), state)
        self.num_outputs = len(outputs)
        self.grads = [torch.zeros_like(each) for each in floating((*outputs, *leaves(after)))]
        self.own = [place for place, each in enumerate(inputs.values) if each.requires_grad]
        self.summed = [place for place, each in enumerate(leaves(inputs.constants)) if each.requires_grad]
        # A state has gradients, even if the first one has none.
        single = [*(values[place] for place in self.own), *floating(leaves(state))]
        summed = [constants[place] for place in self.summed]
        for each in (*single, *summed):
            each.requires_grad_()
        self.sums = [*(torch.zeros_like(each) for each in summed), *sums]
        summed += self.parameters

        def forward() -> tuple[tuple[Tensor, ...], Any]:
            with torch.no_grad(), autocast:
                return function(*self.inputs)

        def backward() -> tuple[Tensor, ...]:
            with torch.enable_grad():
                with autocast:
                    results, following = function(*self.inputs)
                outputs = zip(floating((*results, *leaves(following))), self.grads, strict=True)
                used = [(each, grad) for each, grad in outputs if each.requires_grad]
                found = torch.autograd.grad(
                    [each for each, _ in used],
                    [*single, *summed],
                    [grad for _, grad in used],
                    allow_unused=True,
                    materialize_grads=True,
                )
            for total, grad in zip(self.sums, found[len(single) :], strict=True):
                total.add_(grad)
            return found[: len(single)]

        self.forward = record(forward)
        self.backward = record(backward)
        for grad in self.grads:
            grad.fill_(1)
        for recording, compute in ((self.forward, forward), (self.backward, backward)):
            recording.replay()
            if not are_close(recording.outputs, compute()):
                raise RuntimeError("the replayed position differs from the computed one")

    def load_constants(self, constants: Sequence[Tensor]) -> None:
        """Copy constants to the buffers."""
        _copy_all(leaves(self.inputs.constants), constants)

    def load(self, values: Sequence[Tensor], state: Sequence[Tensor]) -> None:
        """Copy the inputs of a position and the state before it to the buffers."""
        _copy_all(self.inputs.values, values)
        _copy_all(leaves(self.inputs.state), state)


def _copy_all(buffers: Any, tensors: Sequence[Tensor]) -> None:
    for buffer, values in zip(buffers, tensors, strict=True):
        buffer.detach().copy_(values)


class _Positions(torch.autograd.Function):
    """All positions of a batch, by the graphs of one position."""

    @staticmethod
    def forward(ctx: Any, graph: _PositionGraph, num_sequences: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        inputs = graph.inputs
        sequences = tensors[:num_sequences]
        num_constants = sum(1 for _ in leaves(inputs.constants))
        constants = tensors[num_sequences : num_sequences + num_constants]
        state = list(tensors[num_sequences + num_constants : len(tensors) - len(graph.parameters)])
        graph.load_constants(constants)
        states, outputs = [], []
        for position in zip(*(each.unbind(1) for each in sequences), strict=True):  # T x [R, ...]
            states.append(state)
            graph.load(position, state)
            graph.forward.replay()
            found, after = graph.forward.outputs
            outputs.append([each.clone() for each in found])
            state = [each.clone() for each in leaves(after)]
        ctx.graph, ctx.states = graph, states
        ctx.num_sequences = num_sequences
        ctx.floating = [place for place, each in enumerate(state) if each.is_floating_point()]
        ctx.num_states = len(state)
        ctx.save_for_backward(*sequences, *constants)
        ctx.mark_non_differentiable(*(each for each in state if not each.is_floating_point()))
        return (*(torch.stack(each, dim=1) for each in zip(*outputs, strict=True)), *state)  # [R, T, ...] each

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        graph = cast("_PositionGraph", ctx.graph)
        sequences, constants = ctx.saved_tensors[: ctx.num_sequences], ctx.saved_tensors[ctx.num_sequences :]
        graph.load_constants(constants)
        for total in graph.sums:
            total.zero_()
        of_outputs = [each.unbind(1) for each in grads[: graph.num_outputs]]  # T x [R, ...] each
        of_state: Sequence[Tensor] = floating(grads[graph.num_outputs :])
        found = [torch.empty_like(sequences[place]) for place in graph.own]
        for position in reversed(range(len(ctx.states))):
            graph.load([each[:, position] for each in sequences], ctx.states[position])
            _copy_all(graph.grads, [*(each[position] for each in of_outputs), *of_state])
            graph.backward.replay()
            for grad, values in zip(found, graph.backward.outputs, strict=False):
                grad[:, position] = values
            of_state = [values.clone() for values in graph.backward.outputs[len(found) :]]
        sums = [each.clone() for each in graph.sums]
        return (
            None,
            None,
            *_placed(graph.own, found, len(sequences)),
            *_placed(graph.summed, sums[: len(graph.summed)], len(constants)),
            *_placed(ctx.floating, of_state, ctx.num_states),
            *sums[len(graph.summed) :],
        )


def _placed(places: Sequence[int], values: Sequence[Tensor], count: int) -> list[Tensor | None]:
    """Return `count` values, of which those at `places` are not None."""
    found: list[Tensor | None] = [None] * count
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found
