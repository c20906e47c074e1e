"""What a loss can say of the attention weights.   B sentences, T target length, S source length."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from nmt.config.schema import GuidedAlignment
from nmt.model.attention import coverage_loss
from nmt.training.batches import TensorBatch

TINY = 1e-12
"""Weights below it count as this much: a window can leave a linked piece no weight at all."""


class AttentionTerm(Protocol):
    """A term of the loss that reads attention weights."""

    name: str

    def scale(self, update: int) -> float:
        """The weight of the term at the update with this number."""

    def measure(self, weights: Tensor, batch: TensorBatch) -> tuple[Tensor, int]:
        """Return the term's sum for attention weights [B, T, S], and what its mean in the log is over."""


class AlignmentTerm:
    """Guided alignment: the cross-entropy between given links and attention (Chen et al. 2016, eq. 9 to 11).

    -sum_t sum_s A_ts log a_ts over the target pieces t that have links; A_ts is 1 / (links of t) for each of them.
    """

    name = "alignment"

    def __init__(self, options: GuidedAlignment) -> None:
        self.options = options

    def scale(self, update: int) -> float:
        """The weight, on its way in a straight line from the first one (before update 1) to the last one."""
        options = self.options
        if options.final_weight is None or options.decay_updates is None:
            return options.weight
        done = min(1.0, update / options.decay_updates)
        return options.weight + done * (options.final_weight - options.weight)

    def measure(self, weights: Tensor, batch: TensorBatch) -> tuple[Tensor, int]:
        links = batch.links
        assert links is not None
        looked = weights[links.rows, links.targets, links.sources]
        return -(links.shares * looked.clamp_min(TINY).log()).sum(), links.linked


class CoverageTerm:
    """The coverage loss of See et al. 2017, eq. 12."""

    name = "coverage"

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def scale(self, update: int) -> float:
        return self.weight

    def measure(self, weights: Tensor, batch: TensorBatch) -> tuple[Tensor, int]:
        return coverage_loss(weights, batch.target_mask), batch.target_tokens
