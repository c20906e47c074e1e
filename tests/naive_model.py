"""The papers' equations, one sentence, one position and one vector at a time. Shares only weights with the package."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.config.schema import ModelConfig
from nmt.model import Seq2Seq


class Moment(NamedTuple):
    """A layer's hidden state and memory cell."""

    hidden: Tensor
    cell: Tensor


def normed(vector: Tensor) -> Tensor:
    mean = vector.sum() / len(vector)
    variance = ((vector - mean) ** 2).sum() / len(vector)
    return (vector - mean) / torch.sqrt(variance + 1e-5)


def transition(kind: str, cell: Any, x: Tensor, last: Moment, kept: Tensor | None = None) -> Moment:
    """One position of a recurrent cell; `kept` multiplies the state that the gates see."""
    h = last.hidden if kept is None else last.hidden * kept
    size = len(h)
    if kind == "layer_norm_lstm":
        gates = [
            gain * normed(w @ x + u @ h) + bias
            for w, u, gain, bias in zip(
                *(value.split(size) for value in (cell.weight_ih, cell.weight_hh, cell.gate_gain, cell.gate_bias)),
                strict=True,
            )
        ]
        i, f, g, o = torch.sigmoid(gates[0]), torch.sigmoid(gates[1]), torch.tanh(gates[2]), torch.sigmoid(gates[3])
        memory = f * last.cell + i * g
        return Moment(o * torch.tanh(cell.cell_gain * normed(memory) + cell.cell_bias), memory)
    ours = [w @ x + b for w, b in zip(cell.weight_ih_l0.split(size), cell.bias_ih_l0.split(size), strict=True)]
    past = [u @ h + d for u, d in zip(cell.weight_hh_l0.split(size), cell.bias_hh_l0.split(size), strict=True)]
    if kind == "rnn":
        return Moment(torch.tanh(ours[0] + past[0]), last.cell)
    if kind == "gru":
        r, z = torch.sigmoid(ours[0] + past[0]), torch.sigmoid(ours[1] + past[1])
        n = torch.tanh(ours[2] + r * past[2])
        return Moment((1 - z) * n + z * last.hidden, last.cell)
    i, f, o = (torch.sigmoid(ours[k] + past[k]) for k in (0, 1, 3))
    memory = f * last.cell + i * torch.tanh(ours[2] + past[2])
    return Moment(o * torch.tanh(memory), memory)


def nothing(size: int) -> Moment:
    return Moment(torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64))


class NaiveModel:
    """Computes what a network of one configuration should, for attention with one global head."""

    def __init__(self, model: Seq2Seq, options: dict[str, Any]) -> None:
        self.model = model
        self.options = ModelConfig.model_validate(options)

    # ------------------------------------------------------------------------------------------------- encoder

    def embed(self, table: Any, piece: int) -> Tensor:
        scale = math.sqrt(self.options.embedding_size) if self.options.scale_embeddings else 1.0
        return scale * table.weight[piece]

    def encode(self, ids: list[int]) -> tuple[list[Tensor], list[Tensor], list[Moment]]:
        """States and embeddings of the pieces, in the order of the sentence, and the last state of each layer."""
        options = self.options.encoder
        words = [self.embed(self.model.encoder.embeddings.table, piece) for piece in ids]
        states = [*words[-2::-1], words[-1]] if options.reversed else words
        finals = []
        for number, layer in enumerate(self.model.encoder.layers, start=1):
            both = options.bidirectional and number <= (options.bidirectional_layers or options.layers)
            turned = options.alternating and number % 2 == 0
            parts, ends = [], []
            if both or not turned:
                moments = self.read(layer.forward_cell, states)
                parts.append([moment.hidden for moment in moments])
                ends.append(moments[-1])
            if both or turned:
                moments = self.read(layer.backward_cell, states[::-1])
                parts.append([moment.hidden for moment in reversed(moments)])
                ends.append(moments[-1])
            results = [torch.cat(pair) for pair in zip(*parts, strict=True)]
            if options.residual_from is not None and number >= options.residual_from:
                results = [result + state for result, state in zip(results, states, strict=True)]
            states = results
            finals.append(Moment(*(torch.cat(both) for both in zip(*ends, strict=True))))
        return ([*states[-2::-1], states[-1]] if options.reversed else states), words, finals

    def read(self, cell: Any, vectors: list[Tensor]) -> list[Moment]:
        moment, moments = nothing(cell.hidden_size), []
        for vector in vectors:
            moment = transition(self.options.encoder.cell, cell, vector, moment)
            moments.append(moment)
        return moments

    def start(self, states: list[Tensor], finals: list[Moment]) -> list[Moment]:
        options = self.options.decoder
        mean = sum(states[1:], states[0]) / len(states)
        zeros = nothing(options.hidden_size).cell
        if options.bridge == "zero":
            return [Moment(zeros, zeros)] * options.layers
        if options.bridge == "last":
            return [Moment(final.hidden, zeros) for final in finals]
        if options.bridge == "last_with_cells":
            return finals
        if options.bridge == "mean":
            return [Moment(mean, zeros)] * options.layers
        projection = self.model.bridge.projection
        summary = finals[-1].hidden if options.bridge == "learned_last" else mean
        hidden = torch.tanh(projection.weight @ summary + projection.bias)
        return [Moment(part, zeros) for part in hidden.split(options.hidden_size)]

    # ----------------------------------------------------------------------------------------------- attention

    def attend(self, query: Tensor, states: list[Tensor], coverage: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        scores = [self.score(query, state, seen) for state, seen in zip(states, coverage, strict=True)]
        total = sum(torch.exp(score) for score in scores)
        weights = [torch.exp(score) / total for score in scores]
        context = sum((w * s for w, s in zip(weights, states, strict=True)), torch.zeros_like(states[0]))
        return context, weights

    def score(self, query: Tensor, key: Tensor, coverage: Tensor) -> Tensor:
        kind, score = self.options.attention.score, self.model.decoder.attention.score
        if kind == "dot":
            return query @ key
        if kind == "scaled_dot":
            return query @ key / math.sqrt(len(query))
        if kind == "general":
            return query @ (score.projection.weight @ key)
        hidden = score.query_projection.weight @ query + score.key_projection.weight @ key
        if kind == "additive":
            hidden = hidden + score.query_projection.bias
        if self.options.attention.coverage:
            hidden = hidden + score.coverage_vector.weight[0] * coverage
        return score.vector.weight[0] @ torch.tanh(hidden)

    # ------------------------------------------------------------------------------------------------- decoder

    def translate(self, source: list[int], target: list[int]) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities [T, V] and weights [T, S] of one sentence."""
        states, words, finals = self.encode(source)
        moments = self.start(states, finals)
        coverage = [torch.zeros((), dtype=torch.float64) for _ in source]
        feed = torch.zeros(self.model.decoder.output_size, dtype=torch.float64)
        rows, looked = [], []
        for piece in target:
            embedded = self.embed(self.model.decoder.embeddings.table, piece)
            moments, hidden, context, weights = self.position(embedded, feed, moments, states, coverage)
            feed = self.combine(context, hidden, embedded)
            logits = self.model.output.weight @ feed + self.model.output.bias
            if weights is not None:
                coverage = [seen + weight for seen, weight in zip(coverage, weights, strict=True)]
                looked.append(torch.stack(weights))
            if self.options.lexical_model:
                logits = logits + self.model.output.lexical_weight @ self.lexical(words, weights)
            rows.append(logits - torch.logsumexp(logits, 0))
        return torch.stack(rows), torch.stack(looked) if looked else None

    def position(
        self, embedded: Tensor, feed: Tensor, last: list[Moment], states: list[Tensor], coverage: list[Tensor]
    ) -> tuple[list[Moment], Tensor, Tensor | None, list[Tensor] | None]:
        options, attention, decoder = self.options.decoder, self.options.attention, self.model.decoder
        moments: list[Moment] = []
        context: Tensor | None = None
        weights: list[Tensor] | None = None
        x = embedded
        for level, layer in enumerate(decoder.layers):
            read = x
            if level == 0 and attention.input_feeding:
                read = torch.cat([x, feed])
            if level > 0 and attention.placement == "bottom":
                read = torch.cat([x, context])
            moment = transition(options.cell, layer, read, last[level])
            if level == 0 and attention.placement == "conditional":
                context, weights = self.attend(moment.hidden, states, coverage)
                moment = transition(options.cell, decoder.second_transition, context, moment)
            moments.append(moment)
            residual = options.residual_from is not None and level + 1 >= options.residual_from
            x = moment.hidden + x if residual else moment.hidden
            if level == 0 and attention.placement == "bottom":
                context, weights = self.attend(x, states, coverage)
        if attention.score != "none" and attention.placement == "top":
            context, weights = self.attend(x, states, coverage)
        return moments, x, context, weights

    def combine(self, context: Tensor | None, hidden: Tensor, embedded: Tensor) -> Tensor:
        combine = self.model.decoder.attentional_layer
        context = hidden[:0] if context is None else context
        split = (len(context), len(context) + len(hidden))
        of_context, of_hidden = combine.weight[:, : split[0]], combine.weight[:, split[0] : split[1]]
        rest = of_hidden @ hidden
        if self.options.decoder.output == "deep":
            rest = rest + combine.weight[:, split[1] :] @ embedded + combine.bias
        if self.options.attention.context_gate:
            gate = combine.gate
            z = torch.sigmoid(gate.weight @ torch.cat([context, hidden, embedded]) + gate.bias)
            combined = z * (of_context @ context) + (1 - z) * rest
        else:
            combined = of_context @ context + rest
        return combined if self.options.decoder.output == "linear" else torch.tanh(combined)

    def lexical(self, words: list[Tensor], weights: list[Tensor] | None) -> Tensor:
        assert weights is not None
        average = torch.tanh(sum((w * e for w, e in zip(weights, words, strict=True)), torch.zeros_like(words[0])))
        return torch.tanh(self.model.lexical_model.projection.weight @ average) + average
