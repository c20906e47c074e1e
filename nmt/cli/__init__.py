"""The command line: each command parses, calls an inner room and reports. Nothing heavy is imported before its time."""

from __future__ import annotations

from nmt.cli.program import app, main

__all__ = ["app", "main"]
