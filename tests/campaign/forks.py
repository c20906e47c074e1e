"""Runs commands of nmt in forks of this process, which has torch and nmt in memory: a start costs milliseconds."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign.operations import Operation, Watch

HANG_SECONDS = 10.0
"""CPU time after which a command counts as hanging."""
MEMORY = 1 << 30
"""Bytes that a command may use besides the memory of its start."""
ORPHAN_SECONDS = 3.0


@dataclass(frozen=True)
class Kill:
    """A moment at which a process is killed or meets a fault: before an operation on a file, or after some CPU time."""

    operation: int | None = None
    """Number of the operation from 1."""
    seconds: float | None = None
    """CPU time of the process."""
    stop_at: int | None = None
    """Number of the operation at which the process gets SIGTERM before."""
    fault: str | None = None
    """What happens at the operation instead: the name of an error, which it raises, or a key of `MISHAPS`."""

    def __str__(self) -> str:
        if self.fault is not None:
            return f"{self.fault} at operation {self.operation}"
        stop = "" if self.stop_at is None else f"SIGTERM at operation {self.stop_at}, "
        return stop + (f"operation {self.operation}" if self.operation else f"{self.seconds:.3f} s of CPU time")


@dataclass(frozen=True)
class Limits:
    """Limits of a process. A process that reaches the limit of CPU time is ended."""

    seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    """Exit code. Negative: the number of the signal."""
    output: str
    errors: str
    seconds: float
    """CPU time."""
    megabytes: int
    """Peak memory above that of this process."""
    operations: list[Operation] = field(default_factory=list)
    undisciplined: list[str] = field(default_factory=list)
    """Renames of files that were not synced, and files that were truncated in place."""
    orphans: int = 0
    """Processes of the command that were still alive some seconds after it."""

    @property
    def killed(self) -> bool:
        return self.code in (-signal.SIGKILL, -signal.SIGPROF)

    @property
    def hung(self) -> bool:
        return self.code == -signal.SIGPROF


def warm() -> None:
    """Import everything that commands need, so that forks share it."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("NMT_MODEL", None)
    import torch

    from nmt.cli.program import COMMANDS

    torch.set_num_threads(1)
    for target, _ in COMMANDS.values():
        importlib.import_module("nmt.cli.commands." + target.partition(":")[0])
    for module in ("nmt.cli.line_writer", "nmt.training", "nmt.inference.output.worker_pool", "torch._dynamo"):
        importlib.import_module(module)


def run(
    work: Sequence[str] | Callable[[], object],
    folder: Path,
    *,
    scratch: Path,
    kill: Kill | None = None,
    record: bool = False,
    limits: Limits | None = None,
    stdin: bytes = b"",
    before: Callable[[], object] = lambda: None,
    learn: bool = False,
) -> Ended:
    """Run a command or a function in a fork, with `folder` as the current one.

    Args:
        work: Arguments of nmt, or a function.
        folder: The current folder of the process.
        scratch: A folder outside of `folder`, for what the process writes on its streams.
        kill: When to kill the process.
        record: Record the operations on files, and check their order.
        limits: Limits of CPU time and memory.
        stdin: Standard input.
        before: Called in the fork before the work.
        learn: Import the modules that the command has imported, so that the next forks share them.
    """
    files = {name: scratch / name for name in ("stdin", "stdout", "stderr", "notes")}
    files["notes"].unlink(missing_ok=True)
    files["stdin"].write_bytes(stdin)
    resident = _resident()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        code = 70
        try:
            os.setsid()
            os.chdir(folder)
            _connect(files)
            watch = Watch(folder, kill, check=record) if record or kill else None
            before()
            _limit(kill, limits)
            code = _work(work)
            signal.setitimer(signal.ITIMER_PROF, 0)
            notes = {"modules": sorted(sys.modules) if learn else []}
            if watch is not None:
                watch.active = False
                notes |= {"operations": watch.operations, "undisciplined": watch.finish()}
            files["notes"].write_text(json.dumps(notes), "utf-8")
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    _, status, usage = os.wait4(process, 0)
    orphans = _end_group(process)
    notes = json.loads(files["notes"].read_text("utf-8")) if files["notes"].exists() else {}
    for module in notes.get("modules", []):
        if module not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)
    return Ended(
        code=os.waitstatus_to_exitcode(status),
        output=files["stdout"].read_text("utf-8", errors="backslashreplace"),
        errors=files["stderr"].read_text("utf-8", errors="backslashreplace"),
        seconds=usage.ru_utime + usage.ru_stime,
        megabytes=max(0, usage.ru_maxrss * 1024 - resident) >> 20,
        operations=[Operation(*one) for one in notes.get("operations", [])],
        undisciplined=notes.get("undisciplined", []),
        orphans=orphans,
    )


def _connect(files: dict[str, Path]) -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        handle = os.open(files[name], flags, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    # pytest and others replace these objects.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _limit(kill: Kill | None, limits: Limits | None) -> None:
    # The default action of SIGPROF ends the process at once, as SIGKILL does; its timer counts CPU time.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    if kill is not None and kill.seconds is not None:
        signal.setitimer(signal.ITIMER_PROF, kill.seconds)
    if limits is not None and limits.seconds is not None:
        signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    if limits is not None and limits.bytes is not None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limits.bytes, used + limits.bytes))


def _work(work: Sequence[str] | Callable[[], object]) -> int:
    """Do the work, and return its exit code."""
    try:
        if callable(work):
            work()
            return 0
        import torch

        torch.set_num_threads(1)
        from nmt.cli import main

        sys.argv = ["nmt", *work]
        main()
    except SystemExit as request:
        return request.code if isinstance(request.code, int) else int(request.code is not None)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _end_group(group: int) -> int:
    """Wait until all processes of a group have ended, then end the rest, and return their number."""
    end = time.monotonic() + ORPHAN_SECONDS
    while time.monotonic() < end:
        if not _group(group):
            return 0
        time.sleep(0.02)
    left = _group(group)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    return len(left)


def _group(group: int) -> list[int]:
    """Return the processes of a group that are alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            rest = path.read_text().rpartition(")")[2].split()
            if rest[2] == str(group) and rest[0] != "Z":
                found.append(int(path.parent.name))
    return found


def describe(ended: Ended) -> dict[str, Any]:
    """Return what a report says about a process."""
    return {"code": ended.code, "output": ended.output[-2000:], "errors": ended.errors[-4000:]}
