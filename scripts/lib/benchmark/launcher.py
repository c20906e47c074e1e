"""Runs a command and writes its time, its processor time and its peak memory: `python launcher.py FILE COMMAND...`.

A process of its own, and a small one: on Linux a new program's peak memory begins at that of the process that started
it, so the benchmark itself, which has networks in memory, cannot measure the peak of what it starts.
"""

from __future__ import annotations

import json
import os
import sys
import time

KILOBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


def main() -> int:
    file, *command = sys.argv[1:]
    began = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    with open(file, "w", encoding="utf-8") as stream:
        figures = {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime}
        json.dump({**figures, "peak_bytes": usage.ru_maxrss * KILOBYTE}, stream)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
