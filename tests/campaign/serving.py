"""Many clients of one server: speed, a long run, hostile connections, and random requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from cli_tools import environment
from live_server import save_direction
from toy_experiments import toy_pairs

CLIENTS = (1, 8, 32, 64)
TICKS = os.sysconf("SC_CLK_TCK")


class ServerProcess(NamedTuple):
    """A running `nmt serve`."""

    process: subprocess.Popen[str]
    address: str

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, port = self.address.removeprefix("http://").split(":")
        return host, int(port)

    def cpu_seconds(self) -> float:
        """Return the processor time of the server."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def megabytes(self, name: str = "VmRSS") -> int:
        """Return the memory of the server, or with `VmHWM` the most that it had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"{name}:\s+(\d+)", status)[0]) >> 10


@contextlib.contextmanager
def serving(*arguments: object) -> Iterator[ServerProcess]:
    """Start `nmt serve`, and kill it in the end."""
    command = [sys.executable, "-m", "nmt", "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            match = re.search(r"(http://\S+) serves", line)
            assert match, line + process.stderr.read()
            yield ServerProcess(process, match[1])
        finally:
            process.kill()


class Connection:
    """A connection that is kept alive, with little work for each request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, server: ServerProcess) -> AsyncIterator[Connection]:
        """Connect."""
        reader, writer = await asyncio.open_connection(*server.host_and_port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a JSON body, and return the status and body of the answer."""
        fields = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self.writer.write(f"POST {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body)
        return await self.answer()

    async def answer(self) -> tuple[int, bytes]:
        """Read the status and body of an answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
        return int(head.split()[1]), await self._reader.readexactly(length)


class Load(NamedTuple):
    """The result of many requests."""

    clients: int
    seconds: float
    cpu_seconds: float
    latencies: list[float]
    """Of each request in seconds, ascending."""
    texts: dict[str, str]
    """The translation of each line."""

    def __str__(self) -> str:
        count = len(self.latencies)
        shares = [1000 * self.latencies[min(count - 1, int(count * share))] for share in (0.5, 0.95, 0.99)]
        return (
            f"{self.clients:3d} clients: {count / self.seconds:6.1f} lines/s, "
            f"{1000 * self.cpu_seconds / count:5.1f} ms of processor time per line, "
            f"50 %, 95 %, 99 % within {shares[0]:.0f}, {shares[1]:.0f}, {shares[2]:.0f} ms"
        )


async def send_lines(server: ServerProcess, lines: Sequence[str], *, clients: int, **options: Any) -> Load:
    """Translate each line with a request of its own, with so many clients at once."""
    waiting = list(reversed(lines))
    latencies: list[float] = []
    texts: dict[str, str] = {}
    before, start = server.cpu_seconds(), time.perf_counter()

    async def client() -> None:
        async with Connection.open(server) as connection:
            while waiting:
                line = waiting.pop()
                began = time.perf_counter()
                status, body = await connection.post("/v1/translate", json.dumps({"lines": [line], **options}).encode())
                latencies.append(time.perf_counter() - began)
                assert status == 200, body
                texts[line] = json.loads(body)["translations"][0]["translation"]

    await asyncio.gather(*(client() for _ in range(clients)))
    return Load(clients, time.perf_counter() - start, server.cpu_seconds() - before, sorted(latencies), texts)


def check_speed(model: Path, lines: Sequence[str], show: Any, *, threads: int) -> list[str]:
    """Measure the server with 1 to 64 clients. The translations must be those of the toolkit itself."""
    import nmt

    expected = {each.source: each.text for each in nmt.load(model, threads=threads).translate(list(lines))}
    problems: list[str] = []
    with serving(model, "--cache-lines", "0", "--threads", threads) as server:
        options = {"source": "auto", "target": nmt.load(model).config.data.target_language}
        asyncio.run(send_lines(server, lines[:8], clients=1, **options))
        for clients in CLIENTS:
            load = asyncio.run(send_lines(server, lines, clients=clients, **options))
            show(str(load))
            if load.texts != expected:
                problems.append(f"{clients} clients: other translations than the toolkit")
        show(f"{server.megabytes('VmHWM')} MB at most")
    return problems


SOAK_CLIENTS = 20
LINES, LONGEST = 400, 4
PAIRS = (("en", "de"), ("de", "en"), ("en", "fr"))
GROWTH = 30
"""Megabytes by which the memory may grow between the first tenth of the requests and the end."""


class Expected(NamedTuple):
    """Lines with their translations by the toolkit, for each direction."""

    lines: list[str]
    texts: dict[tuple[str, str], dict[str, str]]

    @classmethod
    def of(cls, models: dict[tuple[str, str], Path], lines: list[str]) -> Expected:
        """Translate the lines with each model."""
        import nmt

        texts = {}
        for pair, path in models.items():
            model = nmt.load(path, threads=1, split_sentences=True)
            texts[pair] = {each.source: each.text for each in model.translate(lines)}
        return cls(lines, texts)


async def _checked_request(connection: Connection, random: Random, expected: Expected) -> str | None:
    """Send a random request, and return what is wrong with its answer."""
    pair = random.choice(PAIRS)
    chosen = random.choices(expected.lines, k=random.randint(1, LONGEST))
    wanted = [expected.texts[pair][line] for line in chosen]
    body: dict[str, Any]
    kind = random.choice(("libretranslate", "deepl", "native"))
    if kind == "libretranslate":
        path, body = "/translate", {"q": chosen, "source": pair[0], "target": pair[1]}
    elif kind == "deepl":
        path, body = "/v2/translate", {"text": chosen, "source_lang": pair[0], "target_lang": pair[1]}
    else:
        path, body = "/v1/translate", {"lines": chosen, "source": pair[0], "target": pair[1], "split_sentences": True}
        body["cache"] = random.random() < 0.5
    status, answer = await connection.post(path, json.dumps(body).encode())
    if status != 200:
        return f"{path}: status {status}: {answer[:200]!r}"
    found = json.loads(answer)
    if kind == "libretranslate":
        texts = found["translatedText"]
    else:
        texts = [each["text" if kind == "deepl" else "translation"] for each in found["translations"]]
    return None if texts == wanted else f"{path}: {chosen} was answered with {texts} instead of {wanted}"


async def _soak(server: ServerProcess, expected: Expected, *, count: int, minutes: float, show: Any) -> list[str]:
    problems: list[str] = []
    sizes: list[int] = []
    done = 0
    end = time.monotonic() + 60 * minutes

    async def client(number: int) -> None:
        nonlocal done
        random = Random(number)
        while done < count and len(problems) < 10 and time.monotonic() < end:
            async with Connection.open(server) as connection:
                for _ in range(random.randint(1, 200)):
                    if done >= count or time.monotonic() > end:
                        return
                    done += 1
                    mine = done
                    problem = await _checked_request(connection, random, expected)
                    if problem:
                        problems.append(problem)
                    if mine % max(1, count // 50) == 0:
                        sizes.append(server.megabytes())
                        show(f"{mine:,} requests, {sizes[-1]} MB")

    await asyncio.gather(*(client(number) for number in range(SOAK_CLIENTS)))
    early = sizes[len(sizes) // 10] if sizes else 0
    show(f"{done:,} requests of {SOAK_CLIENTS} clients, {early} MB after a tenth, {server.megabytes()} MB at the end")
    if sizes and server.megabytes() > early + GROWTH:
        problems.append(f"memory grew from {early} to {server.megabytes()} MB")
    return problems


def check_soak(models: dict[tuple[str, str], Path], *, count: int, minutes: float, show: Any) -> list[str]:
    """Send many requests of 20 clients through all interfaces. Each answer must be that of its own request."""
    texts = [source for source, _ in toy_pairs(LINES, seed=9)]
    expected = Expected.of(models, list(dict.fromkeys(texts)))
    with serving(*models.values(), "--threads", "1", "--cache-lines", LINES // 2) as server:
        return asyncio.run(_soak(server, expected, count=count, minutes=minutes, show=show))


HANGING = 2_000
MEMORY = 300
"""Megabytes that hostile clients may cost."""
BODY = 1 << 30


async def _hang(server: ServerProcess, count: int, show: Any) -> list[str]:
    """Connect and send nothing, a part of a header, or a part of a body; then a client needs an answer."""
    parts = (b"", b"POST /translate HTT", b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    waiting = []
    for number in range(count):
        _, writer = await asyncio.open_connection(*server.host_and_port)
        writer.write(parts[number % len(parts)])
        waiting.append(writer)
    problems = await _answers(server, f"{count} connections that hang")
    show(f"{count} connections that hang: {server.megabytes()} MB")
    for writer in waiting:
        writer.transport.abort()
    return problems


async def _answers(server: ServerProcess, during: str) -> list[str]:
    """Return a problem unless the server translates for somebody else."""
    async with Connection.open(server) as connection:
        body = json.dumps({"q": "the dog", "source": "en", "target": "de"}).encode()
        status, answer = await asyncio.wait_for(connection.post("/translate", body), 60)
    return [] if status == 200 else [f"{during}: a client got status {status}: {answer[:200]!r}"]


async def _read_slowly(server: ServerProcess, count: int, show: Any) -> list[str]:
    """Request large answers, and read nothing of them."""
    body = json.dumps({"lines": ["the dog sees a house ."] * 500, "target": "de", "source": "en", "alignment": True})
    head = f"POST /v1/stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection(*server.host_and_port, limit=1)
        writer.write((head + body).encode())
        writers.append(writer)
    await asyncio.sleep(5)
    problems = await _answers(server, f"{count} slow readers")
    show(f"{count} clients that read nothing: {server.megabytes()} MB")
    for writer in writers:
        writer.transport.abort()
    return problems


async def _send_much(server: ServerProcess, size: int, show: Any) -> list[str]:
    """Send a body of this size: with its length, in chunks, and as a file."""
    problems = []
    boundary = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    for path, length, start in (
        ("/translate", f"Content-Length: {size}", b'{"q": "'),
        ("/translate", "Transfer-Encoding: chunked", b""),
        ("/v1/translate", "Transfer-Encoding: chunked", b""),
        ("/translate_file", f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {size}", boundary),
        ("/translate_file", "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked", b""),
    ):
        reader, writer = await asyncio.open_connection(*server.host_and_port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode() + start)
        answer = asyncio.create_task(reader.readuntil(b"\r\n"))
        block = b"x" * (1 << 16)
        chunk = b"10000\r\n" + block + b"\r\n" if "chunked" in length else block
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < size:
                writer.write(chunk)
                await asyncio.wait_for(writer.drain(), 60)
                sent += len(block)
        try:
            status = int((await asyncio.wait_for(answer, 60)).split()[1])
        except (ConnectionError, asyncio.IncompleteReadError):
            status = 0  # closed while the client still wrote
        show(f"{path} with {length.split()[-1]} and {sent >> 20} MB sent: status {status}, {server.megabytes()} MB")
        if status not in (0, 411, 413):
            problems.append(f"a body of {size} bytes for {path}: status {status}")
        writer.transport.abort()
    return [*problems, *await _answers(server, "large bodies")]


async def _hold_bodies(server: ServerProcess, count: int, size: int, show: Any) -> list[str]:
    """Send large parts of bodies at once, and hang. Those beyond the common limit must be refused."""
    heads = (b"POST /translate HTTP/1.1\r\nHost: x\r\n", b"POST /v1/translate HTTP/1.1\r\nHost: x\r\n")
    writers = []
    for number in range(count):
        _, writer = await asyncio.open_connection(*server.host_and_port)
        writer.write(heads[number % len(heads)] + f"Content-Length: {size + 1}\r\n\r\n".encode() + b"x" * size)
        writers.append(writer)
    await asyncio.sleep(5)
    problems = await _answers(server, f"{count} large bodies at once")
    show(f"{count} bodies of {size:,} bytes at once: {server.megabytes()} MB")
    for writer in writers:
        writer.transport.abort()
    return problems


async def _send_json(server: ServerProcess, size: int, show: Any) -> list[str]:
    """Send broken and deep JSON."""
    problems = []
    bodies = [b"[" * size, b'{"q":' * (size // 5), b'{"q": "' + b"\\u0000" * (size // 6), b"[" + b"{}," * (size // 3)]
    bodies += [b'{"q": ' + b"9" * size + b"}", b'{"q": "\\ud800", "source": "en", "target": "de"}', b"\x00" * size]
    for path in ("/translate", "/v1/translate", "/v2/translate", "/detect"):
        for body in bodies:
            async with Connection.open(server) as connection:
                status, answer = await connection.post(path, body)
            if not 200 <= status < 500:
                problems.append(f"{path}: {body[:40]!r}...: status {status}: {answer[:200]!r}")
    show(f"broken and deep JSON: {server.megabytes()} MB")
    return problems


def check_hostile(model: Path, show: Any, *, hanging: int = HANGING, size: int = BODY) -> list[str]:
    """Let clients hang, read nothing, and send large and broken bodies. The server must answer others."""
    problems = []
    with serving(model, "--threads", "1") as server:
        asyncio.run(_answers(server, "start"))
        before = server.megabytes()
        for work in (_hang(server, hanging, show), _read_slowly(server, hanging // 10, show)):
            problems += asyncio.run(work)
        problems += asyncio.run(_send_much(server, size, show))
        problems += asyncio.run(_hold_bodies(server, hanging // 8, 1_900_000, show))
        problems += asyncio.run(_send_json(server, min(size, 1_900_000), show))
        most = server.megabytes("VmHWM")
        show(f"{before} MB before, {most} MB at most")
        if most > before + MEMORY:
            problems.append(f"memory grew from {before} to {most} MB")
    return problems


def make_models(folder: Path) -> dict[tuple[str, str], Path]:
    """Make tiny models of three directions."""
    return {pair: save_direction(folder, *pair) for pair in PAIRS}


def campaign(
    work: Path,
    *,
    model: Path | None,
    text: Path | None,
    requests: int,
    count: int,
    minutes: float,
    only: Sequence[str] | None,
    show: Any = print,
) -> list[str]:
    """Run the checks of the server, and return what is wrong.

    Args:
        work: An empty folder.
        model: A model file, for the speed. None: a tiny one.
        text: Lines for the speed. None: generated ones.
        requests: Requests of the long run.
        count: Random requests.
        minutes: Longest duration of the long run.
        only: Names of checks. None: all.
        show: Prints what was measured.
    """
    models = make_models(work)
    tiny = models[PAIRS[0]]
    generated = [source for source, _ in toy_pairs(LINES, seed=5)]
    lines = list(dict.fromkeys(text.read_text("utf-8").splitlines() if text else generated))[:LINES]
    checks = {
        "speed": lambda: check_speed(model or tiny, lines, show, threads=2),
        "soak": lambda: check_soak(models, count=requests, minutes=minutes, show=show),
        "hostile": lambda: check_hostile(tiny, show),
        "requests": lambda: check_requests(tiny, work, show, count=count),
    }
    problems = []
    for name, check in checks.items():
        if only is None or name in only:
            found = check()
            show(f"{name}: {'; '.join(found) or 'nothing found'}")
            problems += found
    return problems


FUZZED_ROUTES = 2
CHECKS = (
    *("not_a_server_error", "status_code_conformance"),
    *("content_type_conformance", "response_schema_conformance"),
)


def narrowed(description: dict[str, Any], *, source: str, target: str) -> dict[str, Any]:
    """Return the description of /v1 for a server of one direction, so that random requests name its languages."""
    fields = description["components"]["schemas"]["TranslationRequest"]["properties"]
    fields["source"]["enum"], fields["target"]["enum"] = ["auto", source], [target]
    return description


def check_requests(model: Path, work: Path, show: Any, *, count: int) -> list[str]:
    """Send random requests to the routes of /v1: requests that their description allows, and others.

    No answer may be an error of the server, and each must be as described. Needs schemathesis.
    """
    with serving(model, "--threads", "1", "--max-characters", 2_000, "--max-seconds", 10) as server:
        with urllib.request.urlopen(f"{server.address}/v1/openapi.json") as answer:
            description = narrowed(json.load(answer), source=PAIRS[0][0], target=PAIRS[0][1])
        file = work / "openapi.json"
        file.write_text(json.dumps(description), "utf-8")
        options = [
            "--url",
            server.address,
            "--checks",
            ",".join(CHECKS),
            "--phases",
            "fuzzing",
            "--mode",
            "all",
            "--no-color",
        ]
        options += ["--max-examples", str(max(1, count // FUZZED_ROUTES)), "--generation-database", "none"]
        command = [sys.executable, "-m", "schemathesis.cli", "run", str(file), *options]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        generated = re.findall(r"(\d+) generated.*", done.stdout)
        show(f"{generated[0] if generated else 0} random requests, {server.megabytes('VmHWM')} MB at most")
        problems = [] if done.returncode == 0 else [f"schemathesis: {done.stdout[-4_000:]}{done.stderr[-500:]}"]
        return [*problems, *asyncio.run(_answers(server, "random requests"))]
