"""Optimisers, and their state as named tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.config.schema import Optimizer


def make_optimizer(model: nn.Module, options: Optimizer) -> torch.optim.Optimizer:
    """Return the optimiser of `options` for the parameters of `model` that are to be trained."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rate, decay = options.learning_rate, options.weight_decay
    if options.kind == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=options.momentum, weight_decay=decay, fused=True)
    kind = torch.optim.Adam if options.kind == "adam" else torch.optim.AdamW
    betas = (options.beta1, options.beta2)
    return kind(parameters, lr=rate, betas=betas, eps=options.epsilon, weight_decay=decay, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use `rate` from now on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state as tensors named "<parameter number>.<what>"."""
    states = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value
        for number, state in states.items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back the state that `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
