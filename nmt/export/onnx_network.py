"""The networks of a model as ONNX graphs. The equations are those of `nmt.engine`.

B sentences, K hypotheses per sentence, R = B x K rows, S source length, E embedding size, H hidden size, M memory size,
A key size, N heads, O output size, D directions, G gate features, V vocabulary, U allowed pieces, C continuations.

With 8 bits, the matrices of the decoder are stored as whole numbers with a scale for each output feature, and the
inputs of a product are rounded to 255 levels. A sentence must not depend on the others of its batch, so the levels do
not depend on the batch either: they cover the bound of each input (1 for a hidden state), or the largest value of the
row.
The encoder computes in 32 bits, because its operators would choose the levels for the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from nmt.config.schema import ModelConfig
from nmt.data.special_tokens import EOS
from nmt.engine.onnx_runtime import ALL, BLOCKS, COLUMNS, MEMORY, NOTHING, OWN_LOGITS, piece_axis
from nmt.engine.units import EPSILON
from nmt.export.onnx_graph import RUNTIME_DOMAIN, Graph, Value

Parameters = Callable[[str], NDArray[Any]]
"""Returns a parameter by its name in the model file, in float32."""
SequenceOperators = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
"""The order of the gates in ONNX, as indices of their order in the model file."""
LEVELS = 127
"""Largest number of a weight in 8 bits. Inputs are stored as 128 plus a number of this range."""
ZERO = 128
TINY = 1e-9
"""Smallest largest value of a row."""


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


MANY_ROWS = 16
"""From this number of rows on, a search in blocks finds the best continuations faster."""
RESULTS: dict[str, tuple[str, list[int | str]]] = {
    "log_probs": ("float32", ["rows", "pieces"]),
    "best_log_probs": ("float32", ["batch", "continuations"]),
    "best_rows": ("int64", ["batch", "continuations"]),
    "best_pieces": ("int64", ["batch", "continuations"]),
    "eos": ("float32", ["rows"]),
}
"""Types and shapes of the results of the output layer."""


class NetworkGraphs(NamedTuple):
    """The graphs of a network."""

    encoder: Graph
    """From source ids to the memory, one row for each sentence, and the initial state."""
    step: Graph
    """One step of a search. It returns each tensor of the state under the name `next_...`."""
    output: Graph
    """The output layer of some pieces, whose arrays are inputs."""
    output_layer: dict[str, NDArray[Any]]
    """The arrays of all pieces."""


def build_graphs(config: ModelConfig, parameters: Parameters, *, int8: bool = False) -> NetworkGraphs:
    """Return the graphs of a network.

    Args:
        config: The section `model` of the configuration.
        parameters: The parameters.
        int8: Whether the decoder computes in 8 bits.
    """
    exporter = NetworkExporter(config, parameters, int8=int8)
    encoder = exporter.encoder()
    return NetworkGraphs(encoder, exporter.step(encoder), exporter.output(), exporter.output_layer)


class NetworkExporter:
    """Builds the graphs of a network."""

    def __init__(self, config: ModelConfig, parameters: Parameters, *, int8: bool) -> None:
        """Take the section `model` of the configuration, the parameters, and whether to compute in 8 bits."""
        self._config = config
        self._get = parameters
        self._int8 = int8
        self._quantized: dict[tuple[Graph, str], Value] = {}
        self._tables: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
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
        self._memory_bound: NDArray[np.float32] | None = None
        self.output_layer = self._output_arrays()

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
        states.bound = embedded.bound
        finals = []
        for level in range(options.layers):
            outputs, final = self._source_layer(graph, level, states, lengths, mask)
            outputs.bound = np.ones(options.hidden_size * (2 if level < self._both_layers else 1), np.float32)
            if options.residual_from is not None and level + 1 >= options.residual_from:
                outputs = _sum(outputs, states)
            states = outputs
            finals.append(final)
        self._memory_bound = states.bound
        states = (_reverse(states, order) if options.reversed else states).transpose(1, 0, 2)  # [B, S, M]
        if self._attends:
            self._write_memory(graph, states, embedded.transpose(1, 0, 2), mask)
        self._write_state(graph, states, finals, mask, lengths)
        return graph

    def _embed(self, graph: Graph, side: str, ids: Value) -> Value:
        """Return the embeddings [..., E] of ids [...]."""
        if self._config.tying == "three_way":
            side = "encoder"
        name = f"{side}.embeddings.table.weight"
        if not self._int8:
            embedded = graph.add("Gather", self._get(name), ids)
            return embedded if self._scale == 1 else embedded * self._scale
        if name not in self._tables:
            table = self._get(name) * np.float32(self._scale)
            scale = _scales(table, axis=0)  # [E]
            self._tables[name] = _levels(table, scale), scale
        table, scale = self._tables[name]
        levels = graph.add("Gather", table, ids)  # [..., E], uint8
        embedded = levels.apply("Cast", to=onnx.TensorProto.FLOAT) - float(ZERO)
        embedded = embedded * scale
        embedded.bound = scale * np.float32(LEVELS)
        self._quantized[graph, embedded.name] = levels
        return embedded

    def _source_layer(
        self, graph: Graph, level: int, inputs: Value, lengths: Value, mask: Value
    ) -> tuple[Value, list[Value]]:
        """Return the outputs [S, B, D * H], and the final hidden states and cells [B, D * H]."""
        options = self._config.encoder
        both = level < self._both_layers
        backward = not both and options.alternating and level % 2 == 1
        names = ("forward", "backward") if both else ("backward",) if backward else ("forward",)
        prefixes = [f"encoder.layers.{level}.{name}_cell." for name in names]
        if options.cell == "layer_norm_lstm" or (options.cell == "lstm" and self._int8):
            found = [
                self._step_by_step(graph, prefix, inputs, lengths, mask, backward=name == "backward")
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

    def _step_by_step(
        self, graph: Graph, prefix: str, inputs: Value, lengths: Value, mask: Value, *, backward: bool
    ) -> tuple[Value, Value, Value]:
        """Return outputs [S, B, H], final hidden states and cells [B, H] of a layer for which there is no operator."""
        size = self._config.encoder.hidden_size
        normalized = self._config.encoder.cell == "layer_norm_lstm"
        suffix = "" if normalized else "_l0"
        of_inputs, of_hidden = (self._get(f"{prefix}{name}{suffix}") for name in ("weight_ih", "weight_hh"))
        bias = None if normalized else self._get(f"{prefix}bias_ih_l0") + self._get(f"{prefix}bias_hh_l0")
        if self._int8:
            gates = self._product(graph, [inputs], of_inputs, bias)  # [S, B, 4 H]
        else:
            gates = inputs @ np.ascontiguousarray(of_inputs.T)  # the LSTM with normalization has no bias
        if backward:
            gates = _reverse(gates, lengths)
        body = Graph(f"{prefix.replace('.', '_')}body", outer=graph)
        hidden, cell = (body.input(body.name + name, "float32", "batch", size) for name in ("hidden", "cell"))
        now = body.input(f"{body.name}gates", "float32", "batch", 4 * size)
        real = body.input(f"{body.name}real", "bool", "batch", 1)
        hidden.bound = np.ones(size, np.float32)
        summed = now + self._product(body, [hidden], of_hidden, None)
        after = self._lstm(summed, cell, size, prefix=prefix if normalized else None)
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
                projected = graph.linear(
                    summary, self._get("bridge.projection.weight"), self._get("bridge.projection.bias")
                ).apply("Tanh")  # [B, L * H]
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
        for name, value in before.items():
            if name.startswith("hidden") or (name == "feed" and self._config.decoder.output != "linear"):
                value.bound = np.ones(int(state[name][1][-1]), np.float32)
        embedded = self._embed(graph, "decoder", ids)  # [R, E]
        after, parts, weights = self._decode(graph, embedded, before, MemoryValues(**memory), totals)
        outputs = graph.concat(*parts, axis=1)
        for name, (kind, shape) in state.items():
            graph.output(after[name], f"next_{name}", kind, "rows", *shape[1:])
        graph.output(outputs, "outputs", "float32", "rows", sum(self._output_sizes))
        if weights is not None:
            graph.output(weights, "weights", "float32", "rows", "source_length")
        self._write_results(
            graph, lambda body: self._product(body, list(map(body.outside, parts)), None, None), totals, count
        )
        return graph

    # The output layer

    def output(self) -> Graph:
        """Return the graph of the output layer of some pieces."""
        graph = Graph("output")
        outputs = graph.input("outputs", "float32", "rows", sum(self._output_sizes))
        count = graph.input("count", "int64", 1)
        arrays = {}
        for name, array in self.output_layer.items():
            shape: list[int | str] = list(array.shape)
            shape[piece_axis(array)] = "pieces"
            arrays[name] = graph.input(name, str(array.dtype), *shape)
        parts = outputs.split(*self._output_sizes) if len(self._output_sizes) > 1 else [outputs]
        for part, bound in zip(parts, self._output_bounds, strict=True):
            part.bound = bound
        logits = self._product(graph, parts, arrays, None)  # [R, U]
        graph.output(logits, "logits", "float32", "rows", "pieces")
        columns = graph.input(COLUMNS, "int64", "rows", "own_pieces")
        graph.output(logits.apply("GatherElements", columns, axis=1), OWN_LOGITS, "float32", "rows", "own_pieces")
        every, nothing = (Graph(f"{graph.name}_{name}", outer=graph) for name in ("all", "nothing"))
        _write_case(every, {"log_probs": every.outside(logits).apply("LogSoftmax", axis=1)}, ["log_probs"])
        _write_case(nothing, {}, ["log_probs"])
        (log_probs,) = graph.choose(count.apply("Equal", graph.integers(ALL)), every, nothing)
        kind, shape = RESULTS["log_probs"]
        graph.output(log_probs, "log_probs", kind, *shape)
        return graph

    @property
    def _output_sizes(self) -> list[int]:
        """The sizes of the inputs of the output layer: attentional states, and lexical states."""
        lexical = self._config.lexical_model and self._attends
        return [self._output_size, *([self._config.embedding_size] if lexical else [])]

    @property
    def _output_bounds(self) -> list[NDArray[np.float32] | None]:
        sizes = self._output_sizes
        bounds: list[NDArray[np.float32] | None] = [np.ones(sizes[0], np.float32)]
        if self._config.decoder.output == "linear":
            bounds = [None]
        return bounds + [np.full(size, 2, np.float32) for size in sizes[1:]]  # the sum of two tanh

    def _output_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the output layer of all pieces, and of some that are never generated."""
        name = {"none": "output.weight", "two_way": "decoder.embeddings.table.weight"}.get(
            self._config.tying, "encoder.embeddings.table.weight"
        )
        matrix, bias = self._get(name), self._get("output.bias")
        if len(self._output_sizes) > 1:
            matrix = np.concatenate([matrix, self._get("output.lexical_weight")], axis=1)  # [V, O + E]
        more = -len(bias) % BLOCKS
        if more:
            matrix = np.concatenate([matrix, np.zeros((more, matrix.shape[1]), np.float32)])
            bias = np.concatenate([bias, np.full(more, -np.inf, np.float32)])
        if not self._int8:
            return {"weight": matrix, "bias": bias}  # [V', O], [V']
        levels, scale = _quantized_matrix(matrix, self._output_bounds)
        return {"levels": levels, "scale": scale, "bias": bias}  # [O, V'], [V'], [V']

    def _write_results(self, graph: Graph, logits: Callable[[Graph], Value], totals: Value, count: Value) -> None:
        """Write the best continuations of logits, or all log-probabilities, or neither.

        Args:
            graph: The graph.
            logits: Computes them in a body [R, V'].
            totals: [B, K]
            count: C [1]; ALL and NOTHING are the other two cases. The outputs of a case that is not wanted are empty.
        """
        nothing, some, every, best = (
            Graph(f"{graph.name}_{name}", outer=graph) for name in ("nothing", "some", "all", "best")
        )
        _write_case(nothing, {})
        log_probs = logits(some).apply("LogSoftmax", axis=1)
        _write_case(every, {"log_probs": every.outside(log_probs).apply("Identity")})
        inner = best.outside(log_probs), best.outside(totals), best.outside(count)
        few, many = (Graph(f"{graph.name}_{name}", outer=best) for name in ("few", "many"))
        _write_case(few, self._best(few, *map(few.outside, inner)))
        _write_case(many, self._best_blockwise(many, *map(many.outside, inner)))
        is_few = inner[0].shape(0, 1).apply("Less", best.integers(MANY_ROWS))
        _write_case(best, dict(zip(RESULTS, best.choose(is_few, few, many), strict=True)))
        wants_all = some.outside(count).apply("Equal", some.integers(ALL))
        _write_case(some, dict(zip(RESULTS, some.choose(wants_all, every, best), strict=True)))
        found = graph.choose(count.apply("Equal", graph.integers(NOTHING)), nothing, some)
        for (name, (kind, shape)), value in zip(RESULTS.items(), found, strict=True):
            graph.output(value, name, kind, *shape)

    def _best(self, graph: Graph, log_probs: Value, totals: Value, count: Value) -> dict[str, Value]:
        """Return the continuations with the greatest totals, given log-probabilities [R, V]."""
        # The ids below EOS are not generated. So many more pieces of each row suffice.
        most = (count + graph.integers(EOS)).apply("Min", log_probs.shape(1, 2))
        values, pieces = graph.add_all("TopK", log_probs, most, outputs=2, axis=1)  # [R, C'] each
        values = pieces.apply("Less", graph.integers(EOS)).apply("Where", _float(-np.inf), values)
        flat = graph.concat(totals.shape(0, 1), graph.integers(-1), axis=0)  # [B, K * C']
        sums = (self._by_sentence(graph, values, totals, -1) + totals.unsqueeze(2)).apply("Reshape", flat)
        found = count.apply("Min", sums.shape(1, 2))
        _, best = graph.add_all("TopK", sums, found, outputs=2, axis=1)  # [B, C]
        return {
            "best_log_probs": values.apply("Reshape", flat).apply("GatherElements", best, axis=1),
            "best_rows": best / values.shape(1, 2),
            "best_pieces": pieces.apply("Reshape", flat).apply("GatherElements", best, axis=1),
            "eos": log_probs.apply("Gather", _scalar(EOS), axis=1),
        }

    def _best_blockwise(self, graph: Graph, log_probs: Value, totals: Value, count: Value) -> dict[str, Value]:
        """Return what `_best` returns, found in a way that is faster for many rows; see `top_k_of_sums`.

        The best continuations lie in the blocks with the greatest maxima. Block n has the columns n, n + N, n + 2 N and
        so on. An id below EOS can make one block too great, in each row and for each id.
        """
        width = log_probs.shape(1, 2)  # V'
        blocks = width / graph.integers(BLOCKS)  # N
        maxima = log_probs.reshape(0, BLOCKS, -1).apply("ReduceMax", axes=[1], keepdims=0)  # [R, N]
        flat = graph.concat(totals.shape(0, 1), graph.integers(-1), axis=0)
        of_blocks = (self._by_sentence(graph, maxima, totals, -1) + totals.unsqueeze(2)).apply("Reshape", flat)
        wanted = count + totals.shape(1, 2) * graph.integers(EOS)  # C + 3 K
        wanted = wanted.apply("Min", of_blocks.shape(1, 2))
        _, chosen = graph.add_all("TopK", of_blocks, wanted, outputs=2, axis=1)  # [B, C']
        row = (chosen / blocks).unsqueeze(2)  # [B, C', 1]
        column = chosen.unsqueeze(2) - row * blocks + blocks * np.arange(BLOCKS)  # [B, C', n]
        places = (row * width + column).apply("Reshape", flat)  # [B, C' * n]
        values = log_probs.apply("Reshape", flat).apply("GatherElements", places, axis=1)
        rows = places / width
        pieces = places - rows * width
        values = pieces.apply("Less", graph.integers(EOS)).apply("Where", _float(-np.inf), values)
        sums = values + totals.apply("GatherElements", rows, axis=1)
        found = count.apply("Min", sums.shape(1, 2))
        _, best = graph.add_all("TopK", sums, found, outputs=2, axis=1)  # [B, C]
        return {
            "best_log_probs": values.apply("GatherElements", best, axis=1),
            "best_rows": rows.apply("GatherElements", best, axis=1),
            "best_pieces": pieces.apply("GatherElements", best, axis=1),
            "eos": log_probs.apply("Gather", _scalar(EOS), axis=1),
        }

    def _decode(
        self, graph: Graph, embedded: Value, before: dict[str, Value], memory: MemoryValues, totals: Value
    ) -> tuple[dict[str, Value], list[Value], Value | None]:
        """Return the state after the step, the inputs of the output layer [R, O], and the attention weights [R, S]."""
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
            outputs = _sum(unit[0], outputs) if residual else unit[0]
            if level == 0 and placement == "bottom":
                context, weights = self._attend(graph, outputs, before, after, memory, totals)
        if self._attends and context is None:
            context, weights = self._attend(graph, outputs, before, after, memory, totals)
        states = self._attentional_layer(graph, context, outputs, embedded)  # [R, O]
        if self._feeds:
            after["feed"] = states
        parts = [states]
        if self._config.lexical_model and weights is not None:
            parts.append(self._lexical(graph, weights, memory, totals))
        return after, parts, weights

    def _unit(self, graph: Graph, name: str, inputs: list[Value], state: list[Value]) -> list[Value]:
        """Return the state of a recurrent unit [R, H] after one step; see `nmt.engine.units`."""
        options, prefix = self._config.decoder, f"decoder.{name}."
        size, hidden = options.hidden_size, state[0]
        if options.cell == "layer_norm_lstm":
            weight = np.concatenate([self._get(f"{prefix}weight_{part}") for part in ("ih", "hh")], axis=1)
            gates = self._product(graph, [*inputs, hidden], weight, None)
            return _bounded(self._lstm(gates, state[1], size, prefix=prefix), size)
        of_inputs, of_hidden, input_bias, hidden_bias = (
            self._get(f"{prefix}{part}_l0") for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        if options.cell == "gru":
            reset, update, new = self._product(graph, inputs, of_inputs, input_bias).split(*[size] * 3)
            parts = self._product(graph, [hidden], of_hidden, hidden_bias).split(*[size] * 3)
            reset, update = (reset + parts[0]).apply("Sigmoid"), (update + parts[1]).apply("Sigmoid")
            new = (new + reset * parts[2]).apply("Tanh")
            return _bounded([new + update * (hidden - new)], size)
        joint = np.concatenate([of_inputs, of_hidden], axis=1)  # [G, I + H]
        gates = self._product(graph, [*inputs, hidden], joint, input_bias + hidden_bias)
        if options.cell == "rnn":
            return _bounded([gates.apply("Tanh")], size)
        return _bounded(self._lstm(gates, state[1], size), size)

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
        context = contexts.reshape(-1, self._context_size)
        if self._config.attention.heads == 1:
            context.bound = self._memory_bound  # a mean of the memory's states
        return context, weights

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
            projected = self._linear([queries], f"{prefix}query_projection", bias=options.score == "additive")
            features = self._by_sentence(graph, projected, totals, 1, size) + memory.keys.unsqueeze(1)  # [B, K, S, A]
            if coverage is not None:
                covered = self._by_sentence(graph, coverage, totals, -1, 1)  # [B, K, S, 1]
                features = features + covered * self._get(f"{prefix}coverage_vector.weight")[0]
            part = np.arange(size) // (size // heads) == np.arange(heads)[:, None]  # [N, A]
            vectors = np.where(part, self._get(f"{prefix}vector.weight"), np.float32(0)).T  # [A, N]
            return (features.apply("Tanh") @ np.ascontiguousarray(vectors)).transpose(0, 3, 1, 2)
        if options.score != "general" and heads > 1:
            queries = self._linear([queries], f"{prefix}query_projection")
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
        hidden = self._linear([queries], f"{prefix}projection").apply("Tanh")
        hidden.bound = np.ones(self._config.decoder.hidden_size, np.float32)
        logits = self._linear([hidden], f"{prefix}vector")  # [R, N]
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
            combined = self._product(graph, [*([context] if context else []), *others], weight, bias)
        else:
            gate = self._linear([context, hidden, embedded], f"{prefix}gate", bias=True).apply("Sigmoid")
            rest = self._product(graph, others, weight[:, self._context_size :], bias)
            of_context = self._product(graph, [context], weight[:, : self._context_size], None)
            combined = rest + gate * (of_context - rest)
        if kind == "linear":
            return combined
        states = combined.apply("Tanh")
        states.bound = np.ones(self._output_size, np.float32)
        return states

    def _lexical(self, graph: Graph, weights: Value, memory: MemoryValues, totals: Value) -> Value:
        """Return the lexical states [R, E]."""
        assert memory.embeddings is not None
        attended = self._by_sentence(graph, weights, totals, -1) @ memory.embeddings  # [B, K, E]
        size = self._config.embedding_size
        average = attended.reshape(-1, size).apply("Tanh")
        average.bound = np.ones(size, np.float32)
        states = self._linear([average], "lexical_model.projection").apply("Tanh") + average
        states.bound = np.full(size, 2, np.float32)
        return states

    def _linear(self, inputs: list[Value], name: str, *, bias: bool = False) -> Value:
        weight, offset = self._get(f"{name}.weight"), self._get(f"{name}.bias") if bias else None
        return self._product(inputs[0].graph, inputs, weight, offset)

    def _product(
        self,
        graph: Graph,
        inputs: list[Value],
        weight: NDArray[Any] | dict[str, Value] | None,
        bias: NDArray[Any] | None,
    ) -> Value:
        """Return W x + b [R, O] of inputs [R, I'] that are concatenated.

        Args:
            graph: The graph of the inputs.
            inputs: The inputs.
            weight: W [O, I], or the arrays of the output layer as inputs of the graph. None: the output layer of all
                pieces.
            bias: b [O]. None: no bias, or that of the output layer.
        """
        bounds = [each.bound for each in inputs]
        arrays: dict[str, Any]
        if isinstance(weight, np.ndarray):
            arrays = {"bias": bias}
            if self._int8:
                arrays["levels"], arrays["scale"] = _quantized_matrix(weight, bounds)
            else:
                arrays["weight"] = np.ascontiguousarray(weight)
        else:
            arrays = self.output_layer if weight is None else weight
        if not self._int8:
            rest = [] if arrays["bias"] is None else [arrays["bias"]]
            return graph.add("Gemm", graph.concat(*inputs, axis=1), arrays["weight"], *rest, transB=1)
        if all(bound is not None for bound in bounds):
            levels = graph.concat(*(self._as_levels(each) for each in inputs), axis=-1)  # [R, I], uint8
            return _integer_product(levels, arrays, _float(1), arrays["bias"])
        whole = graph.concat(*inputs, axis=-1)
        largest = whole.apply("Abs").apply("ReduceMax", axes=[-1], keepdims=1).apply("Max", _float(TINY))  # [R, 1]
        levels = (whole / largest).apply("QuantizeLinear", _float(1 / LEVELS), _zero())
        product = _integer_product(levels, arrays, _float(1 / LEVELS), None) * largest
        return product if arrays["bias"] is None else product + arrays["bias"]

    def _as_levels(self, value: Value) -> Value:
        """Return a value [R, I] as whole numbers of 8 bits; see `_levels`."""
        key = value.graph, value.name
        if key not in self._quantized:
            assert value.bound is not None
            largest = float(value.bound.max())
            if value.bound.min() < largest:
                value = value * (largest / value.bound)
            scale = _float(largest / LEVELS)
            self._quantized[key] = value.apply("QuantizeLinear", scale, _zero())
        return self._quantized[key]

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


def _zero() -> NDArray[Any]:
    return np.array(ZERO, dtype=np.uint8)


def _sum(first: Value, second: Value) -> Value:
    """Return a sum with its bound."""
    total = first + second
    if first.bound is not None and second.bound is not None:
        total.bound = first.bound + second.bound
    return total


def _bounded(values: Sequence[Value], size: int) -> list[Value]:
    """Return the state of a recurrent unit, whose hidden state is between -1 and 1."""
    values[0].bound = np.ones(size, np.float32)
    return list(values)


def _scales(values: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """Return the difference of two levels that cover the values along an axis."""
    scales: NDArray[np.float32] = np.abs(values).max(axis=axis) / np.float32(LEVELS)
    scales[scales == 0] = 1
    return scales


def _levels(values: NDArray[Any], scales: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return values as ZERO + round(value / scale)."""
    return (np.rint(values / scales) + ZERO).astype(np.uint8)


def _quantized_matrix(
    matrix: NDArray[Any], bounds: Sequence[NDArray[np.float32] | None]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a matrix [O, I] in 8 bits [I, O], and the scale of each output [O].

    Args:
        matrix: The matrix.
        bounds: The bound of each part of the inputs, whose sizes sum to I. Their levels are products with
            bound / LEVELS. If one is None, the levels of all inputs are products with 1.
    """
    if all(bound is not None for bound in bounds):
        matrix = matrix * (np.concatenate(bounds) / np.float32(LEVELS))  # type: ignore[arg-type]
    scales = _scales(matrix, axis=1)  # [O]
    return np.ascontiguousarray(np.rint(matrix / scales[:, None]).astype(np.int8).T), scales


def _integer_product(levels: Value, arrays: dict[str, Any], scale: NDArray[Any], bias: Any) -> Value:
    """Return the product [R, O] of levels [R, I] and a matrix in 8 bits, which is scaled and added to a bias."""
    return levels.graph.add(
        "MatMulIntegerToFloat",
        *(levels, arrays["levels"], scale, arrays["scale"], _zero(), None),
        *([] if bias is None else [bias]),
        domain=RUNTIME_DOMAIN,
    )


def _write_case(body: Graph, values: dict[str, Value], names: Iterable[str] = RESULTS) -> None:
    """Write the outputs of a body; those that it does not have are empty."""
    for name in names:
        kind, shape = RESULTS[name]
        value = values.get(name)
        if value is None:
            empty = np.zeros([0] * len(shape), kind)
            value = body.constant(empty).apply("Identity")
        body.output(value, f"{body.name}_{name}", kind, *shape)
