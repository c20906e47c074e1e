"""The encoder-decoder and its four verbs: encode, init_state, step, forward.

B sentences, S source length, T target length, R rows (K hypotheses for each sentence), V vocabulary, O output size.

Training, search, scoring and export all stand on these verbs. Nothing is cached on the modules between calls.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.decoder import Decoder, DecoderOutput
from nmt.model.dropout import Dropout
from nmt.model.encoder import Encoder
from nmt.model.layers import Bridge, LexicalModel, OutputLayer
from nmt.model.memory import DecoderStepOutput, Memory, State


class Seq2Seq(nn.Module):
    """A recurrent translation model."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        bridge: Bridge,
        decoder: Decoder,
        lexical: LexicalModel | None,
        output: OutputLayer,
        output_dropout: Dropout,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.bridge = bridge
        self.decoder = decoder
        self.lexical = lexical
        self.output_dropout = output_dropout
        self.output = output

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encode `source` [B, S], rows of `lengths` [B] ids that end with EOS, padded to the right."""
        states, final, embeddings = self.encoder(source, lengths)
        mask = torch.arange(source.shape[1], device=source.device).unsqueeze(0) < lengths.unsqueeze(1)
        attention = self.decoder.attention
        if attention is None:
            return Memory(states, states, mask, final)
        words = None if self.lexical is None else embeddings
        return Memory(states, attention.keys(states), mask, final, attention.values(states), words)

    def init_state(self, memory: Memory) -> State:
        """Return the decoder's first state, one row for each sentence of `memory`."""
        return self.decoder.begin(self.bridge(memory), memory)

    def step(self, ids: Tensor, state: State, memory: Memory) -> DecoderStepOutput:
        """Feed one piece to each row.

        Args:
            ids: The last pieces [R]; R is a multiple of the memory's B, and row r belongs to sentence r // (R / B).
            state: The rows' state.
            memory: The sentences.
        """
        states, state, weights = self.attentional_states(ids.unsqueeze(1), state, memory)
        return DecoderStepOutput(self.output(states.squeeze(1)), state, None if weights is None else weights.squeeze(1))

    def decode(self, target_input: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Run a known target [B, T]: attentional states [B, T, O] for `output`, and weights [B, T, S] or None.

        With a lexical model its states stand beside the attentional ones: [B, T, O + E].
        """
        states, _, weights = self.attentional_states(target_input, self.init_state(memory), memory)
        return states, weights

    def forward(self, source: Tensor, lengths: Tensor, target_input: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return log p(next piece) [B, T, V] at each position of a known target, and the weights [B, T, S] or None."""
        states, weights = self.decode(target_input, self.encode(source, lengths))
        return self.output(states), weights

    def attentional_states(self, inputs: Tensor, state: State, memory: Memory) -> DecoderOutput:
        """Run the decoder on `inputs` [R, T], and what stands between it and the output layer."""
        decoded: DecoderOutput = self.decoder(inputs, state, memory)
        states = decoded.states
        if self.lexical is not None:
            assert decoded.weights is not None
            states = torch.cat([states, self.lexical(decoded.weights, memory)], dim=-1)
        return decoded._replace(states=self.output_dropout(states))
