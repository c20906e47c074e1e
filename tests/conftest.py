"""What holds for all tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import hypothesis
import pytest

# No test fails because the machine is busy.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")
# One thread is the fastest for networks as small as those of the tests, and leaves the other cores to other workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test reads its files after a crash of the machine, and waiting for the disk can double the time of the tests.
os.fsync = lambda handle: None
# A shell starts background jobs with Ctrl-C ignored, and the programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # nohup ignores it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def warm_workers() -> Iterator[None]:
    """Let the worker processes of commands start at once; see `warm_processes`."""
    from warm_processes import warm_workers

    with warm_workers():
        yield


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    """Restore the number of threads, which commands set for the whole process."""
    if (torch := sys.modules.get("torch")) is None:  # many tests need no torch
        yield
    else:
        threads = torch.get_num_threads()
        yield
        torch.set_num_threads(threads)
