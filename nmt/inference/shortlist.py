"""Shortlists: each sentence may use only the target pieces that a table lists for its source.

B sentences, S source length, K rows (hypotheses) per sentence, R rows of all sentences, O output size, V target
vocabulary, T translations of a source piece in the table, U pieces that any sentence of the batch may use, W most
pieces of a sentence, C continuations.

The output layer and the search work on these U pieces, in ascending order of their ids, so that PAD, UNK, BOS and EOS
stay the first four. A sentence's probabilities are distributed over its own pieces, so that its translation does not
depend on the batch.

The product of the output layer computes the logits of all U pieces for all rows, because one large product is faster
than one for each sentence. The 64 sentences of a batch may use 2,500 pieces together, but each of them only 300. So a
search on a processor reads the logits of a sentence's own pieces alone.

The pieces that constraints require are added to the list of their sentence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import Array, gather, log_softmax, namespace, to_host
from nmt.config.schema import ShortlistConfig
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.special_tokens import EOS, PAD
from nmt.engine.network import OutputProduct, best_continuations
from nmt.engine.onnx_runtime import OnnxOutputLayer
from nmt.errors import DataError, UsageError
from nmt.inference.hardware import Hardware
from nmt.inference.model_file import ModelFile, save_model
from nmt.inference.networks import TranslationNetwork
from nmt.search import StepModel, TokenHypothesis
from nmt.search.interface import TopKOutput

if TYPE_CHECKING:
    from nmt.data.store import Store


class OwnTokens(NamedTuple):
    """The pieces of each sentence, in place of a mask over those of the batch."""

    columns: NDArray[np.int64]
    """Indices into the ids of the batch [B, W], ascending. The rest of a shorter row repeats EOS."""
    padding: NDArray[np.float32]
    """Added to the logits [B, W]: 0 for a piece, -inf for the rest of a row."""

    def select(self, rows: NDArray[np.int64]) -> OwnTokens:
        """Return the pieces of the sentences `rows` (indices [B'])."""
        return OwnTokens(self.columns.take(rows, axis=0), self.padding.take(rows, axis=0))

    def logits(self, output: OutputProduct, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of each sentence's own pieces [R, W], given the inputs of the output layer [R, O]."""
        rows, width = len(states), self.columns.shape[1]
        times = rows // len(self.columns)  # K
        logits = None
        if isinstance(output, OnnxOutputLayer):
            logits = output.own_logits(states, self.columns if times == 1 else self.columns.repeat(times, axis=0))
        if logits is None:
            every = output(states)  # [R, U]
            starts = np.arange(0, every.size, every.shape[1]).reshape(-1, times, 1)  # [B, K, 1]
            logits = every.reshape(-1).take(starts + self.columns[:, np.newaxis])  # [B, K, W]
        by_sentence = logits.reshape(-1, times, width)  # [B, K, W]
        by_sentence += self.padding[:, np.newaxis]
        return by_sentence.reshape(rows, width)

    @staticmethod
    def of(mask: NDArray[np.float32]) -> OwnTokens | None:
        """Return the pieces of the `mask` of a batch [B, U], see `AllowedTokens`; None if each sentence may use all."""
        allowed = mask == 0  # [B, U]
        counts = allowed.sum(axis=1)  # [B]
        if counts.min() == allowed.shape[1]:
            return None
        real = np.arange(counts.max()) < counts[:, np.newaxis]  # [B, W]
        columns = np.full(real.shape, EOS)  # [B, W]
        columns[real] = np.flatnonzero(allowed) % allowed.shape[1]
        return OwnTokens(columns, np.where(real, np.float32(0), np.float32(-np.inf)))


class AllowedTokens(NamedTuple):
    """The target pieces that the sentences of a batch may use."""

    ids: Array
    """The ids that any sentence may use [U], ascending, including the first four."""
    mask: Array
    """Added to the logits of each sentence [B, U]: 0 for a piece that it may use, else -inf."""

    def with_ids(self, hypotheses: Sequence[Sequence[TokenHypothesis]]) -> list[list[TokenHypothesis]]:
        """Return hypotheses with ids in place of indices into `ids`."""
        ids = self.ids.tolist()
        return [
            [hypothesis._replace(ids=[ids[index] for index in hypothesis.ids]) for hypothesis in row]
            for row in hypotheses
        ]


class RestrictableModel(Protocol):
    """A model whose target vocabulary can be restricted: a network, or an ensemble of networks."""

    def restrict(self, allowed: AllowedTokens) -> StepModel[Any, Any]:
        """Return a model for the batch of `allowed`, which works with indices into its ids."""


class Shortlist:
    """A model with the table of pieces that its translations may use."""

    def __init__(
        self, model: RestrictableModel, table: ShortlistTable, *, target_size: int, hardware: Hardware
    ) -> None:
        """Prepare the table.

        Args:
            model: The model to restrict.
            table: Made for the vocabularies of the model.
            target_size: V.
            hardware: The hardware of the model.
        """
        self._model = model
        self._hardware = hardware
        self._translations = table.translations.astype(np.int64)  # [V, T]
        self._translations[PAD] = PAD  # Padding must add nothing, or a sentence's list would depend on the batch.
        self._everywhere = np.zeros(target_size, np.bool_)
        self._everywhere[table.frequent] = True
        # Ids below EOS are never generated, but have a share of the probability, as without a shortlist.
        self._everywhere[: EOS + 1] = True

    def allowed_tokens(self, source: Array, required: Sequence[Sequence[int]]) -> AllowedTokens:
        """Return the pieces for the sentences `source` [B, S], with the ids that the constraints of each require."""
        allowed: NDArray[np.bool_] = np.tile(self._everywhere, (len(source), 1))  # [B, V]
        listed = self._translations[to_host(source)].reshape(len(source), -1)  # [B, S * T]
        np.put_along_axis(allowed, listed, True, axis=1)
        for row, needed in zip(allowed, required, strict=True):
            row[list(needed)] = True
        ids = np.flatnonzero(allowed.any(axis=0))  # [U]
        mask = np.where(allowed[:, ids], np.float32(0), np.float32(-np.inf))  # [B, U]
        return AllowedTokens(self._hardware.array(ids), self._hardware.array(mask))

    def restrict(self, allowed: AllowedTokens) -> StepModel[Any, Any]:
        """Return the model for the batch of `allowed`."""
        return self._model.restrict(allowed)


class RestrictableNetwork:
    """A network whose output layer can be restricted."""

    def __init__(self, network: TranslationNetwork) -> None:
        """Take the network."""
        self._network = network

    def restrict(self, allowed: AllowedTokens) -> ShortlistedModel:
        """Return the network restricted to these pieces."""
        return ShortlistedModel(self._network, allowed)


class ShortlistMemory(NamedTuple):
    """The encoded sentences, with the pieces that each may use."""

    memory: Any
    mask: Array
    """See `AllowedTokens` [B, U]."""
    own: OwnTokens | None
    """The pieces of each sentence. None: each may use all pieces of the batch, or the arrays are those of torch."""

    def select(self, rows: Array) -> ShortlistMemory:
        """Return the memory of the sentences `rows` (indices [B'])."""
        mask = namespace(self.mask).take(self.mask, rows, axis=0)  # [B', U]
        own = None if self.own is None else self.own.select(rows)
        return ShortlistMemory(self.memory.select(rows), mask, own)


class ShortlistOutput(NamedTuple):
    """The output of one decoder step over the allowed pieces."""

    log_probs: Array
    """[R, U]"""
    state: Any
    weights: Array | None
    """[R, S]"""


class ShortlistedModel:
    """A model for the sentences of one batch. Its pieces are indices from 0 to U - 1."""

    def __init__(self, network: TranslationNetwork, allowed: AllowedTokens) -> None:
        """Restrict the output layer of a network to the allowed pieces."""
        self._network = network
        self._output = network.restricted_output(allowed.ids)
        self._ids, self._mask = allowed
        self._own = OwnTokens.of(self._mask) if isinstance(self._mask, np.ndarray) else None

    def encode(self, source: Array, lengths: Array) -> ShortlistMemory:
        """Encode the batch of the shortlist, each sentence once or several times in a row."""
        mask, own = self._mask, self._own
        times = len(source) // len(mask)
        if times > 1:
            mask = namespace(mask).repeat(mask, times, axis=0)  # [B, U]
            own = None if own is None else own.select(np.arange(len(own.columns)).repeat(times))
        return ShortlistMemory(self._network.encode(source, lengths), mask, own)

    def init_state(self, memory: ShortlistMemory) -> Any:
        """Return the decoder's initial state, one row for each sentence of `memory`."""
        return self._network.init_state(memory.memory)

    def step(self, ids: Array, state: Any, memory: ShortlistMemory) -> ShortlistOutput:
        """Feed one piece to each row, as indices [R]; the log-probabilities [R, U] are by index too."""
        outputs, state, weights = self._decode(ids, state, memory)
        return ShortlistOutput(log_softmax(_masked(self._output(outputs), memory)), state, weights)

    def step_top_k(self, ids: Array, state: Any, memory: ShortlistMemory, totals: Array, count: int) -> TopKOutput[Any]:
        """Feed one piece to each row, and return the best continuations of each sentence; see `TopKModel`."""
        outputs, state, _ = self._decode(ids, state, memory)
        if memory.own is None:
            return best_continuations(_masked(self._output(outputs), memory), state, totals, count)
        found = best_continuations(memory.own.logits(self._output, outputs), state, totals, count)
        pieces = gather(memory.own.columns, found.continuations.pieces)  # [B, C]
        return dataclasses.replace(found, continuations=found.continuations._replace(pieces=pieces))

    def _decode(self, ids: Array, state: Any, memory: ShortlistMemory) -> tuple[Array, Any, Array | None]:
        """Return the inputs of the output layer [R, O], the state, and weights [R, S]."""
        return self._network.decode(namespace(memory.mask).take(self._ids, ids, axis=0), state, memory.memory)


def _masked(logits: Array, memory: ShortlistMemory) -> Array:
    """Return the logits [R, U] with -inf for pieces that a sentence may not use."""
    if memory.own is None and isinstance(logits, np.ndarray):
        return logits  # the mask is 0
    by_sentence = namespace(logits).reshape(logits, (len(memory.mask), -1, logits.shape[1]))  # [B, K, U]
    masked = by_sentence + memory.mask[:, None]  # [B, K, U]
    return namespace(logits).reshape(masked, logits.shape)


def add_shortlist(
    file: ModelFile, path: Path, *, translations: int | None, frequent: int | None, folder: str | None = None
) -> None:
    """Write a model file with a new shortlist, learned from the preprocessed data that the model was trained on.

    Args:
        file: The model.
        path: Where to write the model; may be the path it was read from.
        translations: `data.shortlist.translations`. None: the value of the model's configuration, or the default.
        frequent: `data.shortlist.frequent`. None: see `translations`.
        folder: `data.preprocessed_folder` of the training. None: the folder of this name in the current folder.

    Raises:
        UsageError: The preprocessed data is not in its folder.
        CheckpointError: The file cannot be written.
    """
    from nmt.data.shortlist_table import make_shortlist  # translation does not need it

    options = _options(file.config.data.shortlist, translations, frequent)
    table = make_shortlist(
        _training_pairs(file, folder), file.tokenizers, translations=options.translations, frequent=options.frequent
    )
    data = file.config.data.model_copy(update={"shortlist": options})
    save_model(
        path,
        weights=file.tensors,
        config=file.config.model_copy(update={"data": data}),
        tokenizers=file.tokenizers,
        provenance=file.provenance,
        shortlist=table,
    )


def _options(own: ShortlistConfig, translations: int | None, frequent: int | None) -> ShortlistConfig:
    """Return the options of the new table; a model without a table starts from the defaults."""
    base = own if own.translations else ShortlistConfig()
    return ShortlistConfig(
        translations=base.translations if translations is None else translations,
        frequent=base.frequent if frequent is None else frequent,
    )


def _training_pairs(file: ModelFile, folder: str | None) -> Store:
    from nmt.data.preprocess.preprocess import open_preprocessed  # translation does not need it
    from nmt.data.store import SIDES

    fingerprint = file.provenance.get("data_fingerprint")
    if not isinstance(fingerprint, str):
        raise UsageError("a shortlist cannot be learned: the model file has no fingerprint of its training data.")
    try:
        data = file.config.data
        data = data.model_copy(update={"preprocessed_folder": folder or data.preprocessed_folder})
        store, tokenizers = open_preprocessed(file.config.model_copy(update={"data": data}), fingerprint)
    except (DataError, OSError) as error:
        raise UsageError(
            f"the preprocessed training data of the model is not in {Path(data.preprocessed_folder)}. Run "
            "the command in the folder where the model was trained, or make the data again with `nmt preprocess`."
        ) from error
    for side in SIDES:
        if getattr(tokenizers, side).fingerprint != getattr(file.tokenizers, side).fingerprint:
            raise UsageError("the preprocessed training data was encoded with other subword models than the model has.")
    return store
