"""The networks of a model as ONNX graphs. The equations are those of `nmt.engine`.

B sentences, K hypotheses per sentence, R = B x K rows, S source length, E embedding size, H hidden size, M memory size,
A key size, N heads, O output size, D directions, G gate features, V vocabulary, C continuations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import ModelConfig
from nmt.data.special_tokens import EOS
from nmt.engine.units import EPSILON
from nmt.export.onnx_graph import Graph, Value

Parameters = Callable[[str], NDArray[Any]]
"""Returns a parameter by its name in the model file, in float32."""
SequenceOperators = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
"""The order of the gates in ONNX, as indices of their order in the model file."""


@dataclass(frozen=True)
class MemoryValues:
    """The encoded sentences in the step graph."""

    values: Value | None = None
    """[B, N, S, M/N]; None without attention."""
    keys: Value | None = None
    """[B, N, S, A/N], of additive scores [B, S, A]; None if they equal the values."""
    mask: Value | None = None
    """True at real positions [B, S]."""
    embeddings: Value | None = None
    """For the lexical model [B, S, E]."""


def build_graphs(config: ModelConfig, parameters: Parameters) -> tuple[Graph, Graph]:
    """Return the encoder and the step of a network.

    The outputs of the encoder are the memory, one row for each sentence, and the initial state. The step returns each
    tensor of the state under the name `next_...`.

    Args:
        config: The section `model` of the configuration.
        parameters: The parameters.
    """
    exporter = NetworkExporter(config, parameters)
    encoder = exporter.encoder()
    return encoder, exporter.step(encoder)


MEMORY = ("keys", "values", "mask", "embeddings")
"""Outputs of the encoder that have a row for each sentence in every step. The others are the state."""


class NetworkExporter:
    """Builds the two graphs of a network."""

    def __init__(self, config: ModelConfig, parameters: Parameters) -> None:
        """Take the section `model` of the configuration and the parameters."""
        self._config = config
        self._get = parameters
        encoder = config.encoder
        both = (encoder.bidirectional_layers or encoder.layers) if encoder.bidirectional else 0
        self._both_layers = both
        self._memory_size = encoder.hidden_size * (2 if encoder.layers <= both else 1)
        self._attends = config.attention.score != "none"
        self._tied = config.tying != "none"
        self._output_size = config.embedding_size if self._tied else config.decoder.hidden_size
        self._context_size = self._memory_size if self._attends else 0
        self._additive = config.attention.score in ("additive", "concat")
        self._scale = config.embedding_size**0.5 if config.scale_embeddings else 1.0

    # The encoder

    def encoder(self) -> Graph:
        """Return the graph from source ids to the memory and the initial state."""
        graph = Graph("encoder")
        source = graph.input("source", "int64", "batch", "source_length")
        lengths = graph.input("lengths", "int64", "batch")
        embedded = self._embed(graph, "encoder", source.transpose(1, 0))  # [S, B, E]
        width = source.shape(1, 2).apply("Squeeze")
        positions = graph.add("Range", _scalar(0), width, _scalar(1))  # [S]
        mask = positions.unsqueeze(0).apply("Less", lengths.unsqueeze(1))  # [B, S]
        options = self._config.encoder
        order = (lengths - _scalar(1)).apply("Max", _scalar(1))  # ReverseSequence does not copy values of length 0
        states = _reverse(embedded, order) if options.reversed else embedded
        finals = []
        for level in range(options.layers):
            outputs, final = self._source_layer(graph, level, states, lengths, mask)
            if options.residual_from is not None and level + 1 >= options.residual_from:
                outputs = outputs + states
            states = outputs
            finals.append(final)
        states = (_reverse(states, order) if options.reversed else states).transpose(1, 0, 2)  # [B, S, M]
        if self._attends:
            self._write_memory(graph, states, embedded.transpose(1, 0, 2), mask)
        self._write_state(graph, states, finals, mask, lengths)
        return graph

    def _embed(self, graph: Graph, side: str, ids: Value) -> Value:
        if self._config.tying == "three_way":
            side = "encoder"
        embedded = graph.add("Gather", self._get(f"{side}.embeddings.table.weight"), ids)
        return embedded if self._scale == 1 else embedded * self._scale

    def _source_layer(
        self, graph: Graph, level: int, inputs: Value, lengths: Value, mask: Value
    ) -> tuple[Value, list[Value]]:
        """Return the outputs [S, B, D * H], and the final hidden states and cells [B, D * H]."""
        options = self._config.encoder
        both = level < self._both_layers
        backward = not both and options.alternating and level % 2 == 1
        names = ("forward", "backward") if both else ("backward",) if backward else ("forward",)
        prefixes = [f"encoder.layers.{level}.{name}_cell." for name in names]
        if options.cell == "layer_norm_lstm":
            found = [
                self._normalized_sequence(graph, prefix, inputs, lengths, mask, backward=name == "backward")
                for prefix, name in zip(prefixes, names, strict=True)
            ]
            joined = [graph.concat(*parts, axis=-1) for parts in zip(*found, strict=True)]
            return joined[0], joined[1:]
        matrices = [
            np.stack([_gates(self._get(f"{prefix}{name}_l0"), options.cell) for prefix in prefixes])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        bias = np.concatenate(matrices[2:], axis=1)  # [D, 2 G]
        more = {"linear_before_reset": 1} if options.cell == "gru" else {}
        outputs, *final = graph.add_all(
            SequenceOperators[options.cell],
            *(inputs, matrices[0], matrices[1], bias, lengths.cast("int32")),
            outputs=3 if options.cell == "lstm" else 2,
            hidden_size=options.hidden_size,
            direction="bidirectional" if both else "reverse" if backward else "forward",
            **more,
        )  # [S, D, B, H], [D, B, H]
        size = options.hidden_size * len(names)
        return (
            outputs.transpose(0, 2, 1, 3).reshape(0, 0, size),
            [values.transpose(1, 0, 2).reshape(0, size) for values in final],
        )

    def _normalized_sequence(
        self, graph: Graph, prefix: str, inputs: Value, lengths: Value, mask: Value, *, backward: bool
    ) -> tuple[Value, Value, Value]:
        """Return outputs [S, B, H], final hidden states and cells [B, H] of a layer with layer normalization."""
        size = self._config.encoder.hidden_size
        gates = inputs @ np.ascontiguousarray(self._get(f"{prefix}weight_ih").T)  # [S, B, 4 H]
        if backward:
            gates = _reverse(gates, lengths)
        body = Graph(f"{prefix.replace('.', '_')}body", outer=graph)
        hidden, cell = (body.input(body.name + name, "float32", "batch", size) for name in ("hidden", "cell"))
        now = body.input(f"{body.name}gates", "float32", "batch", 4 * size)
        real = body.input(f"{body.name}real", "bool", "batch", 1)
        summed = now + hidden @ np.ascontiguousarray(self._get(f"{prefix}weight_hh").T)
        after = self._lstm(summed, cell, size, prefix=prefix)
        # At padding, the state stays.
        kept = [real.apply("Where", new, old) for new, old in zip(after, (hidden, cell), strict=True)]
        body.output(kept[0], f"{body.name}next_hidden", "float32", "batch", size)
        body.output(kept[1], f"{body.name}next_cell", "float32", "batch", size)
        body.output(kept[0], f"{body.name}output", "float32", "batch", size)
        zeros = _zeros(graph, lengths.shape(0, 1), size)
        final_hidden, final_cell, outputs = graph.scan(body, [zeros, zeros], [gates, mask.transpose(1, 0).unsqueeze(2)])
        return (_reverse(outputs, lengths) if backward else outputs), final_hidden, final_cell

    def _write_memory(self, graph: Graph, states: Value, embedded: Value, mask: Value) -> None:
        options, prefix = self._config.attention, "decoder.attention."
        heads, size = options.heads, options.size or self._config.decoder.hidden_size
        values = states
        if heads > 1:
            values = states @ self._transposed(f"{prefix}value_projection.weight")
        graph.output(
            self._by_head(values, self._memory_size), "values", "float32",
            *("batch", heads, "source_length", self._memory_size // heads),
        )  # fmt: skip
        if self._additive:
            keys = states @ self._transposed(f"{prefix}score.key_projection.weight")
            graph.output(keys, "keys", "float32", "batch", "source_length", size)
        elif options.score == "general" or heads > 1:
            name = "projection" if options.score == "general" else "key_projection"
            size = self._config.decoder.hidden_size if options.score == "general" else size
            keys = self._by_head(states @ self._transposed(f"{prefix}score.{name}.weight"), size)
            graph.output(keys, "keys", "float32", "batch", heads, "source_length", size // heads)
        graph.output(mask, "mask", "bool", "batch", "source_length")
        if self._config.lexical_model:
            graph.output(embedded, "embeddings", "float32", "batch", "source_length", self._config.embedding_size)

    def _by_head(self, values: Value, size: int) -> Value:
        """Split features [B, T, A] among the heads: [B, N, T, A/N]."""
        heads = self._config.attention.heads
        if heads == 1:
            return values.unsqueeze(1)
        return values.reshape(0, 0, heads, size // heads).transpose(0, 2, 1, 3)

    def _write_state(self, graph: Graph, states: Value, finals: list[list[Value]], mask: Value, lengths: Value) -> None:
        """Write the initial state of the decoder, one row for each sentence."""
        options, size = self._config.decoder, self._config.decoder.hidden_size
        batch = lengths.shape(0, 1)
        zeros = _zeros(graph, batch, size)
        hidden = [zeros] * options.layers
        cells = [zeros] * options.layers
        if options.bridge in ("last", "last_with_cells"):
            hidden = [final[0] for final in finals]
            if options.bridge == "last_with_cells":
                cells = [final[-1] for final in finals]
        elif options.bridge != "zero":
            summary = finals[-1][0]  # [B, M]
            if options.bridge in ("mean", "learned_mean"):
                real = mask.cast("float32").unsqueeze(1)  # [B, 1, S]
                summary = (real @ states).apply("Squeeze", graph.integers(1)) / lengths.cast("float32").unsqueeze(1)
            hidden = [summary] * options.layers
            if options.bridge.startswith("learned_"):
                projected = self._linear(summary, "bridge.projection", bias=True).apply("Tanh")  # [B, L * H]
                hidden = projected.split(*[size] * options.layers)
        for level in range(options.layers):
            graph.output(hidden[level], f"hidden_{level}", "float32", "batch", size)
            if options.cell.endswith("lstm"):
                graph.output(cells[level], f"cell_{level}", "float32", "batch", size)
        attention = self._config.attention
        if self._feeds:
            graph.output(_zeros(graph, batch, self._output_size), "feed", "float32", "batch", self._output_size)
        if self._attends and attention.coverage:
            graph.output(mask.cast("float32") * 0.0, "coverage", "float32", "batch", "source_length")
        if self._attends and attention.scope == "local_m":
            graph.output(lengths * _scalar(0), "position", "int64", "batch")

    @property
    def _feeds(self) -> bool:
        return self._attends and self._config.attention.input_feeding

    # The step

    def step(self, encoder: Graph) -> Graph:
        """Return the graph of one step of a search, whose memory and state come from the graph `encoder`."""
        graph = Graph("step")
        ids = graph.input("ids", "int64", "rows")
        totals = graph.input("totals", "float32", "batch", "beam")
        count = graph.input("count", "int64", 1)
        memory = {
            name: graph.input(name, kind, *shape) for name, (kind, shape) in encoder.outputs.items() if name in MEMORY
        }
        state = {name: value for name, value in encoder.outputs.items() if name not in MEMORY}
        before = {name: graph.input(name, kind, "rows", *shape[1:]) for name, (kind, shape) in state.items()}
        embedded = self._embed(graph, "decoder", ids)  # [R, E]
        after, outputs, weights = self._decode(graph, embedded, before, MemoryValues(**memory), totals)
        logits = self._linear_by(outputs, self._output_matrix(), self._get("output.bias"))  # [R, V]
        self._write_best(graph, logits, totals, count)
        for name, (kind, shape) in state.items():
            graph.output(after[name], f"next_{name}", kind, "rows", *shape[1:])
        if weights is not None:
            graph.output(weights, "weights", "float32", "rows", "source_length")
        return graph

    def _output_matrix(self) -> NDArray[Any]:
        name = {"none": "output.weight", "two_way": "decoder.embeddings.table.weight"}.get(
            self._config.tying, "encoder.embeddings.table.weight"
        )
        matrix = self._get(name)
        if self._config.lexical_model and self._attends:
            matrix = np.concatenate([matrix, self._get("output.lexical_weight")], axis=1)  # [V, O + E]
        return matrix

    def _write_best(self, graph: Graph, logits: Value, totals: Value, count: Value) -> None:
        """Write the log-probabilities, and the continuations with the greatest totals."""
        size = len(self._get("output.bias"))
        log_probs = logits.apply("LogSoftmax", axis=1)  # [R, V]
        # The ids below EOS are not generated. So many more pieces of each row suffice.
        most = (count + graph.integers(EOS)).apply("Min", graph.integers(size))
        values, pieces = graph.add_all("TopK", log_probs, most, outputs=2, axis=1)  # [R, C'] each
        values = pieces.apply("Less", graph.integers(EOS)).apply("Where", _float(-np.inf), values)
        shape = graph.concat(totals.shape(0, 2), graph.integers(-1), axis=0)  # [B, K, C']
        flat = graph.concat(totals.shape(0, 1), graph.integers(-1), axis=0)  # [B, K * C']
        sums = (values.apply("Reshape", shape) + totals.unsqueeze(2)).apply("Reshape", flat)
        found = count.apply("Min", sums.shape(1, 2))
        _, best = graph.add_all("TopK", sums, found, outputs=2, axis=1)  # [B, C]
        for name, kind, source in (("log_probs", "float32", values), ("pieces", "int64", pieces)):
            chosen = source.apply("Reshape", flat).apply("GatherElements", best, axis=1)
            graph.output(chosen, f"best_{name}", kind, "batch", "continuations")
        graph.output(best / values.shape(1, 2), "best_rows", "int64", "batch", "continuations")
        graph.output(log_probs.apply("Gather", _scalar(EOS), axis=1), "eos", "float32", "rows")
        graph.output(log_probs, "log_probs", "float32", "rows", size)

    def _decode(
        self, graph: Graph, embedded: Value, before: dict[str, Value], memory: MemoryValues, totals: Value
    ) -> tuple[dict[str, Value], Value, Value | None]:
        """Return the state after the step, the inputs of the output layer, and the attention weights."""
        options, placement = self._config.decoder, self._config.attention.placement if self._attends else "top"
        after = dict(before)
        outputs, context, weights = embedded, None, None
        for level in range(options.layers):
            inputs = [outputs]
            if level == 0 and self._feeds:
                inputs.append(before["feed"])
            if level > 0 and placement == "bottom" and context is not None:
                inputs.append(context)
            names = [f"hidden_{level}", *([f"cell_{level}"] if options.cell.endswith("lstm") else [])]
            unit = self._unit(graph, f"layers.{level}", inputs, [before[name] for name in names])
            if level == 0 and placement == "conditional":
                context, weights = self._attend(graph, unit[0], before, after, memory, totals)
                unit = self._unit(graph, "second_transition", [context], unit)
            after |= dict(zip(names, unit, strict=True))
            residual = options.residual_from is not None and level + 1 >= options.residual_from
            outputs = unit[0] + outputs if residual else unit[0]
            if level == 0 and placement == "bottom":
                context, weights = self._attend(graph, outputs, before, after, memory, totals)
        if self._attends and context is None:
            context, weights = self._attend(graph, outputs, before, after, memory, totals)
        states = self._attentional_layer(graph, context, outputs, embedded)  # [R, O]
        if self._feeds:
            after["feed"] = states
        if self._config.lexical_model and weights is not None:
            states = graph.concat(states, self._lexical(graph, weights, memory, totals), axis=1)
        return after, states, weights

    def _unit(self, graph: Graph, name: str, inputs: list[Value], state: list[Value]) -> list[Value]:
        """Return the state of a recurrent unit [R, H] after one step; see `nmt.engine.units`."""
        options, prefix = self._config.decoder, f"decoder.{name}."
        size, hidden = options.hidden_size, state[0]
        if options.cell == "layer_norm_lstm":
            weight = np.concatenate([self._get(f"{prefix}weight_{part}") for part in ("ih", "hh")], axis=1)
            gates = graph.linear(graph.concat(*inputs, hidden, axis=1), weight)
            return list(self._lstm(gates, state[1], size, prefix=prefix))
        of_inputs, of_hidden, input_bias, hidden_bias = (
            self._get(f"{prefix}{part}_l0") for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        if options.cell == "gru":
            reset, update, new = graph.linear(graph.concat(*inputs, axis=1), of_inputs, input_bias).split(*[size] * 3)
            parts = graph.linear(hidden, of_hidden, hidden_bias).split(*[size] * 3)
            reset, update = (reset + parts[0]).apply("Sigmoid"), (update + parts[1]).apply("Sigmoid")
            new = (new + reset * parts[2]).apply("Tanh")
            return [new + update * (hidden - new)]
        joint = np.concatenate([of_inputs, of_hidden], axis=1)  # [G, I + H]
        gates = graph.linear(graph.concat(*inputs, hidden, axis=1), joint, input_bias + hidden_bias)
        if options.cell == "rnn":
            return [gates.apply("Tanh")]
        return list(self._lstm(gates, state[1], size))

    def _lstm(self, gates: Value, cell: Value, size: int, *, prefix: str | None = None) -> tuple[Value, Value]:
        """Return hidden state and cell from gates [R, 4 H] in the order input, forget, new, output.

        With a `prefix`, each gate and the cell are normalized by the parameters of that name.
        """
        if prefix is not None:
            whole = [self._get(f"{prefix}gate_{name}") for name in ("gain", "bias")]
            gates = _normalize(gates.reshape(0, 4, size)).reshape(0, 4 * size) * whole[0] + whole[1]
        into, forget, new, out = gates.split(*[size] * 4)
        cell = forget.apply("Sigmoid") * cell + into.apply("Sigmoid") * new.apply("Tanh")
        shown = cell
        if prefix is not None:
            gain, bias = (self._get(f"{prefix}cell_{name}") for name in ("gain", "bias"))
            shown = _normalize(cell) * gain + bias
        return out.apply("Sigmoid") * shown.apply("Tanh"), cell

    def _attend(
        self,
        graph: Graph,
        queries: Value,
        before: dict[str, Value],
        after: dict[str, Value],
        memory: MemoryValues,
        totals: Value,
    ) -> tuple[Value, Value]:
        """Return contexts [R, M] and weights [R, S] of queries [R, H], and update the attention's state."""
        assert memory.values is not None
        assert memory.mask is not None
        scores = self._scores(graph, queries, before.get("coverage"), memory, totals)  # [B, N, K, S]
        visible, factors = self._visible(graph, queries, before.get("position"), memory.mask, totals)
        weights = visible.apply("Where", scores, _float(-np.inf)).apply("Softmax", axis=-1)
        weights = weights if factors is None else weights * factors
        contexts = weights @ memory.values  # [B, N, K, M/N]
        if self._config.attention.heads > 1:
            contexts = contexts.transpose(0, 2, 1, 3)
            weights = weights.apply("ReduceMean", axes=[1], keepdims=1)  # [B, 1, K, S]
        width = graph.concat(graph.integers(-1), memory.mask.shape(1, 2), axis=0)
        weights = weights.apply("Reshape", width)  # [R, S]
        if "coverage" in before:
            after["coverage"] = before["coverage"] + weights
        if "position" in before:
            after["position"] = before["position"] + _scalar(1)
        return contexts.reshape(-1, self._context_size), weights

    def _by_sentence(self, graph: Graph, values: Value, totals: Value, *more: int) -> Value:
        """Return values [R, ...] as [B, K, ...]."""
        return values.apply("Reshape", graph.concat(totals.shape(0, 2), graph.integers(*more), axis=0))

    def _scores(
        self, graph: Graph, queries: Value, coverage: Value | None, memory: MemoryValues, totals: Value
    ) -> Value:
        """Return the scores [B, N, K, S]."""
        options, prefix = self._config.attention, "decoder.attention.score."
        hidden_size = self._config.decoder.hidden_size
        heads, size = options.heads, options.size or hidden_size
        if self._additive:
            assert memory.keys is not None
            projected = self._linear(queries, f"{prefix}query_projection", bias=options.score == "additive")
            features = self._by_sentence(graph, projected, totals, 1, size) + memory.keys.unsqueeze(1)  # [B, K, S, A]
            if coverage is not None:
                covered = self._by_sentence(graph, coverage, totals, -1, 1)  # [B, K, S, 1]
                features = features + covered * self._get(f"{prefix}coverage_vector.weight")[0]
            part = np.arange(size) // (size // heads) == np.arange(heads)[:, None]  # [N, A]
            vectors = np.where(part, self._get(f"{prefix}vector.weight"), np.float32(0)).T  # [A, N]
            return (features.apply("Tanh") @ np.ascontiguousarray(vectors)).transpose(0, 3, 1, 2)
        if options.score != "general" and heads > 1:
            queries = self._linear(queries, f"{prefix}query_projection")
            if options.score == "scaled_dot":
                queries = queries * (size // heads) ** -0.5
            hidden_size = size
        elif options.score == "scaled_dot":
            queries = queries * self._memory_size**-0.5
        by_head = self._by_head(self._by_sentence(graph, queries, totals, -1), hidden_size)  # [B, N, K, A/N]
        keys = memory.keys or memory.values
        assert keys is not None
        return by_head @ keys.transpose(0, 1, 3, 2)

    def _visible(
        self, graph: Graph, queries: Value, position: Value | None, mask: Value, totals: Value
    ) -> tuple[Value, Value | None]:
        """Return which positions each query may attend to [B, 1 or N, 1 or K, S], and factors of the weights."""
        options = self._config.attention
        seen = mask.unsqueeze(1, 2)  # [B, 1, 1, S]
        if options.scope == "global":
            return seen, None
        lengths = mask.cast("int64").apply("ReduceSum", graph.integers(1), keepdims=0)  # [B]
        positions = graph.add("Range", _scalar(0), mask.shape(1, 2).apply("Squeeze"), _scalar(1))
        positions = positions.cast("float32")  # [S]
        lengths = lengths.cast("float32").unsqueeze(1, 2)  # [B, 1, 1]
        if options.scope == "local_m":
            assert position is not None
            centers = self._by_sentence(graph, position.cast("float32"), totals).unsqueeze(1)  # [B, 1, K]
            centers = centers.apply("Min", lengths + float(options.window - 1))
            distances = positions - centers.unsqueeze(3)  # [B, 1, K, S]
            near = distances.apply("Abs").apply("LessOrEqual", float(options.window))
            return near.apply("And", seen), None
        prefix = "decoder.attention.window."
        logits = self._linear(self._linear(queries, f"{prefix}projection").apply("Tanh"), f"{prefix}vector")  # [R, N]
        logits = self._by_sentence(graph, logits, totals, options.heads).transpose(0, 2, 1)  # [B, N, K]
        distances = positions - (logits.apply("Sigmoid") * lengths).unsqueeze(3)  # [B, N, K, S]
        near = distances.apply("Abs").apply("LessOrEqual", float(options.window))
        factors = (distances * distances * (-2 / options.window**2)).apply("Exp")
        return near.apply("And", seen), factors

    def _attentional_layer(self, graph: Graph, context: Value | None, hidden: Value, embedded: Value) -> Value:
        """Return the attentional states [R, O]."""
        kind, prefix = self._config.decoder.output, "decoder.attentional_layer."
        others = [hidden, embedded] if kind == "deep" else [hidden]
        weight = self._get(f"{prefix}weight")
        bias = self._get(f"{prefix}bias") if kind == "deep" else None
        if context is None or not self._config.attention.context_gate:
            combined = self._linear_by(graph.concat(*([context] if context else []), *others, axis=1), weight, bias)
        else:
            every = graph.concat(context, hidden, embedded, axis=1)
            gate = self._linear(every, f"{prefix}gate", bias=True).apply("Sigmoid")
            rest = self._linear_by(
                graph.concat(*others, axis=1), np.ascontiguousarray(weight[:, self._context_size :]), bias
            )
            of_context = self._linear_by(context, np.ascontiguousarray(weight[:, : self._context_size]), None)
            combined = rest + gate * (of_context - rest)
        return combined if kind == "linear" else combined.apply("Tanh")

    def _lexical(self, graph: Graph, weights: Value, memory: MemoryValues, totals: Value) -> Value:
        """Return the lexical states [R, E]."""
        assert memory.embeddings is not None
        attended = self._by_sentence(graph, weights, totals, -1) @ memory.embeddings  # [B, K, E]
        average = attended.reshape(-1, self._config.embedding_size).apply("Tanh")
        return self._linear(average, "lexical_model.projection").apply("Tanh") + average

    def _linear(self, value: Value, name: str, *, bias: bool = False) -> Value:
        return self._linear_by(value, self._get(f"{name}.weight"), self._get(f"{name}.bias") if bias else None)

    def _linear_by(self, value: Value, weight: NDArray[Any], bias: NDArray[Any] | None) -> Value:
        return value.graph.linear(value, weight, bias)

    def _transposed(self, name: str) -> NDArray[Any]:
        return np.ascontiguousarray(self._get(name).T)


def _gates(values: NDArray[Any], cell: str) -> NDArray[Any]:
    """Return gates [G, ...] in the order of ONNX."""
    parts = np.split(values, len(GATES[cell]))
    return np.concatenate([parts[index] for index in GATES[cell]])


def _normalize(values: Value) -> Value:
    """Return (v - mean) / sqrt(variance + epsilon) over the last axis."""
    centered = values - values.apply("ReduceMean", axes=[-1], keepdims=1)
    variance = (centered * centered).apply("ReduceMean", axes=[-1], keepdims=1)
    return centered / (variance + EPSILON).apply("Sqrt")


def _reverse(values: Value, lengths: Value) -> Value:
    """Reverse values [S, B, ...] within lengths [B]."""
    return values.apply("ReverseSequence", lengths, time_axis=0, batch_axis=1)


def _zeros(graph: Graph, batch: Value, size: int) -> Value:
    """Return zeros [B, size]."""
    return graph.concat(batch, graph.integers(size), axis=0).apply("ConstantOfShape")


def _scalar(value: int) -> NDArray[Any]:
    return np.array(value, dtype=np.int64)


def _float(value: float) -> NDArray[Any]:
    return np.array(value, dtype=np.float32)
