"""The textbook version: attention and input feeding as tutorials write them, on nothing but PyTorch's own layers.

An `nn.LSTM` encoder over packed sequences, a decoder that loops over `nn.LSTMCell`s in Python and is fed its last
attentional state (Luong et al. 2015, section 3.3), float logits for all positions, `F.cross_entropy` over them,
`nn.Dropout`, Adam, fp32, batches in the order of the corpus. It shares no code with the toolkit, and computes the same
function: a test holds its losses equal to those of the toolkit's model.

B sentences, S source length, T target length, E embedding size, H hidden size, M memory size, V vocabulary, L layers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmark.shapes import DROPOUT, Shape
from benchmark.synthetic import Pairs
from nmt.data.batch import Batch, pad, split_into_batches

PAD = 0
LABEL_SMOOTHING = 0.1


class DecoderState(NamedTuple):
    """What the decoder carries from one position to the next."""

    hidden: list[Tensor]
    """[B, H] for each layer."""
    cell: list[Tensor]
    """[B, H] for each layer."""
    feed: Tensor
    """The last attentional state [B, H]."""


class TextbookModel(nn.Module):
    """An attention LSTM; sizes as those of `shape`. Without `input_feeding` nothing is fed back (for a test)."""

    def __init__(self, shape: Shape, *, dropout: float = DROPOUT, input_feeding: bool = True) -> None:
        super().__init__()
        hidden, memory = shape.decoder_size, 2 * shape.encoder_size
        self.input_feeding = input_feeding
        self.source_embedding = nn.Embedding(shape.vocabulary, shape.embedding, padding_idx=PAD)
        self.target_embedding = nn.Embedding(shape.vocabulary, shape.embedding, padding_idx=PAD)
        self.encoder = nn.LSTM(
            shape.embedding,
            shape.encoder_size,
            num_layers=shape.encoder_layers,
            bidirectional=True,
            batch_first=True,
            dropout=dropout if shape.encoder_layers > 1 else 0.0,
        )
        first = shape.embedding + (hidden if input_feeding else 0)
        sizes = [first] + [hidden] * (shape.decoder_layers - 1)
        self.cells = nn.ModuleList(nn.LSTMCell(size, hidden) for size in sizes)
        self.score = nn.Linear(hidden, memory, bias=False)
        self.combine = nn.Linear(memory + hidden, hidden, bias=False)
        self.output = nn.Linear(hidden, shape.vocabulary)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, DecoderState]:
        """Return the memory [B, S, M] of `source` [B, S], its mask [B, S], and the decoder's first state."""
        packed = pack_padded_sequence(
            self.dropout(self.source_embedding(source)), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, (last, _) = self.encoder(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True)
        # [L * 2, B, H / 2], both directions of a layer after one another; the cells start at zero.
        hidden = [torch.cat([last[2 * layer], last[2 * layer + 1]], dim=1) for layer in range(len(self.cells))]
        zeros = torch.zeros_like(hidden[0])
        return self.dropout(memory), source != PAD, DecoderState(hidden, [zeros for _ in hidden], zeros)

    def attend(self, query: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Return the context [B, M] of `query` [B, H]: general attention (Luong et al. 2015, eq. 8)."""
        scores = torch.bmm(memory, self.score(query).unsqueeze(2)).squeeze(2)
        weights = torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=1)
        return torch.bmm(weights.unsqueeze(1), memory).squeeze(1)

    def step(self, ids: Tensor, state: DecoderState, memory: Tensor, mask: Tensor) -> tuple[Tensor, DecoderState]:
        """Feed `ids` [B]; return the attentional states [B, H] and the next state."""
        inputs = self.dropout(self.target_embedding(ids))
        if self.input_feeding:
            inputs = torch.cat([inputs, state.feed], dim=1)
        hiddens, cells = [], []
        for layer, cell in enumerate(self.cells):
            if layer > 0:
                inputs = self.dropout(inputs)
            hidden, memory_cell = cell(inputs, (state.hidden[layer], state.cell[layer]))
            hiddens.append(hidden)
            cells.append(memory_cell)
            inputs = hidden
        context = self.attend(inputs, memory, mask)
        attentional = torch.tanh(self.combine(torch.cat([context, inputs], dim=1)))
        return attentional, DecoderState(hiddens, cells, attentional)

    def decode(self, target_input: Tensor, memory: Tensor, mask: Tensor, state: DecoderState) -> Tensor:
        """Return the attentional states [B, T, H] of a known target [B, T]."""
        states = []
        for position in range(target_input.shape[1]):
            attentional, state = self.step(target_input[:, position], state, memory, mask)
            states.append(attentional)
        kept: Tensor = self.dropout(torch.stack(states, dim=1))
        return kept

    def forward(self, source: Tensor, lengths: Tensor, target_input: Tensor, target_output: Tensor) -> Tensor:
        """Return the label-smoothed loss, summed over all real positions."""
        memory, mask, state = self.encode(source, lengths)
        logits = self.output(self.decode(target_input, memory, mask, state))
        return F.cross_entropy(
            logits.flatten(0, 1),
            target_output.flatten(),
            ignore_index=PAD,
            label_smoothing=LABEL_SMOOTHING,
            reduction="sum",
        )


class TextbookTrainer:
    """The textbook model with its optimiser."""

    def __init__(self, shape: Shape, *, device: torch.device) -> None:
        self.model = TextbookModel(shape).to(device).train()
        self.device = device
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def update(self, batch: Batch) -> None:
        """Learn from `batch`."""
        arrays = (batch.source, batch.source_lengths, batch.target_input, batch.target_output)
        self.optimizer.zero_grad()
        loss = self.loss(*(torch.from_numpy(array).to(self.device) for array in arrays))
        (loss / batch.target_tokens).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def loss(self, source: Tensor, lengths: Tensor, target_input: Tensor, target_output: Tensor) -> Tensor:
        """Return the loss of a batch, summed."""
        loss: Tensor = self.model(source, lengths, target_input, target_output)
        return loss


def textbook_batches(pairs: Pairs, *, batch_tokens: int) -> list[Batch]:
    """Cut `pairs` into batches in the order of the corpus, padded to their longest sentence."""
    sources, targets = pairs
    parts = split_into_batches(
        sources.lengths + 1, targets.lengths + 1, batch_tokens=batch_tokens, batch_sentences=None
    )
    numbers = np.arange(len(targets.lengths))
    return [pad(sources, targets, numbers[part]) for part in parts]
