"""A server in a thread, for tests with real clients."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from nmt.server.application import make_service
from nmt.server.batching import BatcherLimits
from nmt.server.directions import Directions
from nmt.server.run import make_server_config
from nmt.server.service import Service
from nmt.server.settings import ServerSettings
from tiny_translator import save_tiny_model


def save_direction(folder: Path, source: str, target: str) -> Path:
    """A tiny model of this direction."""
    path = folder / f"{source}-{target}.safetensors"
    save_tiny_model(path, languages=(source, target))
    return path


def make_test_service(
    models: list[Path], *, limits: BatcherLimits | None = None, pivot: str | None = None, **settings: Any
) -> Service:
    """A service of some models."""
    directions = Directions.load(models, decoding={"threads": 1}, limits=limits or BatcherLimits(), pivot=pivot)
    return make_service(directions, ServerSettings(**settings))


@contextlib.contextmanager
def running(service: Service) -> Iterator[str]:
    """Run a service in a thread, and return its address."""
    config = make_server_config(service, host="127.0.0.1", port=0)
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        socket.close()
