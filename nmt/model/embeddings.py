"""Embeddings: pieces to vectors.   B batch, S length, E embedding size."""

from __future__ import annotations

from torch import Tensor, nn

from nmt.model.dropout import Dropout

PAD = 0


class Embeddings(nn.Module):
    """A table of piece vectors with dropout of features and of whole pieces."""

    def __init__(
        self,
        *,
        vocabulary_size: int,
        size: int,
        scale: float,
        dropout: float,
        variational: bool,
        word_dropout: float,
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary_size, size, padding_idx=PAD)
        self.scale = scale
        self.word_dropout = Dropout(word_dropout, per_row=True)
        self.dropout = Dropout(dropout, variational=variational)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up `ids` [B, S] (or [B]) and return vectors [B, S, E] (or [B, E])."""
        vectors: Tensor = self.dropout(self.word_dropout(self.table(ids) * self.scale))
        return vectors
