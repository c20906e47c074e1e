"""Connections that hang, clients that do not read, and bodies that are too large. The campaign sends many of them."""

from __future__ import annotations

import contextlib
import json
import logging
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from live_server import make_test_service, running
from nmt import log
from nmt.server import connections

PARTS = (b"", b"POST /transl", b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
FIELDS = {"q": "the dog", "source": "en", "target": "de"}


@contextlib.contextmanager
def connected(address: str, *sent: bytes) -> Iterator[list[socket.socket]]:
    """Connections that have sent these bytes."""
    host, port = address.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        found = []
        for data in sent:
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            connection.sendall(data)
            found.append(connection)
        yield found


def is_closed(connection: socket.socket) -> bool:
    """Wait until the server closes the connection."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("part", PARTS)
def test_connections_that_hang_make_room_for_others(models: dict[str, Path], part: bytes) -> None:
    with (
        running(make_test_service([models["en-de"]], connections=5)) as address,
        connected(address, *[part] * 12) as hanging,
    ):
        assert all(map(is_closed, hanging[:7]))
        for _ in range(3):
            assert httpx.post(f"{address}/translate", data=FIELDS).status_code == 200


def test_requests_beyond_the_limit_are_refused_as_json(models: dict[str, Path]) -> None:
    with running(make_test_service([models["en-de"]], connections=0)) as address:
        answer = httpx.post(f"{address}/translate", data=FIELDS)
    assert (answer.status_code, list(answer.json())) == (503, ["error"])
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("first", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_header_that_does_not_end_is_not_waited_for(
    server: str, first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)
    with connected(server, first) as (connection,):
        if first:
            connection.recv(1 << 16)
        with contextlib.suppress(ConnectionError):
            for byte in b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 1_000:
                connection.sendall(bytes([byte]))
                time.sleep(0.002)
            raise AssertionError("the connection is still open")


def test_a_client_that_does_not_read_is_disconnected(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.1)
    options = {"source": "en", "target": "de", "n_best": 20, "beam_size": 20}
    body = json.dumps({"lines": ["the dog sees a house ."] * 2_000, **options})
    head = f"POST /v1/stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with running(make_test_service([models["en-de"]])) as server, socket.socket() as connection:
        host, port = server.removeprefix("http://").split(":")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host, int(port)))
        connection.sendall((head + body).encode())
        connection.settimeout(30)
        for _ in range(3_000):
            if 'route="/v1/stream"' in httpx.get(f"{server}/metrics").text:
                break
            time.sleep(0.01)
        end = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(1 << 20):
                end = (end + data)[-5:]
        assert end != b"0\r\n\r\n"


def test_many_large_bodies_share_a_limit_that_small_ones_do_not_meet(
    models: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    log.setup(level=logging.INFO)
    size, held = 300_000, 1_000_000
    service = make_test_service([models["en-de"]], held_bytes=held, body_bytes=2 * size)
    fields = b"Host: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 600000"
    head = b"POST %s HTTP/1.1\r\n" + fields + b"\r\n\r\n"
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    sent = [head % b"/translate" + b"x" * size, head % b"/translate_file" + file + b"x" * size] * 4
    with running(service) as address:
        with connected(address, *sent) as connections:
            accepted = held // (size - (1 << 16))  # the first bytes of each body do not count
            refused: list[socket.socket] = []
            while len(refused) < len(sent) - accepted:
                refused = select.select(connections, [], [], 30)[0]
                assert refused
            assert all(each.recv(1 << 16).startswith(b"HTTP/1.1 503") for each in refused)
            while service.bodies.held < held - size:
                time.sleep(0.01)
            assert service.bodies.held <= held
            assert httpx.post(f"{address}/translate", data=FIELDS).status_code == 200
        for _ in range(500):
            if not service.bodies.held:
                break
            time.sleep(0.01)
        assert service.bodies.held == 0
        assert httpx.post(f"{address}/translate", data=FIELDS | {"unknown": "x" * size}).status_code == 200
    assert capfd.readouterr().err.count("reached their limit of 1,000,000 bytes") == 1


@pytest.mark.parametrize("path", ["/translate", "/v1/translate", "/v2/translate", "/detect", "/translate_file"])
@pytest.mark.parametrize("length", ["Content-Length: 1073741824", "Transfer-Encoding: chunked"])
def test_a_huge_body_is_refused_before_it_ends(server: str, path: str, length: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n{length}\r\n\r\n"
    block = b"x" * (1 << 16)
    with connected(server, head.encode()) as (connection,):
        for _ in range(0 if "Length" in length else 40):
            connection.sendall(b"10000\r\n" + block + b"\r\n")
        status = connection.recv(1 << 16).split()[1]
    assert status in (b"413", b"411")
