"""The likelihood of the references, label-smoothed: the objective of ordinary training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batching import Batch
from nmt.device import autocast
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import TensorBatch
from nmt.training.fused_loss import fused_loss
from nmt.training.objectives.auxiliary_losses import AttentionTerm
from nmt.training.objectives.base import LossComponent, LossOutput
from nmt.training.objectives.scheduled_sampling import ScheduledSampler


class ForwardOutput(NamedTuple):
    """What the model made of a batch."""

    states: Tensor
    """What the output layer reads [B, T, O]."""
    weights: Tensor | None
    """Attention weights [B, T, S]."""
    parts: dict[str, LossComponent]
    """How much of what it was fed was its own."""


def run_model(
    model: Seq2Seq,
    batch: TensorBatch,
    *,
    dtype: torch.dtype,
    feeder: ScheduledSampler | None,
    update: int,
    copies: int = 1,
) -> ForwardOutput:
    """Run the model on `copies` of a batch, one below the other, which are fed the same and differ by dropout."""
    whole = batch if copies == 1 else batch.twice()
    with autocast(batch.source.device, dtype):
        memory = model.encode(whole.source, whole.source_lengths)
    target_input, parts = whole.target_input, dict[str, LossComponent]()
    if feeder is not None:
        first = memory if copies == 1 else memory.select(torch.arange(len(batch.source), device=batch.source.device))
        fed = feeder.feed(batch, first, update)
        target_input = fed.pieces.repeat(copies, 1)
        parts["scheduled_sampling"] = LossComponent(torch.tensor(fed.own), batch.target_tokens)
    with autocast(batch.source.device, dtype):
        states, weights = model.decode(target_input, memory)
    return ForwardOutput(states, weights, parts)


class Likelihood:
    """Minus the log-probability of each target piece, smoothed, and terms of the attention weights."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        smoothing: float,
        dtype: torch.dtype,
        attention_terms: Sequence[AttentionTerm],
        feeder: ScheduledSampler | None,
    ) -> None:
        self.model = model
        self.feeder = feeder
        self.smoothing = smoothing
        self.dtype = dtype
        self.attention_terms = attention_terms

    def units(self, batch: Batch) -> int:
        """Target pieces."""
        return batch.target_tokens

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Leave it whole."""
        return [batch]

    def loss(self, batch: TensorBatch, update: int) -> LossOutput:
        ran = run_model(self.model, batch, dtype=self.dtype, feeder=self.feeder, update=update)
        output = self.model.output
        sums = fused_loss(
            ran.states[batch.target_mask],
            output.joint_weight(),
            output.bias,
            batch.target_output[batch.target_mask],
            smoothing=self.smoothing,
            dtype=self.dtype,
        )
        terms = LossOutput(sums.loss, sums.negative_log_likelihood, ran.parts)
        return add_attention_terms(terms, self.attention_terms, ran.weights, batch, update=update, share=1.0)


def add_attention_terms(
    terms: LossOutput,
    attention_terms: Sequence[AttentionTerm],
    weights: Tensor | None,
    batch: TensorBatch,
    *,
    update: int,
    share: float,
) -> LossOutput:
    """Add to a loss what `attention_terms` say of the attention weights [B, T, S], times `share`."""
    loss, parts = terms.loss, dict(terms.parts)
    for term in attention_terms:
        scale = term.scale(update)
        if scale > 0:
            assert weights is not None
            total, count = term.measure(weights, batch)
            loss = loss + share * scale * total
            parts[term.name] = LossComponent(total.detach(), count)
    return LossOutput(loss, terms.negative_log_likelihood, parts)
