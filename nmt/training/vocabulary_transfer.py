"""Transfer of a parent model's weights to another vocabulary, piece by piece.

V pieces of the new vocabulary, P pieces of the parent's vocabulary, N entries of a row mapping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.data.special_tokens import UNK
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.errors import CheckpointError

_BYTE = re.compile("<0x[0-9A-F]{2}>")
_MINUS_INFINITY = float("-inf")


class TransferCounts(NamedTuple):
    """Numbers of pieces of one side."""

    kept: int
    """Pieces of both vocabularies."""
    new: int
    """Pieces of the new vocabulary only."""
    dropped: int
    """Pieces of the parent's vocabulary only."""


class RowMapping(NamedTuple):
    """Maps rows of a parent's matrices to a new vocabulary. Each new row is the mean of one or more parent rows."""

    rows: Tensor
    """Row of the new vocabulary [N]."""
    parents: Tensor
    """Row of the parent's vocabulary [N]."""
    shares: Tensor
    """Weight of the parent's row [N], float64. The weights of a new row sum to 1."""
    counts: TransferCounts

    def apply(self, values: Tensor) -> Tensor:
        """Return the rows [V, ...] of the new vocabulary, given `values` [P, ...] of the parent's."""
        shape = (self.counts.kept + self.counts.new, *values.shape[1:])
        weighted = values.double()[self.parents] * self.shares.view(-1, *[1] * (values.dim() - 1))  # [N, ...]
        return weighted.new_zeros(shape).index_add_(0, self.rows, weighted).to(values.dtype)  # [V, ...]


def map_rows(parent: SubwordModel, new: SubwordModel) -> RowMapping:
    """Map each new piece to the same piece of the parent, or to the pieces into which the parent splits it."""
    splitter = _PieceSplitter(parent)
    rows, parents, shares = [], [], []
    kept = 0
    for number, piece in enumerate(new.pieces(range(new.size))):
        same = splitter.ids.get(piece)
        kept += same is not None
        found = [same] if same is not None else [UNK] if _BYTE.fullmatch(piece) else splitter.split(piece)
        rows += [number] * len(found)
        parents += found
        shares += [1 / len(found)] * len(found)
    counts = TransferCounts(kept, new.size - kept, parent.size - kept)
    return RowMapping(torch.tensor(rows), torch.tensor(parents), torch.tensor(shares, dtype=torch.float64), counts)


class _PieceSplitter:
    """Splits the text of a piece into the pieces of a subword model.

    SentencePiece would put a space before a piece that continues a word. So this class finds the best path through the
    pieces: the most probable one for a unigram model, and the one of the fewest pieces for BPE.
    """

    def __init__(self, model: SubwordModel) -> None:
        self.ids = {piece: number for number, piece in enumerate(model.pieces(range(model.size)))}
        scores = model.scores()
        bpe = model.kind == "bpe"
        text = {piece: number for piece, number in self.ids.items() if model.is_learned(number)}
        self._scores = {piece: -1e6 + scores[number] if bpe else scores[number] for piece, number in text.items()}
        self._longest = max(map(len, self._scores), default=1)
        self._unknown = 2.0 * min(self._scores.values(), default=-1.0) - 1e9

    def split(self, text: str) -> list[int]:
        """Return the ids of the pieces of `text`, which is not empty; bytes or UNK for characters without a piece."""
        best, last = [0.0] + [_MINUS_INFINITY] * len(text), [0] * (len(text) + 1)
        for end in range(1, len(text) + 1):
            for start in range(max(0, end - self._longest), end):
                unknown = self._unknown if end - start == 1 else _MINUS_INFINITY
                score = best[start] + self._scores.get(text[start:end], unknown)
                if score > best[end]:
                    best[end], last[end] = score, start
        pieces: list[int] = []
        end = len(text)
        while end > 0:
            piece = text[last[end] : end]
            found = [self.ids[piece]] if piece in self._scores else self._bytes(piece)
            pieces[:0] = found
            end = last[end]
        return pieces

    def _bytes(self, character: str) -> list[int]:
        names = [f"<0x{byte:02X}>" for byte in character.encode()]
        return [self.ids[name] for name in names] if all(name in self.ids for name in names) else [UNK]


def vocabulary_side(name: str) -> str | None:
    """Return the side whose vocabulary is the first dimension of the parameter `name`; None: neither."""
    if name.startswith("encoder.embeddings."):
        return "source"
    if name.startswith(("decoder.embeddings.", "output.")):
        return "target"
    return None


@torch.no_grad()
def transfer_vocabulary(
    model: nn.Module, weights: Mapping[str, Tensor], *, parent: Tokenizers, new: Tokenizers
) -> dict[str, TransferCounts]:
    """Copy `weights` of a network with the vocabulary `parent` into `model`, whose vocabulary is `new`.

    Rows of embeddings and output layer (weights and bias) are copied by piece. The row of a new piece is the mean of
    the rows of the parent's pieces into which it is split. All other weights are copied.

    Returns:
        The numbers of kept, new and dropped pieces by side.

    Raises:
        CheckpointError: The networks differ in more than their vocabularies.
    """
    mappings = {side: map_rows(getattr(parent, side), getattr(new, side)) for side in ("source", "target")}
    own = dict(model.named_parameters())
    mismatched = [
        name
        for name in sorted(own.keys() | weights.keys())
        if name not in own or name not in weights or not _fits(name, weights[name], own[name], mappings)
    ]
    if mismatched:
        raise CheckpointError(
            "--init-from: the network of the parent does not fit the model section of this configuration "
            f"({', '.join(mismatched[:4])}). Copy the model section from `nmt info` of the parent"
        )
    for name, parameter in own.items():
        side = vocabulary_side(name)
        value = weights[name]
        if side is not None:
            value = mappings[side].apply(value)
        parameter.copy_(value)
    return {side: mapping.counts for side, mapping in mappings.items()}


def _fits(name: str, old: Tensor, new: Tensor, mappings: Mapping[str, RowMapping]) -> bool:
    side = vocabulary_side(name)
    if side is None:
        return old.shape == new.shape
    counts = mappings[side].counts
    sizes = (counts.kept + counts.new, counts.kept + counts.dropped)
    return (len(new), len(old)) == sizes and old.shape[1:] == new.shape[1:]
