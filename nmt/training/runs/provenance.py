"""Where a model comes from: what a model file says about its own making."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from nmt import __version__


def _git_commit() -> str | None:
    """Return the commit of the toolkit's own checkout, if it runs from one."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _program() -> str:
    """What runs: `nmt`, or the name of a script's module or package."""
    path = Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem


def provenance(*, fingerprint: str, update: int, seconds: float, scores: dict[str, float]) -> dict[str, Any]:
    """Describe a model: data fingerprint, update, seconds of training, validation scores, versions, time."""
    return {
        "data_fingerprint": fingerprint,
        "update": update,
        "training_seconds": round(seconds, 1),
        "validation": scores,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [_program(), *sys.argv[1:]],
        "versions": {
            "nmt": __version__,
            "commit": _git_commit(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }
