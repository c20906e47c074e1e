"""What `nmt attention` writes, and where."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import NamedTuple


class AttentionFormat(str, Enum):
    """What `nmt attention` writes."""

    text = "text"
    png = "png"
    svg = "svg"
    html = "html"
    json = "json"
    jsonl = "jsonl"
    pharaoh = "pharaoh"


IMAGES = (AttentionFormat.png, AttentionFormat.svg)
SUFFIXES = {f".{format.value}": format for format in AttentionFormat if format is not AttentionFormat.text} | {
    ".txt": AttentionFormat.text,
    ".htm": AttentionFormat.html,
    ".align": AttentionFormat.pharaoh,
}


class Level(str, Enum):
    """What attention is shown between."""

    pieces = "pieces"
    words = "words"


class AttentionOutputFile(NamedTuple):
    """Where the attention goes, and in which form."""

    path: Path | None
    """None: standard output."""
    folder: bool
    """Whether `path` is a folder, for a picture of each line."""
    format: AttentionFormat
    level: Level

    @property
    def one_picture(self) -> bool:
        """Whether only one line can be shown."""
        return self.format in IMAGES and not self.folder

    def picture(self, number: int | str) -> str:
        """Return the name of the picture of a line in a folder, or a pattern for all of them."""
        shown = f"{number:04d}" if isinstance(number, int) else number
        return f"line-{shown}.{self.format.value}"
