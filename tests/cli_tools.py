"""Runs the command line in a process of its own, as a user would, and in this process, where that is enough."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from nmt.cli import app
from warm_processes import WarmProcess

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "nmt"]


def all_commands() -> dict[str, Any]:
    """Every command with its modules imported, by what users type after `nmt`."""
    program: Any = typer.main.get_command(app)
    found: dict[str, Any] = {"": program}
    for name, stub in program.commands.items():
        found[name] = command = stub.load()
        for inner, subcommand in getattr(command, "commands", {}).items():
            found[f"{name} {inner}"] = subcommand
    return found


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NMT_MODEL": "", "OMP_NUM_THREADS": "1", **(changes or {})}


def run_program(program: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python code, which must succeed, in a process of its own that finds the package."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def nmt_process(
    *arguments: str, folder: Path, stdin: bytes = b"", variables: Mapping[str, str] | None = None
) -> Outcome:
    """Run `nmt` as a program, where what is tested is the process: streams, signals, encodings, imports."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(variables),
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def nmt_warm(*arguments: str, folder: Path, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> Outcome:
    """Run `nmt` in a process of its own that starts at once; see `warm_processes`."""
    process = WarmProcess("nmt", arguments, folder=folder, variables=environment(variables), stdin=stdin)
    stdout, stderr = process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, stdout.decode(), stderr.decode())


def nmt(
    *arguments: str, folder: Path | None = None, stdin: bytes = b"", variables: Mapping[str, str] | None = None
) -> Outcome:
    """Run `nmt` in this process, in the current folder or another one."""
    with untouched_logging(), pytest.MonkeyPatch.context() as patch:
        if folder is not None:
            patch.chdir(folder)
        result = CliRunner().invoke(app, list(arguments), input=stdin, env={"NMT_MODEL": "", **(variables or {})})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


@contextmanager
def untouched_logging() -> Iterator[None]:
    """Leave logging as it was, for the tests that come after."""
    logger = logging.getLogger("nmt")
    handlers, level = list(logger.handlers), logger.level
    try:
        yield
    finally:
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.handlers[:] = handlers
        logger.setLevel(level)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, to see that nothing was made, changed or deleted."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def assert_explained(outcome: Outcome, *parts: str, codes: tuple[int, ...] = (1, 2)) -> None:
    """An error that a user can understand: exit code, one text on standard error, nothing else."""
    assert outcome.code in codes, outcome
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    for part in parts:
        assert part in outcome.stderr, outcome.stderr
