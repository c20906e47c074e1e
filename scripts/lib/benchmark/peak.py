"""What the machine can do: the speed of a large matrix product.

On a CPU torch has two libraries for products in fp32, and which is the faster depends on the processor: on AMD's, MKL
(which `left @ right` calls) was seen at less than half the speed of oneDNN. The peak is that of the faster one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from nmt.device import bf16_kernels

SIZE = 2048
QUICK_SIZE = 128
REPETITIONS = 5
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def matrix_speed(device: torch.device, precision: str, *, size: int = SIZE) -> float:
    """Return the speed of a square matrix product in floating point operations a second, the best of a few."""
    left, right = (torch.randn(size, size, device=device) for _ in range(2))
    dtype = FORMATS[precision]
    rounded_left, rounded_right = left.to(dtype), right.to(dtype)
    products: list[Callable[[], Tensor]] = [lambda: rounded_left @ rounded_right]
    if device.type == "cpu":
        packed = torch.ops.mkldnn._reorder_linear_weight(rounded_right, size)
        linear = torch.ops.mkldnn._linear_pointwise
        products.append(lambda: linear(rounded_left, packed, None, "none", [], ""))
    with torch.inference_mode():
        return 2 * size**3 / min(_seconds(product) for product in products)


def _seconds(product: Callable[[], Tensor]) -> float:
    """Return the shortest time of a few."""
    seconds = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        float(product()[0, 0])  # Reading a number waits for the device.
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def both_speeds(device: torch.device, *, size: int) -> dict[str, float]:
    """Return the speed in fp32 and bf16; without bf16 where the processor has no kernels for it, and is very slow."""
    formats = [name for name in FORMATS if name != "bf16" or device.type != "cpu" or bf16_kernels()]
    return {precision: matrix_speed(device, precision, size=size) for precision in formats}
