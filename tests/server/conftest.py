from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from live_server import make_test_service, running, save_direction
from nmt.server.access import hash_key


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models of three directions."""
    folder = tmp_path_factory.mktemp("models")
    pairs = ["en-de", "de-en", "en-ko"]
    return {pair: save_direction(folder, *pair.split("-")) for pair in pairs}


@pytest.fixture(scope="session")
def server(models: dict[str, Path]) -> Iterator[str]:
    """The address of a server with three models."""
    with running(make_test_service(list(models.values()), pivot="en", origins=("https://example.org",))) as address:
        yield address


@pytest.fixture(scope="session")
def locked(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that needs a key: `secret`, or `small` with few requests and characters."""
    keys = tmp_path_factory.mktemp("keys") / "keys.yaml"
    keys.write_text(
        f"- name: one\n  sha256: {hash_key('secret')}\n"
        f"- name: two\n  sha256: {hash_key('small')}\n  requests_per_minute: 3\n  characters_per_day: 20\n",
    )
    service = make_test_service([models["en-de"]], keys=keys, characters=200, lines=5, body_bytes=2_000)
    with running(service) as address:
        yield address


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=30) as client:
        yield client


@pytest.fixture
def locked_http(locked: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=locked, timeout=30) as client:
        yield client
