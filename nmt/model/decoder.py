"""The decoder: target pieces so far, and attention, to attentional states.

B sentences, R rows (K hypotheses for each sentence), T target length, S source length, E embedding size, H hidden
size, M context size, O output size, L layers.

Where no recurrence depends on what attention finds, a known target runs through each layer whole, and all its
positions attend in one product; one step is the same computation with T = 1. With input feeding, and with attention
between two transitions, positions can only run one after the other, in training as in search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from nmt.model.attention import Attention
from nmt.model.cells import Cell, CellState, make_cell
from nmt.model.dropout import Dropout
from nmt.model.layers import AttentionalLayer, Embeddings
from nmt.model.memory import Memory, State


class DecoderOutput(NamedTuple):
    """What the decoder made of some pieces."""

    states: Tensor
    """Attentional states [R, T, O]."""
    after: State
    """The state after the last piece."""
    weights: Tensor | None
    """Attention weights [R, T, S], float32; None without attention."""


class AttentionOutput(NamedTuple):
    """What attention found."""

    context: Tensor
    """[R, T, M]"""
    weights: Tensor
    """[R, T, S], float32"""
    after: State
    """The state with the coverage and the position that follow."""


class Masks(NamedTuple):
    """Dropout at one position: what values are multiplied by, or None."""

    kept: list[Tensor | None]
    """On the states that the cells see [R, H], the same at all positions."""
    dropped: list[Tensor | None]
    """On what the upper layers read [R, H]."""


class Decoder(nn.Module):
    """A deep recurrent network with attention, at one of three places.

    top: h = layers(embeddings); context = attention(h) (Luong et al. 2015).
    bottom: h1 = layer1(embeddings); context = attention(h1); h = upper layers([h1; context]), the context given to
    each of them (Wu et al. 2016, Chen et al. 2018).
    conditional: the first layer makes two transitions at each position, s = first(embedding, last state), context =
    attention(s), h1 = second(context, s); h = upper layers(h1) (Bahdanau et al. 2015, as in Nematus, Sennrich et al.
    2017, whose conditional GRU this is with GRU cells).

    The attentional state is made of context and h (`combination.py`). Input feeding puts the last one beside the
    embedding in the first layer's input, zeros at first (Luong et al. 2015, section 3.3). Residual connections, from
    layer `residual_from` on, add what the layer read, without context and feed, to its output (Wu et al. 2016).
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
        conditional = placement == "conditional"
        self.second = make_cell(cell, input_size=context_size, hidden_size=hidden_size) if conditional else None
        self.combine = AttentionalLayer(
            kind=output,
            context_size=context_size,
            hidden_size=hidden_size,
            embedding_size=embedding_size,
            output_size=output_size,
            gated=context_gate,
        )
        self.dropout = Dropout(dropout, variational=variational)
        self.recurrent_dropout = Dropout(recurrent_dropout)

    def begin(self, state: State, memory: Memory) -> State:
        """Add to the bridge's `state` what else decoding starts with."""
        sentences, width = memory.mask.shape
        attention = self.attention
        return state._replace(
            feed=memory.states.new_zeros(sentences, self.output_size) if self.input_feeding else None,
            coverage=memory.mask.new_zeros(sentences, width, dtype=torch.float32)
            if attention is not None and attention.needs_coverage
            else None,
            position=memory.mask.new_zeros(sentences, dtype=torch.int64)
            if attention is not None and attention.needs_position
            else None,
        )

    def forward(self, inputs: Tensor, state: State, memory: Memory) -> DecoderOutput:
        """Decode `inputs` [R, T] from `state`."""
        embedded = self.embeddings(inputs)
        if self.input_feeding or self.second is not None:
            return self._one_by_one(embedded, state, memory)
        return self._at_once(embedded, state, memory)

    def _at_once(self, embedded: Tensor, state: State, memory: Memory) -> DecoderOutput:
        """Decode `embedded` [R, T, E], each layer over all positions before the next one."""
        outputs, carried = embedded, []
        seen: AttentionOutput | None = None
        for level, (layer, kept) in enumerate(zip(self.layers, self._kept(embedded), strict=True)):
            read = self.dropout(outputs) if level > 0 else outputs
            if seen is not None:
                read = torch.cat([read, seen.context], dim=-1)
            result, after = layer.run(read, CellState(state.hidden[level], state.cell[level]), kept)
            outputs = result + outputs if self._is_residual(level) else result
            carried.append(after)
            if level == 0 and self.placement == "bottom":
                seen = self._attend(outputs, state, memory)
        if self.attention is None:
            return DecoderOutput(self.combine(None, outputs, embedded), _stacked(carried, state), None)
        if seen is None:
            seen = self._attend(outputs, state, memory)
        return DecoderOutput(self.combine(seen.context, outputs, embedded), _stacked(carried, seen.after), seen.weights)

    def _one_by_one(self, embedded: Tensor, state: State, memory: Memory) -> DecoderOutput:
        """Decode `embedded` [R, T, E], all layers at a position before the next one.

        The embeddings' products and the dropout masks of all positions are made beforehand.
        """
        projected = self.layers[0].project(embedded).unbind(1)
        kept, dropped = self._kept(embedded), self._dropped(embedded)
        carried = [CellState(*pair) for pair in zip(state.hidden.unbind(0), state.cell.unbind(0), strict=True)]
        states, weights = [], []
        for place, vectors in enumerate(embedded.unbind(1)):
            masks = Masks(kept, [mask[place] for mask in dropped])
            carried, attentional, seen = self._one(projected[place], vectors, carried, state, memory, masks)
            state = seen.after if state.feed is None else seen.after._replace(feed=attentional)
            states.append(attentional)
            weights.append(seen.weights)
        return DecoderOutput(torch.stack(states, dim=1), _stacked(carried, state), torch.cat(weights, dim=1))

    def _one(
        self,
        projected: Tensor,
        embedded: Tensor,
        carried: list[CellState],
        state: State,
        memory: Memory,
        masks: Masks,
    ) -> tuple[list[CellState], Tensor, AttentionOutput]:
        """Decode one position.

        Args:
            projected: The embeddings' part of the first layer's gates [R, G].
            embedded: The embeddings [R, E].
            carried: The layers' states.
            state: The feed, the coverage and the position; the layers' states in it are not read.
            memory: The sentences.
            masks: Dropout of this position.

        Returns:
            The layers' states after it, the attentional states [R, O], and what attention found.
        """
        gates = projected
        if state.feed is not None:
            gates = gates + self.layers[0].project(state.feed, start=embedded.shape[-1])
        outputs, after = embedded, []
        seen: AttentionOutput | None = None
        for level, layer in enumerate(self.layers):
            if level > 0:
                read = _times(outputs, masks.dropped[level - 1])
                if self.placement == "bottom" and seen is not None:
                    read = torch.cat([read, seen.context.squeeze(1)], dim=-1)
                gates = layer.project(read)
            now = layer.advance(gates, carried[level], masks.kept[level])
            if level == 0 and self.second is not None:
                seen = self._attend(now.hidden.unsqueeze(1), state, memory)
                now = self.second.advance(self.second.project(seen.context.squeeze(1)), now, masks.kept[-1])
            outputs = now.hidden + outputs if self._is_residual(level) else now.hidden
            after.append(now)
            if level == 0 and self.placement == "bottom":
                seen = self._attend(outputs.unsqueeze(1), state, memory)
        if seen is None:
            seen = self._attend(outputs.unsqueeze(1), state, memory)
        return after, self.combine(seen.context.squeeze(1), outputs, embedded), seen

    def _attend(self, queries: Tensor, state: State, memory: Memory) -> AttentionOutput:
        """Attend with `queries` [R, T, H] of the positions that follow `state`.

        Coverage makes the attention of a position depend on those before it: then they run one after the other, but
        attention alone, not the layers.
        """
        if state.coverage is None or queries.shape[1] == 1:
            return self._look(queries, state, memory)
        contexts, weights = [], []
        for query in queries.unbind(1):
            seen = self._look(query.unsqueeze(1), state, memory)
            contexts.append(seen.context)
            weights.append(seen.weights)
            state = seen.after
        return AttentionOutput(torch.cat(contexts, dim=1), torch.cat(weights, dim=1), state)

    def _look(self, queries: Tensor, state: State, memory: Memory) -> AttentionOutput:
        """Do what `_attend` does in one product: the rows of a sentence are so many more queries to its memory."""
        assert self.attention is not None
        rows, length, size = queries.shape
        sentences, width = memory.mask.shape
        position, coverage = state.position, state.coverage
        positions = None
        if position is not None:
            positions = position.unsqueeze(1) + torch.arange(length, device=position.device)
            position = position + length
        context, weights = self.attention(
            queries.reshape(sentences, -1, size),
            memory,
            positions=None if positions is None else positions.view(sentences, -1),
            coverage=None if coverage is None else coverage.view(sentences, -1, width),
        )
        weights = weights.view(rows, length, width)
        if coverage is not None:
            coverage = coverage + weights.sum(1)
        return AttentionOutput(
            context.view(rows, length, -1), weights, state._replace(coverage=coverage, position=position)
        )

    def _is_residual(self, level: int) -> bool:
        return self.residual_from is not None and level + 1 >= self.residual_from

    def _kept(self, embedded: Tensor) -> list[Tensor | None]:
        """Draw the recurrent dropout masks [R, H] of the layers, and last that of the second transition."""
        cells = [*self.layers] if self.second is None else [*self.layers, self.second]
        return [self.recurrent_dropout.mask(embedded, (len(embedded), cell.hidden_size)) for cell in cells]

    def _dropped(self, embedded: Tensor) -> list[list[Tensor | None]]:
        """Draw, for each upper layer and each position, the dropout mask [R, H] on what the layer reads."""
        rows, length, _ = embedded.shape
        masks: list[list[Tensor | None]] = []
        for layer in self.layers[1:]:
            mask = self.dropout.mask(embedded, (rows, length, layer.hidden_size))
            masks.append([None] * length if mask is None else [*mask.expand(-1, length, -1).unbind(1)])
        return masks


def _times(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else values * mask


def _stacked(carried: list[CellState], state: State) -> State:
    """Return `state` with the layers' states `carried`."""
    return state._replace(
        hidden=torch.stack([layer.hidden for layer in carried]), cell=torch.stack([layer.cell for layer in carried])
    )
