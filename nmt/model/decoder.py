"""The decoder: target pieces and attention to attentional states.

B sentences, R rows (K hypotheses of each sentence), T target length, S source length, E embedding size, H hidden
size, M context size, O output size, G gate features.

Where no recurrence depends on the result of attention, a known target runs through each layer as a whole, and all its
positions attend in one product. One step is the same computation with T = 1. Input feeding, and attention between two
transitions, force positions to run one after the other, in training as in search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.model.attention import Attention
from nmt.model.cells import Cell, make_cell
from nmt.model.graphs import PositionGraphs
from nmt.model.layers import AttentionalLayer, Dropout, Embeddings, round_up
from nmt.model.memory import AttentionState, CellState, DecoderState, Memory


class DecoderOutput(NamedTuple):
    """The result of decoding some positions."""

    states: Tensor
    """Attentional states [R, T, O]."""
    state: DecoderState
    """The state after the last position."""
    weights: Tensor | None
    """Attention weights [R, T, S], float32; None without attention."""


class AttentionOutput(NamedTuple):
    """The result of attention at some positions."""

    context: Tensor
    """[R, T, M]"""
    weights: Tensor
    """[R, T, S], float32"""
    state: AttentionState
    """The state after the last position, but for `feed`, which is that of before."""


class DropoutMasks(NamedTuple):
    """Dropout masks of one position; None where nothing is dropped."""

    recurrent: list[Tensor | None]
    """For the hidden state that each cell reads [R, H], the same at all positions."""
    inputs: list[Tensor | None]
    """For the input of each upper layer [R, H]."""


class Decoder(nn.Module):
    """A deep recurrent network with attention in one of three places.

    top: h = layers(embeddings); context = attention(h) (Luong et al. 2015).
    bottom: h1 = layer1(embeddings); context = attention(h1); h = upper layers([h1; context]). Each upper layer reads
    the context (Wu et al. 2016, Chen et al. 2018).
    conditional: the first layer makes two transitions at each position, s = first(embedding, last state), context =
    attention(s), h1 = second(context, s); h = upper layers(h1) (Bahdanau et al. 2015, in the form of Nematus, Sennrich
    et al. 2017; with GRU cells this is their conditional GRU).

    The `AttentionalLayer` computes the attentional state from context and h. Input feeding appends the previous
    attentional state, zeros at first, to the embedding in the first layer's input (Luong et al. 2015, section 3.3).
    Residual connections, from layer `residual_from` on, add the input of a layer, without context and feed, to its
    output (Wu et al. 2016).
    """

    def __init__(
        self,
        *,
        embeddings: Embeddings,
        embedding_size: int,
        cell: str,
        hidden_size: int,
        layers: int,
        residual_from: int | None,
        output_size: int,
        output: str,
        attention: Attention | None,
        placement: str,
        input_feeding: bool,
        context_gate: bool,
        dropout: float,
        recurrent_dropout: float,
        variational: bool,
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.attention = attention
        self.placement = placement
        self.input_feeding = input_feeding
        self.residual_from = residual_from
        self.output_size = output_size
        context_size = attention.context_size if attention is not None else 0
        lowest = embedding_size + (output_size if input_feeding else 0)
        upper = hidden_size + (context_size if placement == "bottom" else 0)
        sizes = [lowest] + [upper] * (layers - 1)
        cells = nn.ModuleList(make_cell(cell, input_size=size, hidden_size=hidden_size) for size in sizes)
        self.layers = cast("Sequence[Cell]", cells)
        self.second_transition: Cell | None = None
        if placement == "conditional":
            self.second_transition = make_cell(cell, input_size=context_size, hidden_size=hidden_size)
        self.attentional_layer = AttentionalLayer(
            kind=output,
            context_size=context_size,
            hidden_size=hidden_size,
            embedding_size=embedding_size,
            output_size=output_size,
            gated=context_gate,
        )
        self.dropout = Dropout(dropout, variational=variational)
        self.recurrent_dropout = Dropout(recurrent_dropout)
        self.graphs: PositionGraphs | None = None
        """Computes positions that run one after the other in training. None: without graphs."""

    @property
    def is_sequential(self) -> bool:
        """Whether positions run one after the other, because a recurrence depends on the result of attention."""
        return self.input_feeding or self.second_transition is not None

    def initial_state(self, cells: tuple[CellState, ...], memory: Memory) -> DecoderState:
        """Return the state before the first position, given the bridge's state of each layer."""
        sentences, width = memory.mask.shape
        attention = self.attention
        feed = coverage = position = None
        if self.input_feeding:
            feed = memory.states.new_zeros(sentences, self.output_size)  # [B, O]
        if attention is not None and attention.needs_coverage:
            coverage = memory.mask.new_zeros(sentences, width, dtype=torch.float32)  # [B, S]
        if attention is not None and attention.needs_position:
            position = memory.mask.new_zeros(sentences, dtype=torch.int64)  # [B]
        return DecoderState(cells, AttentionState(feed, coverage, position))

    def forward(self, inputs: Tensor, state: DecoderState, memory: Memory) -> DecoderOutput:
        """Decode `inputs` [R, T] from `state`."""
        embedded = self.embeddings(inputs)  # [R, T, E]
        if self.is_sequential:
            return self._sequential(embedded, state, memory)
        return self._parallel(embedded, state, memory)

    def _parallel(self, embedded: Tensor, state: DecoderState, memory: Memory) -> DecoderOutput:
        """Decode `embedded` [R, T, E], each layer over all positions before the next layer."""
        outputs, cells = embedded, []
        attended: AttentionOutput | None = None
        for level, (layer, mask) in enumerate(zip(self.layers, self._recurrent_masks(embedded), strict=True)):
            inputs = self.dropout(outputs) if level > 0 else outputs
            if attended is not None:
                inputs = torch.cat([inputs, attended.context], dim=-1)  # [R, T, H + M]
            hidden, after = layer.forward_sequence(inputs, state.cells[level], mask)  # [R, T, H]
            outputs = hidden + outputs if self._is_residual(level) else hidden
            cells.append(after)
            if level == 0 and self.placement == "bottom":
                attended = self._attend(outputs, state.attention, memory)
        if self.attention is None:
            states = self.attentional_layer(None, outputs, embedded)  # [R, T, O]
            return DecoderOutput(states, DecoderState(tuple(cells), state.attention), None)
        if attended is None:
            attended = self._attend(outputs, state.attention, memory)
        states = self.attentional_layer(attended.context, outputs, embedded)  # [R, T, O]
        return DecoderOutput(states, DecoderState(tuple(cells), attended.state), attended.weights)

    def _sequential(self, embedded: Tensor, state: DecoderState, memory: Memory) -> DecoderOutput:
        """Decode `embedded` [R, T, E], all layers at one position before the next position."""
        # The projections of the embeddings and the dropout masks of all positions are computed in advance.
        gates = self.layers[0].input_gates(embedded)  # [R, T, G]
        constants = tuple(self._recurrent_masks(embedded)), memory
        sequences = [gates, embedded, *self._input_masks(embedded)]  # [R, T, ...] each
        decoded = self._by_graphs(sequences, constants, state)
        if decoded is not None:
            return decoded
        states, weights = [], []
        for inputs in zip(*(each.unbind(1) for each in sequences), strict=True):  # T x [R, ...]
            (attentional, attention), state = self._advance(inputs, constants, state)
            states.append(attentional)
            weights.append(attention)
        return DecoderOutput(torch.stack(states, dim=1), state, torch.cat(weights, dim=1))  # [R, T, O], ..., [R, T, S]

    def _by_graphs(
        self, sequences: Sequence[Tensor], constants: tuple[tuple[Tensor | None, ...], Memory], state: DecoderState
    ) -> DecoderOutput | None:
        """Run all positions with graphs; see `_advance`. Returns None if there are none for these shapes.

        Rows and source positions are padded, so that few shapes serve all batches.
        """
        masks, memory = constants
        (rows, width), attention = memory.mask.shape, self.attention
        if self.graphs is None or attention is None or not torch.is_grad_enabled() or len(sequences[0]) != rows:
            return None
        if attention.dropout.probability > 0 and self.training:  # drawn inside of a position
            return None
        more, wider = round_up(rows, digits=3) - rows, round_up(max(width, 8), digits=3) - width
        mask = F.pad(memory.mask, (0, wider, 0, more))  # [R', S']
        mask[rows:, 0] = True  # a softmax over nothing is undefined
        padded = Memory(
            _pad(memory.states, more, wider),
            _pad(memory.keys, more, wider),
            mask,
            (),
            None if memory.values is None else _pad(memory.values, more, wider),
        )
        attended = state.attention
        grown = AttentionState(
            None if attended.feed is None else _pad_rows(attended.feed, more),
            None if attended.coverage is None else F.pad(attended.coverage, (0, wider, 0, more)),
            None if attended.position is None else F.pad(attended.position, (0, more)),
        )
        found = self.graphs.run(
            self._advance,
            [_pad(each, more) for each in sequences],
            (tuple(None if each is None else _pad_rows(each, more) for each in masks), padded),
            DecoderState(tuple(CellState(*(_pad_rows(each, more) for each in cell)) for cell in state.cells), grown),
            self._position_parameters(),
        )
        if found is None:
            return None
        (states, weights), (cells, attended) = found
        real = AttentionState(*(None if each is None else each[:rows] for each in attended))
        if real.coverage is not None:
            real = real._replace(coverage=real.coverage[:, :width])
        after = DecoderState(tuple(CellState(*(each[:rows] for each in cell)) for cell in cells), real)
        return DecoderOutput(states[:rows], after, weights.squeeze(2)[:rows, :, :width])

    def _position_parameters(self) -> list[nn.Parameter]:
        """Return the trained parameters that `_advance` reads."""
        named = self.named_parameters()
        return [each for name, each in named if each.requires_grad and not name.startswith("embeddings.")]

    def _advance(
        self, inputs: Sequence[Tensor], constants: tuple[tuple[Tensor | None, ...], Memory], state: DecoderState
    ) -> tuple[tuple[Tensor, Tensor], DecoderState]:
        """Decode one position.

        Args:
            inputs: The embeddings' part of the first layer's gates [R, G], the embeddings [R, E], then the dropout mask
                of the input of each upper layer [R, H], if there is dropout.
            constants: The recurrent dropout mask of each layer [R, H], and the encoded sentences.
            state: The state before the position.

        Returns:
            The attentional states [R, O] and the weights [R, 1, S], and the state after the position.
        """
        gates, vectors, *input_masks = inputs
        recurrent_masks, memory = constants
        nothing: list[Tensor | None] = [None] * (len(self.layers) - 1)
        masks = DropoutMasks([*recurrent_masks], [*input_masks] or nothing)
        cells, attentional, attended = self._step(gates, vectors, state, memory, masks)
        attention = attended.state
        if attention.feed is not None:
            attention = attention._replace(feed=attentional)
        return (attentional, attended.weights), DecoderState(cells, attention)

    def _step(
        self, gates: Tensor, embedded: Tensor, state: DecoderState, memory: Memory, masks: DropoutMasks
    ) -> tuple[tuple[CellState, ...], Tensor, AttentionOutput]:
        """Decode one position.

        Args:
            gates: The embeddings' part of the first layer's gates [R, G].
            embedded: The embeddings [R, E].
            state: The state before this position.
            memory: The encoded sentences.
            masks: The dropout masks of this position.

        Returns:
            The states of the layers after it, the attentional states [R, O], and the result of attention.
        """
        if state.attention.feed is not None:
            gates = gates + self.layers[0].input_gates(state.attention.feed, start=embedded.shape[-1])  # [R, G]
        outputs, cells = embedded, []
        attended: AttentionOutput | None = None
        for level, layer in enumerate(self.layers):
            if level > 0:
                inputs = _masked(outputs, masks.inputs[level - 1])  # [R, H]
                if self.placement == "bottom" and attended is not None:
                    inputs = torch.cat([inputs, attended.context.squeeze(1)], dim=-1)  # [R, H + M]
                gates = layer.input_gates(inputs)  # [R, G]
            cell = layer.step(gates, state.cells[level], masks.recurrent[level])
            if level == 0 and self.second_transition is not None:
                attended = self._attend(cell.hidden.unsqueeze(1), state.attention, memory)
                gates = self.second_transition.input_gates(attended.context.squeeze(1))  # [R, G]
                cell = self.second_transition.step(gates, cell, masks.recurrent[-1])
            outputs = cell.hidden + outputs if self._is_residual(level) else cell.hidden  # [R, H]
            cells.append(cell)
            if level == 0 and self.placement == "bottom":
                attended = self._attend(outputs.unsqueeze(1), state.attention, memory)
        if attended is None:
            attended = self._attend(outputs.unsqueeze(1), state.attention, memory)
        return tuple(cells), self.attentional_layer(attended.context.squeeze(1), outputs, embedded), attended

    def _attend(self, queries: Tensor, state: AttentionState, memory: Memory) -> AttentionOutput:
        """Attend with `queries` [R, T, H] of the positions that follow `state`.

        Coverage makes the attention of a position depend on the positions before it. Then the positions attend one
        after the other, while the layers still run as a whole.
        """
        if state.coverage is None or queries.shape[1] == 1:
            return self._attend_once(queries, state, memory)
        contexts, weights = [], []
        for query in queries.unbind(1):  # T x [R, H]
            attended = self._attend_once(query.unsqueeze(1), state, memory)
            contexts.append(attended.context)
            weights.append(attended.weights)
            state = attended.state
        return AttentionOutput(torch.cat(contexts, dim=1), torch.cat(weights, dim=1), state)  # [R, T, M], [R, T, S]

    def _attend_once(self, queries: Tensor, state: AttentionState, memory: Memory) -> AttentionOutput:
        """Attend with `queries` [R, T, H] in one product.

        The K rows of a sentence become K * T queries to its memory, so that the memory is never repeated.
        """
        assert self.attention is not None
        rows, length, size = queries.shape
        sentences, width = memory.mask.shape
        position, coverage = state.position, state.coverage
        positions = None
        if position is not None:
            positions = position.unsqueeze(1) + torch.arange(length, device=position.device)  # [R, T]
            position = position + length
        context, weights = self.attention(
            queries.reshape(sentences, -1, size),  # [B, K * T, H]
            memory,
            positions=None if positions is None else positions.view(sentences, -1),  # [B, K * T]
            coverage=None if coverage is None else coverage.view(sentences, -1, width),  # [B, K * T, S]
        )
        weights = weights.view(rows, length, width)  # [R, T, S]
        if coverage is not None:
            coverage = coverage + weights.sum(1)  # [R, S]
        context = context.view(rows, length, -1)  # [R, T, M]
        return AttentionOutput(context, weights, state._replace(coverage=coverage, position=position))

    def _is_residual(self, level: int) -> bool:
        return self.residual_from is not None and level + 1 >= self.residual_from

    def _recurrent_masks(self, embedded: Tensor) -> list[Tensor | None]:
        """Draw the recurrent dropout mask [R, H] of each layer, and last that of the second transition."""
        cells = [*self.layers] if self.second_transition is None else [*self.layers, self.second_transition]
        return [self.recurrent_dropout.mask(embedded, (len(embedded), cell.hidden_size)) for cell in cells]

    def _input_masks(self, embedded: Tensor) -> list[Tensor]:
        """Draw the dropout mask [R, T, H] of the input of each upper layer; none if nothing is dropped."""
        rows, length, _ = embedded.shape
        drawn = [self.dropout.mask(embedded, (rows, length, layer.hidden_size)) for layer in self.layers[1:]]
        return [mask.expand(-1, length, -1) for mask in drawn if mask is not None]


def _pad_rows(values: Tensor, rows: int) -> Tensor:
    """Append rows of zeros to `values` [R, H]."""
    return F.pad(values, (0, 0, 0, rows))


def _pad(values: Tensor, rows: int, positions: int = 0) -> Tensor:
    """Append zeros to `values` [R, ..., S, M]: rows, and positions in the last dimension but one."""
    return F.pad(values, (0, 0, 0, positions, *(0, 0) * (values.dim() - 3), 0, rows))


def _masked(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values * mask
