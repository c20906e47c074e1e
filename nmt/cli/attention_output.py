"""Formats and places of the output of `nmt attention`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

AttentionFormat = Literal["text", "png", "svg", "html", "json", "jsonl", "pharaoh"]
Level = Literal["pieces", "words"]

IMAGES: tuple[AttentionFormat, ...] = ("png", "svg")
STEP_FORMATS: tuple[AttentionFormat, ...] = ("text", "json", "jsonl", "html")
"""Formats of --steps."""
SUFFIXES: dict[str, AttentionFormat] = {
    ".png": "png",
    ".svg": "svg",
    ".html": "html",
    ".json": "json",
    ".jsonl": "jsonl",
    ".pharaoh": "pharaoh",
    ".txt": "text",
    ".htm": "html",
    ".align": "pharaoh",
}


class AttentionOutputFile(NamedTuple):
    """Place and format of the output.

    Attributes:
        path: file or folder. None is standard output.
        folder: whether `path` is a folder, with one image per line.
        format: the format.
        level: units of source and target.
    """

    path: Path | None
    folder: bool
    format: AttentionFormat
    level: Level

    @property
    def one_picture(self) -> bool:
        """Whether the output can show only one line."""
        return self.format in IMAGES and not self.folder

    def picture(self, number: int | str) -> str:
        """Return the file name of the image of a line in a folder, or a pattern for all images."""
        shown = f"{number:04d}" if isinstance(number, int) else number
        return f"line-{shown}.{self.format}"
