"""The interface of the networks that inference uses: what search, scoring, attention and shortlists require.

B sentences, T target length, R rows (K hypotheses of each sentence), S source length, O output size, U allowed pieces,
V vocabulary.
"""

from __future__ import annotations

from typing import Any, Protocol

from nmt.arrays import Array
from nmt.engine.network import OutputProduct
from nmt.search import StepModel


class TranslationNetwork(StepModel[Any, Any], Protocol):
    """A network with one decoder: `InferenceNetwork` or `OnnxNetwork` on a processor, `TorchNetwork` elsewhere."""

    @property
    def target_size(self) -> int:
        """V."""

    def decode(self, ids: Array, state: Any, memory: Any) -> tuple[Array, Any, Array | None]:
        """Feed one piece to each row [R]; return inputs of the output layer [R, O], the state, and weights [R, S]."""

    def forced(self, targets: Array, state: Any, memory: Any) -> tuple[Array, Any, Array | None]:
        """Run the decoder over known pieces; see `InferenceNetwork.forced`."""

    def log_probs(self, outputs: Array) -> Array:
        """Return the log-probabilities [R, V] of inputs of the output layer [R, O]."""

    def restricted_output(self, ids: Array) -> OutputProduct:
        """Return the output layer of the pieces `ids` [U]: from its inputs [R, O] to logits [R, U]."""
