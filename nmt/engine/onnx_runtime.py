"""Runs the graphs of `nmt export onnx` with ONNX Runtime, as a network for inference.

B sentences, K hypotheses per sentence, R = B x K rows, S source length, T target length, O output size, V vocabulary,
U allowed pieces, C continuations.

The graphs are fast where numpy is not: matrix products in 8 bits, and a step without temporary arrays. They compute in
the thread of the caller, so a search runs one batch in each of several workers, as it does with numpy.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.engine.onnx_constants import with_constants
from nmt.errors import CheckpointError, UsageError
from nmt.search.interface import Continuations, TopKOutput

Array = NDArray[Any]

NEXT = "next_"
"""Prefix of the names of the state after a step."""
MEMORY = ("keys", "values", "mask", "embeddings")
"""Outputs of the encoder that have a row for each sentence in every step. The others are the state."""
OUTPUT_LAYER = "output."
"""Prefix of the names of the arrays of the output layer in the file of the weights."""
ALL, NOTHING = 0, -1
"""Values of the input `count` in place of a number of continuations: all log-probabilities, or no result."""
BLOCKS = 32
"""Size of a block of the search. The output layer has a multiple of it; the last pieces are never generated."""
COLUMNS, OWN_LOGITS = "columns", "own_logits"
"""Input and output of the output layer: columns of the logits for each row, and the logits in these columns."""
PADDED = 64
"""The number of the pieces of a restricted output layer is a multiple of it. Products in 8 bits are then faster."""
MANY_ROWS = 128
"""Rows of a batch for which the arrays of a restricted output layer may become constants."""
WORTH_ROWS = 256
"""Number of rows after which they become constants: to load the graph takes as long as the time that it saves."""
BEST = ["best_log_probs", "best_rows", "best_pieces", "eos"]


class Tensors(NamedTuple):
    """Memory or state by name. The memory of the encoder has the initial state too."""

    values: dict[str, Array]

    def select(self, rows: NDArray[np.int64]) -> Tensors:
        """Return the tensors of `rows` (indices)."""
        return Tensors({name: value.take(rows, axis=0) for name, value in self.values.items()})


class OnnxOutput(NamedTuple):
    """The output of one step."""

    log_probs: NDArray[np.float32]
    """[R, V]"""
    state: Tensors
    weights: NDArray[np.float32] | None
    """Attention weights [R, S]; None without attention."""


class OnnxNetwork:
    """A network of graphs, with the methods of `InferenceNetwork`. Threads may share it."""

    def __init__(self, graphs: Mapping[str, bytes | Path], output_layer: Mapping[str, Array], *, size: int) -> None:
        """Load the graphs.

        Args:
            graphs: The graphs `encoder`, `step` and `output`, or their files.
            output_layer: The arrays of the output layer, which the graph `output` takes as inputs.
            size: V.

        Raises:
            UsageError: ONNX Runtime is not installed.
            CheckpointError: The graphs cannot be loaded.
        """
        if importlib.util.find_spec("onnxruntime") is None:
            raise UsageError(
                "a model of ONNX graphs requires ONNX Runtime, which is not installed. Run: pip install "
                '"attention-nmt[fast]", or use the model file from which the graphs were exported.'
            )
        self._sessions = {name: _Session(graph) for name, graph in graphs.items()}
        self._output_layer = output_layer
        self.target_size = size
        step = self._sessions["step"]
        self._next = [name for name in step.outputs if name.startswith(NEXT)]
        self._weights = ["weights"] if "weights" in step.outputs else []

    def encode(self, source: NDArray[np.int64], lengths: NDArray[np.int64]) -> Tensors:
        """Encode `source` [B, S] of `lengths` [B]. The result includes the initial state."""
        encoder = self._sessions["encoder"]
        values = encoder.run(encoder.outputs, {"source": source, "lengths": lengths})
        return Tensors(dict(zip(encoder.outputs, values, strict=True)))

    def init_state(self, memory: Tensors) -> Tensors:
        """Return the initial state, one row for each sentence."""
        return Tensors({name: value for name, value in memory.values.items() if name not in MEMORY})

    def step(self, ids: NDArray[np.int64], state: Tensors, memory: Tensors) -> OnnxOutput:
        """Feed one piece to each row [R], and return all log-probabilities."""
        (log_probs, *weights), after = self._step(["log_probs", *self._weights], ids, state, memory, ALL)
        return OnnxOutput(log_probs[:, : self.target_size], after, weights[0] if weights else None)

    def step_top_k(
        self, ids: NDArray[np.int64], state: Tensors, memory: Tensors, totals: NDArray[np.float32], count: int
    ) -> TopKOutput[Tensors]:
        """Feed one piece to each row, and return the best continuations of each sentence; see `TopKModel`."""
        (*best, eos), after = self._step(BEST, ids, state, memory, count, totals)
        return TopKOutput(Continuations(*best), eos, after)

    def decode(
        self, ids: NDArray[np.int64], state: Tensors, memory: Tensors
    ) -> tuple[NDArray[np.float32], Tensors, NDArray[np.float32] | None]:
        """Feed one piece to each row [R]; return inputs of the output layer [R, O], the state, and weights [R, S]."""
        (outputs, *weights), after = self._step(["outputs", *self._weights], ids, state, memory, NOTHING)
        return outputs, after, weights[0] if weights else None

    def forced(
        self, targets: NDArray[np.int64], state: Tensors, memory: Tensors
    ) -> tuple[NDArray[np.float32], Tensors, NDArray[np.float32] | None]:
        """Run the decoder over known pieces [B, T]; see `InferenceNetwork.forced`."""
        outputs, weights = [], []
        for position in range(targets.shape[1]):
            states, state, attended = self.decode(targets[:, position], state, memory)
            outputs.append(states)
            weights.append(attended)
        of_all = None if not self._weights else np.stack(weights, axis=1)  # type: ignore[arg-type]  # [B, T, S]
        return np.stack(outputs, axis=1), state, of_all

    def log_probs(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log-probabilities [R, V] of inputs of the output layer [R, O]."""
        return OnnxOutputLayer(self._sessions["output"], self._output_layer, self.target_size).log_probs(outputs)

    def restricted_output(self, ids: NDArray[np.int64]) -> OnnxOutputLayer:
        """Return the output layer of the pieces `ids` [U]."""
        padded = np.pad(ids, (0, -len(ids) % PADDED))  # [U']
        arrays = {name: array.take(padded, axis=piece_axis(array)) for name, array in self._output_layer.items()}
        arrays["bias"][len(ids) :] = -np.inf
        return OnnxOutputLayer(self._sessions["output"], arrays, len(ids), one_batch=True)

    def _step(
        self,
        names: list[str],
        ids: NDArray[np.int64],
        state: Tensors,
        memory: Tensors,
        count: int,
        totals: NDArray[np.float32] | None = None,
    ) -> tuple[list[Any], Tensors]:
        """Return the outputs `names` of a step, and the state after it."""
        if totals is None:
            sentences = len(next(iter(memory.values.values())))
            totals = np.zeros((sentences, len(ids) // sentences), np.float32)  # [B, K]
        given = {**memory.values, **state.values, "ids": ids, "totals": totals, "count": np.array([count], np.int64)}
        found = self._sessions["step"].run([*names, *self._next], given)
        after = [name.removeprefix(NEXT) for name in self._next]
        return found[: len(names)], Tensors(dict(zip(after, found[len(names) :], strict=True)))


class OnnxOutputLayer:
    """The output layer of some pieces."""

    def __init__(self, session: _Session, arrays: Mapping[str, Array], size: int, *, one_batch: bool = False) -> None:
        """Take the graph and its arrays.

        Args:
            session: The graph.
            arrays: Its arrays. They may have more than U pieces, which are never generated.
            size: U.
            one_batch: The layer is for the steps of one batch, in one thread. With many rows in 8 bits, the arrays then
                become constants of the graph.
        """
        self._session = session
        self._arrays = dict(arrays)
        self._size = size
        self._becomes_constant = one_batch and "levels" in arrays
        self._rows = 0

    def __call__(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits [R, U] of inputs of the output layer [R, O]."""
        (logits,) = self._run(["logits"], outputs, NOTHING)
        return np.asarray(logits[:, : self._size])

    def own_logits(self, outputs: NDArray[np.float32], columns: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return the logits in `columns` [R, W] of inputs [R, O]. None: the graph of an earlier export cannot."""
        if OWN_LOGITS not in self._session.outputs:
            return None
        (logits,) = self._run([OWN_LOGITS], outputs, NOTHING, columns)
        return np.asarray(logits)

    def log_probs(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log-probabilities [R, U] of inputs of the output layer [R, O]."""
        (log_probs,) = self._run(["log_probs"], outputs, ALL)
        return np.asarray(log_probs[:, : self._size])

    def _run(
        self,
        names: list[str],
        outputs: NDArray[np.float32],
        count: int,
        columns: NDArray[np.int64] | None = None,
    ) -> list[Any]:
        self._rows += len(outputs) if len(outputs) >= MANY_ROWS else 0
        if self._becomes_constant and self._rows > WORTH_ROWS:
            self._session, self._arrays = self._session.with_constants(self._arrays), {}
            self._becomes_constant = False
        if columns is None:
            columns = np.zeros((len(outputs), 0), np.int64)
        # The graphs of earlier exports can find the best continuations, for which they have a mask and totals.
        mask, totals = np.zeros((1, 1), np.float32), np.zeros((1, len(outputs)), np.float32)
        given: dict[str, Array] = {"outputs": outputs, "count": np.array([count]), "mask": mask, "totals": totals}
        return self._session.run(names, self._arrays | given | {COLUMNS: columns})


class _Session:
    """A graph that is ready to run. Threads may share it."""

    def __init__(self, graph: bytes | Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the thread of the caller
        options.log_severity_level = 3  # errors
        options.enable_mem_pattern = False  # it remembers the sizes of all shapes
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._graph = graph
        try:
            self._session = onnxruntime.InferenceSession(
                graph if isinstance(graph, bytes) else str(graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has no common class of its errors
            raise _explained(error, "cannot be loaded") from error
        self._inputs = [each.name for each in self._session.get_inputs()]
        self.outputs = [each.name for each in self._session.get_outputs()]

    def with_constants(self, arrays: Mapping[str, Array]) -> _Session:
        """Return the graph with `arrays` as constants in place of inputs."""
        graph = self._graph if isinstance(self._graph, bytes) else self._graph.read_bytes()
        return _Session(with_constants(graph, arrays))

    def run(self, names: list[str], given: Mapping[str, Array]) -> list[Any]:
        """Return the outputs `names`; inputs that the graph lacks are ignored.

        Raises:
            MemoryError: There is not enough memory.
            CheckpointError: The graph does not fit the other graphs.
        """
        try:
            # The session's own method checks the names of the inputs again.
            found: list[Any] = self._session._sess.run(names, {name: given[name] for name in self._inputs}, None)
        except Exception as error:
            raise _explained(error, "cannot be run") from error
        return found


def piece_axis(array: Array) -> int:
    """Return the axis of the pieces in an array of the output layer: a matrix in 8 bits [O, V], or another [V, ...]."""
    return -1 if array.dtype == np.int8 else 0


def _explained(error: Exception, what: str) -> Exception:
    """Return an error of ONNX Runtime as an error of the toolkit."""
    text = str(error).partition("\n")[0]
    if isinstance(error, MemoryError) or "allocate" in text.lower() or "bad_alloc" in text.lower():
        return MemoryError(text)
    return CheckpointError(f"its ONNX graphs {what}: {text[:200].rstrip('.')}. Export the model again.")
