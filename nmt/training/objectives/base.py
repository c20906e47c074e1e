"""The interface between the learner and an objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from nmt.data.batching import BatchSize
from nmt.training.batch_tensors import TensorBatch


class LossComponent(NamedTuple):
    """A component of a loss whose mean is logged."""

    total: Tensor
    """Unweighted sum, detached."""
    num_terms: int
    """Number of terms in the sum."""


class LossOutput(NamedTuple):
    """The loss of a batch."""

    loss: Tensor
    """Sum over the units of the batch, differentiable."""
    negative_log_likelihood: Tensor
    """-log p(target), summed over the target pieces, detached. Its mean is the logged loss."""
    components: dict[str, LossComponent]
    """Other components of the loss, by name."""


class Objective(Protocol):
    """An objective of training. An update minimizes the sum of `loss` over its batches, divided by all `units`."""

    def units(self, size: BatchSize) -> int:
        """Return the weight of a batch of this size in the mean loss."""

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Split `batch` into parts that run forward and backward one after the other, to bound memory."""

    def loss(self, batch: TensorBatch, update: int) -> LossOutput:
        """Return the loss of `batch` at `update` (counted from 1), without padding."""
