"""The objective of ordinary training: label-smoothed likelihood of the references.

B pairs, S source length, T target length, O inputs of the output layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batching import BatchSize
from nmt.device import autocast
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import TensorBatch
from nmt.training.fused_loss import fused_loss
from nmt.training.objectives.auxiliary_losses import AttentionLoss
from nmt.training.objectives.base import LossComponent, LossOutput
from nmt.training.objectives.scheduled_sampling import ScheduledSampler


class ForwardOutput(NamedTuple):
    """The result of running the model on a batch."""

    states: Tensor
    """Inputs of the output layer [B, T, O]."""
    weights: Tensor | None
    """Attention weights [B, T, S]."""
    components: dict[str, LossComponent]
    """With scheduled sampling: the share of input pieces that the model predicted."""


def run_model(
    model: Seq2Seq,
    batch: TensorBatch,
    *,
    dtype: torch.dtype,
    sampler: ScheduledSampler | None,
    update: int,
    copies: int = 1,
) -> ForwardOutput:
    """Run the model on one or two `copies` of a batch, with the same decoder inputs but different dropout.

    The rows of the second copy follow those of the first: the first dimension of the results is `copies` * B.
    """
    whole = batch if copies == 1 else batch.twice()
    with autocast(batch.source.device, dtype):
        memory = model.encode(whole.source, whole.source_lengths)
    target_input, components = whole.target_input, dict[str, LossComponent]()
    if sampler is not None:
        first = memory if copies == 1 else memory.select(torch.arange(len(batch.source), device=batch.source.device))
        mixed = sampler.mix(batch, first, update)
        target_input = mixed.pieces.repeat(copies, 1)  # [copies * B, T]
        components["scheduled_sampling"] = LossComponent(torch.tensor(mixed.num_predicted), batch.target_tokens)
    with autocast(batch.source.device, dtype):
        states, weights = model.decode(target_input, memory)
    return ForwardOutput(states, weights, components)


class Likelihood:
    """Label-smoothed negative log-likelihood, plus losses of the attention weights."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        smoothing: float,
        dtype: torch.dtype,
        attention_losses: Sequence[AttentionLoss],
        sampler: ScheduledSampler | None,
    ) -> None:
        self.model = model
        self.sampler = sampler
        self.smoothing = smoothing
        self.dtype = dtype
        self.attention_losses = attention_losses

    def units(self, size: BatchSize) -> int:
        """Return the number of target pieces."""
        return size.target_tokens

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Return the batch unsplit."""
        return [batch]

    def loss(self, batch: TensorBatch, update: int) -> LossOutput:
        forward = run_model(self.model, batch, dtype=self.dtype, sampler=self.sampler, update=update)
        layer = self.model.output
        sums = fused_loss(
            batch.at_targets(forward.states),  # [N, O]
            layer.joint_weight(),
            layer.bias,
            batch.at_targets(batch.target_output),  # [N]
            smoothing=self.smoothing,
            dtype=self.dtype,
        )
        output = LossOutput(sums.loss, sums.negative_log_likelihood, forward.components)
        return add_attention_losses(output, self.attention_losses, forward.weights, batch, update=update, scale=1.0)


def add_attention_losses(
    output: LossOutput,
    attention_losses: Sequence[AttentionLoss],
    weights: Tensor | None,
    batch: TensorBatch,
    *,
    update: int,
    scale: float,
) -> LossOutput:
    """Add the losses of the attention weights [B, T, S] to `output`, multiplied by `scale`."""
    loss, components = output.loss, dict(output.components)
    for attention_loss in attention_losses:
        weight = attention_loss.weight_at(update)
        if weight > 0:
            assert weights is not None
            total, count = attention_loss.compute(weights, batch)
            loss = loss + scale * weight * total
            components[attention_loss.name] = LossComponent(total.detach(), count)
    return LossOutput(loss, output.negative_log_likelihood, components)
