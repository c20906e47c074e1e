"""A parent's weights for another vocabulary: rows go with their pieces.

V pieces of the new vocabulary, P of the parent's.
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


class TransferredModel(NamedTuple):
    """What became of the pieces of one side."""

    kept: int
    """Pieces of both vocabularies."""
    new: int
    """Pieces that the parent did not have."""
    dropped: int
    """Pieces of the parent that are no more."""


class Origins(NamedTuple):
    """Where the rows of a new vocabulary come from: each is the mean of some of the parent's."""

    rows: Tensor
    """A new piece [N], once for each of the parent's that it is made of."""
    parents: Tensor
    """That one [N]."""
    shares: Tensor
    """Its share; those of one new piece sum to 1 [N], float64."""
    counts: TransferredModel

    def mix(self, values: Tensor) -> Tensor:
        """Return the rows [V, ...] of the new vocabulary, given those of the parent's [P, ...]."""
        shape = (self.counts.kept + self.counts.new, *values.shape[1:])
        parts = values.double()[self.parents] * self.shares.view(-1, *[1] * (values.dim() - 1))
        return parts.new_zeros(shape).index_add_(0, self.rows, parts).to(values.dtype)


def origins(parent: SubwordModel, new: SubwordModel) -> Origins:
    """Find the parent's pieces for each new one: the same piece, or those that it is cut into."""
    cutter = _PieceSplitter(parent)
    rows, parents, shares = [], [], []
    kept = 0
    for number, piece in enumerate(new.pieces(range(new.size))):
        same = cutter.ids.get(piece)
        kept += same is not None
        found = [same] if same is not None else [UNK] if _BYTE.fullmatch(piece) else cutter.cut(piece)
        rows += [number] * len(found)
        parents += found
        shares += [1 / len(found)] * len(found)
    counts = TransferredModel(kept, new.size - kept, parent.size - kept)
    return Origins(torch.tensor(rows), torch.tensor(parents), torch.tensor(shares, dtype=torch.float64), counts)


class _PieceSplitter:
    """Cuts the text of pieces into the pieces of a subword model.

    SentencePiece itself would put a space before a piece that goes on with a word. So the best path through the
    pieces is found here: a unigram model's most probable one, and for BPE the one of fewest pieces.
    """

    def __init__(self, model: SubwordModel) -> None:
        self.ids = {piece: number for number, piece in enumerate(model.pieces(range(model.size)))}
        scores = model.scores()
        bpe = model.kind == "bpe"
        text = {piece: number for piece, number in self.ids.items() if model.is_ordinary(number)}
        self._scores = {piece: -1e6 + scores[number] if bpe else scores[number] for piece, number in text.items()}
        self._longest = max(map(len, self._scores), default=1)
        self._unknown = 2.0 * min(self._scores.values(), default=-1.0) - 1e9

    def cut(self, text: str) -> list[int]:
        """The ids of the pieces of `text`, which is not empty; bytes or UNK for characters that have none."""
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
    """Of which side's vocabulary the first dimension of the parameter `name` is; None: of none."""
    if name.startswith("encoder.embeddings."):
        return "source"
    if name.startswith(("decoder.embeddings.", "output.")):
        return "target"
    return None


@torch.no_grad()
def transfer_vocabulary(
    model: nn.Module, weights: Mapping[str, Tensor], *, parent: Tokenizers, new: Tokenizers
) -> dict[str, TransferredModel]:
    """Give `model`, whose vocabulary is `new`, the `weights` of a network with the vocabulary `parent`.

    Rows of embeddings and output (weights and bias) are copied by piece; the row of a new piece is the mean of the
    rows of the parent's pieces that it is cut into. All other weights are copied.

    Returns:
        What became of the pieces, by side.

    Raises:
        CheckpointError: The networks differ in more than their vocabularies.
    """
    found = {side: origins(getattr(parent, side), getattr(new, side)) for side in ("source", "target")}
    own = dict(model.named_parameters())
    mismatched = [
        name
        for name in sorted(own.keys() | weights.keys())
        if name not in own or name not in weights or not _fits(name, weights[name], own[name], found)
    ]
    if mismatched:
        raise CheckpointError(
            "--init-from: the parent's network has another shape than this configuration's model section "
            f"({', '.join(mismatched[:4])}); copy that section from `nmt info` of the parent"
        )
    for name, parameter in own.items():
        side = vocabulary_side(name)
        value = weights[name]
        if side is not None:
            value = found[side].mix(value)
        parameter.copy_(value)
    return {side: origin.counts for side, origin in found.items()}


def _fits(name: str, old: Tensor, new: Tensor, found: Mapping[str, Origins]) -> bool:
    side = vocabulary_side(name)
    if side is None:
        return old.shape == new.shape
    counts = found[side].counts
    sizes = (counts.kept + counts.new, counts.kept + counts.dropped)
    return (len(new), len(old)) == sizes and old.shape[1:] == new.shape[1:]
