"""The decoder: one target piece and attention to one attentional state. The equations are those of `nmt.model`.

B sentences, R rows (K hypotheses of each sentence), S source length, E embedding size, H hidden size, M context size,
O output size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nmt.arrays import Array, namespace
from nmt.engine.attention import Attended, InferenceAttention
from nmt.engine.encoder import EmbeddingTable
from nmt.engine.memory import InferenceState, SourceMemory, Trace, UnitState, record
from nmt.engine.products import MatrixProduct, linear
from nmt.engine.units import RecurrentUnit, make_unit
from nmt.engine.weights import Weights

if TYPE_CHECKING:
    from nmt.config.schema import ModelConfig


class DecodedPiece(NamedTuple):
    """The result of decoding one piece of each row."""

    outputs: Array
    """Attentional states [R, O], with a lexical model [R, O + E]: the inputs of the output layer."""
    state: InferenceState
    """The state after the piece."""
    weights: Array | None
    """Attention weights [R, S]; None without attention."""


class InferenceDecoder:
    """A deep recurrent network with attention in one of three places; see `nmt.model.decoder` for the options."""

    def __init__(
        self,
        weights: Weights,
        config: ModelConfig,
        *,
        embeddings: EmbeddingTable,
        attention: InferenceAttention | None,
        output_size: int,
    ) -> None:
        """Lay out the parameters."""
        options = config.decoder
        self._embeddings = embeddings
        self._attention = attention
        self._residual_from = options.residual_from
        self._output_size = output_size
        self._hidden_size = options.hidden_size
        self._has_cell = options.cell.endswith("lstm")
        self._placement = config.attention.placement if attention is not None else "top"
        self._feeds = attention is not None and config.attention.input_feeding
        context_size = 0 if attention is None else attention.context_size

        def unit(name: str, input_size: int) -> RecurrentUnit:
            return make_unit(
                weights,
                f"decoder.{name}.",
                kind=options.cell,
                input_size=input_size,
                hidden_size=options.hidden_size,
            )

        lowest = config.embedding_size + (output_size if self._feeds else 0)
        upper = options.hidden_size + (context_size if self._placement == "bottom" else 0)
        self._layers = [unit(f"layers.{level}", upper if level else lowest) for level in range(options.layers)]
        self._second = unit("second_transition", context_size) if self._placement == "conditional" else None
        self._attentional_layer = AttentionalProducts(
            weights, config, context_size=context_size, output_size=output_size
        )
        self._lexical = None
        if config.lexical_model and attention is not None:
            size = config.embedding_size
            self._lexical = linear(weights, "lexical_model.projection", size, size)

    def initial_state(self, hidden: list[UnitState], memory: SourceMemory) -> InferenceState:
        """Return the state before the first piece, given the bridge's state of each layer."""
        xp = namespace(memory.states)
        sentences, width, _ = memory.states.shape
        kind = {"dtype": memory.states.dtype, "device": memory.states.device}
        attention = self._attention
        units = []
        for state in hidden:
            cell = state.cell
            if cell is None and self._has_cell:
                cell = xp.zeros((sentences, self._hidden_size), **kind)  # [B, H]
            units.append(UnitState(state.hidden, cell if self._has_cell else None))
        return InferenceState(
            tuple(units),
            feed=xp.zeros((sentences, self._output_size), **kind) if self._feeds else None,
            coverage=xp.zeros((sentences, width), **kind) if attention and attention.needs_coverage else None,
            position=xp.zeros_like(memory.lengths) if attention and attention.needs_position else None,
        )

    def step(self, ids: Array, state: InferenceState, memory: SourceMemory, trace: Trace | None = None) -> DecodedPiece:
        """Decode the pieces `ids` [R].

        With `trace`, record embedded [R, E], hidden [R, H], context [R, M], combined and attentional [R, O], gate
        [R, O], lexical [R, E], and the arrays of the attention. Arrays that the configuration lacks are left out.
        """
        xp = namespace(memory.states)
        embedded = self._embeddings(ids)  # [R, E]
        units, outputs = [], embedded
        attended: Attended | None = None
        for level, layer in enumerate(self._layers):
            inputs = [outputs]
            if level == 0 and state.feed is not None:
                inputs.append(state.feed)  # [R, O]
            if level > 0 and self._placement == "bottom" and attended is not None:
                inputs.append(attended.context)  # [R, M]
            unit = layer.step(inputs, state.units[level])
            if level == 0 and self._second is not None:
                attended = self._attend(unit.hidden, state, memory, trace)
                assert attended is not None
                unit = self._second.step([attended.context], unit)
            residual = self._residual_from is not None and level + 1 >= self._residual_from
            outputs = unit.hidden + outputs if residual else unit.hidden  # [R, H]
            units.append(unit)
            if level == 0 and self._placement == "bottom":
                attended = self._attend(outputs, state, memory, trace)
        if attended is None:
            attended = self._attend(outputs, state, memory, trace)
        record(trace, embedded=embedded, hidden=outputs)
        if attended is None:
            states = self._attentional_layer(None, outputs, embedded, trace)  # [R, O]
            return DecodedPiece(states, state._replace(units=tuple(units)), None)
        record(trace, context=attended.context, weights=attended.weights)
        states = self._attentional_layer(attended.context, outputs, embedded, trace)  # [R, O]
        feed = None if state.feed is None else states
        after = InferenceState(tuple(units), feed, attended.coverage, attended.position)
        if self._lexical is not None:
            lexical = self._lexical_states(attended.weights, memory)  # [R, E]
            record(trace, lexical=lexical)
            states = xp.concat([states, lexical], axis=1)  # [R, O + E]
        return DecodedPiece(states, after, attended.weights)

    def _attend(
        self, queries: Array, state: InferenceState, memory: SourceMemory, trace: Trace | None
    ) -> Attended | None:
        return None if self._attention is None else self._attention(queries, state, memory, trace)

    def _lexical_states(self, weights: Array, memory: SourceMemory) -> Array:
        """Return the lexical states [R, E] of attention `weights` [R, S]; see `LexicalModel` in `nmt.model.layers`."""
        assert self._lexical is not None
        assert memory.embeddings is not None
        xp = namespace(weights)
        sentences, width, size = memory.embeddings.shape
        attended = xp.matmul(xp.reshape(weights, (sentences, -1, width)), memory.embeddings)  # [B, K, E]
        average = xp.tanh(xp.reshape(attended, (-1, size)))  # [R, E]
        return xp.tanh(self._lexical(average)) + average


class AttentionalProducts:
    """The attentional state of context, decoder state and embedding; see `AttentionalLayer` in `nmt.model.layers`."""

    def __init__(self, weights: Weights, config: ModelConfig, *, context_size: int, output_size: int) -> None:
        """Lay out the parameters."""
        prefix, hidden_size, embedding_size = (
            "decoder.attentional_layer.",
            config.decoder.hidden_size,
            config.embedding_size,
        )
        self._kind = config.decoder.output
        deep = self._kind == "deep"
        size = context_size + hidden_size + (embedding_size if deep else 0)
        weight = weights.reader(f"{prefix}weight", output_size, size)
        bias = weights.reader(f"{prefix}bias", output_size) if deep else None
        self._gate = None
        if context_size and config.attention.context_gate:
            every = context_size + hidden_size + embedding_size
            self._gate = linear(weights, f"{prefix}gate", output_size, every, bias=True)
            self._context = MatrixProduct(weights, lambda: weight()[:, :context_size], outputs=output_size)
            self._others = MatrixProduct(weights, lambda: weight()[:, context_size:], outputs=output_size, bias=bias)
        else:
            self._all = MatrixProduct(weights, weight, outputs=output_size, bias=bias)

    def __call__(self, context: Array | None, hidden: Array, embedded: Array, trace: Trace | None = None) -> Array:
        """Return the states [R, O] of `context` [R, M], `hidden` [R, H] and `embedded` [R, E]."""
        xp = namespace(hidden)
        others = [hidden, embedded] if self._kind == "deep" else [hidden]
        if context is None or self._gate is None:
            combined = self._all(*(others if context is None else [context, *others]))  # [R, O]
        else:
            gate = xp.tanh(self._gate(context, hidden, embedded) * 0.5) * 0.5 + 0.5  # [R, O]
            record(trace, gate=gate)
            combined = self._others(*others)  # [R, O]
            # z * W_c c + (1 - z) * r
            combined += gate * (self._context(context) - combined)
        record(trace, combined=combined)
        attentional = combined if self._kind == "linear" else xp.tanh(combined, out=combined)
        record(trace, attentional=attentional)
        return attentional
