"""What the learner asks of an objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from nmt.data.batching import Batch
from nmt.training.batch_tensors import TensorBatch


class LossComponent(NamedTuple):
    """Something that goes into a loss and is worth a place in the log."""

    total: Tensor
    """A sum, without its weight, detached."""
    over: int
    """What the sum is over: its mean is logged."""


class LossOutput(NamedTuple):
    """The loss of a batch."""

    loss: Tensor
    """A sum over the batch's units, differentiable."""
    negative_log_likelihood: Tensor
    """-log p(target), summed over the target pieces, detached: its mean is the logged loss."""
    parts: dict[str, LossComponent]
    """What else the loss is made of, by name."""


class Objective(Protocol):
    """What an update minimises: the sum of `loss` over its batches, divided by the sum of `units`."""

    def units(self, batch: Batch) -> int:
        """How much `batch` counts."""

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Cut `batch` into parts that go forwards and backwards one after the other, to bound memory."""

    def loss(self, batch: TensorBatch, update: int) -> LossOutput:
        """Return the loss of `batch` at the update with this number (counted from 1); padding takes no part."""
