"""Runs modules in node or in a headless browser, for the tests of `nmt export web` and the page of `nmt serve`."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 120
"""Seconds before a test fails because the browser does not answer."""


READ_IN_NODE = """
import { readFile } from "node:fs/promises";
export const read = async (name) => new Uint8Array(await readFile(name));
"""
READ_IN_BROWSER = "export const read = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());"


def find_browser() -> str | None:
    """The path of a browser; None if there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def run_javascript(folder: Path, code: str) -> Any:
    """The JSON value that the body of an asynchronous function returns, in a folder of modules.

    The code runs in node, or in a browser if there is no node. `read` of `files.js` returns the bytes of a file.
    """
    run = f"const run = async () => {{ {code} }};\n"
    if node := shutil.which("node"):
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "files.js").write_text(READ_IN_NODE)
        (folder / "run.js").write_text(f"{run}console.log(JSON.stringify(await run()));")
        done = subprocess.run([node, "run.js"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    if find_browser() is None:
        pytest.skip("needs node or Chromium, which are not installed")
    (folder / "files.js").write_text(READ_IN_BROWSER)
    (folder / "run.js").write_text(
        f"{run}const found = await run().then((value) => ({{ value }}), (error) => ({{ error: error.stack }}));\n"
        "window.found = JSON.stringify(found);\ndocument.documentElement.dataset.ready = 'true';"
    )
    (folder / "run.html").write_text('<!doctype html><script type="module" src="run.js"></script>')
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, served(folder) as (address, _):
        browser = Browser(Path(profile))
        try:
            browser.open(f"{address}/run.html")
            found = json.loads(browser.evaluate("window.found"))
        finally:
            browser.close()
    assert "error" not in found, found["error"]
    return found["value"]


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
        browser = find_browser()
        if browser is None:
            pytest.skip("needs Chromium, which is not installed")
        to_browser, commands = os.pipe()
        self._answers, from_browser = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
        line = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, browser, *options, *quiet, f"--user-data-dir={profile}", "about:blank"],
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

    def place(self, selector: str, index: int = 0) -> tuple[float, float]:
        """The centre of an element, which is scrolled into view."""
        chosen = f"document.querySelectorAll({json.dumps(selector)})[{index}]"
        self.wait_for(f"{chosen} !== undefined")
        x, y = self.evaluate(f"""(() => {{
            const each = {chosen};
            each.scrollIntoView({{ block: "center" }});
            const box = each.getClientRects()[0];
            return [box.left + box.width / 2, box.top + box.height / 2];
        }})()""")
        return x, y

    def point(self, selector: str, index: int = 0) -> None:
        """Move the pointer to an element."""
        x, y = self.place(selector, index)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str, index: int = 0) -> None:
        """Click on an element."""
        x, y = self.place(selector, index)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key: `Tab`, `Enter` or a space."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}[key]
        names = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **names, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    def drop(self, selector: str, file: Path) -> None:
        """Drag a file to an element, and drop it."""
        x, y = self.place(selector)
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a list."""
        self.evaluate(f"""(() => {{
            const list = document.querySelector({json.dumps(selector)});
            list.value = {json.dumps(value)};
            list.dispatchEvent(new Event("change"));
        }})()""")

    def untranslated(self) -> list[str]:
        """Names of texts of the page that are not those of `interface.js` in the language of the page."""
        found: list[str] = self.evaluate("""import("/interface.js").then(({ texts }) => {
            const kinds = { text: "textContent", label: "ariaLabel", placeholder: "placeholder" };
            return Object.entries(kinds).flatMap(([kind, property]) =>
                [...document.querySelectorAll(`[data-${kind}]`)]
                    .filter((each) => each[property] !== texts[each.dataset[kind]]).map((each) => each.outerHTML));
        })""")
        return found

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)
