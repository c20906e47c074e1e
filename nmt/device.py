"""Where computation happens, and in which number format. The one place that asks what the machine can do."""

from __future__ import annotations

import ctypes
import os

import torch

from nmt.errors import UsageError
from nmt.log import logger


def choose_device(setting: str) -> torch.device:
    """Return the device of `setting`: "auto" (CUDA where there is one, else the CPU), "cpu" or "cuda".

    Raises:
        UsageError: CUDA is asked for and there is none.
    """
    # In fp32 as everywhere else: cuDNN would round what goes into the products of recurrent layers to 10 bits (TF32).
    torch.backends.cudnn.allow_tf32 = False
    if setting == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if setting == "cuda" and not torch.cuda.is_available():
        raise UsageError("device: cuda is asked for, but torch finds no CUDA device; use --device cpu or device: auto")
    return torch.device(setting)


def native_bf16(device: torch.device) -> bool:
    """Return whether `device` multiplies bfloat16 matrices in hardware, and so faster than float32 ones."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def plans_shapes_slowly(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a product in `dtype` on `device` takes milliseconds to plan when its shape is new: bf16 with AMX."""
    return device.type == "cpu" and dtype == torch.bfloat16 and bool(torch.cpu._is_amx_tile_supported())


def bf16_kernels() -> bool:
    """Return whether the processor has kernels for products of packed bfloat16 matrices."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # type: ignore[no-untyped-call, no-any-return]


def exact_int8() -> bool:
    """Return whether the processor adds up products of 8-bit integers in 32 bits at once (VNNI).

    Others add pairs of them in 16 bits first, which overflow where both are large.
    """
    return bool(torch.cpu._is_vnni_supported() or torch.cpu._is_amx_tile_supported())


def choose_dtype(setting: str, device: torch.device) -> torch.dtype:
    """Return the number format of matrix products for `setting`: "auto", "bf16" or "fp32".

    A processor that has no kernels for bf16 computes in fp32 all the same, with a warning.
    """
    if not _bf16_wanted(setting, device):
        return torch.float32
    if device.type == "cpu" and not bf16_kernels():
        logger.warning("bf16 is asked for, and this processor has no kernels for it: computing in fp32")
        return torch.float32
    return torch.bfloat16


def _bf16_wanted(setting: str, device: torch.device) -> bool:
    return setting == "bf16" or (setting == "auto" and native_bf16(device))


def choose_precision(setting: str, device: torch.device) -> str:
    """Return "fp32", "bf16" or "int8" for `setting`, which may also be "auto".

    Raises:
        UsageError: int8 on another device than a processor.
    """
    if setting == "int8":
        if device.type != "cpu":
            raise UsageError("decoding.precision int8 is for processors: use --device cpu, or bf16")
        return setting
    return "bf16" if _bf16_wanted(setting, device) else "fp32"


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return the context in which matrix products on `device` use `dtype`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def set_threads(threads: int | None) -> None:
    """Compute with `threads` processor threads; None: one for each core this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(threads or cores)


def keep_freed_memory() -> None:
    """Keep large freed blocks in the process for the next tensor, where the C library is glibc.

    By default they go back to the system and are got again page by page, which was seen to take a twentieth of
    training.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, mmap_threshold = -1, -3
    mallopt(mmap_threshold, 32 * 2**20)
    mallopt(trim_threshold, 2**30)
