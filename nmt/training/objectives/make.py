"""From options to the objective."""

from __future__ import annotations

import torch

from nmt.config.schema import Training
from nmt.model import Seq2Seq
from nmt.training.batches import needs_links
from nmt.training.objectives.attention_terms import AlignmentTerm, AttentionTerm, CoverageTerm
from nmt.training.objectives.likelihood import Likelihood
from nmt.training.objectives.minimum_risk import Judge, Risk
from nmt.training.objectives.objective import Objective
from nmt.training.objectives.r_drop import RDrop


def make_objective(model: Seq2Seq, options: Training, *, dtype: torch.dtype, judge: Judge | None) -> Objective:
    """Return the objective of `options`; `judge` is for minimum risk training."""
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
    smoothing = options.label_smoothing
    if options.r_drop > 0:
        return RDrop(model=model, smoothing=smoothing, alpha=options.r_drop, dtype=dtype, attention_terms=terms)
    return Likelihood(model=model, smoothing=smoothing, dtype=dtype, attention_terms=terms)
