"""What a folder of synthetic text was made with, so that nothing is mixed, and nothing replaced unasked.

Translations depend on models, text and search; the pairs besides on what is chosen and dropped. What was made with the
same is kept and gone on with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.runs import write_bytes, write_json
from nmt.data.corpus import inspect_file
from nmt.errors import DataError, UsageError
from nmt.training.run_folder import flatten

DIGITS = 16


class Folder:
    """A folder of synthetic text, and what lies where in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made = path / "made.json"
        self.translations = path / "translations.jsonl"
        self.report = path / "report.json"
        self.config = path / "config.yaml"

    def begin(self, translations: dict[str, Any], pairs: dict[str, Any], *, overwrite: bool) -> None:
        """Get ready to make text, or to go on with it.

        Args:
            translations: What they are made with; anything that JSON can hold.
            pairs: What decides besides which pairs there are.
            overwrite: Replace what was made with something else.

        Raises:
            UsageError: There is text that was made with something else.
            DataError: The folder cannot be made or read.
        """
        now = {"translations": translations, "pairs": pairs}
        before = self._before()
        if not overwrite:
            begun = before is not None and self.translations.exists()
            differing = _differences(before, now) if before is not None and begun else []
            if differing:
                raise UsageError(
                    f"{self.path} was made with other options, models or text: {', '.join(differing)}; put them back, "
                    "choose another folder with --out, or replace it with --overwrite"
                )
            if before is None and self.path.exists() and any(self.path.iterdir()):
                raise UsageError(
                    f"{self.path} is there, with something else in it; choose another folder with --out, or write "
                    "into it with --overwrite"
                )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}.") from error
        if before is None or before["translations"] != json.loads(json.dumps(translations)):
            self.translations.unlink(missing_ok=True)
        write_json(self.made, now)

    def write_config(self, content: str, *, overwrite: bool) -> None:
        """Write the configuration.

        Raises:
            UsageError: Another one is there: somebody has changed it.
        """
        if self.config.exists() and not overwrite and self.config.read_bytes() != content.encode():
            raise UsageError(
                f"{self.config} has been changed, or the file that it rests on has another place: train it with `nmt "
                "train`, move it away, or replace it with --overwrite"
            )
        write_bytes(self.config, content.encode())

    def _before(self) -> dict[str, Any] | None:
        """What was noted when the text was made; None if nothing was."""
        if not self.made.exists():
            return None
        try:
            content: dict[str, Any] = json.loads(self.made.read_text("utf-8"))
            return {"translations": content["translations"], "pairs": content["pairs"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.made} cannot be read ({error}). Remove {self.path} to make it anew.") from error


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Name what differs."""
    old, new = (flatten(json.loads(json.dumps(one))) for one in (before, now))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [name.partition(".")[2] for name in names]


def digests(files: Sequence[Path | str]) -> dict[str, str]:
    """Say what is in each of these files.

    Raises:
        DataError: One cannot be read.
    """
    return {str(file): inspect_file(file).digest[:DIGITS] for file in files}
