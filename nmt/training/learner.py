"""One update: gradients of a group of batches, clipped, applied, averaged."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from nmt.config.schema import Training
from nmt.data.batching import Batch
from nmt.device import autocast
from nmt.model import Seq2Seq
from nmt.training.averaging import Weights, make_average
from nmt.training.batches import TensorBatch, to_tensors
from nmt.training.loss import LossSums, fused_loss
from nmt.training.optim import make_optimizer, set_learning_rate
from nmt.training.schedule import LearningRate


class Learned(NamedTuple):
    """What one update did."""

    negative_log_likelihood: float
    """Sum over the target pieces, in nats."""
    tokens: int
    gradient_norm: float
    """Before clipping."""
    applied: bool
    """False when a gradient was infinite or undefined: the weights are as they were."""


class Learner:
    """A model with its optimiser, learning rate and averaged weights."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        options: Training,
        total_updates: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.model = model
        self.options = options
        self.device = device
        self.dtype = dtype
        self.total_updates = total_updates
        self.optimizer = make_optimizer(model, options.optimizer)
        self.rate = LearningRate(
            peak=options.optimizer.learning_rate, schedule=options.schedule, total_updates=total_updates
        )
        self.average = make_average(options.averaging)
        self.weights: Weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        self._twin: Seq2Seq | None = None

    def update(self, group: Sequence[Batch], number: int) -> Learned:
        """Make update `number`: one optimiser step on the mean loss of all target pieces in `group`.

        The mean is over the pieces of the whole group, so that accumulation gives the gradient of one large batch.
        """
        self.model.train()
        tokens = sum(batch.target_tokens for batch in group)
        total = 0.0
        for batch in group:
            sums = self.loss(to_tensors(batch, self.device))
            (sums.loss / tokens).backward()  # type: ignore[no-untyped-call]
            total += float(sums.negative_log_likelihood)
        limit = math.inf if self.options.clip_norm is None else self.options.clip_norm
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit))
        applied = math.isfinite(norm) and math.isfinite(total)
        if applied:
            set_learning_rate(self.optimizer, self.rate.at(number))
            self.optimizer.step()
            self.average.after_update(self.weights, number)
        self.optimizer.zero_grad(set_to_none=True)
        return Learned(total, tokens, norm, applied)

    def rehearse(self, batch: Batch) -> None:
        """Run `batch` forwards and backwards without learning from it, to see whether memory suffices."""
        generator = torch.get_rng_state()
        self.model.train()
        self.loss(to_tensors(batch, self.device)).loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)
        torch.set_rng_state(generator)

    def loss(self, batch: TensorBatch) -> LossSums:
        """Return the loss sums of `batch`; padding takes no part."""
        with autocast(self.device, self.dtype):
            memory = self.model.encode(batch.source, batch.source_lengths)
            states, _ = self.model.decode(batch.target_input, memory)
        output = self.model.output
        return fused_loss(
            states[batch.target_mask],
            output.weight,
            output.bias,
            batch.target_output[batch.target_mask],
            smoothing=self.options.label_smoothing,
            dtype=self.dtype,
        )

    def model_with(self, weights: Weights) -> Seq2Seq:
        """Return a model that computes with `weights`, sharing their storage (its own: the model itself)."""
        if weights is self.weights:
            return self.model
        if self._twin is None:
            self._twin = copy.deepcopy(self.model)
        for name, parameter in self._twin.named_parameters():
            parameter.data = weights[name]
        return self._twin
