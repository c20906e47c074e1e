"""Records of the files of a bulk translation: what makes each file, and whether it is finished.

While FOLDER/NAME is translated and afterwards, FOLDER/.translated/NAME.json is its record, a JSON object. A second run
skips finished files, continues begun ones, and refuses those of another model, option or text.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nmt.data.corpus import FileFacts
from nmt.data.streams import read_bytes, write_json
from nmt.errors import DataError, UsageError
from nmt.small_files import read_json

RECORDS = ".translated"
"""The folder of the records in an output folder."""
FORMAT = 1

State = Literal["absent", "begun", "finished"]


def record_path(folder: Path, name: Path) -> Path:
    """Return the path of the record of a file in an output folder."""
    return folder / RECORDS / name.with_name(f"{name.name}.json")


class Content(NamedTuple):
    """The content of a finished file, unpacked."""

    size: int
    """Bytes."""
    crc32: int


class RecordedFile(NamedTuple):
    """What a record states."""

    origin: dict[str, Any]
    """What determines the output, as JSON values by name."""
    text: FileFacts
    """The whole source text."""
    content: Content | None
    """None: the file is not finished."""


def read_record(path: Path) -> RecordedFile:
    """Read a record.

    Raises:
        DataError: The record cannot be read, or is damaged.
    """
    record = read_json(path)
    try:
        origin, text, content = record["origin"], record["text"], record["content"]
        if record["format"] != FORMAT or not isinstance(origin, dict):
            raise ValueError
        facts = FileFacts(lines=_whole(text["lines"]), digest=str(text["sha256"]))
        finished = None if content is None else Content(_whole(content["bytes"]), _whole(content["crc32"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: the record is damaged. Delete it and the file that it describes.") from error
    return RecordedFile(origin, facts, finished)


def read_content(path: Path) -> Content:
    """Read a file to its end.

    Raises:
        DataError: The file cannot be read.
    """
    size = checksum = 0
    for chunk in read_bytes(path):
        size += len(chunk)
        checksum = zlib.crc32(chunk, checksum)
    return Content(size, checksum)


class FileRecord:
    """The record of one file of an output folder."""

    def __init__(self, folder: Path, name: Path, origin: Mapping[str, Any]) -> None:
        """Describe the record, without reading or writing it.

        Args:
            folder: The output folder.
            name: The file, relative to the folder.
            origin: What determines the output, apart from the text, as JSON values by name.
        """
        self.output = folder / name
        self._path = record_path(folder, name)
        self._origin: dict[str, Any] = json.loads(json.dumps(dict(origin)))

    def state(self, text: FileFacts | None) -> State:
        """Return whether the file was begun or finished by an earlier run.

        Args:
            text: The source text. None: it is not compared.

        Raises:
            UsageError: The file is of another model, option or text, or nothing is recorded about it.
            DataError: The record is damaged.
        """
        if not self._path.exists():
            if self.output.exists():
                raise UsageError(f"{self.output} exists already. Choose another -o, or replace it with --overwrite.")
            return "absent"
        found = read_record(self._path)
        names = found.origin.keys() | self._origin.keys()
        differing = sorted(name for name in names if found.origin.get(name) != self._origin.get(name))
        if text is not None and found.text != text:
            differing.append("text")
        if differing:
            raise UsageError(
                f"{self.output} was begun with another {', '.join(differing)}. Use the same command as then, another "
                "-o, or --overwrite."
            )
        return "finished" if found.content is not None and self.output.is_file() else "begun"

    def begin(self, text: FileFacts) -> None:
        """Record the source text of the file, and that the file is not finished.

        Raises:
            DataError: The record cannot be written.
        """
        self._write(text, None)

    def finish(self, text: FileFacts) -> None:
        """Record that the file is finished.

        Raises:
            DataError: The file cannot be read, or the record cannot be written.
        """
        self._write(text, read_content(self.output))

    def remove(self) -> None:
        """Delete the file and its record, for --overwrite."""
        self._path.unlink(missing_ok=True)
        if self.output.is_file():
            self.output.unlink()

    def _write(self, text: FileFacts, content: Content | None) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            self._path,
            {
                "format": FORMAT,
                "origin": self._origin,
                "text": {"lines": text.lines, "sha256": text.digest},
                "content": None if content is None else {"bytes": content.size, "crc32": content.crc32},
            },
        )


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value
