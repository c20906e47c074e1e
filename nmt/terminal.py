r"""Makes text harmless for a terminal: text of models, corpora and configurations may come from strangers.

Control characters start escape sequences, which can move the cursor, change the title or hide text. Bidirectional
controls change the order in which text is shown. They are written as `\u001b`, which JSON and quoted YAML read back.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]")
r"""Characters that are not written to a terminal: all controls except \n and \t, line and paragraph separators,
bidirectional embeddings, overrides and isolates, lone surrogates, and annotations."""


def visible(text: str) -> str:
    r"""Return a text with `\u001b` and the like for unsafe characters. Line breaks and tabs stay."""
    return UNSAFE.sub(_escape, text)


def on_one_line(text: str) -> str:
    """Return a text as `visible` does, with escapes for line breaks and tabs too."""
    return visible(text).replace("\n", r"\n").replace("\t", r"\t")


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


class VisibleStream:
    """A text stream that makes everything visible that is written to it. Its `buffer` takes bytes as they are."""

    def __init__(self, stream: Any) -> None:
        self.unfiltered = stream

    def write(self, text: str) -> int:
        """Write a text with escapes for unsafe characters."""
        self.unfiltered.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unfiltered, name)


@contextmanager
def visible_streams() -> Iterator[None]:
    """Make everything visible that is written to `sys.stdout` and `sys.stderr` as text.

    Bytes that are written to `sys.stdout.buffer` are not changed.
    """
    before = sys.stdout, sys.stderr
    if sys.stdout is not None:
        sys.stdout = cast(Any, VisibleStream(sys.stdout))
    if sys.stderr is not None:
        sys.stderr = cast(Any, VisibleStream(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def unfiltered(stream: Any) -> Any:
    """Return the stream below a `VisibleStream`, for colours and progress bars. Their texts must be made visible."""
    return getattr(stream, "unfiltered", stream)


def make_console() -> Console:
    """Return a console for standard output with colours, which makes the texts visible that it prints."""
    from rich.console import Console
    from rich.text import Text

    class VisibleConsole(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            for each in objects:
                if isinstance(each, Text) and UNSAFE.search(each.plain):
                    each.plain = visible(each.plain)
            super().print(*(visible(each) if isinstance(each, str) else each for each in objects), **options)

    return VisibleConsole(highlight=False, file=unfiltered(sys.stdout))
