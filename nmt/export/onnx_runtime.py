"""Runs exported graphs with ONNX Runtime, as a model that can be searched.

B sentences, K hypotheses per sentence, R = B x K rows, S source length, V vocabulary, C continuations.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.export.onnx_network import MEMORY
from nmt.search.interface import Continuations, TopKOutput

NEXT = "next_"
"""Prefix of the names of the state after a step."""


@dataclass(frozen=True)
class Tensors:
    """Memory or state by name, and the initial state in the memory of the encoder."""

    values: dict[str, NDArray[Any]]

    def select(self, rows: NDArray[np.int64]) -> Tensors:
        """Return the tensors of `rows` (indices)."""
        return Tensors({name: value[rows] for name, value in self.values.items()})


class OnnxOutput(NamedTuple):
    """The output of one step."""

    log_probs: NDArray[np.float32]
    """[R, V]"""
    state: Tensors
    weights: NDArray[np.float32] | None
    """Attention weights [R, S]; None without attention."""


class OnnxNetwork:
    """A network of two graphs; see `nmt.search.interface.StepModel` and `TopKModel`."""

    def __init__(self, encoder: bytes | Path, step: bytes | Path, *, threads: int = 1) -> None:
        """Load the graphs.

        Args:
            encoder: The graph, or its file.
            step: The graph, or its file.
            threads: Processor threads.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._encoder, self._step = (
            onnxruntime.InferenceSession(
                each if isinstance(each, bytes) else str(each), options, providers=["CPUExecutionProvider"]
            )
            for each in (encoder, step)
        )
        self._inputs = [each.name for each in self._step.get_inputs()]
        self._next = [each.name for each in self._step.get_outputs() if each.name.startswith(NEXT)]
        self._attends = any(each.name == "weights" for each in self._step.get_outputs())

    def encode(self, source: NDArray[np.int64], lengths: NDArray[np.int64]) -> Tensors:
        """Encode `source` [B, S] of `lengths` [B]. The result includes the initial state."""
        names = [each.name for each in self._encoder.get_outputs()]
        values = self._encoder.run(names, {"source": source, "lengths": lengths})
        return Tensors(dict(zip(names, values, strict=True)))

    def init_state(self, memory: Tensors) -> Tensors:
        """Return the initial state, one row for each sentence."""
        return Tensors({name: value for name, value in memory.values.items() if name not in MEMORY})

    def step(self, ids: NDArray[np.int64], state: Tensors, memory: Tensors) -> OnnxOutput:
        """Feed one piece to each row [R], and return all log-probabilities."""
        sentences = len(next(iter(memory.values.values())))
        totals = np.zeros((sentences, len(ids) // sentences), np.float32)  # [B, K]
        names = ["log_probs", *(["weights"] if self._attends else [])]
        (log_probs, *weights), after = self._run(names, ids, state, memory, totals, 1)
        return OnnxOutput(log_probs, after, weights[0] if weights else None)

    def step_top_k(
        self, ids: NDArray[np.int64], state: Tensors, memory: Tensors, totals: NDArray[np.float32], count: int
    ) -> TopKOutput[Tensors]:
        """Feed one piece to each row, and return the best continuations of each sentence; see `TopKModel`."""
        names = ["best_log_probs", "best_rows", "best_pieces", "eos"]
        (*best, eos), after = self._run(names, ids, state, memory, totals, count)
        return TopKOutput(Continuations(*best), eos, after)

    def _run(
        self,
        names: list[str],
        ids: NDArray[np.int64],
        state: Tensors,
        memory: Tensors,
        totals: NDArray[np.float32],
        count: int,
    ) -> tuple[list[Any], Tensors]:
        """Return the outputs `names` of a step, and the state after it."""
        given = {**memory.values, **state.values, "ids": ids, "totals": totals, "count": np.array([count], np.int64)}
        found = self._step.run([*names, *self._next], {name: given[name] for name in self._inputs})
        after = [name.removeprefix(NEXT) for name in self._next]
        return found[: len(names)], Tensors(dict(zip(after, found[len(names) :], strict=True)))
