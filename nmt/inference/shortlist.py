"""Translating with a shortlist: each sentence uses only the pieces that a table gives for its source.

B sentences, S source length, R rows (so many for each sentence), O output size, V target vocabulary, U pieces that any
sentence of the batch may use.

The output layer and the search work on these U pieces, numbered in ascending order of their ids, so that PAD, UNK, BOS
and EOS stay the first four. A sentence's probabilities are shared out among its own pieces alone, so that its
translation does not depend on what the others may use.

What is demanded of a sentence's translation (how it starts, phrases that it has) must be within reach: the pieces for
it join the sentence's list.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.config.schema import ShortlistConfig
from nmt.data.preprocess.preprocess import open_preprocessed
from nmt.data.shortlist_table import ShortlistTable, make_shortlist
from nmt.data.special_tokens import EOS, PAD
from nmt.data.store import SIDES, Store
from nmt.errors import DataError, UsageError
from nmt.inference.model_file import ModelFile, save_model
from nmt.inference.packing import PackedNetwork, Product, pack
from nmt.model import Seq2Seq
from nmt.model.layers import OutputLayer
from nmt.model.memory import DecoderState, DecoderStepOutput, Memory
from nmt.search import StepModel, TokenHypothesis


class AllowedTokens(NamedTuple):
    """The pieces that the sentences of a batch may use."""

    pieces: Tensor
    """The ids that any of the sentences may use [U], ascending, the first four among them."""
    barred: Tensor
    """What is added to the logits of each sentence: 0 for a piece that it may use, else minus infinity [B, U]."""

    def with_ids(self, found: Sequence[Sequence[TokenHypothesis]]) -> list[list[TokenHypothesis]]:
        """Return hypotheses of numbers as hypotheses of ids."""
        pieces = self.pieces.tolist()
        return [
            [hypothesis._replace(ids=[pieces[number] for number in hypothesis.ids]) for hypothesis in hypotheses]
            for hypotheses in found
        ]


class RestrictableModel(Protocol):
    """What can be limited to fewer pieces: a network, or an ensemble of such."""

    def limit(self, listed: AllowedTokens) -> StepModel[Any, Any]:
        """Return the model that translates the sentences of `listed`, and no others, with pieces by their numbers."""


class Shortlist:
    """A model and the table that says which pieces its translations may use."""

    def __init__(
        self, model: RestrictableModel, table: ShortlistTable, *, target_size: int, device: torch.device
    ) -> None:
        """Keep what is given.

        Args:
            model: What is limited.
            table: Of its vocabularies.
            target_size: V.
            device: Of the model.
        """
        self._model = model
        self._translations = torch.from_numpy(table.translations).to(device, torch.int64, copy=True)
        self._translations[PAD] = PAD  # Padding must add nothing, or a sentence's list would depend on its batch.
        self._everywhere = torch.zeros(target_size, dtype=torch.bool, device=device)
        self._everywhere[torch.from_numpy(table.frequent).to(device, torch.int64)] = True
        # Those before EOS are never generated, but take their part of the probability as they do without a shortlist.
        self._everywhere[: EOS + 1] = True

    def of(self, source: Tensor, more: Sequence[Sequence[int]]) -> AllowedTokens:
        """Return what the sentences `source` [B, S] may use, and `more` for each of them."""
        allowed = self._everywhere.repeat(len(source), 1)
        allowed.scatter_(1, self._translations[source].flatten(1), True)
        for row, wanted in zip(allowed, more, strict=True):
            row[list(wanted)] = True
        pieces = allowed.any(dim=0).nonzero().squeeze(1)
        barred = torch.zeros_like(allowed, dtype=torch.float32).masked_fill_(~allowed, -torch.inf)
        return AllowedTokens(pieces, barred[:, pieces])

    def limit(self, listed: AllowedTokens) -> StepModel[Any, Any]:
        """Return the model that translates the sentences of `listed`."""
        return self._model.limit(listed)


class RestrictableNetwork:
    """A network whose output layer can be cut down."""

    def __init__(self, network: Seq2Seq | PackedNetwork, output: OutputLayer, *, precision: str) -> None:
        """Keep what is given.

        Args:
            network: In evaluation mode.
            output: Its output layer, not packed.
            precision: Of the output layer's products on the CPU: "fp32", "bf16" or "int8".
        """
        self._network = network
        # So small a matrix costs little in float32, and what bf16 rounds away would have to be computed again.
        self._precision = "int8" if precision == "int8" else "fp32"
        self._weight = output.joint_weight().detach().float()
        self._bias = output.bias.detach().float()

    def limit(self, listed: AllowedTokens) -> ShortlistedModel:
        """Return the network with these pieces alone."""
        weight, bias = (each.index_select(0, listed.pieces) for each in (self._weight, self._bias))
        return ShortlistedModel(self._network, product=_product(weight, bias, self._precision), listed=listed)


class ShortlistMemory(NamedTuple):
    """The encoded sentences and the pieces that each may use."""

    memory: Memory
    barred: Tensor
    """See `AllowedTokens` [B, U]."""

    def select(self, rows: Tensor) -> ShortlistMemory:
        """Return the memory of the sentences `rows` (indices [B'])."""
        return ShortlistMemory(self.memory.select(rows), self.barred.index_select(0, rows))


class ShortlistedModel:
    """A model for the sentences of one batch. Its pieces are numbered from 0 to U - 1."""

    def __init__(self, network: Seq2Seq | PackedNetwork, *, product: Product, listed: AllowedTokens) -> None:
        """Keep what is given.

        Args:
            network: Up to the output layer.
            product: From attentional states [R, O] to logits [R, U].
            listed: The pieces.
        """
        self._network = network
        self._product = product
        self._pieces, self._barred = listed

    def encode(self, source: Tensor, lengths: Tensor) -> ShortlistMemory:
        """Encode the batch that the model was made for, each sentence once or several times in a row."""
        times = len(source) // len(self._barred)
        return ShortlistMemory(self._network.encode(source, lengths), self._barred.repeat_interleave(times, dim=0))

    def init_state(self, memory: ShortlistMemory) -> DecoderState:
        """Return the decoder's first state, one row for each sentence of `memory`."""
        return self._network.init_state(memory.memory)

    def step(self, ids: Tensor, state: DecoderState, memory: ShortlistMemory) -> DecoderStepOutput:
        """Feed pieces [R] by their numbers; the log-probabilities [R, U] are by number too."""
        states, state, weights = self._network.attentional_states(self._pieces[ids].unsqueeze(1), state, memory.memory)
        logits = self._product(states.squeeze(1))
        own = logits.view(len(memory.barred), -1, logits.shape[1]) + memory.barred.unsqueeze(1)
        log_probs = torch.log_softmax(own, dim=-1, dtype=torch.float32).view_as(logits)
        return DecoderStepOutput(log_probs, state, None if weights is None else weights.squeeze(1))


def _product(weight: Tensor, bias: Tensor, precision: str) -> Product:
    if weight.device.type == "cpu":
        return pack(weight, bias, precision)
    return lambda states: F.linear(states, weight, bias)


def add_shortlist(file: ModelFile, path: Path, *, translations: int | None, frequent: int | None) -> None:
    """Write a model file with a new table, learnt from the preprocessed data that the model was trained on.

    Args:
        file: The model.
        path: Where to write it; may be where it was read from.
        translations: `data.shortlist.translations`; None: what the model's configuration says, or the usual number.
        frequent: `data.shortlist.frequent`, likewise.

    Raises:
        UsageError: The data is not here.
        CheckpointError: The file cannot be written.
    """
    options = _options(file.config.data.shortlist, translations, frequent)
    table = make_shortlist(
        _training_pairs(file), file.tokenizers, translations=options.translations, frequent=options.frequent
    )
    data = file.config.data.model_copy(update={"shortlist": options})
    save_model(
        path,
        weights=file.weights,
        config=file.config.model_copy(update={"data": data}),
        tokenizers=file.tokenizers,
        provenance=file.provenance,
        shortlist=table,
    )


def _options(own: ShortlistConfig, translations: int | None, frequent: int | None) -> ShortlistConfig:
    """Return a model's options with those that are given; a model that was made without a table gets the usual one."""
    usual = own if own.translations else ShortlistConfig()
    return ShortlistConfig(
        translations=usual.translations if translations is None else translations,
        frequent=usual.frequent if frequent is None else frequent,
    )


def _training_pairs(file: ModelFile) -> Store:
    fingerprint = file.provenance.get("data_fingerprint")
    if not isinstance(fingerprint, str):
        raise UsageError("the model file does not say what data it was trained on, so no shortlist can be learnt")
    try:
        store, tokenizers = open_preprocessed(file.config, fingerprint)
    except (DataError, OSError) as error:
        raise UsageError(
            f"the preprocessed training data of the model is not in {Path(file.config.data.preprocessed_folder)}: "
            "go to the folder where it was trained, and if need be make the data again with `nmt preprocess`"
        ) from error
    for side in SIDES:
        if getattr(tokenizers, side).fingerprint != getattr(file.tokenizers, side).fingerprint:
            raise UsageError("the preprocessed training data is cut into other pieces than those of the model")
    return store
