"""R-Drop: two passes with different dropout must give similar distributions (Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nmt.data.batching import BatchSize
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import TensorBatch
from nmt.training.fused_r_drop import r_drop_loss
from nmt.training.objectives.auxiliary_losses import AttentionLoss
from nmt.training.objectives.base import LossComponent, LossOutput
from nmt.training.objectives.likelihood import add_attention_losses, run_model
from nmt.training.objectives.scheduled_sampling import ScheduledSampler


class RDrop:
    """The likelihood under two dropout masks, plus the divergence between the two; see `fused_r_drop.py`."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        smoothing: float,
        alpha: float,
        dtype: torch.dtype,
        attention_losses: Sequence[AttentionLoss],
        sampler: ScheduledSampler | None,
    ) -> None:
        self.model = model
        self.sampler = sampler
        self.smoothing = smoothing
        self.alpha = alpha
        self.dtype = dtype
        self.attention_losses = attention_losses

    def units(self, size: BatchSize) -> int:
        """Return the number of target pieces, counted once for both passes."""
        return size.target_tokens

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Return the batch unsplit: the two passes run as one batch of twice the size."""
        return [batch]

    def loss(self, batch: TensorBatch, update: int) -> LossOutput:
        twice = batch.twice()
        forward = run_model(self.model, batch, dtype=self.dtype, sampler=self.sampler, update=update, copies=2)
        layer = self.model.output
        states = twice.at_targets(forward.states)  # [2 * N, O]
        sums = r_drop_loss(
            states.view(2, -1, states.shape[-1]),  # [2, N, O]
            layer.joint_weight(),
            layer.bias,
            batch.at_targets(batch.target_output),  # [N]
            smoothing=self.smoothing,
            alpha=self.alpha,
            dtype=self.dtype,
        )
        components = {"r_drop": LossComponent(sums.divergence, batch.target_tokens), **forward.components}
        output = LossOutput(sums.loss, sums.negative_log_likelihood, components)
        return add_attention_losses(output, self.attention_losses, forward.weights, twice, update=update, scale=0.5)
