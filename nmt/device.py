"""Devices, number formats and threads. Only this module queries the capabilities of the hardware."""

from __future__ import annotations

import ctypes

import torch

from nmt.cores import available_threads
from nmt.errors import UsageError
from nmt.log import logger


def choose_device(setting: str, *, number: int | None = None) -> torch.device:
    """Return the torch device for `setting`.

    Args:
        setting: "cpu", "cuda", or "auto", which is CUDA if available and the CPU otherwise.
        number: Number of the CUDA device, if each process has one of its own.

    Raises:
        UsageError: `setting` is "cuda" and no CUDA device is available, or it has no device of this number.
    """
    # Full fp32, as elsewhere: cuDNN would round the inputs of recurrent layers to 10 bits of mantissa (TF32).
    torch.backends.cudnn.allow_tf32 = False
    if setting == "auto":
        setting = "cuda" if torch.cuda.is_available() else "cpu"
    if setting == "cuda" and not torch.cuda.is_available():
        raise UsageError("device: cuda requires a CUDA device, but torch found none. Use --device cpu or device: auto.")
    if setting == "cpu" or number is None:
        return torch.device(setting)
    if number >= torch.cuda.device_count():
        raise UsageError(
            f"process {number + 1} of this machine requires a CUDA device of its own, but torch found "
            f"{torch.cuda.device_count()}. Start fewer processes, or set training.device=cpu."
        )
    torch.cuda.set_device(number)
    return torch.device(setting, number)


def native_bf16(device: torch.device) -> bool:
    """Return whether `device` multiplies bfloat16 matrices in hardware, which is faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def runs_ahead(device: torch.device) -> bool:
    """Return whether operations on `device` are queued, so that the host goes on before they are done."""
    return device.type == "cuda"


def plans_shapes_slowly(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether each new shape of a matrix product costs milliseconds of planning: bf16 with AMX."""
    return device.type == "cpu" and dtype == torch.bfloat16 and bool(torch.cpu._is_amx_tile_supported())


def bf16_kernels() -> bool:
    """Return whether torch has kernels for products of packed bfloat16 matrices on this processor."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # type: ignore[no-untyped-call, no-any-return]


def choose_dtype(setting: str, device: torch.device) -> torch.dtype:
    """Return the number format of matrix products in training.

    On a processor without kernels for bf16, the result is fp32, with a warning if bf16 was requested.

    Args:
        setting: "bf16", "fp32", or "auto", which is bf16 if `device` supports it in hardware.
        device: Device of the computation.
    """
    if not _bf16_wanted(setting, device):
        return torch.float32
    if device.type == "cpu" and not bf16_kernels():
        logger.warning("This processor does not support bf16. Computing in fp32 instead.")
        return torch.float32
    return torch.bfloat16


def _bf16_wanted(setting: str, device: torch.device) -> bool:
    return setting == "bf16" or (setting == "auto" and native_bf16(device))


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context manager in which matrix products on `device` use `dtype`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def set_threads(threads: int | None, *, processes: int = 1) -> None:
    """Set the number of CPU threads. None chooses it; see `available_threads`. Several `processes` share the cores."""
    torch.set_num_threads(threads or max(1, available_threads() // processes))


def keep_freed_memory() -> None:
    """Make glibc keep large freed blocks for the next tensor. Does nothing with other C libraries.

    By default glibc returns them to the system, and the page faults of new blocks took 5 % of training time.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, mmap_threshold = -1, -3
    mallopt(mmap_threshold, 32 * 2**20)
    mallopt(trim_threshold, 2**30)
