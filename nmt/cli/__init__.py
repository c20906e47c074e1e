"""The command line. Each command parses its options, calls the library and prints the result."""

from __future__ import annotations

from nmt.cli.program import app, main

__all__ = ["app", "main"]
