"""The number of threads: the variable of OpenMP, the cores of the process, and the quota of its control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt import cores
from nmt.cores import available_threads

ALL = 6


@pytest.fixture(autouse=True)
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of a machine with six cores, in `tmp_path`, and no variable."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda process: set(range(ALL)), raising=False)
    monkeypatch.setattr(cores, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "OWN_GROUPS", tmp_path / "own")
    return tmp_path


def write(groups: Path, own: str, **files: str) -> None:
    (groups / "own").write_text(own, encoding="utf-8")
    for name, content in files.items():
        path = groups / "cgroup" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name.replace("_max", ".max").replace("cpu_cfs", "cpu.cfs")).write_text(content, "ascii")


@pytest.mark.parametrize(
    ("value", "threads"), [("2", 2), ("3,1", 3), ("0", ALL), ("many", ALL), ("", ALL), ("-1", ALL)]
)
def test_the_variable_of_openmp_wins(value: str, threads: int, groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert available_threads() == threads
    if threads != ALL:
        write(groups, "0::/job\n", job__cpu_max="100000 100000")
        assert available_threads() == threads


@pytest.mark.parametrize(
    ("quota", "threads"),
    [
        ("max 100000", ALL),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", ALL),
        ("", ALL),
        ("none", ALL),
        ("1 0", ALL),
    ],
)
def test_the_quota_of_a_container(quota: str, threads: int, groups: Path) -> None:
    write(groups, "0::/\n", cpu_max=quota)
    assert available_threads() == threads
    write(groups, "0::/job/step\n", cpu_max="max 100000", job__cpu_max=quota)
    assert available_threads() == threads  # the limit of an outer group


def test_the_smallest_of_several_quotas(groups: Path) -> None:
    write(groups, "0::/job/step\n", job__cpu_max="400000 100000", job__step__cpu_max="300000 100000")
    assert available_threads() == 3


@pytest.mark.parametrize(("time", "threads"), [("-1", ALL), ("300000", 3), ("10000", 1)])
def test_the_quota_of_the_first_version_of_control_groups(time: str, threads: int, groups: Path) -> None:
    files = {"cpu__docker__cpu_cfs_quota_us": time, "cpu__docker__cpu_cfs_period_us": "100000"}
    write(groups, "7:memory:/docker\n4:cpu,cpuacct:/docker\n", **files)
    assert available_threads() == threads


@pytest.mark.parametrize("own", ["", "nonsense", "0::/../../etc\n", "1:name=systemd:/\n"])
def test_unusual_control_groups_limit_nothing(own: str, groups: Path) -> None:
    write(groups, own)
    assert available_threads() == ALL
