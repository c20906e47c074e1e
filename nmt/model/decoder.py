"""The decoder: target pieces so far, and attention, to attentional states.

B sentences, R rows (K hypotheses for each sentence), T target length, H hidden size, M memory size, O output size,
L layers.

No recurrence here depends on what attention finds at the same layer, so a known target runs through each LSTM whole,
and all its positions attend in one product. One step is the same computation with T = 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.attention import Attention
from nmt.model.dropout import Dropout
from nmt.model.embeddings import Embeddings
from nmt.model.memory import Memory, State
from nmt.model.recurrent import lstm, run_lstm


class Decoder(nn.Module):
    """A deep LSTM with attention read by its top layer, or by its bottom one for the layers above.

    top: h = LSTMs(embeddings); context = attention(h) (Luong et al. 2015).
    bottom: h1 = LSTM(embeddings); context = attention(h1); h = LSTMs([h1; context]) with the context given to every
    upper layer (Wu et al. 2016, Chen et al. 2018).
    Both: attentional state = tanh(W [context; h]); without attention tanh(W h).
    """

    def __init__(
        self,
        *,
        embeddings: Embeddings,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        memory_size: int,
        output_size: int,
        attention: Attention | None,
        attend_at_bottom: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.attention = attention
        self.attend_at_bottom = attend_at_bottom and attention is not None
        context_size = memory_size if attention is not None else 0
        upper_size = hidden_size + (context_size if self.attend_at_bottom else 0)
        sizes = [embedding_size] + [upper_size] * (layers - 1)
        self.layers = nn.ModuleList(lstm(size, hidden_size) for size in sizes)
        self.combine = nn.Linear(context_size + hidden_size, output_size, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, inputs: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor | None]:
        """Decode `inputs` [R, T] from `state`.

        Returns:
            The attentional states [R, T, O], the state after the last position, and the weights [R, T, S] or None.
        """
        outputs = self.embeddings(inputs)
        context: Tensor | None = None
        weights: Tensor | None = None
        hiddens, cells = [], []
        for level, layer in enumerate(self.layers):
            if level > 0:
                outputs = self.dropout(outputs)
                if self.attend_at_bottom and context is not None:
                    outputs = torch.cat([outputs, context], dim=-1)
            assert isinstance(layer, nn.LSTM)
            outputs, hidden, cell = run_lstm(layer, outputs, state.hidden[level], state.cell[level])
            hiddens.append(hidden)
            cells.append(cell)
            if level == 0 and self.attend_at_bottom:
                context, weights = self._attend(outputs, memory)
        if self.attention is not None and context is None:
            context, weights = self._attend(outputs, memory)
        combined = outputs if context is None else torch.cat([context, outputs], dim=-1)
        return torch.tanh(self.combine(combined)), State(torch.stack(hiddens), torch.stack(cells)), weights

    def _attend(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with `queries` [R, T, H]: the rows of one sentence are so many more queries to its memory."""
        assert self.attention is not None
        rows, length, size = queries.shape
        sentences = memory.states.shape[0]
        context, weights = self.attention(queries.reshape(sentences, -1, size), memory)
        return context.view(rows, length, -1), weights.view(rows, length, -1)
