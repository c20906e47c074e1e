"""Translates windows of lines as tasks of a Ray cluster.

One process reads the texts, sends windows to the cluster, and writes the translations. The machines of the cluster
therefore need no access to the texts. Ray starts a task again if its process or its machine is lost. Ray Data is not
used: it requires pyarrow and pandas, and it writes files of its own, without the order and the names of the input.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple

from nmt import log
from nmt.errors import NMTError, UsageError
from nmt.inference.output.worker_pool import WINDOWS_AHEAD

RETRIES = 20
"""Times that a window is translated again after the loss of a worker. Lines that exhaust the memory end the run."""
LOCAL = "local"
STARTS = 3
"""Times that a cluster on this machine is started. Ray ends its start if a part of it takes over 15 seconds."""
VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no reports to the developers of Ray
    "RAY_COLOR_PREFIX": "0",
    "RAY_raylet_start_wait_time_s": "60",  # a busy machine starts slowly
}
"""Settings of Ray, unless the environment has others."""

Worker = Callable[[Any], list[str]]


class _Translated(NamedTuple):
    texts: list[str]
    worker: tuple[str, int]
    """Identity of the machine and of the process."""


class RayPool:
    """The processors of a Ray cluster. Each translates one window at a time."""

    def __init__(self, make: Callable[[], Worker], *, address: str, processes: int | None) -> None:
        """Connect to a cluster, or start one.

        Args:
            make: Makes the worker, once in each process. It is sent to the cluster with all that it needs.
            address: `local` starts a cluster on this machine. `auto` connects to the cluster of this machine. Anything
                else is the address of a cluster.
            processes: Number of windows that are translated at the same time. None: the number of processors.

        Raises:
            UsageError: There is no cluster at the address.
            ModuleNotFoundError: Ray is not installed.
        """
        ray = self._ray = _import_ray()
        self._streams = contextlib.ExitStack()
        self._streams.enter_context(contextlib.redirect_stdout(sys.stderr))  # Ray prints messages there
        try:
            _connect(ray, address, processes)
        except UsageError:
            self._streams.close()
            raise
        processors = int(ray.cluster_resources().get("CPU", 0))
        machines = sum(node["Alive"] for node in ray.nodes())
        log.logger.info("Ray: %s processors on %s machines", f"{processors:,}", f"{machines:,}")
        if address != LOCAL and processes is not None and processes < processors:
            self.windows_ahead = processes
        else:
            self.windows_ahead = WINDOWS_AHEAD * max(processes or processors, 1)
        self._made = [ray.put(make)]
        self._key = secrets.token_hex(8)
        self._translate: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(_translate)
        self._workers: set[tuple[str, int]] = set()

    def submit(self, window: Any) -> Future[list[str]]:
        """Translate a window, as soon as a processor is free."""
        texts: Future[list[str]] = Future()
        running: Future[_Translated] = self._translate.remote(self._key, self._made, window).future()
        running.add_done_callback(lambda done: self._pass_on(done, texts))
        return texts

    def _pass_on(self, done: Future[_Translated], texts: Future[list[str]]) -> None:
        error = done.exception()
        if error is None:
            result = done.result()
            self._workers.add(result.worker)
            texts.set_result(result.texts)
            return
        cause = getattr(error, "cause", None)
        if isinstance(cause, NMTError):
            error = cause
        elif isinstance(error, self._ray.exceptions.WorkerCrashedError):
            error = NMTError(
                f"Workers of Ray ended {RETRIES + 1} times at the same lines, possibly because memory ran out. Run the "
                "same command again to resume, with more memory for each processor."
            )
        elif isinstance(error, self._ray.exceptions.RayError) and cause is None:
            error = NMTError(f"Ray: {error}")
        texts.set_exception(error)

    def finish(self) -> None:
        """Disconnect from the cluster, or end the one that was started."""
        self.stop()
        machines = {machine for machine, _ in self._workers}
        log.logger.info("%d worker processes on %d machines", len(self._workers), len(machines))

    def stop(self) -> None:
        """Drop all windows, and disconnect."""
        self._ray.shutdown()
        self._streams.close()


def _import_ray() -> Any:
    return importlib.import_module("ray")


def _connect(ray: Any, address: str, processes: int | None) -> None:
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        settings |= {"num_cpus": processes, "include_dashboard": False}
    for left in reversed(range(STARTS if address == LOCAL else 1)):
        try:
            with _kept_signals():
                ray.init(**settings)
            return
        except Exception as error:  # Ray raises Exception itself, for example if the start takes too long
            ray.shutdown()
            reason = str(error).strip().split("\n")[0]
            if left == 0:
                raise UsageError(
                    f"--ray {address}: no Ray cluster can be reached or started ({reason}). Start one with "
                    "`ray start --head`, or use --ray local."
                ) from error
            log.logger.warning("Ray did not start (%s). Starting it again", reason)


@contextlib.contextmanager
def _kept_signals() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


_workers: dict[str, Worker] = {}
"""The worker of this process of the cluster, by the key of its pool."""


def _translate(key: str, made: list[Any], window: Any) -> _Translated:
    """Translate a window in a process of the cluster.

    Args:
        key: The key of the pool.
        made: A reference to what makes the worker. Inside of a list, Ray does not copy the value for each window.
        window: The window.
    """
    ray = _import_ray()
    if key not in _workers:
        log.setup(level=logging.WARNING)
        _workers.clear()
        _workers[key] = ray.get(made[0])()
    return _Translated(_workers[key](window), (ray.get_runtime_context().get_node_id(), os.getpid()))
