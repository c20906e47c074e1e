"""What `nmt doctor` finds out: versions, the machine, its speed, the model that would be used."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from typing import TYPE_CHECKING, Any

from nmt import __version__
from nmt.errors import NMTError

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "torch",
    "numpy",
    "sentencepiece",
    "sacrebleu",
    "safetensors",
    "pydantic",
    "typer",
    "rich",
    "pyyaml",
    "tqdm",
    "zstandard",
    "tensorboard",
)
MATRIX_SIZE = 1024
SECONDS = 0.3
"""How long each matrix product is repeated."""


def diagnose() -> dict[str, Any]:
    """All facts, ready for JSON; speeds in billions of operations a second."""
    import torch

    from nmt.device import bf16_kernels, choose_device, set_threads

    set_threads(None)
    device = choose_device("auto")
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if device.type == "cpu" and not bf16_kernels():
        del formats["bf16"]  # nothing computes in it here, and a product would take seconds
    facts: dict[str, Any] = {
        "nmt": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": _memory(),
        "bf16": _bf16(device),
        "matrix_gflops": {name: _speed(dtype, device) for name, dtype in formats.items()},
    }
    return {**facts, "model": _model()}


def _bf16(device: torch.device) -> str:
    """Say whether the device has bfloat16."""
    from nmt.device import bf16_kernels, native_bf16

    if native_bf16(device):
        return "native"
    return "emulated, slower than fp32" if device.type == "cuda" or bf16_kernels() else "none: fp32 instead"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _memory() -> float | None:
    """The machine's memory in GiB, where the system tells."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _speed(dtype: Any, device: Any) -> float:
    """Operations of a square matrix product, in billions a second."""
    import torch

    matrix = torch.ones(MATRIX_SIZE, MATRIX_SIZE, dtype=dtype, device=device)
    matrix @ matrix
    products, began = 0, time.perf_counter()
    while products == 0 or time.perf_counter() - began < SECONDS:
        product = matrix @ matrix
        products += 1
        if device.type == "cuda":
            float(product[0, 0])  # waits until it is there
    return round(2 * MATRIX_SIZE**3 * products / (time.perf_counter() - began) / 1e9, 1)


def _model() -> str:
    from nmt.inference.model_file import find_model

    try:
        return str(find_model(None))
    except NMTError as error:
        return f"none ({error})"
