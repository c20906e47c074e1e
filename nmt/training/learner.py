"""One update: compute gradients of its batches, clip them, apply them, average the weights."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from nmt.config.schema import TrainingConfig
from nmt.data.batching import Batch, Share, whole
from nmt.data.shuffle import make_key
from nmt.model import Seq2Seq
from nmt.training.averaging import Weights, make_average
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.objectives import build_objective
from nmt.training.objectives.auxiliary_losses import ParentL2
from nmt.training.objectives.base import LossOutput, Objective
from nmt.training.objectives.minimum_risk import SentenceScorer
from nmt.training.optimizer import LearningRate, make_optimizer, set_learning_rate
from nmt.training.ranks import Ranks
from nmt.training.state import UpdateStats, add_components


class _Loss(nn.Module):
    """The objective as a module, whose gradients torch can sum over several processes."""

    def __init__(self, model: Seq2Seq, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: TensorBatch, update: int) -> LossOutput:
        return self._objective.loss(batch, update)


class Learner:
    """A model with its optimizer, learning rate and averaged weights."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        options: TrainingConfig,
        total_updates: int,
        device: torch.device,
        dtype: torch.dtype,
        seed: int = 1,
        scorer: SentenceScorer | None = None,
        parent: Weights | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        """Make the optimizer, the learning rate, the average and the objective.

        Args:
            model: The model, on `device`. Frozen parameters do not require gradients.
            options: The training section.
            total_updates: Last update of the learning rate schedule.
            device: Where to compute.
            dtype: Number format of matrix products.
            seed: Seed of dropout and of the objective's random draws.
            scorer: Scores samples in minimum risk training.
            parent: Initial weights of the run, for `parent_l2`.
            ranks: The processes of the training. Default: this one alone.
        """
        self.ranks = ranks or Ranks()
        self.seed = seed
        self.model = model
        self.options = options
        self.device = device
        self.dtype = dtype
        self.total_updates = total_updates
        self.optimizer = make_optimizer(model, options.optimizer)
        self.learning_rate = LearningRate(
            peak=options.optimizer.learning_rate, schedule=options.schedule, total_updates=total_updates
        )
        self.average = make_average(options.averaging)
        self.weights: Weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        self.objective = build_objective(model, options, seed=seed, dtype=dtype, scorer=scorer)
        self.parent_l2: ParentL2 | None = None
        if parent is not None and options.parent_l2 > 0:
            self.parent_l2 = ParentL2(model.named_parameters(), parent=parent, weight=options.parent_l2)
        self._shadow_model: Seq2Seq | None = None
        self._loss: nn.Module | None = None

    def update(self, batches: Sequence[Batch] | Share, number: int) -> UpdateStats:
        """Make update `number`: one optimizer step on the mean loss over all its batches, those of other ranks too.

        The mean is over the target pieces (in minimum risk training over the sentences) of all batches. So accumulation
        gives the gradient of one large batch, and so do several ranks. Dropout depends on the seed, the update and the
        number of the batch in the update.
        """
        share = batches if isinstance(batches, Share) else whole(batches)
        self.model.train()
        totals, components = self._backward(share, number)
        total, tokens = totals
        if self.parent_l2 is not None:
            self.parent_l2.add_gradients()
            components["parent_l2"] = (self.parent_l2.distance(), 1)
        limit = math.inf if self.options.clip_norm is None else self.options.clip_norm
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit))
        applied = math.isfinite(norm) and math.isfinite(total)
        if applied:
            set_learning_rate(self.optimizer, self.learning_rate.at(number))
            self.optimizer.step()
            self.average.after_update(self.weights, number)
        self.optimizer.zero_grad(set_to_none=True)
        return UpdateStats(total, tokens, norm, applied, components)

    def _backward(self, share: Share, number: int) -> tuple[tuple[float, int], dict[str, tuple[float, int]]]:
        """Compute the gradients of update `number`.

        Returns:
            The negative log-likelihood and the number of target pieces, then the other components of the loss, each
            summed over all ranks.
        """
        if self._loss is None:
            self._loss = self.ranks.synchronized(_Loss(self.model, self.objective), self.device)
        units = sum(self.objective.units(size) for size in share.sizes) / self.ranks.size  # torch averages over ranks
        total, components = 0.0, dict[str, tuple[float, int]]()
        for part, is_last in self._parts(share, number):
            with self._synchronizing(is_last):
                output: LossOutput = self._loss(part, number)
                (output.loss / units if share.counts else 0 * output.loss).backward()  # type: ignore[no-untyped-call]
            total += float(output.negative_log_likelihood)
            sums = {name: (float(each.total), each.num_terms) for name, each in output.components.items()}
            add_components(components, sums)
        values = [total, *(value for name in sorted(components) for value in components[name])]
        sums_of_all = iter(self.ranks.sum([value * share.counts for value in values]))
        total = next(sums_of_all)
        components = {name: (next(sums_of_all), int(next(sums_of_all))) for name in sorted(components)}
        return (total, sum(size.target_tokens for size in share.sizes)), components

    def _parts(self, share: Share, number: int) -> Iterator[tuple[TensorBatch, bool]]:
        """Yield the parts of the batches, and whether a part is the last one. Seed the random generators of torch."""
        tensors = [to_tensors(batch, self.device) for batch in share.batches]
        for batch, place in zip(tensors, share.numbers, strict=True):
            torch.manual_seed(make_key(self.seed, 8, number, place))
            parts = self.objective.split(batch)
            for index, part in enumerate(parts, 1):
                yield part, batch is tensors[-1] and index == len(parts)

    def _synchronizing(self, is_last: bool) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the backward pass sums the gradients over all ranks, if it is the last one."""
        if is_last or not isinstance(self._loss, nn.parallel.DistributedDataParallel):
            return contextlib.nullcontext()
        return self._loss.no_sync()

    def dry_run(self, batch: Batch) -> None:
        """Run `batch` forward and backward without an update, to check that memory suffices."""
        generator = torch.get_rng_state()
        self.model.train()
        largest = self.objective.split(to_tensors(batch, self.device))[0]
        self.objective.loss(largest, 1).loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)
        torch.set_rng_state(generator)

    def restart(self, weights: Weights) -> None:
        """Continue from `weights`, with a new optimizer and a new average."""
        for name, value in self.weights.items():
            value.copy_(weights[name])
        self.optimizer = make_optimizer(self.model, self.options.optimizer)
        self.average.restart(self.weights)

    def model_with(self, weights: Weights) -> Seq2Seq:
        """Return a model that computes with the current values of `weights`.

        For the learner's own weights, that is the model itself. Other weights go into a copy of the model, which shares
        their storage (except for recurrent layers on a GPU).
        """
        if weights is self.weights:
            return self.model
        if self._shadow_model is None:
            self._shadow_model = copy.deepcopy(self.model)
        for name, parameter in self._shadow_model.named_parameters():
            parameter.data = weights[name]
        for module in self._shadow_model.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # cuDNN needs them in one block: a copy on a GPU, nothing on a CPU.
        return self._shadow_model
