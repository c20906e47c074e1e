"""Facts for `nmt doctor`: versions, the machine, its speed, and the model that commands use by default."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from typing import Any

import torch

from nmt import __version__
from nmt.device import bf16_kernels, choose_device, native_bf16, set_threads
from nmt.errors import NMTError
from nmt.inference.find_model import find_model

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
    "polib",
    "charset-normalizer",
    "tensorboard",
)
MATRIX_SIZE = 1024
SECONDS = 0.3
"""Duration of each speed measurement."""


def diagnose() -> dict[str, Any]:
    """Return all facts as JSON values. Speeds are in billions of operations per second."""
    set_threads(None)
    device = choose_device("auto")
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if device.type == "cpu" and not bf16_kernels():
        del formats["bf16"]  # without kernels a product would take seconds
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
    """Describe the support of the device for bfloat16."""
    if native_bf16(device):
        return "native"
    return "emulated, slower than fp32" if device.type == "cuda" or bf16_kernels() else "none: fp32 instead"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _memory() -> float | None:
    """Return the memory of the machine in GiB, or None on systems that do not report it."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _speed(dtype: Any, device: Any) -> float:
    """Return the speed of a square matrix product, in billions of operations per second."""
    matrix = torch.ones(MATRIX_SIZE, MATRIX_SIZE, dtype=dtype, device=device)
    matrix @ matrix
    products, start = 0, time.perf_counter()
    while products == 0 or time.perf_counter() - start < SECONDS:
        product = matrix @ matrix
        products += 1
        if device.type == "cuda":
            float(product[0, 0])  # waits for the result
    return round(2 * MATRIX_SIZE**3 * products / (time.perf_counter() - start) / 1e9, 1)


def _model() -> str:
    try:
        return str(find_model(None))
    except NMTError as error:
        return f"none ({error})"
