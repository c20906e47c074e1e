"""Processes that start at once: a server that has imported the toolkit forks them.

A test whose subject is the start of a process (imports, encodings, terminals) uses `cli_tools.nmt_process` instead.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

MODULES = [
    "torch",
    "nmt.training.train",
    "nmt.training.ranks",
    "nmt.cli.commands.train",
    "nmt.inference.output.worker_pool",
    "toy_runs",
    "torch._dynamo",
    "sacrebleu",
    "torch.nn.parallel",
]


def warm_context() -> BaseContext:
    """Return the context of processes that the server forks. The server starts with the first one."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of the server, before it imports torch
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    return context


@contextlib.contextmanager
def warm_workers() -> Iterator[None]:
    """Let the server fork the worker processes that commands in this process start."""
    context, get_context = warm_context(), multiprocessing.get_context
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            multiprocessing, "get_context", lambda kind=None: context if kind == "spawn" else get_context(kind)
        )
        yield


class WarmProcess:
    """`python -m MODULE ARGUMENTS...` in a process of its own, as `subprocess.Popen` would run it.

    Attributes:
        returncode: The exit code, after `communicate` or `poll`; -N after signal N.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], *, folder: Path, variables: Mapping[str, str], stdin: bytes = b""
    ) -> None:
        """Start the process in `folder`, with `variables` as its whole environment."""
        self._streams = tempfile.TemporaryDirectory()
        files = [os.path.join(self._streams.name, name) for name in ("stdin", "stdout", "stderr")]
        self._outputs = [Path(name) for name in files[1:]]
        Path(files[0]).write_bytes(stdin)
        arguments = (module, tuple(arguments), os.fspath(folder), dict(variables), files)
        self._process = warm_context().Process(target=_become, args=arguments)  # type: ignore[attr-defined]
        self._process.start()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, if the process has ended."""
        self.returncode = self._process.exitcode
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process."""
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Send SIGKILL to the process."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 120.0) -> tuple[bytes, bytes]:
        """Wait for the end, and return standard output and standard error.

        Raises:
            TimeoutExpired: The process was killed after `timeout` seconds.
        """
        self._process.join(timeout)
        if self.poll() is None:
            self._process.kill()
            self._process.join()
            raise subprocess.TimeoutExpired([], timeout)
        output, errors = (file.read_bytes() for file in self._outputs)
        self._streams.cleanup()
        return output, errors


def _become(
    module: str, arguments: tuple[str, ...], folder: str, variables: dict[str, str], files: Sequence[str]
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    for number, name in enumerate(files):
        handle = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (until the process ends)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = [module, *arguments]
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else int(request.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.exit(code)
