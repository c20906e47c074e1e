"""Shortlists: each sentence may use only the target pieces that a table lists for its source.

B sentences, S source length, R rows (hypotheses of all sentences), O output size, V target vocabulary, T translations
of a source piece in the table, U pieces that any sentence of the batch may use.

The output layer and the search work on these U pieces, in ascending order of their ids, so that PAD, UNK, BOS and EOS
stay the first four. A sentence's probabilities are distributed over its own pieces, so that its translation does not
depend on the batch.

The pieces that constraints require are added to the list of their sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.config.schema import ShortlistConfig
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.special_tokens import EOS, PAD
from nmt.errors import DataError, UsageError
from nmt.inference.model_file import ModelFile, save_model
from nmt.inference.packing import PackedNetwork, Product, pack
from nmt.model import Seq2Seq
from nmt.model.layers import OutputLayer
from nmt.model.memory import DecoderState, DecoderStepOutput, Memory
from nmt.search import StepModel, TokenHypothesis

if TYPE_CHECKING:
    from nmt.data.store import Store


class AllowedTokens(NamedTuple):
    """The target pieces that the sentences of a batch may use."""

    ids: Tensor
    """The ids that any sentence may use [U], ascending, including the first four."""
    mask: Tensor
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
        self, model: RestrictableModel, table: ShortlistTable, *, target_size: int, device: torch.device
    ) -> None:
        """Move the table to the device.

        Args:
            model: The model to restrict.
            table: Made for the vocabularies of the model.
            target_size: V.
            device: The device of the model.
        """
        self._model = model
        self._translations = torch.from_numpy(table.translations).to(device, torch.int64, copy=True)  # [V, T]
        self._translations[PAD] = PAD  # Padding must add nothing, or a sentence's list would depend on the batch.
        self._everywhere = torch.zeros(target_size, dtype=torch.bool, device=device)
        self._everywhere[torch.from_numpy(table.frequent).to(device, torch.int64)] = True
        # Ids below EOS are never generated, but have a share of the probability, as without a shortlist.
        self._everywhere[: EOS + 1] = True

    def allowed_tokens(self, source: Tensor, required: Sequence[Sequence[int]]) -> AllowedTokens:
        """Return the pieces for the sentences `source` [B, S], with the ids that the constraints of each require."""
        allowed = self._everywhere.repeat(len(source), 1)  # [B, V]
        allowed.scatter_(1, self._translations[source].flatten(1), True)
        for row, needed in zip(allowed, required, strict=True):
            row[list(needed)] = True
        ids = allowed.any(dim=0).nonzero().squeeze(1)  # [U]
        mask = torch.zeros_like(allowed, dtype=torch.float32).masked_fill_(~allowed, -torch.inf)  # [B, V]
        return AllowedTokens(ids, mask[:, ids])

    def restrict(self, allowed: AllowedTokens) -> StepModel[Any, Any]:
        """Return the model for the batch of `allowed`."""
        return self._model.restrict(allowed)


class RestrictableNetwork:
    """A network whose output layer can be restricted."""

    def __init__(self, network: Seq2Seq | PackedNetwork, output: OutputLayer, *, precision: str) -> None:
        """Take the weights of the output layer.

        Args:
            network: In evaluation mode.
            output: Its output layer, not packed.
            precision: Number format of the output layer's products on the CPU: "fp32", "bf16" or "int8".
        """
        self._network = network
        # The restricted matrix is small, so bf16 would not pay: its logits would have to be computed again in float32.
        self._precision = "int8" if precision == "int8" else "fp32"
        self._weight = output.joint_weight().detach().float()
        self._bias = output.bias.detach().float()

    def restrict(self, allowed: AllowedTokens) -> ShortlistedModel:
        """Return the network restricted to these pieces."""
        weight, bias = (each.index_select(0, allowed.ids) for each in (self._weight, self._bias))  # [U, O], [U]
        return ShortlistedModel(self._network, product=_product(weight, bias, self._precision), allowed=allowed)


class ShortlistMemory(NamedTuple):
    """The encoded sentences, with the pieces that each may use."""

    memory: Memory
    mask: Tensor
    """See `AllowedTokens` [B, U]."""

    def select(self, rows: Tensor) -> ShortlistMemory:
        """Return the memory of the sentences `rows` (indices [B'])."""
        return ShortlistMemory(self.memory.select(rows), self.mask.index_select(0, rows))


class ShortlistedModel:
    """A model for the sentences of one batch. Its pieces are indices from 0 to U - 1."""

    def __init__(self, network: Seq2Seq | PackedNetwork, *, product: Product, allowed: AllowedTokens) -> None:
        """Combine a network with a restricted output layer.

        Args:
            network: Used up to the output layer.
            product: From attentional states [R, O] to logits [R, U].
            allowed: The pieces.
        """
        self._network = network
        self._product = product
        self._ids, self._mask = allowed

    def encode(self, source: Tensor, lengths: Tensor) -> ShortlistMemory:
        """Encode the batch of the shortlist, each sentence once or several times in a row."""
        times = len(source) // len(self._mask)
        return ShortlistMemory(self._network.encode(source, lengths), self._mask.repeat_interleave(times, dim=0))

    def init_state(self, memory: ShortlistMemory) -> DecoderState:
        """Return the decoder's initial state, one row for each sentence of `memory`."""
        return self._network.init_state(memory.memory)

    def step(self, ids: Tensor, state: DecoderState, memory: ShortlistMemory) -> DecoderStepOutput:
        """Feed one piece to each row, as indices [R]; the log-probabilities [R, U] are by index too."""
        states, state, weights = self._network.attentional_states(self._ids[ids].unsqueeze(1), state, memory.memory)
        logits = self._product(states.squeeze(1))  # [R, U]
        masked = logits.view(len(memory.mask), -1, logits.shape[1]) + memory.mask.unsqueeze(1)  # [B, K, U]
        log_probs = torch.log_softmax(masked, dim=-1, dtype=torch.float32).view_as(logits)  # [R, U]
        return DecoderStepOutput(log_probs, state, None if weights is None else weights.squeeze(1))


def _product(weight: Tensor, bias: Tensor, precision: str) -> Product:
    if weight.device.type == "cpu":
        return pack(weight, bias, precision)
    return lambda states: F.linear(states, weight, bias)


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
        weights=file.weights,
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
