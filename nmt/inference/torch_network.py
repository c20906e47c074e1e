"""The network of training as a network for inference on a device of torch.

B sentences, T target length, R rows (K hypotheses of each sentence), S source length, O output size, U allowed pieces,
V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.data.special_tokens import EOS
from nmt.engine.network import OutputProduct
from nmt.inference.step_graphs import StepFunction, StepGraphs, StepInputs, StepResult
from nmt.model import Seq2Seq
from nmt.model.memory import DecoderState, DecoderStepOutput, Memory
from nmt.search.interface import Continuations, TopKOutput
from nmt.search.top_k import top_k_continuations


class TorchNetwork:
    """A network of training in evaluation mode, with the methods of `InferenceNetwork`."""

    def __init__(self, network: Seq2Seq, graphs: StepGraphs | None = None) -> None:
        """Take the network.

        Args:
            network: Its weights may change, but not their place in memory.
            graphs: Computes the decoder steps. None: without graphs.
        """
        self._network = network
        self._graphs = graphs
        self.target_size = len(network.output.bias)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encode `source` [B, S] of `lengths` [B]."""
        return self._network.encode(source, lengths)

    def init_state(self, memory: Memory) -> DecoderState:
        """Return the decoder's initial state."""
        return self._network.init_state(memory)

    def step(self, ids: Tensor, state: DecoderState, memory: Memory) -> DecoderStepOutput:
        """Feed one piece to each row: ids [R]."""
        result = self._run(self._step, StepInputs(ids, state, memory))
        return DecoderStepOutput(result.by_row[0], result.state, result.weights)

    def step_top_k(
        self, ids: Tensor, state: DecoderState, memory: Memory, totals: Tensor, count: int
    ) -> TopKOutput[DecoderState]:
        """Feed one piece to each row, and return the best continuations of each sentence; see `TopKModel`."""
        result = self._run(self._step_top_k, StepInputs(ids, state, memory, totals, count))
        return TopKOutput(Continuations(*result.by_sentence), result.by_row[0], result.state)

    def decode(self, ids: Tensor, state: DecoderState, memory: Memory) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Feed one piece to each row [R]; return inputs of the output layer [R, O], the state, and weights [R, S]."""
        result = self._run(self._decode, StepInputs(ids, state, memory))
        return result.by_row[0], result.state, result.weights

    def _run(self, function: StepFunction, inputs: StepInputs) -> StepResult:
        return function(inputs) if self._graphs is None else self._graphs.run(function, inputs)

    def _step(self, inputs: StepInputs) -> StepResult:
        output = self._network.step(inputs.ids, inputs.state, inputs.memory)
        return StepResult((output.log_probs,), (), output.state, output.weights)

    def _step_top_k(self, inputs: StepInputs) -> StepResult:
        output = self._network.step(inputs.ids, inputs.state, inputs.memory)
        best = top_k_continuations(output.log_probs, inputs.totals, inputs.num_continuations)
        return StepResult((output.log_probs[:, EOS],), best[:3], output.state, None)

    def _decode(self, inputs: StepInputs) -> StepResult:
        states, state, weights = self._network.attentional_states(
            inputs.ids.unsqueeze(1), inputs.state, inputs.memory
        )  # [R, 1, O], ..., [R, 1, S]
        return StepResult((states.squeeze(1),), (), state, None if weights is None else weights.squeeze(1))

    def forced(
        self, targets: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Run the decoder over known pieces [B, T]; see `InferenceNetwork.forced`."""
        if self._graphs is not None and self._network.decoder.is_sequential:
            return self._forced_by_steps(targets, state, memory)
        decoded = self._network.attentional_states(targets, state, memory)
        return decoded.states, decoded.state, decoded.weights

    def _forced_by_steps(
        self, targets: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Feed known pieces [B, T] one by one."""
        outputs, weights = [], []
        for ids in targets.unbind(1):  # T x [B]
            output, state, attention = self.decode(ids, state, memory)
            assert attention is not None
            outputs.append(output)
            weights.append(attention)
        return torch.stack(outputs, dim=1), state, torch.stack(weights, dim=1)  # [B, T, O], ..., [B, T, S]

    def log_probs(self, outputs: Tensor) -> Tensor:
        """Return the log-probabilities [R, V] of inputs of the output layer [R, O]."""
        log_probs: Tensor = self._network.output(outputs)
        return log_probs

    def restricted_output(self, ids: Tensor) -> OutputProduct:
        """Return the output layer of the pieces `ids` [U]: from its inputs [R, O] to logits [R, U]."""
        output = self._network.output
        weight, bias = (each.detach().float().index_select(0, ids) for each in (output.joint_weight(), output.bias))
        return lambda outputs: F.linear(outputs, weight, bias)  # [R, U]
