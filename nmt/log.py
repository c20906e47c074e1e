"""What the toolkit tells people besides results: log lines and progress bars, on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

logger = logging.getLogger("nmt")
"""All log lines of the toolkit."""

FILE_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class Progress(Protocol):
    """Counts what has been done."""

    def update(self, n: int) -> object:
        """Count `n` more."""


class _Silent:
    def update(self, n: int) -> None:
        """Count `n` more, showing nothing."""


class _ConsoleFormatter(logging.Formatter):
    """Plain lines; from warnings on with the level in front; tracebacks only for those who asked for details."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self.tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        if record.exc_info and self.tracebacks:
            text = f"{self.formatException(record.exc_info)}\n{text}"
        return text


class _StderrHandler(logging.Handler):
    """Writes to what `sys.stderr` is at that moment, above a progress bar if one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if "tqdm" in sys.modules:
                from tqdm import tqdm

                tqdm.write(text, file=sys.stderr)
            else:
                print(text, file=sys.stderr, flush=True)
        except BrokenPipeError:
            pass
        except Exception:
            self.handleError(record)


def setup(*, level: int, file: Path | None = None) -> None:
    """Send log lines of `level` and above to standard error, and those from INFO on to `file` too.

    Calling it again replaces what an earlier call set up.

    Raises:
        OSError: `file` cannot be opened.
    """
    _remove(_StderrHandler)
    _remove(logging.FileHandler)
    console = _StderrHandler(level)
    console.setFormatter(_ConsoleFormatter(tracebacks=level <= logging.DEBUG))
    logger.addHandler(console)
    logger.setLevel(level)
    if file is not None:
        add_file(file)


def add_file(file: Path) -> None:
    """Send log lines from INFO on to the end of `file` too, in place of an earlier file, whatever is shown on screen.

    Raises:
        OSError: `file` cannot be opened.
    """
    handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(FILE_FORMAT))
    handler.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    _remove(logging.FileHandler)
    logger.addHandler(handler)
    logger.setLevel(handler.level)


def _remove(kind: type[logging.Handler]) -> None:
    for handler in [handler for handler in logger.handlers if isinstance(handler, kind)]:
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def progress(total: int | None, description: str, unit: str) -> Iterator[Progress]:
    """Show a progress bar while the block runs, when standard error is a terminal; show nothing at all otherwise.

    Args:
        total: How much there is to do, if that is known.
        description: What is being done, in front of the bar.
        unit: What is counted, such as "lines".
    """
    if not shows_progress():
        yield _Silent()
        return
    from tqdm import tqdm

    bar: Any = tqdm(total=total, desc=description, unit=f" {unit}", file=sys.stderr, dynamic_ncols=True, leave=False)
    try:
        yield bar
    finally:
        bar.close()


def shows_progress() -> bool:
    """Whether standard error is a terminal and the user wants to see more than warnings."""
    wanted = any(isinstance(handler, _StderrHandler) and handler.level <= logging.INFO for handler in logger.handlers)
    return wanted and sys.stderr is not None and sys.stderr.isatty()
