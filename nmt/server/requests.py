"""Reads the parameters of requests, bounded in size and time, and writes errors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from nmt.server.access import LimitLog, Refusal
from nmt.small_files import JSONError, parse_json

BODY_SECONDS = 30.0
"""Longest time in which a body must arrive."""
UPLOAD_SECONDS = 120.0
"""Longest time in which a file must arrive."""
MAX_FIELDS = 1_000
SMALL_BODY = 1 << 16
"""Bytes of each body that do not count towards the limit of all bodies, so that a text is always accepted."""
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


def error_response(status: int, message: str, *, retry_after: float | None = None, key: str = "error") -> JSONResponse:
    """Return an error as JSON."""
    message = message if message.endswith((".", "?", "!")) else f"{message}."
    headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after)))}
    return JSONResponse({key: message}, status_code=status, headers=headers)


class BodyBudget:
    """Limits the bytes of bodies that all requests in progress hold together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._log = LimitLog()
        self.held = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """Return a function that counts bytes of the body of a request. The end of the block releases them.

        The function raises Refusal (503) if the bytes exceed the limit.
        """
        size = counted = 0

        def count(received: int) -> None:
            nonlocal size, counted
            size += received
            more = max(0, size - SMALL_BODY) - counted
            if more and self.held + more > self._limit:
                self.held -= counted  # at once, so that the other requests are not refused too
                counted = 0
                self._log.warn(f"the requests in progress reached their limit of {self._limit:,} bytes")
                raise Refusal(503, "The server has too many large requests.", retry_after=10)
            counted += more
            self.held += more

        try:
            yield count
        finally:
            self.held -= counted


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request.

    Raises:
        Refusal: The body is too large (413) or too slow (408).
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    return b"".join([chunk async for chunk in _chunks(request, limit, BODY_SECONDS)])


async def _chunks(request: Request, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """Iterate over the parts of a body; see `read_body`."""
    size, stream = 0, request.stream()
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), deadline - asyncio.get_running_loop().time())
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise Refusal(408, "The body of the request did not arrive in time.") from None
        except ClientDisconnect:
            raise Refusal(400, "The client went away.") from None
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"The request is larger than {limit:,} bytes.")


async def read_parameters(request: Request, limit: int, *, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the parameters of a request from its query, form or JSON body.

    JSON is read under any content type, as clients send it under several. A parameter of a query or form that occurs
    several times is a list.

    Args:
        request: The request.
        limit: Most bytes of the body.
        names: The names of the parameters. Others are dropped, so that they use no memory. None: all are returned.

    Raises:
        Refusal: The body is too large, too slow (413, 408), or cannot be read (400).
    """
    found = await _read_parameters(request, limit)
    return found if names is None else {name: found[name] for name in names if name in found}


async def _read_parameters(request: Request, limit: int) -> dict[str, Any]:
    found = _joined(request.query_params.multi_items())
    body = await read_body(request, limit)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == MULTIPART:
        raise Refusal(400, "Send files to /translate_file, and texts as a form or as JSON.")
    text = body.strip()
    if not text:
        return found
    if kind == FORM and text[:1] not in (b"{", b"["):
        try:
            fields = parse_qsl(text.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        except ValueError:
            raise Refusal(400, "The form cannot be read. Send it in UTF-8.") from None
        return found | _joined(fields)
    try:
        value = parse_json(text)
    except JSONError as error:
        raise Refusal(400, f"The body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The body must be a JSON object.")
    return found | value


class Upload(NamedTuple):
    """A file that a form sends, with the other fields of the form."""

    name: str
    data: bytes
    fields: dict[str, str]


async def read_upload(request: Request, limit: int) -> Upload:
    """Return the file of a form.

    Raises:
        Refusal: There is no file (400), or the body is too large, too slow or of unknown size (413, 408, 411).
    """
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        raise Refusal(411, "The length of the request is missing.")
    if int(declared) > limit:
        raise _too_large(limit)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != MULTIPART:
        raise Refusal(400, "The form has no file. Send it as the field file.")
    refusals: list[Refusal] = []

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in _chunks(request, limit, UPLOAD_SECONDS):
                yield chunk
        except Refusal as refusal:
            refusals.append(refusal)
            raise MultiPartException(refusal.message) from None  # the parser closes its files

    try:
        form = await MultiPartParser(request.headers, chunks(), max_files=1, max_fields=20).parse()
    except MultiPartException as error:
        if refusals:
            raise refusals[0] from None
        raise Refusal(400, f"The form cannot be read: {error.message}") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refusal(400, "The form has no file. Send it as the field file.")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        return Upload(file.filename or "", await file.read(), fields)
    finally:
        await form.close()


def _joined(items: Sequence[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in items:
        name = name.removesuffix("[]")
        if name in found:
            earlier = found[name]
            found[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            found[name] = value
    return found


def text_list(parameters: Mapping[str, Any], name: str) -> list[str]:
    """Return a parameter that is a text or a list of texts.

    Raises:
        Refusal: It is missing or of another type (400).
    """
    value = parameters.get(name)
    if value is None or value == []:
        raise Refusal(400, f"Invalid request: the parameter {name} is missing.")
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise Refusal(400, f"Invalid request: {name} must be a text or a list of texts.")
    return values


def text_value(parameters: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a parameter that is a text.

    Raises:
        Refusal: It is missing and has no default, or it is of another type (400).
    """
    value = parameters.get(name)
    value = default if value is None else value
    if not isinstance(value, str):
        raise Refusal(400, f"Invalid request: the parameter {name} must be a text.")
    return value


def whole_number(parameters: Mapping[str, Any], name: str, default: int, *, most: int) -> int:
    """Return a parameter that is a number from 0 to `most`.

    Raises:
        Refusal: It is no such number (400).
    """
    value = parameters.get(name, default)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Refusal(400, f"Invalid request: {name} must be a number from 0 to {most}.")
    return value
