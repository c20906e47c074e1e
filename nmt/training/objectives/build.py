"""From options to the objective."""

from __future__ import annotations

import torch

from nmt.config.schema import TrainingConfig
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import needs_links
from nmt.training.objectives.auxiliary_losses import AlignmentTerm, AttentionTerm, CoverageTerm
from nmt.training.objectives.base import Objective
from nmt.training.objectives.likelihood import Likelihood
from nmt.training.objectives.minimum_risk import Risk, SentenceScorer
from nmt.training.objectives.r_drop import RDrop
from nmt.training.objectives.scheduled_sampling import ScheduledSampler


def build_objective(
    model: Seq2Seq, options: TrainingConfig, *, seed: int, dtype: torch.dtype, judge: SentenceScorer | None
) -> Objective:
    """Return the objective of `options`; `seed` is that of its draws, `judge` is for minimum risk training."""
    if options.objective == "minimum_risk":
        assert judge is not None
        return Risk(
            model=model, options=options.minimum_risk, batch_tokens=options.batch_tokens, judge=judge, dtype=dtype
        )
    terms: list[AttentionTerm] = []
    if options.coverage_loss > 0:
        terms.append(CoverageTerm(options.coverage_loss))
    if needs_links(options):
        terms.append(AlignmentTerm(options.guided_alignment))
    feeder: ScheduledSampler | None = None
    if options.scheduled_sampling.probability > 0:
        feeder = ScheduledSampler(model=model, options=options.scheduled_sampling, seed=seed, dtype=dtype)
    smoothing, alpha = options.label_smoothing, options.r_drop
    if alpha > 0:
        return RDrop(model=model, smoothing=smoothing, alpha=alpha, dtype=dtype, attention_terms=terms, feeder=feeder)
    return Likelihood(model=model, smoothing=smoothing, dtype=dtype, attention_terms=terms, feeder=feeder)
