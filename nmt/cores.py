"""The number of processor cores that this process may use. Imports nothing of the toolkit and not torch."""

from __future__ import annotations

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
VARIABLE = "OMP_NUM_THREADS"
BLAS_THREADS = "OPENBLAS_NUM_THREADS"
"""The variable with the number of threads of numpy's matrix products."""


def available_threads() -> int:
    """Return the number of threads to use if the configuration sets none.

    That is OMP_NUM_THREADS if the user has set it. Otherwise it is the number of cores of this process, but at most the
    processor time that its container or job may use.
    """
    wanted = os.environ.get(VARIABLE, "").split(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def _quota() -> float | None:
    """Return the cores' worth of processor time that the control groups of this process allow; None without a limit."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    limits = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            root, read = CGROUPS, _limit_of_version_2
        elif "cpu" in controllers.split(","):
            root, read = CGROUPS / "cpu", _limit_of_version_1
        else:
            continue
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            if folder == root or root in folder.parents:
                limits.append(read(folder))
    known = [limit for limit in limits if limit is not None]
    return min(known, default=None)


def _limit_of_version_2(folder: Path) -> float | None:
    """Read `cpu.max`: the time in microseconds, or `max`, and the period."""
    try:
        time, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return None if time == "max" else int(time) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _limit_of_version_1(folder: Path) -> float | None:
    try:
        time = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return time / period if time > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
