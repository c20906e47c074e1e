"""Runs a command and writes its time, its processor time and its peak memory: `python launcher.py FILE COMMAND...`.

A process of its own, and a small one: on Linux a new program's peak memory begins at that of the process that started
it, so the benchmark itself, which has networks in memory, cannot measure the peak of what it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

KILOBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss
ADOPT_ORPHANS = 36
"""Number of PR_SET_CHILD_SUBREAPER in Linux."""
LAST_SECONDS = 10
"""Longest wait for processes that outlive the command."""


def main() -> int:
    file, *command = sys.argv[1:]
    if sys.platform == "linux":
        _adopt_orphans()
    began = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    cpu_seconds = usage.ru_utime + usage.ru_stime + _of_orphans()
    with open(file, "w", encoding="utf-8") as stream:
        figures = {"seconds": seconds, "cpu_seconds": cpu_seconds}
        json.dump({**figures, "peak_bytes": usage.ru_maxrss * KILOBYTE}, stream)
    return os.waitstatus_to_exitcode(status)


def _adopt_orphans() -> None:
    """Become the parent of processes of the command whose parents end, such as the workers of a cluster."""
    import ctypes

    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)


def _of_orphans() -> float:
    """Wait for adopted processes, and return their processor time."""
    total = 0.0
    signal.signal(signal.SIGALRM, _stop)
    signal.alarm(LAST_SECONDS)
    with contextlib.suppress(ChildProcessError, TimeoutError):
        while True:
            _, _, usage = os.wait4(-1, 0)
            total += usage.ru_utime + usage.ru_stime
    signal.alarm(0)
    return total


def _stop(*_: object) -> None:
    raise TimeoutError


if __name__ == "__main__":
    sys.exit(main())
