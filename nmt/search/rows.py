"""Between the host, where search keeps its books, and the device, where the model computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.search.interface import SelectableT

# Sentences that are done leave the batch when they are this share of it: copying the others has its price too.
DONE_SHARE = 1 / 16


def to_host(values: Tensor) -> NDArray[Any]:
    """Return `values` as an array; waits for the device."""
    array: NDArray[Any] = values.cpu().numpy()
    return array


def to_device(values: NDArray[np.int64], device: torch.device) -> Tensor:
    """Return an array of indices or ids as a tensor on `device`."""
    return torch.from_numpy(values).to(device)


def pick(selectable: SelectableT, rows: NDArray[np.int64], *, of: int, device: torch.device) -> SelectableT:
    """Return the part of a memory or state of `of` rows that belongs to `rows`; itself if that is all, in order."""
    if len(rows) == of and np.array_equal(rows, np.arange(of)):
        return selectable
    return selectable.select(to_device(rows, device))
