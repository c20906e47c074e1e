"""L2 towards a parent: fine-tuned weights stay near those they started with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


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
