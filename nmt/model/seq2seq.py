"""The encoder-decoder and its four verbs: encode, init_state, step, forward.

B sentences, S source length, T target length, R rows (K hypotheses for each sentence), V vocabulary, O output size.

Training, search, scoring and export all stand on these verbs. Nothing is cached on the modules between calls.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.bridge import Bridge
from nmt.model.decoder import Decoder
from nmt.model.dropout import Dropout
from nmt.model.encoder import Encoder
from nmt.model.memory import Memory, State, StepOutput
from nmt.model.output import OutputLayer


class Seq2Seq(nn.Module):
    """A recurrent translation model."""

    def __init__(
        self, *, encoder: Encoder, bridge: Bridge, decoder: Decoder, output: OutputLayer, output_dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.bridge = bridge
        self.decoder = decoder
        self.output_dropout = Dropout(output_dropout)
        self.output = output

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encode `source` [B, S], rows of `lengths` [B] ids that end with EOS, padded to the right."""
        states, final = self.encoder(source, lengths)
        keys = states if self.decoder.attention is None else self.decoder.attention.keys(states)
        mask = torch.arange(source.shape[1], device=source.device).unsqueeze(0) < lengths.unsqueeze(1)
        return Memory(states, keys, mask, final)

    def init_state(self, memory: Memory) -> State:
        """Return the decoder's first state, one row for each sentence of `memory`."""
        state: State = self.bridge(memory)
        return state

    def step(self, ids: Tensor, state: State, memory: Memory) -> StepOutput:
        """Feed one piece to each row.

        Args:
            ids: The last pieces [R]; R is a multiple of the memory's B, and row r belongs to sentence r // (R / B).
            state: The rows' state.
            memory: The sentences.
        """
        outputs, state, weights = self.decoder(ids.unsqueeze(1), state, memory)
        log_probs = self.output(self.output_dropout(outputs.squeeze(1)))
        return StepOutput(log_probs, state, None if weights is None else weights.squeeze(1))

    def decode(self, target_input: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Run a known target [B, T]: attentional states [B, T, O] for `output`, and weights [B, T, S] or None."""
        outputs, _, weights = self.decoder(target_input, self.init_state(memory), memory)
        return self.output_dropout(outputs), weights

    def forward(self, source: Tensor, lengths: Tensor, target_input: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return log p(next piece) [B, T, V] at each position of a known target, and the weights [B, T, S] or None."""
        states, weights = self.decode(target_input, self.encode(source, lengths))
        return self.output(states), weights
