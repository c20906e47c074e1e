"""The optimizer, its state as named tensors, and the learning rate schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nmt.config.schema import OptimizerConfig, ScheduleConfig


def make_optimizer(model: nn.Module, options: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimizer of `options` for the parameters of `model` that are not frozen."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rate, decay = options.learning_rate, options.weight_decay
    if options.kind == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=options.momentum, weight_decay=decay, fused=True)
    kind = torch.optim.Adam if options.kind == "adam" else torch.optim.AdamW
    betas = (options.beta1, options.beta2)
    return kind(parameters, lr=rate, betas=betas, eps=options.epsilon, weight_decay=decay, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Return the optimizer's state as tensors named "<parameter>.<field>", such as "output.bias.exp_avg"."""
    names = _trained_names(model)
    states = optimizer.state_dict()["state"]
    return {
        f"{names[number]}.{field}": value
        for number, state in states.items()
        for field, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load the result of `optimizer_tensors`.

    Raises:
        KeyError, ValueError: The tensors do not fit the parameters of the model.
    """
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    numbers = {name: number for number, name in enumerate(_trained_names(model))}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, field = key.rsplit(".", 1)
        if value.dim() and value.shape != shapes[name]:
            raise ValueError(key)
        state.setdefault(numbers[name], {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _trained_names(model: nn.Module) -> list[str]:
    """Return the names of the parameters in the order of the optimizer, which numbers them."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


class LearningRate:
    """The learning rate of each update, counted from 1.

    Args:
        peak: Learning rate at the end of the warmup.
        schedule: The schedule section of the configuration.
        total_updates: Last update of the linear and cosine schedules.
    """

    def __init__(self, *, peak: float, schedule: ScheduleConfig, total_updates: int) -> None:
        self.peak = peak
        self.schedule = schedule
        self.total_updates = total_updates
        self.scale = 1.0
        self.stale_validations = 0
        self.time_share = 0.0
        """How much of `training.max_minutes` is over. The linear and cosine schedules follow the first limit."""

    def at(self, update: int, *, total_updates: int | None = None) -> float:
        """Return the learning rate of `update`, for another number of `total_updates` if given."""
        schedule = self.schedule
        if update <= schedule.warmup:
            return self.peak * update / schedule.warmup
        if schedule.kind == "inverse_sqrt":
            return self.peak * math.sqrt(max(schedule.warmup, 1) / update)
        if schedule.kind in ("linear", "cosine"):
            return self.peak * self._decay(update, total_updates or self.total_updates)
        return self.peak * self.scale

    def _decay(self, update: int, total_updates: int) -> float:
        final = self.schedule.final
        if total_updates <= self.schedule.warmup:
            return 1.0
        done = min(1.0, max(self.time_share, (update - self.schedule.warmup) / (total_updates - self.schedule.warmup)))
        remaining = 1 - done if self.schedule.kind == "linear" else (1 + math.cos(math.pi * done)) / 2
        return final + (1 - final) * remaining

    def observe(self, improved: bool) -> bool:
        """Record a validation; return whether the plateau schedule has lowered the learning rate."""
        if self.schedule.kind != "plateau":
            return False
        self.stale_validations = 0 if improved else self.stale_validations + 1
        if self.stale_validations <= self.schedule.patience:
            return False
        self.stale_validations = 0
        lowered = max(self.scale * self.schedule.factor, self.schedule.final)
        changed = lowered < self.scale
        self.scale = lowered
        return changed

    def state(self) -> dict[str, float]:
        """Return the state for a checkpoint."""
        return {"scale": self.scale, "stale_validations": self.stale_validations}

    def restore(self, state: dict[str, float]) -> None:
        """Load the result of `state`."""
        self.scale = state["scale"]
        self.stale_validations = int(state["stale_validations"])
