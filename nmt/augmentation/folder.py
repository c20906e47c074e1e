"""The folder of synthetic text, and a record of what it was made from.

Translations depend on models, text and search. The pairs depend besides on which translations are kept. A command
continues text that was made from the same, and replaces other text only with --overwrite.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.data.atomic_file import remove_abandoned
from nmt.data.corpus import inspect_file
from nmt.data.folder_lock import lock_folder
from nmt.data.streams import write_json, write_whole
from nmt.errors import DataError, UsageError
from nmt.small_files import read_json
from nmt.training.run_folder import flatten

DIGITS = 16


class SyntheticFolder:
    """A folder of synthetic text and its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made = path / "made.json"
        self.translations = path / "translations.jsonl"
        self.report = path / "report.json"
        self.config = path / "config.yaml"

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Make sure that no other process writes into the folder; see `lock_folder`."""
        return lock_folder(self.path)

    def begin(self, translations: dict[str, Any], pairs: dict[str, Any], *, overwrite: bool) -> None:
        """Prepare the folder for new text, or for the rest of interrupted text.

        Args:
            translations: What the translations are made from; anything that JSON can hold.
            pairs: What decides besides which pairs there are.
            overwrite: Replace text that was made from something else.

        Raises:
            UsageError: The folder has text that was made from something else.
            DataError: The folder cannot be made or read.
        """
        now = {"translations": translations, "pairs": pairs}
        remove_abandoned(self.path)
        before = self._before()
        if not overwrite:
            self._check(before, now)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}.") from error
        if before is None or before["translations"] != json.loads(json.dumps(translations)):
            self.translations.unlink(missing_ok=True)
        write_json(self.made, now)

    def _check(self, before: dict[str, Any] | None, now: dict[str, Any]) -> None:
        if before is not None and self.translations.exists() and (differing := _differences(before, now)):
            raise UsageError(
                f"{self.path} has text of other options, models or files: {', '.join(differing)}. Restore them, choose "
                "another folder with --output, or replace the text with --overwrite"
            )
        if before is None and self.path.exists() and any(self.path.iterdir()):
            raise UsageError(
                f"{self.path} exists and has other files. Choose another folder with --output, or write into it with "
                "--overwrite"
            )

    def write_config(self, content: str, *, overwrite: bool) -> None:
        """Write the configuration.

        Raises:
            UsageError: The file has other content, because somebody changed it.
        """
        if self.config.exists() and not overwrite and self.config.read_bytes() != content.encode():
            raise UsageError(
                f"{self.config} has been changed, or its base has moved. Train it with `nmt train`, move it away, or "
                "replace it with --overwrite"
            )
        write_whole(self.config, content.encode())

    def _before(self) -> dict[str, Any] | None:
        """Return the record of an earlier command; None if the folder has none."""
        if not self.made.exists():
            return None
        try:
            content = read_json(self.made)
            return {"translations": content["translations"], "pairs": content["pairs"]}
        except (DataError, KeyError, TypeError) as error:
            raise DataError(f"{self.made} cannot be read ({error}). Remove {self.path} and start again.") from error


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    old, new = (flatten(json.loads(json.dumps(one))) for one in (before, now))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [name.partition(".")[2] for name in names]


def digests(files: Sequence[Path | str]) -> dict[str, str]:
    """Return a digest of the content of each file.

    Raises:
        DataError: A file cannot be read.
    """
    return {str(file): inspect_file(file).digest[:DIGITS] for file in files}
