"""A log line at least every half minute, and an estimate of the remaining time."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from nmt.log import logger

SILENT_SECONDS = 30.0
RECENT = 200
"""Number of updates from which the pace is computed."""


class Pace:
    """The recent duration of updates and validations.

    The median of recent updates ignores a pause of the process and the slow first updates.
    """

    def __init__(self) -> None:
        self._updates: deque[float] = deque(maxlen=RECENT)
        self._validation = 0.0

    def add(self, seconds: float) -> None:
        """Record the duration of an update."""
        self._updates.append(seconds)

    def add_validation(self, seconds: float) -> None:
        """Record the duration of a validation."""
        self._validation = seconds

    def estimate(self, updates: float, *, validations: float) -> float | None:
        """Return the seconds that so many updates and validations will take; None before the first update."""
        if not self._updates:
            return None
        return max(0.0, updates * statistics.median(self._updates) + validations * self._validation)


class Heartbeat(logging.Handler):
    """A context in which a line is logged when nothing else was for half a minute.

    The line is written by a thread, so it appears in long updates and validations too. It goes to the log only.

    Args:
        describe: Describes the work in progress.
        interval: Seconds without a log line.
    """

    def __init__(self, describe: Callable[[], str], *, interval: float = SILENT_SECONDS) -> None:
        super().__init__(logging.INFO)
        self._describe = describe
        self._interval = interval
        self._last = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nmt-heartbeat", daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Remember that a line was logged."""
        self._last = time.monotonic()

    def __enter__(self) -> Heartbeat:
        logger.addHandler(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        logger.removeHandler(self)
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(max(0.0, self._last + self._interval - time.monotonic())):
            if time.monotonic() - self._last >= self._interval:
                self._last = time.monotonic()
                logger.info("%s", self._describe())
