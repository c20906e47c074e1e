"""Facts for `nmt doctor`: versions, the machine, its speed, and the model that commands use by default."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nmt import __version__
from nmt.cores import available_threads
from nmt.errors import NMTError
from nmt.inference.find_model import find_model
from nmt.inference.hardware import Processor, torch_is_installed

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
    facts: dict[str, Any] = {
        "nmt": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": "cpu",
        "cores": os.cpu_count(),
        "threads": available_threads(),
        "memory_gib": _memory(),
        "translation_gflops": _numpy_speed(),
    }
    if torch_is_installed():
        facts |= _training_facts()
    return {**facts, "model": _model()}


def _numpy_speed() -> float:
    """Return the speed of a square matrix product of the processor in one thread, as translations use it."""
    matrix = np.ones((MATRIX_SIZE, MATRIX_SIZE), np.float32)
    with Processor(1).computing():
        return _speed(lambda: matrix @ matrix)


def _training_facts() -> dict[str, Any]:
    """Return the device, its support for bfloat16, and the speeds of square matrix products in torch."""
    import torch

    from nmt.device import bf16_kernels, choose_device, native_bf16, set_threads

    set_threads(None)
    device = choose_device("auto")
    is_cuda = device.type == "cuda"
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16}
    bf16 = "emulated, slower than fp32"
    if native_bf16(device):
        bf16 = "native"
    elif not is_cuda and not bf16_kernels():
        del formats["bf16"]  # without kernels a product would take seconds
        bf16 = "none: fp32 instead"
    speeds = {}
    for name, dtype in formats.items():
        matrix = torch.ones(MATRIX_SIZE, MATRIX_SIZE, dtype=dtype, device=device)
        # Reading a number waits for the device.
        speeds[name] = _speed(lambda matrix=matrix: float((matrix @ matrix)[0, 0]))  # type: ignore[misc]
    return {
        "device": torch.cuda.get_device_name(device) if is_cuda else "cpu",
        "bf16": bf16,
        "matrix_gflops": speeds,
    }


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


def _speed(product: Callable[[], Any]) -> float:
    """Return the speed of a square matrix product, in billions of operations per second."""
    product()
    products, start = 0, time.perf_counter()
    while products == 0 or time.perf_counter() - start < SECONDS:
        product()
        products += 1
    return round(2 * MATRIX_SIZE**3 * products / (time.perf_counter() - start) / 1e9, 1)


def _model() -> str:
    try:
        return str(find_model(None))
    except NMTError as error:
        return f"none ({error})"
