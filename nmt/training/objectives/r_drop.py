"""R-Drop: two passes with different dropout must say the same (Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nmt.data.batching import Batch
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import TensorBatch
from nmt.training.fused_r_drop import r_drop_loss
from nmt.training.objectives.auxiliary_losses import AttentionTerm
from nmt.training.objectives.base import LossComponent, LossOutput
from nmt.training.objectives.likelihood import add_attention_terms, run_model
from nmt.training.objectives.scheduled_sampling import ScheduledSampler


class RDrop:
    """The likelihood under two dropout masks, and the divergence between the two; see `losses/r_drop.py`."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        smoothing: float,
        alpha: float,
        dtype: torch.dtype,
        attention_terms: Sequence[AttentionTerm],
        feeder: ScheduledSampler | None,
    ) -> None:
        self.model = model
        self.feeder = feeder
        self.smoothing = smoothing
        self.alpha = alpha
        self.dtype = dtype
        self.attention_terms = attention_terms

    def units(self, batch: Batch) -> int:
        """Target pieces, those of the second pass not counted."""
        return batch.target_tokens

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Leave it whole: the two passes are one, over each sentence twice."""
        return [batch]

    def loss(self, batch: TensorBatch, update: int) -> LossOutput:
        twice = batch.twice()
        ran = run_model(self.model, batch, dtype=self.dtype, feeder=self.feeder, update=update, copies=2)
        output = self.model.output
        real = ran.states[twice.target_mask]
        sums = r_drop_loss(
            real.view(2, -1, real.shape[-1]),
            output.joint_weight(),
            output.bias,
            batch.target_output[batch.target_mask],
            smoothing=self.smoothing,
            alpha=self.alpha,
            dtype=self.dtype,
        )
        parts = {"r_drop": LossComponent(sums.divergence, batch.target_tokens), **ran.parts}
        terms = LossOutput(sums.loss, sums.negative_log_likelihood, parts)
        return add_attention_terms(terms, self.attention_terms, ran.weights, twice, update=update, share=0.5)
