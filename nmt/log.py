"""Log lines and progress bars, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from nmt.errors import shorten_message
from nmt.terminal import on_one_line, unfiltered, visible

logger = logging.getLogger("nmt")
"""The logger of the whole toolkit."""

FILE_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class Progress(Protocol):
    """The part of a progress bar that work functions use."""

    def update(self, n: int) -> object:
        """Add `n` units of finished work."""


class _NoProgress:
    def update(self, n: int) -> None:
        """Ignore `n`."""


class _ConsoleFormatter(logging.Formatter):
    """Formats plain lines, with the level in front of warnings and errors, and tracebacks only if requested."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self.tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        text = visible(record.getMessage())
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {shorten_message(text)}"
        if record.exc_info and self.tracebacks:
            text = f"{visible(self.formatException(record.exc_info))}\n{text}"
        return text


class _FileFormatter(logging.Formatter):
    """Formats the lines of a log file, which people read in a terminal too."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


class _LineFormatter(_ConsoleFormatter):
    """Formats records as `_ConsoleFormatter` does, each on one line."""

    def format(self, record: logging.LogRecord) -> str:
        return on_one_line(super().format(record).strip())


class _JSONFormatter(logging.Formatter):
    """Formats each record as a JSON object on one line.

    Keys: `time` (UTC), `level`, `event`. An event `message` has its text in `message`. Other events have the `fields`
    of the record. Tracebacks are in `traceback`, only if requested.
    """

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self.tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        entry: dict[str, Any] = {"time": time, "level": record.levelname.lower()}
        fields = getattr(record, "fields", None)
        if fields is None:
            entry |= {"event": "message", "message": shorten_message(record.getMessage().strip())}
        else:
            entry |= {"event": record.getMessage(), **fields}
        if record.exc_info and self.tracebacks:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class _StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`, above the progress bar if one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if "tqdm" in sys.modules:
                from tqdm import tqdm

                tqdm.write(text, file=unfiltered(sys.stderr))
            else:
                print(text, file=sys.stderr, flush=True)
        except BrokenPipeError:
            pass
        except Exception:
            self.handleError(record)


def setup(*, level: int, file: Path | None = None) -> None:
    """Log to standard error, and optionally to a file. Replaces the handlers of an earlier call.

    Args:
        level: Lowest level that standard error shows.
        file: A file that gets all lines from INFO upwards as well.

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


def setup_server(*, as_json: bool) -> None:
    """Write each record on one line of standard error, after `setup`. Also take the records of uvicorn.

    Args:
        as_json: Write JSON objects with the keys `time`, `level` and `event`, not plain text.
    """
    kind = _JSONFormatter if as_json else _LineFormatter
    handlers = [handler for handler in logger.handlers if isinstance(handler, _StderrHandler)]
    for handler in handlers:
        handler.setFormatter(kind(tracebacks=handler.level <= logging.DEBUG))
    uvicorn = logging.getLogger("uvicorn")
    uvicorn.handlers = [*handlers]
    uvicorn.setLevel(logging.WARNING)
    uvicorn.propagate = False


def add_file(file: Path) -> None:
    """Append all log lines from INFO upwards to `file`, in place of an earlier log file.

    The level of standard error does not change.

    Raises:
        OSError: `file` cannot be opened.
    """
    handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_FileFormatter(FILE_FORMAT))
    handler.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    _remove(logging.FileHandler)
    logger.addHandler(handler)
    logger.setLevel(handler.level)


def silence() -> None:
    """Show nothing on standard error until `speak`: another process of the same training reports."""
    for handler in logger.handlers:
        if isinstance(handler, _StderrHandler):
            handler.setLevel(logging.CRITICAL + handler.level)


def speak() -> None:
    """End the effect of `silence`."""
    for handler in logger.handlers:
        if isinstance(handler, _StderrHandler) and handler.level > logging.CRITICAL:
            handler.setLevel(handler.level - logging.CRITICAL)


def _remove(kind: type[logging.Handler]) -> None:
    for handler in [handler for handler in logger.handlers if isinstance(handler, kind)]:
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def progress(total: int | None, description: str, unit: str) -> Iterator[Progress]:
    """Show a progress bar during the block, if `shows_progress`.

    Args:
        total: Number of units to process. None if it is unknown.
        description: Text in front of the bar.
        unit: Plural noun for what is counted, such as "lines".
    """
    if not shows_progress():
        yield _NoProgress()
        return
    from tqdm import tqdm

    bar: Any = tqdm(
        total=total,
        desc=on_one_line(description),
        unit=f" {unit}",
        file=unfiltered(sys.stderr),
        dynamic_ncols=True,
        leave=False,
    )
    try:
        yield bar
    finally:
        bar.close()


def shows_progress() -> bool:
    """Return whether standard error is a terminal and shows lines of level INFO."""
    verbose = any(isinstance(handler, _StderrHandler) and handler.level <= logging.INFO for handler in logger.handlers)
    return verbose and sys.stderr is not None and sys.stderr.isatty()
