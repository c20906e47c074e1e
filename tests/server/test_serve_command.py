from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from live_server import save_direction
from nmt.server.access import hash_key, read_keys

COMMAND = [sys.executable, "-m", "nmt", "serve"]


@contextlib.contextmanager
def started(*arguments: object, port: str = "0") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command, and return the process and its address."""
    command = [*COMMAND, *map(str, arguments), "--port", port, "--threads", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            match = re.match(r"(http://\S+) serves", line)
            assert match, line + process.stderr.read()
            yield process, match[1]
        finally:
            process.kill()


def ask(address: str, text: str = "the dog") -> httpx.Response:
    return httpx.post(f"{address}/translate", data={"q": text, "source": "en", "target": "de"}, timeout=60)


def wait_for_lines(address: str) -> None:
    """Return when lines wait for translation."""
    for _ in range(500):
        if re.search("^nmt_waiting_lines [1-9]", httpx.get(f"{address}/metrics").text, re.MULTILINE):
            return
        time.sleep(0.01)
    raise AssertionError("no request arrived")


def test_sigterm_finishes_requests_and_sighup_loads_models_again(tmp_path: Path) -> None:
    model = save_direction(tmp_path, "en", "de")
    with started(model) as (process, address):
        assert process.stderr is not None
        expected = ask(address).json()
        other = save_direction(tmp_path, "en", "fr")
        os.replace(other, model)
        process.send_signal(signal.SIGHUP)
        assert process.stderr.readline().strip() == "loaded again: en to fr"
        assert ask(address).status_code == 400
        damaged = tmp_path / "damaged"
        damaged.write_bytes(b"damaged")
        os.replace(damaged, model)  # a model file is mapped, so that it must not be written in place
        process.send_signal(signal.SIGHUP)
        assert "were not loaded again" in process.stderr.readline()
        fields = {"q": "the dog", "source": "en", "target": "fr"}
        assert httpx.post(f"{address}/translate", data=fields).json().keys() == expected.keys()
        long = {"q": ["the red dog sees a big house ."] * 1000, "source": "en", "target": "fr"}
        with ThreadPoolExecutor(1) as pool:
            request = pool.submit(httpx.post, f"{address}/translate", json=long, timeout=60)
            wait_for_lines(address)
            process.send_signal(signal.SIGTERM)
            assert len(request.result().json()["translatedText"]) == 1000
        assert process.wait(30) == 0


def test_a_kill_is_an_error_for_each_client_that_waits_and_the_port_is_free_again(tmp_path: Path) -> None:
    model = save_direction(tmp_path, "en", "de")
    lines = [f"the red dog sees {number} big houses ." for number in range(1_000)]

    def send(address: str) -> int | str:
        body = {"q": lines, "source": "en", "target": "de"}
        try:
            answer = httpx.post(f"{address}/translate", json=body, timeout=60)
        except httpx.TransportError as error:
            return type(error).__name__
        assert len(answer.json()["translatedText"]) == len(lines)
        return answer.status_code

    with started(model) as (process, address), ThreadPoolExecutor(6) as pool:
        requests = [pool.submit(send, address) for _ in range(6)]
        wait_for_lines(address)
        process.kill()
        assert process.wait(30) != 0
        results = [request.result() for request in requests]
    assert all(result == 200 or isinstance(result, str) for result in results)
    assert any(isinstance(result, str) for result in results)
    with started(model, port=address.rpartition(":")[2]) as (_, again):
        assert again == address
        assert ask(again).status_code == 200


def test_a_port_in_use_and_two_models_of_one_direction_are_refused(tmp_path: Path) -> None:
    model = save_direction(tmp_path, "en", "de")
    with started(model) as (_, address):
        port = address.rpartition(":")[2]
        second = subprocess.run([*COMMAND, str(model), "--port", port], capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "Choose another --port" in second.stderr
    twice = subprocess.run([*COMMAND, str(model), str(model)], capture_output=True, text=True, check=False)
    assert twice.returncode == 2
    assert "Two models translate from en to de" in twice.stderr


def test_a_new_key_is_stored_as_a_hash(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    command = [*COMMAND, "--keys", str(keys), "--new-key"]
    first = subprocess.run([*command, "one"], capture_output=True, text=True, check=True).stdout.strip()
    second = subprocess.run([*command, "two"], capture_output=True, text=True, check=True).stdout.strip()
    assert [(key.name, key.sha256) for key in read_keys(keys)] == [("one", hash_key(first)), ("two", hash_key(second))]
    assert first not in keys.read_text()
    again = subprocess.run([*command, "one"], capture_output=True, text=True, check=False)
    assert (again.returncode, len(read_keys(keys))) == (2, 2)


def test_hanging_connections_do_not_hinder_others(tmp_path: Path) -> None:
    import socket

    model = save_direction(tmp_path, "en", "de")
    with started(model, "--connections", "400") as (_, address):
        host, port = address.removeprefix("http://").split(":")
        hanging = [socket.create_connection((host, int(port))) for _ in range(200)]
        for connection in hanging[::2]:
            connection.sendall(b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert ask(address).status_code == 200
        for connection in hanging:
            connection.close()
