"""Logs of the server: one line for each entry, without anything that a client sends."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from live_server import make_test_service, running
from nmt import log
from nmt.server.access import Access, Key, Refusal, hash_key
from nmt.server.service import Service
from nmt.terminal import UNSAFE

SECRETS = ("the dog", "secret-key", "127.0.0.1", "evil")
ESCAPES = "%1b%5d0;evil%07%0aerror:%20evil%c2%9b31m"


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    yield
    log.setup(level=logging.INFO)
    logging.getLogger("uvicorn").handlers.clear()


def send_requests(address: str) -> list[int]:
    """Send requests of all kinds, and return their statuses."""
    fields = {"q": ["the dog", "the dog\nthe dog"], "source": "en", "target": "de", "api_key": "secret-key"}
    answers = [
        httpx.post(f"{address}/translate", json=fields),
        httpx.get(f"{address}/{ESCAPES}"),
        httpx.get(f"{address}/download_file/{ESCAPES}"),
        httpx.post(f"{address}/translate?q={ESCAPES}&source={ESCAPES}&target={ESCAPES}"),
        httpx.get(f"{address}/health"),
    ]
    assert not any(UNSAFE.search(answer.text) for answer in answers)
    return [answer.status_code for answer in answers]


def test_json_logs_have_an_entry_for_each_request_without_its_texts(
    models: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    log.setup(level=logging.INFO)
    log.setup_server(as_json=True)
    with running(make_test_service([models["en-de"]], logs_requests=True)) as address:
        statuses = send_requests(address)
    text = capfd.readouterr().err
    entries = [json.loads(line) for line in text.splitlines()]
    requests = [entry for entry in entries if entry["event"] == "request"]
    assert [entry["status"] for entry in requests] == statuses
    assert [entry["path"] for entry in requests] == [
        "/translate",
        "other",
        "/download_file/{name}",
        "/translate",
        "/health",
    ]
    assert (requests[0]["lines"], requests[0]["characters"]) == (3, 22)
    keys = {"time", "level", "event", "path", "status", "seconds", "lines", "characters"}
    assert all(entry.keys() == keys for entry in requests)
    assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize("as_json", [False, True])
def test_an_unexpected_error_is_one_line_without_the_text(
    as_json: bool,
    models: dict[str, Path],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: Service, texts: list[str]) -> None:
        raise ValueError(f"\x1b[31mevil\n{texts}")

    monkeypatch.setattr(Service, "check_size", fail)
    log.setup(level=logging.INFO)
    log.setup_server(as_json=as_json)
    with running(make_test_service([models["en-de"]])) as address:
        answer = httpx.post(f"{address}/translate", data={"q": "the dog", "source": "en", "target": "de"})
    assert answer.status_code == 500
    text = capfd.readouterr().err
    assert "unexpected ValueError at test_log.py:" in text
    assert not UNSAFE.search(text)
    assert not any(secret in text + answer.text for secret in SECRETS)
    assert all(json.loads(line)["level"] == "error" if as_json else "error: " in line for line in text.splitlines())


def test_messages_of_several_lines_are_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    log.setup(level=logging.INFO)
    for as_json in (False, True):
        log.setup_server(as_json=as_json)
        log.logger.warning("one\ntwo \x1b[31m")
        (line,) = capfd.readouterr().err.splitlines()
        assert not UNSAFE.search(line)
    assert json.loads(line)["message"] == "one\ntwo \x1b[31m"


def test_a_limit_that_is_reached_is_logged_once_a_minute(capfd: pytest.CaptureFixture[str]) -> None:
    log.setup(level=logging.INFO)
    now = 0.0
    keys = [Key(name="weblate", sha256=hash_key("secret-key"), characters_per_day=5)]
    by_key = Access(keys, requests_per_minute=None, clock=lambda: now)
    by_address = Access(None, requests_per_minute=2, clock=lambda: now)

    def use(access: Access, key: str | None, address: str) -> None:
        for _ in range(5):
            with contextlib.suppress(Refusal):
                access.count(access.enter(key, address), 4)

    use(by_key, "secret-key", "127.0.0.1")
    assert capfd.readouterr().err == "warning: the key weblate reached its limit of 5 characters per day\n"
    for address in ("127.0.0.1", "127.0.0.2"):
        use(by_address, None, address)
    assert capfd.readouterr().err == "warning: an address reached its limit of 2 requests per minute\n" * 2
    now = 59.0
    use(by_address, None, "127.0.0.1")
    assert capfd.readouterr().err == ""
    now = 61.0
    use(by_address, None, "127.0.0.1")
    assert capfd.readouterr().err.count("an address") == 1


def test_suggestions_are_stored_with_escapes(models: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "suggestions.jsonl"
    entry = {"q": "a\x1b[31m\x9b\n", "s": "b\u202e\u2028", "source": "en", "target": "de"}
    with running(make_test_service([models["en-de"]], suggestions=file)) as address:
        assert httpx.post(f"{address}/suggest", json=entry).status_code == 200
        lone = httpx.post(f"{address}/suggest", content=json.dumps({**entry, "q": "\ud800"}))
    (line, *others) = file.read_text("utf-8").split("\n")
    assert json.loads(line) == entry
    assert not any(UNSAFE.search(each) for each in (line, *others))
    assert lone.status_code in (200, 400)
