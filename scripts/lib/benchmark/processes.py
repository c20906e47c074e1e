"""Programs in processes of their own: how long they take, and the most memory they have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from nmt.errors import NMTError

LIBRARIES = Path(__file__).parent.parent
ROOT = LIBRARIES.parent.parent
MEGABYTE = 1_000_000


def with_toolkit() -> dict[str, str]:
    """Return the environment in which Python can import the toolkit and what the scripts share."""
    paths = [str(ROOT), str(LIBRARIES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class Ran(NamedTuple):
    """What a program did."""

    seconds: float
    """From its start to its end."""
    cpu_seconds: float
    """Processor time of all its threads."""
    peak_bytes: int
    """The most memory it had (resident set)."""
    output: str
    """What it wrote to standard output."""


def run(
    command: Sequence[str],
    *,
    stdin: str = "",
    folder: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Ran:
    """Run `command`, with more variables in its `environment`, and wait for it.

    The toolkit and the benchmark can be imported in it.

    Raises:
        NMTError: It failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.json"
        done = subprocess.run(
            [sys.executable, "-S", str(Path(__file__).parent / "launcher.py"), str(report), *command],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=folder,
            env={**with_toolkit(), **environment},
            check=False,
        )
        if done.returncode != 0:
            raise NMTError(f"{' '.join(command)} failed with exit code {done.returncode}:\n{done.stderr}")
        figures = json.loads(report.read_text("utf-8"))
    return Ran(**figures, output=done.stdout)


def python(
    *arguments: str,
    stdin: str = "",
    folder: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Ran:
    """Run this Python with `arguments`; see `run`."""
    return run([sys.executable, *arguments], stdin=stdin, folder=folder, environment=environment)
