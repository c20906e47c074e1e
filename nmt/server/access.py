"""API keys and limits of requests.

The file of keys is YAML. It has no keys, only their SHA-256, so that who reads the file cannot use the service:

    - name: weblate
      sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      requests_per_minute: 600        # optional
      characters_per_day: 1000000     # optional
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nmt.errors import DataError
from nmt.log import logger
from nmt.small_files import read_small_file

REMEMBERED_CLIENTS = 10_000
DAY = 86_400.0
LOG_SECONDS = 60.0
"""Time in which a limit that is reached is logged once."""


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: The HTTP status.
        message: What is wrong, and what to do.
        retry_after: Seconds after which the request may be repeated.
    """

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class Key(BaseModel):
    """An API key and its limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    requests_per_minute: int | None = Field(default=None, ge=1)
    characters_per_day: int | None = Field(default=None, ge=1)


def read_keys(path: Path) -> list[Key]:
    """Read a file of keys.

    Raises:
        DataError: The file cannot be read or is not valid.
    """
    try:
        return TypeAdapter(list[Key]).validate_python(yaml.safe_load(read_small_file(path)) or [])
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror or error}).") from error
    except (yaml.YAMLError, ValidationError, RecursionError) as error:
        raise DataError(f"{path}: this is not a file of API keys: {str(error)[:300]}") from error


def new_key(name: str) -> tuple[str, str]:
    """Return a new API key, and the entry for the file of keys."""
    key = secrets.token_urlsafe(24)
    return key, yaml.safe_dump([{"name": name, "sha256": hash_key(key)}], sort_keys=False, allow_unicode=True)


def hash_key(key: str) -> str:
    """Return the SHA-256 of a key. A key is random and long, so that a slow hash would add nothing."""
    return hashlib.sha256(key.encode()).hexdigest()


class LimitLog:
    """Logs that a limit was reached, at most once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None

    def warn(self, text: str) -> None:
        """Log the text, unless the last one was logged less than a minute ago."""
        now = self._clock()
        if self._last is None or now - self._last >= LOG_SECONDS:
            self._last = now
            logger.warning("%s", text)


class _Client:
    """What a key or an address has used."""

    def __init__(self, clock: Callable[[], float]) -> None:
        now = clock()
        self.requests = 0.0
        """Recent requests; they are forgotten at the rate of the limit."""
        self.seen = now
        self.characters = 0
        self.day = now
        self.log = LimitLog(clock)


class Access:
    """Checks keys, and counts requests and characters. Counts are in memory and start at zero with the server."""

    def __init__(
        self, keys: list[Key] | None, *, requests_per_minute: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the keys; None: no key is needed."""
        self._keys = keys
        self._requests_per_minute = requests_per_minute
        self._clock = clock
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    @property
    def needs_key(self) -> bool:
        """Whether requests need an API key."""
        return self._keys is not None

    def enter(self, key: str | None, address: str) -> str:
        """Count a request.

        Args:
            key: The API key of the request. Without a file of keys it is ignored.
            address: The address of the client.

        Returns:
            The client: the name of the key, or the address.

        Raises:
            Refusal: The key is missing (400) or wrong (403), or there are too many requests (429).
        """
        found = self._find(key) if self._keys is not None else None
        client = f"key {found.name}" if found else address
        limit = (found.requests_per_minute if found else None) or self._requests_per_minute
        usage = self._usage(client)
        now = self._clock()
        if limit is not None:
            usage.requests = max(0.0, usage.requests - (now - usage.seen) * limit / 60)
            if usage.requests + 1 > limit:
                self._log(client, f"{limit:,} requests per minute")
                raise Refusal(429, f"Slowdown: {limit} requests per minute are allowed.", retry_after=60 / limit)
            usage.requests += 1
        usage.seen = now
        return client

    def count(self, client: str, characters: int) -> None:
        """Count characters to translate.

        Raises:
            Refusal: The key has used its characters (429).
        """
        usage = self._usage(client)
        now = self._clock()
        if now - usage.day > DAY:
            usage.day, usage.characters = now, 0
        limit = self.character_limit(client)
        if limit is not None and usage.characters + characters > limit:
            self._log(client, f"{limit:,} characters per day")
            raise Refusal(
                429, f"{limit:,} characters per day are allowed for this key.", retry_after=DAY - (now - usage.day)
            )
        usage.characters += characters

    def used(self, client: str) -> int:
        """Return the characters that a client has used today."""
        return self._usage(client).characters

    def character_limit(self, client: str) -> int | None:
        """Return the characters per day of a client; None without a limit."""
        return next((key.characters_per_day for key in self._keys or () if client == f"key {key.name}"), None)

    def _log(self, client: str, limit: str) -> None:
        """Log that a client reached a limit. The name of a key is logged, an address is not."""
        name = f"the {client}" if self._keys is not None else "an address"
        self._usage(client).log.warn(f"{name} reached its limit of {limit}")

    def _find(self, key: str | None) -> Key:
        if not key:
            raise Refusal(400, "An API key is needed: send it as api_key.")
        digest = hash_key(key)
        found = [each for each in self._keys or () if hmac.compare_digest(each.sha256, digest)]
        if not found:
            raise Refusal(403, "Invalid API key.")
        return found[0]

    def _usage(self, client: str) -> _Client:
        usage = self._clients.setdefault(client, _Client(self._clock))
        self._clients.move_to_end(client)
        while len(self._clients) > REMEMBERED_CLIENTS:
            self._clients.popitem(last=False)
        return usage
