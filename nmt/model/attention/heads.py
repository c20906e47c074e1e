"""Heads: attentions side by side, each at its own share of the features.

B sentences, N heads, L positions, A features, R = B x N rows.

A head of a sentence is treated as a row of its own, rows of one sentence together: whatever works on a batch of
sentences works on all their heads at once.
"""

from __future__ import annotations

from torch import Tensor


def split_heads(features: Tensor, heads: int) -> Tensor:
    """Give each head its share of `features` [B, L, A]: [B, N, L, A/N], laid out head by head."""
    sentences, length, size = features.shape
    return features.view(sentences, length, heads, size // heads).transpose(1, 2).contiguous()


def join_heads(rows: Tensor, heads: int) -> Tensor:
    """Put the features of the heads [R, L, A/N] side by side again: [B, L, A]."""
    _, length, size = rows.shape
    return rows.view(-1, heads, length, size).transpose(1, 2).reshape(-1, length, heads * size)
