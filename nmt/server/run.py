"""Runs the application with uvicorn: signals, loading models again, a graceful stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from nmt.errors import NMTError, UsageError
from nmt.log import logger
from nmt.server.application import make_application
from nmt.server.directions import Directions
from nmt.server.service import Service

HEADER_SECONDS = 30.0
"""Longest time in which the header of a request must arrive."""
KEEP_ALIVE_SECONDS = 15
STOP_SECONDS = 30


class _Protocol(H11Protocol):
    """HTTP/1.1 without delays of TCP. Connections whose first request does not arrive are closed."""

    def connection_made(self, transport: Any) -> None:
        """Start the clock. Head and body of an answer are sent at once, without waiting for an acknowledgement."""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._close_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._header_timer.cancel()
        super().connection_lost(exc)

    def _close_idle(self) -> None:
        if getattr(self, "cycle", None) is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """Says where it listens as soon as it does."""

    def __init__(self, config: uvicorn.Config, *, address: str, service: Service) -> None:
        super().__init__(config)
        self._address = address
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        logger.info("%s serves %s", self._address, _listing(self._service.directions))


def serve(
    service: Service,
    *,
    host: str,
    port: int,
    connections: int,
    trusted_proxies: str,
    reload: Callable[[], Directions],
) -> None:
    """Serve until a signal. SIGTERM and Ctrl-C finish what is in progress. SIGHUP loads the models again.

    Args:
        service: The service.
        host: The address to listen at.
        port: The port; 0: any free one.
        connections: Most connections at once.
        trusted_proxies: Addresses of proxies whose X-Forwarded-For is believed, separated by commas.
        reload: Loads the models.

    Raises:
        UsageError: The address cannot be used.
    """
    config = uvicorn.Config(
        make_application(service),
        host=host,
        port=port,
        http=_Protocol,
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies or None,
        limit_concurrency=connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    try:
        listening = config.bind_socket()
    except SystemExit:
        raise UsageError(
            f"{host}:{port} cannot be used. Choose another --port, or stop the program that uses it."
        ) from None
    address, actual = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    server = _Server(config, address=f"http://{shown}:{actual}", service=service)

    async def run() -> None:
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGHUP, lambda: tasks.append(asyncio.ensure_future(_reload(service, reload)))
            )
        await server.serve(sockets=[listening])

    tasks: list[asyncio.Future[None]] = []
    # uvicorn has handlers of its own while it serves, and sends itself the signal again when it has stopped.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        asyncio.run(run())
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    logger.info("stopped")


async def _reload(service: Service, load: Callable[[], Directions]) -> None:
    """Load the models again. If that fails, the earlier ones stay."""
    try:
        directions = await asyncio.to_thread(load)
    except (NMTError, OSError) as error:
        logger.error("the models were not loaded again: %s", error)
        return
    old = list(service.directions)
    service.replace_models(directions)
    logger.info("loaded again: %s", _listing(directions))
    for direction in old:
        await direction.batcher.close()


def _listing(directions: Directions) -> str:
    return ", ".join(f"{each.source.code} to {each.target.code}" for each in directions)
