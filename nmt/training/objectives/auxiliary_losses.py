"""Losses that are added to an objective: guided alignment, coverage, and the distance to a parent model's weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from nmt.config.schema import GuidedAlignmentConfig
from nmt.model.attention import coverage_loss
from nmt.training.batch_tensors import TensorBatch

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

    def __init__(self, options: GuidedAlignmentConfig) -> None:
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


class ParentL2:
    """Adds c ||w - p||^2 to the loss, p being the weights that training started with (Barone et al. 2017, MAP-L2).

    Its gradient 2 c (w - p) is added once an update, whatever the batches are.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], *, parent: Mapping[str, Tensor], weight: float
    ) -> None:
        """Take those of the named `parameters` that are trained; `parent` has a value for each of them."""
        trained = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
        self.parameters = [parameter for _, parameter in trained]
        self.parent = [parent[name].to(parameter.device, parameter.dtype) for name, parameter in trained]
        self.weight = weight

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Add the term's gradient to those of the loss."""
        for parameter, by in zip(self.parameters, self._moved(), strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(by, alpha=2 * self.weight)

    @torch.no_grad()
    def distance(self) -> float:
        """Return ||w - p||^2."""
        return float(sum((by.double() ** 2).sum() for by in self._moved()))

    def _moved(self) -> list[Tensor]:
        return [parameter.detach() - start for parameter, start in zip(self.parameters, self.parent, strict=True)]
