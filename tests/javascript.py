"""Runs the modules of a site in node or in a headless browser, for the tests of `nmt export web`."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 120
"""Seconds before a test fails because the browser does not answer."""


def find_browser() -> str:
    """The path of a browser; the test is skipped if there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("needs chromium, which is not installed")
    return found


def run_in_node(folder: Path, code: str) -> Any:
    """The JSON value that the body of an asynchronous function returns, in a folder of modules."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node, which is not installed")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "run.js").write_text(f"const run = async () => {{ {code} }};\nconsole.log(JSON.stringify(await run()));")
    done = subprocess.run([node, "run.js"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class _Handler(SimpleHTTPRequestHandler):
    requests: list[str]

    def log_message(self, *_: Any) -> None:
        self.requests.append(self.path)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder: the address, and the paths that have been requested so far."""
    requests: list[str] = []
    handler = type("Handler", (_Handler,), {"requests": requests})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Browser:
    """A headless browser with one page, driven through the DevTools protocol over a pipe."""

    def __init__(self, profile: Path) -> None:
        to_browser, commands = os.pipe()
        self._answers, from_browser = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
        line = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, find_browser(), *options, *quiet, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._commands = commands
        self._number = 0
        self._buffer = b""
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._buffer:
            part = os.read(self._answers, 1 << 16)
            assert part, "the browser ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait_for("document.documentElement?.dataset.ready === 'true'")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, after it is resolved if it is a promise."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a condition holds in the page."""
        self.evaluate(f"""new Promise((resolve, reject) => {{
            const end = Date.now() + {PATIENCE * 1000};
            const look = () => ({condition}) ? resolve() : Date.now() > end
                ? reject(new Error(document.body?.innerText)) : setTimeout(look, 20);
            look();
        }})""")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)
