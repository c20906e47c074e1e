"""Settings of libraries, made before they are loaded. Environment variables that the user has set are kept."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from typing import Any

from nmt.cores import BLAS_THREADS


def set_up_threads() -> None:
    """Set how often an OpenMP thread polls for work before it sleeps, and let numpy's products use one thread.

    Translation computes a batch in each thread. Threads that share a product wait for each other.
    """
    os.environ.setdefault(BLAS_THREADS, "1")
    # Two trainings of small networks on the same two cores reached 8.0k pieces/s each with 3,000, 4.9k with 10,000 and
    # 4.6k with the default. One training alone reached 19k with 3,000 and 10,000, and 14k with 1,000.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def disable_plugins() -> None:
    """Keep pydantic from searching all installed packages for plugins, which takes 20 ms."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def postpone_import(name: str) -> None:
    """Let a module of the standard library run when one of its names is used, not when it is imported.

    This is for a module that a package imports and nmt does not use. The lazy loader of the standard library does not
    help, because it runs a module that is imported a second time.
    """
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        return
    loader, module = spec.loader, importlib.util.module_from_spec(spec)
    lock = threading.RLock()
    runs: list[bool] = []

    def run(attribute: str) -> Any:
        with lock:  # other threads wait until all names exist
            if not runs:
                runs.append(True)
                loader.exec_module(module)
                del vars(module)["__getattr__"]
        if attribute not in vars(module):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        return vars(module)[attribute]

    vars(module)["__getattr__"] = run
    sys.modules[name] = module


def limit_kernel_caches() -> None:
    """Let oneDNN keep the kernels of 128 operand shapes instead of 1,024, and torch's layer above it those of 8.

    With the many shapes of training batches, the default caches grow by gigabytes. 128 shapes cover the last few
    batches, whose rounded shapes repeat (see `nmt.model.layers`). 256 shapes saved 2% of the time and cost 250 MB.
    Search has few shapes and is a tenth faster with all of them in the cache.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "8")


def started_processes() -> int:
    """Return the number of processes of this command that torchrun has started. Then torch logs errors only."""
    size = os.environ.get("WORLD_SIZE", "")
    if not (size.isdecimal() and "RANK" in os.environ and "MASTER_ADDR" in os.environ):
        return 1
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    return max(1, int(size))
