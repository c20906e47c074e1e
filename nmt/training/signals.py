"""Stop signals: the first one stops a run after the current update, or in the middle of a validation."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

STOPS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXCPU") if hasattr(signal, name)
)
"""Ctrl-C, the end of a container or job, a closed terminal, and the warnings of schedulers before a time limit."""
MAY_BE_IGNORED = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name))
"""Signals that stay ignored if they were ignored before, as by nohup."""


class StopNow(BaseException):
    """A stop signal in work that is repeated when the run is resumed."""


class StopRequest:
    """A context in which stop signals only set `signal`, which the training loop reads after each update.

    A second Ctrl-C stops the run at once. Other signals may be repeated without effect.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._old_handlers: dict[int, Any] = {}
        self._immediate = False
        self._saving = False

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in STOPS:
                if number in MAY_BE_IGNORED and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._old_handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers = {}

    @contextmanager
    def immediately(self) -> Iterator[None]:
        """Raise `StopNow` in the block as soon as a stop signal arrives, or if one has arrived before."""
        self._immediate = True
        try:
            if self.signal is not None:
                raise StopNow
            yield
        finally:
            self._immediate = False

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Let the block finish: a signal in it has its effect later."""
        self._saving = True
        try:
            yield
        finally:
            self._saving = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        repeated = self.signal is not None
        if not repeated:
            self.signal = number
        if self._saving:
            return
        if self._immediate:
            raise StopNow
        if repeated and number == signal.SIGINT:
            raise KeyboardInterrupt
