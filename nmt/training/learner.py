"""One update: compute gradients of its batches, clip them, apply them, average the weights."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.config.schema import TrainingConfig
from nmt.data.batching import Batch, Share, whole
from nmt.data.shuffle import make_key
from nmt.device import runs_ahead
from nmt.model import Seq2Seq
from nmt.model.graphs import PositionGraphs
from nmt.training.averaging import Weights, make_average
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.objectives import build_objective
from nmt.training.objectives.auxiliary_losses import ParentL2
from nmt.training.objectives.base import LossOutput, Objective
from nmt.training.objectives.minimum_risk import SentenceScorer
from nmt.training.optimizer import LearningRate, make_optimizer, set_learning_rate
from nmt.training.ranks import Ranks
from nmt.training.state import UpdateStats


class _Loss(nn.Module):
    """The objective as a module, whose gradients torch can sum over several processes."""

    def __init__(self, model: Seq2Seq, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = objective

    def forward(self, batch: TensorBatch, update: int) -> LossOutput:
        return self._objective.loss(batch, update)


@dataclass
class LaunchedUpdate:
    """An update whose numbers may still be on the device; see `Learner.launch`."""

    sums: Tensor
    """On the device, float64 [1 + C]: the negative log-likelihood, then the total of each of C loss components."""
    norm: Tensor
    """Norm of the gradient, on the device []."""
    counts: dict[str, int]
    """Number of terms of each component, by name in the order of `sums`."""
    tokens: int
    """Number of target pieces of all ranks."""
    computes: bool
    """Whether this rank has batches of its own in the update. Otherwise its sums are not counted."""
    own: dict[str, tuple[float, int]]
    """Components that are not summed over the ranks."""
    stats: UpdateStats | None = None
    """The numbers, if they have been read."""


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
        self.runs_ahead = runs_ahead(device)
        """Whether the host prepares the next updates while the device computes. It then waits in `read` only."""
        if options.cuda_graphs and device.type == "cuda":
            model.decoder.graphs = PositionGraphs()
        self._shadow_model: Seq2Seq | None = None
        self._loss: nn.Module | None = None

    def update(self, batches: Sequence[Batch] | Share, number: int) -> UpdateStats:
        """Make update `number` and wait for its numbers; see `launch`."""
        return self.read([self.launch(batches, number)])[0]

    def launch(self, batches: Sequence[Batch] | Share, number: int) -> LaunchedUpdate:
        """Start update `number`: one optimizer step on the mean loss over all its batches, those of other ranks too.

        The mean is over the target pieces (in minimum risk training over the sentences) of all batches. So accumulation
        gives the gradient of one large batch, and so do several ranks. Dropout depends on the seed, the update and the
        number of the batch in the update.
        """
        share = batches if isinstance(batches, Share) else whole(batches)
        self.model.train()
        launched = self._backward(share, number)
        if self.parent_l2 is not None:
            self.parent_l2.add_gradients()
            launched.own["parent_l2"] = (self.parent_l2.distance(), 1)
        limit = math.inf if self.options.clip_norm is None else self.options.clip_norm
        launched.norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        if self.runs_ahead:
            # The optimizer looks at this number on the device and then changes nothing.
            self.optimizer.found_inf = 1 - launched.norm.isfinite().float()  # type: ignore[attr-defined]
            self._apply(number)
        elif self.read([launched])[0].applied:
            self._apply(number)
        self.optimizer.zero_grad(set_to_none=True)
        return launched

    def _apply(self, number: int) -> None:
        set_learning_rate(self.optimizer, self.learning_rate.at(number))
        self.optimizer.step()
        self.average.after_update(self.weights, number)

    def read(self, updates: Sequence[LaunchedUpdate]) -> list[UpdateStats]:
        """Return the numbers of updates, in one copy from the device. All ranks must read the same updates at once."""
        unread = [update for update in updates if update.stats is None]
        if unread:
            on_device = [value for update in unread for value in (update.sums, update.norm.double().reshape(1))]
            values = iter(torch.cat(on_device).tolist())
            own = [[next(values) for _ in range(len(update.counts) + 2)] for update in unread]
            flat = [
                float(value) * update.computes
                for update, (*sums, _) in zip(unread, own, strict=True)
                for value in (*sums, *update.counts.values())
            ]
            totals = iter(self.ranks.sum(flat))
            for update, (*_, norm) in zip(unread, own, strict=True):
                update.stats = _stats(update, [next(totals) for _ in range(2 * len(update.counts) + 1)], norm)
        return [update.stats for update in updates if update.stats is not None]

    def _backward(self, share: Share, number: int) -> LaunchedUpdate:
        """Compute the gradients of update `number`."""
        if self._loss is None:
            self._loss = self.ranks.synchronized(_Loss(self.model, self.objective), self.device)
        units = sum(self.objective.units(size) for size in share.sizes) / self.ranks.size  # torch averages over ranks
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        components = dict[str, tuple[Tensor, int]]()
        for part, is_last in self._parts(share, number):
            with self._synchronizing(is_last):
                output: LossOutput = self._loss(part, number)
                (output.loss / units if share.counts else 0 * output.loss).backward()  # type: ignore[no-untyped-call]
            total = total + output.negative_log_likelihood
            for name, each in output.components.items():
                old_total, old_count = components.get(name, (torch.zeros_like(total), 0))
                components[name] = (old_total + each.total.to(total), old_count + each.num_terms)
        names = sorted(components)
        return LaunchedUpdate(
            sums=torch.stack([total, *(components[name][0] for name in names)]),
            norm=total,
            counts={name: components[name][1] for name in names},
            tokens=sum(size.target_tokens for size in share.sizes),
            computes=bool(share.counts),
            own={},
        )

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


def _stats(update: LaunchedUpdate, sums: Sequence[float], norm: float) -> UpdateStats:
    """Return the numbers of an update from its sums over all ranks: values, then the counts of the components."""
    total, *rest = sums
    totals, counts = rest[: len(update.counts)], rest[len(update.counts) :]
    components = {name: (value, int(count)) for name, value, count in zip(update.counts, totals, counts, strict=True)}
    applied = math.isfinite(norm) and math.isfinite(total)
    return UpdateStats(total, update.tokens, norm, applied, {**components, **update.own})
