"""Build the objective from the training section of a configuration."""

from __future__ import annotations

import torch

from nmt.config.schema import TrainingConfig
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import needs_links
from nmt.training.objectives.auxiliary_losses import AttentionLoss, CoverageLoss, GuidedAlignmentLoss
from nmt.training.objectives.base import Objective
from nmt.training.objectives.likelihood import Likelihood
from nmt.training.objectives.minimum_risk import MinimumRisk, SentenceScorer
from nmt.training.objectives.r_drop import RDrop
from nmt.training.objectives.scheduled_sampling import ScheduledSampler


def build_objective(
    model: Seq2Seq, options: TrainingConfig, *, seed: int, dtype: torch.dtype, scorer: SentenceScorer | None
) -> Objective:
    """Return the objective of `options`.

    Args:
        model: The model that is trained.
        options: The training section.
        seed: Seed of scheduled sampling.
        dtype: Number format of matrix products.
        scorer: Scores samples; required for minimum risk training.
    """
    if options.objective == "minimum_risk":
        assert scorer is not None
        return MinimumRisk(
            model=model, options=options.minimum_risk, batch_tokens=options.batch_tokens, scorer=scorer, dtype=dtype
        )
    attention_losses: list[AttentionLoss] = []
    if options.coverage_loss > 0:
        attention_losses.append(CoverageLoss(options.coverage_loss))
    if needs_links(options):
        attention_losses.append(GuidedAlignmentLoss(options.guided_alignment))
    sampler: ScheduledSampler | None = None
    if options.scheduled_sampling.probability > 0:
        sampler = ScheduledSampler(model=model, options=options.scheduled_sampling, seed=seed, dtype=dtype)
    smoothing, alpha = options.label_smoothing, options.r_drop
    if alpha > 0:
        return RDrop(
            model=model,
            smoothing=smoothing,
            alpha=alpha,
            dtype=dtype,
            attention_losses=attention_losses,
            sampler=sampler,
        )
    return Likelihood(model=model, smoothing=smoothing, dtype=dtype, attention_losses=attention_losses, sampler=sampler)
