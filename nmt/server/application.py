"""The web application: all interfaces, the page, metrics, and errors as JSON."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nmt.errors import NMTError
from nmt.log import logger
from nmt.server.access import Access, Refusal, read_keys
from nmt.server.deepl import DeepL
from nmt.server.directions import Directions
from nmt.server.libretranslate import LibreTranslate
from nmt.server.native import Native
from nmt.server.requests import error_response
from nmt.server.service import REQUEST_SIZE, RequestSize, Service
from nmt.server.settings import ServerSettings

PAGE = Path(__file__).parent / "page"
PAGE_FILES = {"/": "index.html"} | {f"/{name}": name for name in ("page.js", "interface.js", "view.js", "page.css")}
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_service(directions: Directions, settings: ServerSettings) -> Service:
    """Return a service with the keys of the settings.

    Raises:
        DataError: The file of keys cannot be used.
    """
    keys = None if settings.keys is None else read_keys(settings.keys)
    return Service(directions, settings, Access(keys, requests_per_minute=settings.requests_per_minute))


def make_application(service: Service) -> Starlette:
    """Return the application of a service."""
    files = LibreTranslate(service)

    async def metrics(request: Request) -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    async def page(request: Request) -> Response:
        return FileResponse(PAGE / PAGE_FILES[request.url.path], headers=SECURITY_HEADERS)

    routes = [
        *files.routes(),
        *DeepL(service).routes(),
        *Native(service).routes(),
        Route("/metrics", metrics, methods=["GET"]),
    ]
    if service.settings.page:
        routes += [Route(path, page, methods=["GET"]) for path in PAGE_FILES]

    @contextlib.asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        yield
        for direction in service.directions:
            await direction.batcher.close()
        files.close()

    middleware = [Middleware(_Measured, service=service, routes=routes)]
    if service.settings.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(service.settings.origins),
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=["Authorization", "Content-Type"],
            )
        )
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={Refusal: _refused, NMTError: _refused, HTTPException: _not_served, Exception: _failed},
        lifespan=lifespan,
    )


def _key_of(request: Request) -> str:
    return "message" if request.url.path.startswith(("/v2/", "/v3/")) else "error"


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return error_response(error.status, error.message, retry_after=error.retry_after, key=_key_of(request))
    return error_response(400, str(error), key=_key_of(request))


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = error_response(error.status_code, f"{error.detail}.", key=_key_of(request))
    response.headers.update(error.headers or {})
    return response


async def _failed(request: Request, error: Exception) -> Response:
    # Neither the path nor the message of the error is logged: both may hold the text of a client.
    route = request.scope.get("nmt.route", "other")
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    logger.error("%s: unexpected %s%s", route, type(error).__name__, place, exc_info=error)
    return error_response(500, "The server made an error. Its log has the details.", key=_key_of(request))


class _Measured:
    """Counts requests, and their time, by route and status. Removes a final slash and double slashes of paths."""

    def __init__(self, app: ASGIApp, *, service: Service, routes: list[Route]) -> None:
        self._app = app
        self._service = service
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = "/" + "/".join(part for part in scope["path"].split("/") if part)
        scope["path"], scope["raw_path"] = path, path.encode()
        route = next((each.path for each in self._routes if each.path_regex.match(path)), "other")
        scope["nmt.route"] = route
        status = 500
        start = time.perf_counter()
        size = RequestSize()
        REQUEST_SIZE.set(size)
        bodies = self._service.bodies

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with bodies.request() as count:

                async def counted() -> Message:
                    message = await receive()
                    count(len(message.get("body", b"")))
                    return message

                await self._app(scope, counted, observe)
        finally:
            self._service.metrics.requests.labels(route, str(status)).inc()
            seconds = time.perf_counter() - start
            self._service.metrics.seconds.labels(route).observe(seconds)
            if self._service.settings.logs_requests:
                fields = {
                    "path": route,
                    "status": status,
                    "seconds": round(seconds, 6),
                    "lines": size.lines,
                    "characters": size.characters,
                }
                logger.info("request", extra={"fields": fields})
