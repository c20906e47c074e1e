"""The settings of a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The limits and features of a server, as `nmt serve` has them.

    Attributes:
        characters: Most characters of a request.
        lines: Most lines of a request.
        body_bytes: Most bytes of a body, except for files.
        file_bytes: Most bytes of a file.
        held_bytes: Most bytes of the bodies of all requests in progress together, without the first 64 KiB of each.
        seconds: Longest time of a request.
        connections: Most connections at once.
        keys: The file of API keys. None: no keys.
        requests_per_minute: Requests of an address or key in a minute. None: no limit.
        origins: Origins that browsers may send requests from; `*` for all.
        suggestions: The file that /suggest appends to. None: there are no suggestions.
        page: Whether the web page is served.
        logs_requests: Whether each request is an event of the log.
    """

    characters: int = 50_000
    lines: int = 2_000
    body_bytes: int = 2_000_000
    file_bytes: int = 20_000_000
    held_bytes: int = 100_000_000
    seconds: float = 120.0
    connections: int = 1_000
    keys: Path | None = None
    requests_per_minute: int | None = None
    origins: tuple[str, ...] = ()
    suggestions: Path | None = None
    page: bool = True
    logs_requests: bool = False
