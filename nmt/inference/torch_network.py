"""The network of training as a network for inference on a device of torch.

B sentences, T target length, R rows (K hypotheses of each sentence), S source length, O output size, U allowed pieces,
V vocabulary.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from nmt.engine.network import OutputProduct
from nmt.model import Seq2Seq
from nmt.model.memory import DecoderState, DecoderStepOutput, Memory


class TorchNetwork:
    """A network of training in evaluation mode, with the methods of `InferenceNetwork`."""

    def __init__(self, network: Seq2Seq) -> None:
        """Take the network."""
        self._network = network
        self.target_size = len(network.output.bias)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encode `source` [B, S] of `lengths` [B]."""
        return self._network.encode(source, lengths)

    def init_state(self, memory: Memory) -> DecoderState:
        """Return the decoder's initial state."""
        return self._network.init_state(memory)

    def step(self, ids: Tensor, state: DecoderState, memory: Memory) -> DecoderStepOutput:
        """Feed one piece to each row: ids [R]."""
        return self._network.step(ids, state, memory)

    def decode(self, ids: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Feed one piece to each row [R]; return inputs of the output layer [R, O], the state, and weights [R, S]."""
        states, state, weights = self._network.attentional_states(ids.unsqueeze(1), state, memory)
        return states.squeeze(1), state, None if weights is None else weights.squeeze(1)

    def forced(
        self, targets: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Run the decoder over known pieces [B, T]; see `InferenceNetwork.forced`."""
        decoded = self._network.attentional_states(targets, state, memory)
        return decoded.states, decoded.state, decoded.weights

    def log_probs(self, outputs: Tensor) -> Tensor:
        """Return the log-probabilities [R, V] of inputs of the output layer [R, O]."""
        log_probs: Tensor = self._network.output(outputs)
        return log_probs

    def restricted_output(self, ids: Tensor) -> OutputProduct:
        """Return the output layer of the pieces `ids` [U]: from its inputs [R, O] to logits [R, U]."""
        output = self._network.output
        weight, bias = (each.detach().float().index_select(0, ids) for each in (output.joint_weight(), output.bias))
        return lambda outputs: F.linear(outputs, weight, bias)  # [R, U]
