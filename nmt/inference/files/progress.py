"""How far a file has come: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmt.data.text.streams import read_bytes
from nmt.errors import DataError
from nmt.log import logger, progress, shows_progress

LOG_SECONDS = 10.0


def with_progress(blocks: Iterable[str], file: Path, *, before: int) -> Iterator[str]:
    """Pass blocks on, each of them the output of a line, and tell how many there were, how fast, and how many are left.

    Args:
        blocks: The output.
        file: The text. Its lines are counted meanwhile, unless it is no regular file.
        before: How many of its lines were done before.
    """
    count = _Count(file)
    start = shown = time.monotonic()
    done = 0
    with progress(None, "translate", "lines") as bar:
        for done, block in enumerate(blocks, 1):
            yield block
            now = time.monotonic()
            bar.update(1)
            if shows_progress():
                if count.lines is not None:
                    setattr(bar, "total", count.lines - before)  # noqa: B010 (a bar of tqdm, seen as a protocol)
            elif now > shown + LOG_SECONDS:
                logger.info("%s", _sentence(before, done, count.lines, now - start))
                shown = now
    if not shows_progress():
        logger.info("%s", _sentence(before, done, before + done, time.monotonic() - start))


def _sentence(before: int, done: int, total: int | None, seconds: float) -> str:
    """Say how far the work has come."""
    speed = done / max(seconds, 1e-9)
    if total is None:
        return f"{before + done:,} lines translated, {speed:,.1f} lines/s"
    left = max(0, total - before - done)
    text = f"{before + done:,} of {total:,} lines translated, {speed:,.1f} lines/s"
    return f"{text}, about {left / speed:,.0f} s left" if left and speed > 0 else text


class _Count:
    """Counts the lines of a file in a thread."""

    def __init__(self, file: Path) -> None:
        self.lines: int | None = None
        if file.is_file():
            threading.Thread(target=self._count, args=(file,), name="nmt-counter", daemon=True).start()

    def _count(self, file: Path) -> None:
        lines, last = 0, b"\n"
        try:
            for chunk in read_bytes(file):
                lines += chunk.count(b"\n")
                last = chunk[-1:]
        except DataError:  # whoever reads it for its text will say so
            return
        self.lines = lines + (last != b"\n")
