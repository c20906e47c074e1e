"""The likelihood of the references, label-smoothed: the objective of ordinary training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.data.batching import Batch
from nmt.device import autocast
from nmt.model import Seq2Seq
from nmt.training.batches import TensorBatch
from nmt.training.loss import fused_loss
from nmt.training.objectives.attention_terms import AttentionTerm
from nmt.training.objectives.objective import Part, Terms


def run_model(model: Seq2Seq, batch: TensorBatch, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Return the states [B, T, O] that the output layer reads, and the attention weights [B, T, S] or None."""
    with autocast(batch.source.device, dtype):
        memory = model.encode(batch.source, batch.source_lengths)
        return model.decode(batch.target_input, memory)


class Likelihood:
    """Minus the log-probability of each target piece, smoothed, and terms of the attention weights."""

    def __init__(
        self, *, model: Seq2Seq, smoothing: float, dtype: torch.dtype, attention_terms: Sequence[AttentionTerm]
    ) -> None:
        self.model = model
        self.smoothing = smoothing
        self.dtype = dtype
        self.attention_terms = attention_terms

    def units(self, batch: Batch) -> int:
        """Target pieces."""
        return batch.target_tokens

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Leave it whole."""
        return [batch]

    def loss(self, batch: TensorBatch, update: int) -> Terms:
        states, weights = run_model(self.model, batch, self.dtype)
        output = self.model.output
        sums = fused_loss(
            states[batch.target_mask],
            output.joint_weight(),
            output.bias,
            batch.target_output[batch.target_mask],
            smoothing=self.smoothing,
            dtype=self.dtype,
        )
        terms = Terms(sums.loss, sums.negative_log_likelihood, {})
        return add_attention_terms(terms, self.attention_terms, weights, batch, update=update, share=1.0)


def add_attention_terms(
    terms: Terms,
    attention_terms: Sequence[AttentionTerm],
    weights: Tensor | None,
    batch: TensorBatch,
    *,
    update: int,
    share: float,
) -> Terms:
    """Add to a loss what `attention_terms` say of the attention weights [B, T, S], times `share`."""
    loss, parts = terms.loss, dict(terms.parts)
    for term in attention_terms:
        scale = term.scale(update)
        if scale > 0:
            assert weights is not None
            total, count = term.measure(weights, batch)
            loss = loss + share * scale * total
            parts[term.name] = Part(total.detach(), count)
    return Terms(loss, terms.negative_log_likelihood, parts)
