"""The encoder-decoder with its four operations: encode, init_state, step, forward.

B sentences, S source length, T target length, R rows (K hypotheses of each sentence), V vocabulary, O output size,
E embedding size, H hidden size, M memory size, L decoder layers.

Training, search and scoring use these operations. Modules cache nothing between calls.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.decoder import Decoder, DecoderOutput
from nmt.model.encoder import Encoder
from nmt.model.layers import Dropout, LexicalModel, Linear, OutputLayer
from nmt.model.memory import CellState, DecoderState, DecoderStepOutput, Memory


class Seq2Seq(nn.Module):
    """A recurrent translation model."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        bridge: Bridge,
        decoder: Decoder,
        lexical_model: LexicalModel | None,
        output: OutputLayer,
        output_dropout: Dropout,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.bridge = bridge
        self.decoder = decoder
        self.lexical_model = lexical_model
        self.output_dropout = output_dropout
        self.output = output

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encode `source` [B, S], rows of `lengths` [B] ids that end with EOS, padded on the right."""
        states, final, embeddings = self.encoder(source, lengths)
        mask = torch.arange(source.shape[1], device=source.device).unsqueeze(0) < lengths.unsqueeze(1)  # [B, S]
        attention = self.decoder.attention
        if attention is None:
            return Memory(states, states, mask, final)
        lexical_inputs = None if self.lexical_model is None else embeddings
        keys, values = attention.keys_and_values(states)
        return Memory(states, keys, mask, final, values, lexical_inputs)

    def init_state(self, memory: Memory) -> DecoderState:
        """Return the initial decoder state, one row for each sentence of `memory`."""
        return self.decoder.initial_state(self.bridge(memory), memory)

    def step(self, ids: Tensor, state: DecoderState, memory: Memory) -> DecoderStepOutput:
        """Feed one piece to each row.

        Args:
            ids: The last pieces [R]. R is a multiple of B, and row r belongs to sentence r // (R / B) of `memory`.
            state: The state of the rows.
            memory: The encoded sentences.
        """
        states, state, weights = self.attentional_states(ids.unsqueeze(1), state, memory)  # [R, 1, O], ..., [R, 1, S]
        return DecoderStepOutput(self.output(states.squeeze(1)), state, None if weights is None else weights.squeeze(1))

    def decode(self, target_input: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Run the decoder over a known target [B, T].

        Returns:
            The inputs of the output layer [B, T, O] (with a lexical model [B, T, O + E]), and the attention weights
            [B, T, S] or None.
        """
        states, _, weights = self.attentional_states(target_input, self.init_state(memory), memory)
        return states, weights

    def forward(self, source: Tensor, lengths: Tensor, target_input: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return log p(next piece) [B, T, V] at each position of a known target, and the weights [B, T, S] or None."""
        states, weights = self.decode(target_input, self.encode(source, lengths))
        return self.output(states), weights

    def attentional_states(self, inputs: Tensor, state: DecoderState, memory: Memory) -> DecoderOutput:
        """Run the decoder on `inputs` [R, T], then the lexical model and the dropout before the output layer."""
        decoded: DecoderOutput = self.decoder(inputs, state, memory)
        states = decoded.states
        if self.lexical_model is not None:
            assert decoded.weights is not None
            states = torch.cat([states, self.lexical_model(decoded.weights, memory)], dim=-1)  # [R, T, O + E]
        return decoded._replace(states=self.output_dropout(states))


class Bridge(nn.Module):
    """The initial states of the decoder's layers.

    `kind` is "zero", "last" (the encoder's final hidden states), "last_with_cells" (its final memory cells too:
    Sutskever et al. 2014, Luong et al. 2015), "mean" (the mean memory state, for every layer), or a tanh layer over
    one of these: "learned_last" (over the top layer's), "learned_mean" (Sennrich et al. 2017). All kinds but
    "last_with_cells" start with zero memory cells.
    """

    def __init__(self, *, kind: str, memory_size: int, hidden_size: int, layers: int) -> None:
        super().__init__()
        self.kind = kind
        self.hidden_size = hidden_size
        self.layers = layers
        self.projection = Linear(memory_size, layers * hidden_size) if kind.startswith("learned_") else None

    def forward(self, memory: Memory) -> tuple[CellState, ...]:
        """Return the initial state [B, H] of each layer."""
        zeros = memory.states.new_zeros(len(memory.states), self.hidden_size)  # [B, H]
        if self.kind == "last_with_cells":
            return memory.final
        return tuple(CellState(hidden, zeros) for hidden in self._hidden(memory, zeros))

    def _hidden(self, memory: Memory, zeros: Tensor) -> list[Tensor]:
        """Return the initial hidden state [B, H] of each layer."""
        if self.kind == "zero":
            return [zeros] * self.layers
        if self.kind == "last":
            return [final.hidden for final in memory.final]
        summary = memory.final[-1].hidden if self.kind == "learned_last" else _mean(memory)  # [B, M]
        if self.projection is None:
            return [*summary.unsqueeze(0).expand(self.layers, -1, -1).unbind(0)]  # L x [B, H]
        hidden = torch.tanh(self.projection(summary)).view(len(summary), self.layers, self.hidden_size)  # [B, L, H]
        return [*hidden.transpose(0, 1).contiguous().unbind(0)]  # L x [B, H]


def _mean(memory: Memory) -> Tensor:
    """Return the mean memory state [B, M] over real positions."""
    real = memory.mask.unsqueeze(-1).to(memory.states.dtype)  # [B, S, 1]
    return (memory.states * real).sum(1) / real.sum(1)  # [B, M]
