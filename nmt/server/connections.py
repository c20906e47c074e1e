"""HTTP connections with limits: a client that sends or reads nothing holds neither memory nor a place for long."""

from __future__ import annotations

import socket
import sys
from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from nmt.server.requests import error_response

HEADER_SECONDS = 30.0
"""Longest time in which the header of a request must arrive."""
READ_SECONDS = 60.0
"""Longest time in which a client must read a part of its answer."""
OTHER_FILES = 100
"""Open files of the process that are not connections."""


class LimitedConnection(H11Protocol):
    """HTTP/1.1 without delays of TCP, and with limits of time.

    If there are more connections than the limit, those are closed whose request has not arrived, the oldest first. If
    all requests have arrived, a further connection gets status 503.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the arguments of uvicorn, with the limit in `limit_concurrency`."""
        super().__init__(*args, **kwargs)
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._since = self.loop.time()
        self._header_timer: TimerHandle | None = None
        self._read_timer: TimerHandle | None = None

    @property
    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Start the clock. Head and body of an answer are sent at once, without waiting for an acknowledgement."""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._watch_header()
        if self._most is not None and len(self.connections) > self._most and not self._close_oldest():
            self.app = error_response(503, "The server has too many connections.", retry_after=5)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        _cancel(self._header_timer)
        _cancel(self._read_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        super().data_received(data)
        self._watch_header()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._since = self.loop.time()

    def pause_writing(self) -> None:
        """Start the clock: the client does not read."""
        super().pause_writing()
        self._read_timer = self._read_timer or self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the clock: the client reads."""
        super().resume_writing()
        _cancel(self._read_timer)
        self._read_timer = None

    def _watch_header(self) -> None:
        """Start the clock with the first byte of a header, and stop it with the last one."""
        if not self._is_between_requests:
            _cancel(self._header_timer)
            self._header_timer = None
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        self._header_timer = None
        if self._is_between_requests and not self.transport.is_closing():
            self.transport.close()

    def _close_oldest(self) -> bool:
        """Close the connection that has waited longest for a whole request; return whether there is one."""
        waiting = [
            each
            for each in self.connections
            if isinstance(each, LimitedConnection)
            and each is not self
            and not each.transport.is_closing()
            and (each._is_between_requests or each.cycle.more_body)
        ]
        if waiting:
            min(waiting, key=lambda each: each._since).transport.abort()
        return bool(waiting)


def _cancel(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def allow_open_files(connections: int) -> None:
    """Raise the number of files that this process may open, as far as the system allows it."""
    if sys.platform == "win32":
        return
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
