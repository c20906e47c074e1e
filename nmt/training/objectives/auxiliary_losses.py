"""Losses added to an objective: guided alignment, coverage, and the L2 distance to the weights of a parent model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from nmt.config.schema import GuidedAlignmentConfig
from nmt.model.attention import coverage_loss
from nmt.training.batch_tensors import TensorBatch

MIN_WEIGHT = 1e-12
"""Lower bound of attention weights under the logarithm. Local attention gives no weight outside its window."""


class AttentionLoss(Protocol):
    """A loss of the attention weights."""

    name: str
    """Its name in the log."""

    def weight_at(self, update: int) -> float:
        """Return the weight of the loss at `update`, counted from 1."""

    def compute(self, weights: Tensor, batch: TensorBatch) -> tuple[Tensor, int]:
        """Return the unweighted sum of the loss for attention weights [B, T, S], and the count of its logged mean."""


class GuidedAlignmentLoss:
    """Cross-entropy between given alignments and attention (Chen et al. 2016, eq. 9 to 11).

    -sum_t sum_s A_ts log a_ts over the target pieces t that have links, where A_ts is 1 / (number of links of t) for
    each of its links and 0 elsewhere.
    """

    name = "guided_alignment"

    def __init__(self, options: GuidedAlignmentConfig) -> None:
        self.options = options

    def weight_at(self, update: int) -> float:
        """Return the weight, which changes linearly from `weight` at update 0 to `final_weight`."""
        options = self.options
        if options.final_weight is None or options.decay_updates is None:
            return options.weight
        done = min(1.0, update / options.decay_updates)
        return options.weight + done * (options.final_weight - options.weight)

    def compute(self, weights: Tensor, batch: TensorBatch) -> tuple[Tensor, int]:
        links = batch.links
        assert links is not None
        at_links = weights[links.rows, links.targets, links.sources]  # [N]
        return -(links.shares * at_links.clamp_min(MIN_WEIGHT).log()).sum(), links.linked


class CoverageLoss:
    """The coverage loss of See et al. 2017, eq. 12."""

    name = "coverage_loss"

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def weight_at(self, update: int) -> float:
        return self.weight

    def compute(self, weights: Tensor, batch: TensorBatch) -> tuple[Tensor, int]:
        return coverage_loss(weights, batch.target_mask), batch.target_tokens


class ParentL2:
    """The loss c ||w - p||^2, where p are the initial weights of the run (Barone et al. 2017, MAP-L2).

    Its gradient 2 c (w - p) is added once for each update, independently of the batches.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], *, parent: Mapping[str, Tensor], weight: float
    ) -> None:
        """Take the trained ones of the named `parameters`; `parent` has a value for each of them."""
        trained = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
        self.parameters = [parameter for _, parameter in trained]
        self.parent = [parent[name].to(parameter.device, parameter.dtype) for name, parameter in trained]
        self.weight = weight

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Add the gradient of this loss to the gradients of the parameters."""
        for parameter, difference in zip(self.parameters, self._differences(), strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(difference, alpha=2 * self.weight)

    @torch.no_grad()
    def distance(self) -> float:
        """Return ||w - p||^2."""
        return float(sum((difference.double() ** 2).sum() for difference in self._differences()))

    def _differences(self) -> list[Tensor]:
        return [parameter.detach() - start for parameter, start in zip(self.parameters, self.parent, strict=True)]
