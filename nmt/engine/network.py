"""The network of a model, for inference: encode, init_state, step, step_top_k, and forced decoding.

B sentences, S source length, T target length, R rows (K hypotheses of each sentence), V vocabulary, O output size,
E embedding size, H hidden size, M memory size, C continuations.

The same lines run in numpy on a processor and in torch on a GPU, by the Python array API standard: the arrays of the
weights decide. Training has a network of its own, `nmt.model.Seq2Seq`, whose fused kernels have gradients. A test keeps
both equal for all options.

There are no shared buffers, so threads may share a network.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nmt.arrays import Array, gather, log_softmax, logsumexp, namespace
from nmt.data.special_tokens import EOS
from nmt.engine.attention import InferenceAttention
from nmt.engine.decoder import DecodedPiece, InferenceDecoder
from nmt.engine.encoder import EmbeddingTable, InferenceEncoder
from nmt.engine.memory import InferenceOutput, InferenceState, SourceMemory, Trace, UnitState
from nmt.engine.products import MatrixProduct, linear
from nmt.engine.weights import Reader, Weights
from nmt.search.interface import TopKOutput
from nmt.search.top_k import top_k_continuations

if TYPE_CHECKING:
    from nmt.config.schema import ModelConfig


OutputProduct = Callable[[Array], Array]
"""From inputs of the output layer [R, O] to logits."""


class InferenceNetwork:
    """A recurrent translation model without gradients, dropout and hidden state."""

    def __init__(
        self,
        config: ModelConfig,
        tensors: Mapping[str, Array],
        *,
        source_size: int,
        target_size: int,
        release: Callable[[], None] | None = None,
    ) -> None:
        """Check the parameters of a model. They are laid out when they are used for the first time.

        Args:
            config: The section `model` of its configuration.
            tensors: Its parameters by name, in any float type, all of one namespace and device. Embeddings in float32
                are used where they are; the others are copied.
            source_size: Pieces of the source vocabulary.
            target_size: V.
            release: See `Weights`.

        Raises:
            CheckpointError: The parameters do not fit the configuration.
        """
        self.target_size = target_size
        weights = Weights(tensors, release)
        source, target = _embedding_tables(weights, config, source_size, target_size)
        scale = config.embedding_size**0.5 if config.scale_embeddings else 1.0
        self._encoder = InferenceEncoder(weights, config, embeddings=EmbeddingTable(source, scale=scale))
        memory_size = self._encoder.output_size
        self._attention = None
        if config.attention.score != "none":
            self._attention = InferenceAttention(weights, config, memory_size=memory_size)
        tied = config.tying != "none"
        output_size = config.embedding_size if tied else config.decoder.hidden_size
        self._decoder = InferenceDecoder(
            weights,
            config,
            embeddings=EmbeddingTable(target, scale=scale),
            attention=self._attention,
            output_size=output_size,
        )
        self._bridge = InferenceBridge(weights, config, memory_size=memory_size)
        self._has_lexical_model = config.lexical_model and self._attention is not None
        if tied:
            weights.allow("output.weight")
        readers = [_reader_of(target) if tied else weights.reader("output.weight", target_size, output_size)]  # [V, O]
        if self._has_lexical_model:
            readers.append(weights.reader("output.lexical_weight", target_size, config.embedding_size))  # [V, E]
        self._output_weights = readers
        self._output_bias = weights.reader("output.bias", target_size)
        weights.check()
        self._weights = weights
        self._output = self._output_product(None, target_size)

    def encode(self, source: Array, lengths: Array) -> SourceMemory:
        """Encode `source` [B, S], rows of `lengths` [B] ids that end with EOS, padded on the right."""
        xp = namespace(source)
        states, final, embeddings = self._encoder(source, lengths)
        mask = xp.arange(source.shape[1], device=source.device) < lengths[:, None]  # [B, S]
        by_head = states[:, None]  # [B, 1, S, M]
        keys, values = by_head, by_head
        if self._attention is not None:
            keys, values = self._attention.keys_and_values(states)
        lexical = embeddings if self._has_lexical_model else None
        return SourceMemory(states, keys, values, mask, lengths, final, lexical)

    def init_state(self, memory: SourceMemory) -> InferenceState:
        """Return the initial decoder state, one row for each sentence of `memory`."""
        return self._decoder.initial_state(self._bridge(memory), memory)

    def decode(
        self, ids: Array, state: InferenceState, memory: SourceMemory, trace: Trace | None = None
    ) -> DecodedPiece:
        """Feed one piece to each row: `ids` [R], R a multiple of B; row r belongs to sentence r // (R / B).

        With `trace`, record the arrays of the step; see `InferenceDecoder.step` and `InferenceAttention`.
        """
        return self._decoder.step(ids, state, memory, trace)

    def step(self, ids: Array, state: InferenceState, memory: SourceMemory) -> InferenceOutput:
        """Feed one piece to each row [R], and return all log-probabilities."""
        outputs, state, weights = self.decode(ids, state, memory)
        return InferenceOutput(log_softmax(self._output(outputs)), state, weights)

    def step_top_k(
        self, ids: Array, state: InferenceState, memory: SourceMemory, totals: Array, count: int
    ) -> TopKOutput[InferenceState]:
        """Feed one piece to each row, and return the best continuations of each sentence; see `TopKModel`."""
        outputs, state, _ = self.decode(ids, state, memory)
        return best_continuations(self._output(outputs), state, totals, count)

    def forced(
        self, targets: Array, state: InferenceState, memory: SourceMemory
    ) -> tuple[Array, InferenceState, Array | None]:
        """Run the decoder over known pieces.

        Args:
            targets: The inputs of the decoder [B, T].
            state: The state before the first of them, one row for each sentence.
            memory: The encoded sentences.

        Returns:
            The inputs of the output layer [B, T, O] (with a lexical model [B, T, O + E]), the state after the last
            piece, and the attention weights [B, T, S] or None.
        """
        xp = namespace(targets)
        outputs, weights = [], []
        for position in range(targets.shape[1]):
            decoded = self.decode(targets[:, position], state, memory)
            state = decoded.state
            outputs.append(decoded.outputs)
            weights.append(decoded.weights)
        of_all = None if weights[0] is None else xp.stack(weights, axis=1)  # [B, T, S]
        return xp.stack(outputs, axis=1), state, of_all

    def log_probs(self, outputs: Array) -> Array:
        """Return the log-probabilities [R, V] of inputs of the output layer [R, O]."""
        return log_softmax(self._output(outputs))

    def restricted_output(self, ids: Array) -> OutputProduct:
        """Return the output layer of the pieces `ids` [U]: from its inputs [R, O] to logits [R, U]."""
        return self._output_product(ids, len(ids))

    def _output_product(self, ids: Array | None, size: int) -> MatrixProduct:
        """Return the product of the output layer, for all pieces or for `ids`."""
        readers = [functools.partial(read, ids) for read in self._output_weights]  # [U, O], and [U, E]
        return MatrixProduct(self._weights, *readers, outputs=size, bias=lambda: self._output_bias(ids))


def best_continuations(logits: Array, state: InferenceState, totals: Array, count: int) -> TopKOutput[InferenceState]:
    """Return the best continuations of each sentence; see `TopKModel`.

    Args:
        logits: [R, V]
        state: The state after the step.
        totals: [B, K]
        count: C.
    """
    xp = namespace(logits)
    # The logarithm of the softmax denominator moves all pieces of a row alike: it joins the row's total.
    normalizer = logsumexp(logits)  # [R]
    by_sentence = xp.reshape(normalizer, totals.shape)  # [B, K]
    found = top_k_continuations(logits, totals - by_sentence, count)
    log_probs = found.log_probs - gather(by_sentence, found.rows)  # [B, C]
    return TopKOutput(found._replace(log_probs=log_probs), logits[:, EOS] - normalizer, state)


def _reader_of(table: Array) -> Reader:
    """Return a function that returns rows of a table, or all."""
    return lambda rows=None: table if rows is None else namespace(table).take(table, rows, axis=0)


def _embedding_tables(weights: Weights, config: ModelConfig, source_size: int, target_size: int) -> tuple[Array, Array]:
    """Return the tables of source [V, E] and target [V, E], which may be one."""
    size = config.embedding_size
    source_name, target_name = "encoder.embeddings.table.weight", "decoder.embeddings.table.weight"
    source = weights.take(source_name, source_size, size)
    if config.tying == "three_way":
        weights.allow(target_name)
        return source, source
    return source, weights.take(target_name, target_size, size)


class InferenceBridge:
    """The initial states of the decoder's layers; see `Bridge` in `nmt.model.seq2seq`."""

    def __init__(self, weights: Weights, config: ModelConfig, *, memory_size: int) -> None:
        """Lay out the parameters."""
        self._kind = config.decoder.bridge
        self._layers = config.decoder.layers
        self._hidden_size = config.decoder.hidden_size
        self._projection = None
        if self._kind.startswith("learned_"):
            size = self._layers * self._hidden_size
            self._projection = linear(weights, "bridge.projection", size, memory_size, bias=True, once=True)

    def __call__(self, memory: SourceMemory) -> list[UnitState]:
        """Return the initial state [B, H] of each layer. A memory cell of None is zeros."""
        xp = namespace(memory.states)
        if self._kind == "zero":
            shape = (len(memory.states), self._hidden_size)
            zeros = xp.zeros(shape, dtype=memory.states.dtype, device=memory.states.device)
            return [UnitState(zeros)] * self._layers
        if self._kind == "last_with_cells":
            return list(memory.final)
        if self._kind == "last":
            return [UnitState(final.hidden) for final in memory.final]
        summary = memory.final[-1].hidden if self._kind == "learned_last" else _mean(memory)  # [B, M]
        if self._projection is None:
            return [UnitState(summary)] * self._layers
        hidden = self._projection(summary)  # [B, L * H]
        xp.tanh(hidden, out=hidden)
        size = self._hidden_size
        return [UnitState(hidden[:, level * size : (level + 1) * size]) for level in range(self._layers)]


def _mean(memory: SourceMemory) -> Array:
    """Return the mean memory state [B, M] over real positions."""
    xp = namespace(memory.states)
    real = xp.astype(memory.mask, memory.states.dtype)[:, None, :]  # [B, 1, S]
    lengths = xp.astype(memory.lengths, memory.states.dtype)[:, None]  # [B, 1]
    return xp.matmul(real, memory.states)[:, 0] / lengths
