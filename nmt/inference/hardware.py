"""Where networks run: on the processor with numpy, or on a graphics card with torch.

A processor needs no torch. torch is imported for a graphics card alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import Array
from nmt.config.schema import DecodingConfig
from nmt.cores import BLAS_THREADS, available_threads
from nmt.engine.products import helped_by
from nmt.errors import UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import torch

    from nmt.inference.step_graphs import StepGraphs

CUDA_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


class Hardware(Protocol):
    """A place where networks run, and the form of their arrays."""

    @property
    def workers(self) -> int:
        """Number of batches that are computed at once."""

    def array(self, values: NDArray[Any]) -> Array:
        """Return a numpy array of ids or lengths as an array of the networks."""

    def computing(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which networks compute."""

    def helping(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context for one batch alone, in which idle threads help the thread that computes it."""

    def free_memory(self) -> None:
        """Free memory that is kept for later, after memory ran out."""


class Processor:
    """The processor. Each worker computes a batch in one thread, so that workers do not wait for each other."""

    def __init__(self, threads: int | None = None) -> None:
        """Take the number of threads. None: see `available_threads`."""
        self.workers = threads or available_threads()
        self._helpers: Executor | None = None

    def array(self, values: NDArray[Any]) -> Array:
        """Return `values` unchanged."""
        return values

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Return a context in which matrix products use one thread, and infinities cause no warnings."""
        with _SINGLE_THREADED_PRODUCTS, np.errstate(divide="ignore", invalid="ignore"):
            yield

    @contextlib.contextmanager
    def helping(self) -> Iterator[None]:
        """Return a context in which the other workers help with large matrix products of few rows."""
        with helped_by(self._executor, self.workers - 1):
            yield

    def _executor(self) -> Executor:
        if self._helpers is None:
            from concurrent.futures import ThreadPoolExecutor  # a small model does not need it

            self._helpers = ThreadPoolExecutor(self.workers - 1, "nmt-helper")
        return self._helpers

    def free_memory(self) -> None:
        """Do nothing: memory is not kept."""


class TorchHardware:
    """A device of torch."""

    workers = 1

    def __init__(
        self, device: torch.device, *, dtype: torch.dtype | None = None, graphs: StepGraphs | None = None
    ) -> None:
        """Describe the device.

        Args:
            device: The device.
            dtype: Number format of matrix products. None: float32.
            graphs: Computes the decoder steps of all networks. None: no graphs.
        """
        self.device = device
        self.graphs = graphs
        self._dtype = dtype

    def array(self, values: NDArray[Any]) -> Array:
        """Return `values` on the device."""
        return sys.modules["torch"].from_numpy(values).to(self.device)

    def helping(self) -> contextlib.AbstractContextManager[None]:
        """Return a context without effect."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Return a context without gradients, in which matrix products have the number format."""
        import torch

        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._dtype == torch.bfloat16),
        ):
            yield

    def free_memory(self) -> None:
        """Return memory that torch and the graphs keep to the device."""
        if self.graphs is not None:
            self.graphs.clear()
        if self.device.type == "cuda":
            sys.modules["torch"].cuda.empty_cache()


def choose_hardware(decoding: DecodingConfig) -> Hardware:
    """Return the hardware that the options `device`, `precision` and `threads` describe.

    Raises:
        UsageError: There is no CUDA device.
    """
    if decoding.device == "cpu" or (decoding.device == "auto" and not may_have_cuda()):
        return _processor(decoding)
    if not torch_is_installed():
        raise UsageError(
            'device: cuda requires PyTorch, which is not installed. Run: pip install "attention-nmt[train]"'
        )
    from nmt.device import choose_device, choose_dtype, set_threads

    device = choose_device(decoding.device)
    if device.type == "cpu":
        return _processor(decoding)
    if decoding.threads is not None:
        set_threads(decoding.threads)
    if decoding.precision == "int8":
        logger.warning("decoding.precision: int8 is not available any more. Computing in fp32.")
    return torch_hardware(device, choose_dtype(decoding.precision, device), decoding)


def torch_hardware(device: torch.device, dtype: torch.dtype, decoding: DecodingConfig) -> TorchHardware:
    """Return a CUDA device that computes in `dtype`, with graphs if the options ask for them."""
    from nmt.inference.step_graphs import StepGraphs

    return TorchHardware(device, dtype=dtype, graphs=StepGraphs() if decoding.cuda_graphs else None)


def torch_is_installed() -> bool:
    """Return whether torch can be imported, without importing it."""
    try:
        return importlib.util.find_spec("torch") is not None
    except (ImportError, ValueError):
        return False


def _processor(decoding: DecodingConfig) -> Processor:
    if decoding.precision in ("bf16", "int8"):
        logger.warning(
            "decoding.precision: numpy computes in fp32, not in %s. `nmt export onnx --int8` writes a model in 8 bits.",
            decoding.precision,
        )
    return Processor(decoding.threads)


def may_have_cuda() -> bool:
    """Return whether torch and a driver for CUDA are installed. Importing torch to ask it takes a second."""
    if not torch_is_installed():
        return False
    try:
        ctypes.CDLL(CUDA_LIBRARY)
    except OSError:
        return False
    return True


class _SingleThreadedProducts(contextlib.AbstractContextManager[None]):
    """Lets BLAS use one thread while at least one thread of the process is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0 and os.environ.get(BLAS_THREADS) != "1":
                self._limit = _controller().limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._limit is not None:
                self._limit.restore_original_limits()
                self._limit = None


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


_SINGLE_THREADED_PRODUCTS = _SingleThreadedProducts()
