"""Runs the application with uvicorn: signals, loading models again, a graceful stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable

import uvicorn

from nmt.errors import NMTError, UsageError
from nmt.log import logger
from nmt.server.application import make_application
from nmt.server.connections import LimitedConnection, allow_open_files
from nmt.server.directions import Directions
from nmt.server.service import Service

KEEP_ALIVE_SECONDS = 15
STOP_SECONDS = 30
SWITCH_SECONDS = 0.001
"""Longest time for which a thread that translates keeps the interpreter. Each answer needs it several times."""


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


def make_server_config(service: Service, *, host: str, port: int, trusted_proxies: str = "") -> uvicorn.Config:
    """Return the options of uvicorn; see `serve`."""
    return uvicorn.Config(
        make_application(service),
        host=host,
        port=port,
        http=LimitedConnection,
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies or None,
        limit_concurrency=service.settings.connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def serve(
    service: Service,
    *,
    host: str,
    port: int,
    trusted_proxies: str,
    reload: Callable[[], Directions],
) -> None:
    """Serve until a signal. SIGTERM and Ctrl-C finish what is in progress. SIGHUP loads the models again.

    Args:
        service: The service.
        host: The address to listen at.
        port: The port; 0: any free one.
        trusted_proxies: Addresses of proxies whose X-Forwarded-For is believed, separated by commas.
        reload: Loads the models.

    Raises:
        UsageError: The address cannot be used.
    """
    config = make_server_config(service, host=host, port=port, trusted_proxies=trusted_proxies)
    sys.setswitchinterval(SWITCH_SECONDS)
    allow_open_files(service.settings.connections)
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
