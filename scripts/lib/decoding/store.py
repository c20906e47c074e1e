"""What has been translated, kept: nothing is done twice, whatever interrupts the table or changes its rows.

A file for each thing that was made, named by a fingerprint of all that it depends on, which stands in it too. Other
models, options or text make other files, so nothing is ever mixed up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments.runs import write_json
from nmt.errors import DataError

Made = dict[str, Any]
"""Anything that JSON can hold."""


class Store:
    """A folder of things that were made."""

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        """Keep things in `folder`; with `overwrite`, make everything again that this store has not made itself."""
        self._folder = folder
        self._overwrite = overwrite
        self._fresh: set[Path] = set()

    def get(self, facts: Mapping[str, Any], make: Callable[[], Made]) -> Made:
        """Return what was made of the same facts, or make it now.

        Raises:
            DataError: What was kept cannot be read.
        """
        path = self._path(facts)
        if path.exists() and (not self._overwrite or path in self._fresh):
            return read_json(path)["made"]  # type: ignore[no-any-return]
        made = make()
        self.put(facts, made)
        return made

    def put(self, facts: Mapping[str, Any], made: Made) -> None:
        """Keep what was made, in place of what was there."""
        path = self._path(facts)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"of": dict(facts), "made": made})
        self._fresh.add(path)

    def _path(self, facts: Mapping[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest[:16]}.json"


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that `write_json` has written.

    Raises:
        DataError: It cannot be read.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}). Remove it, and it is made again.") from error
    return content
