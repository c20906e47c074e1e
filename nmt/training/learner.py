"""One update: gradients of a group of batches, clipped, applied, averaged."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from nmt.config.schema import TrainingConfig
from nmt.data.batching import Batch
from nmt.model import Seq2Seq
from nmt.training.averaging import Weights, make_average
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.objectives import LossOutput, build_objective
from nmt.training.objectives.auxiliary_losses import ParentL2
from nmt.training.objectives.minimum_risk import SentenceScorer
from nmt.training.optimizer import LearningRate, make_optimizer, set_learning_rate


class UpdateStats(NamedTuple):
    """What one update did."""

    negative_log_likelihood: float
    """Sum over the target pieces, in nats."""
    tokens: int
    gradient_norm: float
    """Before clipping."""
    applied: bool
    """False when a gradient was infinite or undefined: the weights are as they were."""
    parts: dict[str, tuple[float, int]]
    """What else the loss is made of, by name: a sum, and what it is over."""


class Learner:
    """A model with its optimiser, learning rate and averaged weights."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        options: TrainingConfig,
        total_updates: int,
        device: torch.device,
        dtype: torch.dtype,
        seed: int = 1,
        judge: SentenceScorer | None = None,
        parent: Weights | None = None,
    ) -> None:
        """Make the optimiser and what goes with it.

        Args:
            model: The model, on the device; what is not to be trained requires no gradient.
            options: The training section.
            total_updates: Where schedules end.
            device: Where to compute.
            dtype: Of matrix products.
            seed: Of what an objective draws.
            judge: What scores samples, for minimum risk training.
            parent: The weights that training started with, for `parent_l2`.
        """
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
        self.objective = build_objective(model, options, seed=seed, dtype=dtype, judge=judge)
        self.pull: ParentL2 | None = None
        if parent is not None and options.parent_l2 > 0:
            self.pull = ParentL2(model.named_parameters(), parent=parent, weight=options.parent_l2)
        self._twin: Seq2Seq | None = None

    def update(self, group: Sequence[Batch], number: int) -> UpdateStats:
        """Make update `number`: one optimiser step on the mean loss of all target pieces in `group`.

        The mean is over the pieces (minimum risk: sentences) of the whole group, so that accumulation gives the
        gradient of one large batch.
        """
        self.model.train()
        units = sum(self.objective.units(batch) for batch in group)
        total, parts = 0.0, dict[str, tuple[float, int]]()
        for batch in group:
            for piece in self.objective.split(to_tensors(batch, self.device)):
                terms = self.loss(piece, number)
                (terms.loss / units).backward()  # type: ignore[no-untyped-call]
                total += float(terms.negative_log_likelihood)
                add_components(parts, {name: (float(part.total), part.over) for name, part in terms.parts.items()})
        if self.pull is not None:
            self.pull.add_gradients()
            parts["distance"] = (self.pull.distance(), 1)
        limit = math.inf if self.options.clip_norm is None else self.options.clip_norm
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit))
        applied = math.isfinite(norm) and math.isfinite(total)
        if applied:
            set_learning_rate(self.optimizer, self.rate.at(number))
            self.optimizer.step()
            self.average.after_update(self.weights, number)
        self.optimizer.zero_grad(set_to_none=True)
        tokens = sum(batch.target_tokens for batch in group)
        return UpdateStats(total, tokens, norm, applied, parts)

    def rehearse(self, batch: Batch) -> None:
        """Run `batch` forwards and backwards without learning from it, to see whether memory suffices."""
        generator = torch.get_rng_state()
        self.model.train()
        largest = self.objective.split(to_tensors(batch, self.device))[0]
        self.loss(largest).loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)
        torch.set_rng_state(generator)

    def loss(self, batch: TensorBatch, number: int = 1) -> LossOutput:
        """Return the loss of `batch` at update `number`; padding takes no part."""
        return self.objective.loss(batch, number)

    def restart(self, weights: Weights) -> None:
        """Go on from `weights`, with an optimiser and an average that know of nothing else."""
        for name, value in self.weights.items():
            value.copy_(weights[name])
        self.optimizer = make_optimizer(self.model, self.options.optimizer)
        self.average.restart(self.weights)

    def model_with(self, weights: Weights) -> Seq2Seq:
        """Return a model that computes with `weights` as they are now (its own: the model itself).

        It shares their storage, but for recurrent layers on a graphics card.
        """
        if weights is self.weights:
            return self.model
        if self._twin is None:
            self._twin = copy.deepcopy(self.model)
        for name, parameter in self._twin.named_parameters():
            parameter.data = weights[name]
        for module in self._twin.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # cuDNN wants them one behind the other: a copy there, nothing elsewhere
        return self._twin


def add_components(sums: dict[str, tuple[float, int]], more: Mapping[str, tuple[float, int]]) -> None:
    """Add to the sums and counts of each part of a loss."""
    for name, (total, count) in more.items():
        before = sums.get(name, (0.0, 0))
        sums[name] = (before[0] + total, before[1] + count)
