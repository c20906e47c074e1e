"""What all interfaces share: models, access, limits, detection and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from starlette.requests import Request

from nmt.errors import NMTError
from nmt.server.access import Access, LimitLog, Refusal
from nmt.server.batching import QueueFullError, TooManyLinesError
from nmt.server.detection import Detection, LanguageDetector
from nmt.server.directions import Direction, Directions, Options, UnknownLanguageError
from nmt.server.markup import HTML_RULES, TagRules
from nmt.server.metrics import Metrics
from nmt.server.requests import BodyBudget
from nmt.server.settings import ServerSettings
from nmt.server.texts import TextRequest, TranslatedText, translate_texts

AUTO = "auto"
NO_OPTIONS = Options()
ResultT = TypeVar("ResultT")


@dataclass
class RequestSize:
    """The size of the texts of a request, for the log."""

    lines: int = 0
    characters: int = 0


REQUEST_SIZE: ContextVar[RequestSize] = ContextVar("REQUEST_SIZE")
"""The size of the texts of the current request, as far as they have been read."""


class Translated(NamedTuple):
    """The translations of a request."""

    texts: list[TranslatedText]
    sources: list[str]
    """The source language of each text."""
    detections: list[Detection | None]
    """The detected language of each text; None if the client named it."""


@dataclass
class Service:
    """The state of a running server.

    Attributes:
        directions: The models. They are replaced when models are loaded again.
        settings: The limits.
        access: Keys and counts.
        detector: Identifies source languages.
        metrics: The metrics.
        bodies: Counts the bytes of bodies.
    """

    directions: Directions
    settings: ServerSettings
    access: Access
    detector: LanguageDetector = field(init=False)
    metrics: Metrics = field(init=False)
    bodies: BodyBudget = field(init=False)

    def __post_init__(self) -> None:
        """Make the detector, the metrics and the budget of bodies."""
        self.detector = LanguageDetector(self.directions.source_codes())
        self.metrics = Metrics(lambda: sum(each.batcher.waiting for each in self.directions))
        self._queue_log = LimitLog()
        self.bodies = BodyBudget(self.settings.held_bytes)

    def replace_models(self, directions: Directions) -> None:
        """Use other models from now on. Requests in progress end with the earlier ones."""
        self.directions = directions
        self.detector = LanguageDetector(directions.source_codes())

    async def translate(
        self,
        request: Request,
        texts: Sequence[str],
        *,
        client: str,
        source: str,
        target: str,
        options: Options = NO_OPTIONS,
        alternatives: int = 0,
        is_markup: bool = False,
        tags: TagRules = HTML_RULES,
        cached: bool = True,
    ) -> Translated:
        """Translate the texts of a request.

        Args:
            request: The request; if its client goes away, lines that wait are dropped.
            texts: The texts.
            client: See `Access.enter`.
            source: A code, or `auto`.
            target: A code.
            options: Options of the model.
            alternatives: Number of further translations.
            is_markup: Whether the texts are HTML or XML.
            tags: How elements of the markup are treated.
            cached: Whether known translations may be reused.

        Raises:
            Refusal: The texts are too long, a language is unknown, or the queue is full.
        """
        self.check_size(texts)
        detections: list[Detection | None] = self.detect(texts) if source == AUTO else [None] * len(texts)
        sources = [each.language if each else source for each in detections]
        characters = sum(map(len, texts))
        self.access.count(client, characters)
        wanted = TextRequest(client, options, alternatives, is_markup, cached, tags)
        routes = {code: self._route(code, target, detected=source == AUTO) for code in dict.fromkeys(sources)}
        found = await self.while_connected(request, self._translate_all(texts, sources, routes, wanted))
        return Translated(found, sources, detections)

    async def _translate_all(
        self, texts: Sequence[str], sources: Sequence[str], routes: Mapping[str, list[Direction]], wanted: TextRequest
    ) -> list[TranslatedText]:
        """Translate each text on the route of its source language. A text with an empty route stays as it is."""
        found = [TranslatedText(text, []) for text in texts]
        for code, route in routes.items():
            places = [place for place, each in enumerate(sources) if each == code]
            chosen = [texts[place] for place in places]
            if not route:
                continue
            translated = await translate_texts(chosen, route, wanted)
            self._count(route, chosen)
            for place, each in zip(places, translated, strict=True):
                found[place] = each
        return found

    def check_size(self, texts: Sequence[str]) -> None:
        """Check the limits of a request.

        Raises:
            Refusal: There are too many characters or lines (413).
        """
        characters = sum(map(len, texts))
        lines = sum(text.count("\n") + 1 for text in texts)
        size = REQUEST_SIZE.get(None)
        if size is not None:
            size.lines, size.characters = lines, characters
        if characters > self.settings.characters:
            raise Refusal(
                413,
                f"Invalid request: the request has {characters:,} characters, more than the limit of "
                f"{self.settings.characters:,}.",
            )
        if lines > self.settings.lines:
            raise Refusal(
                413,
                f"Invalid request: the request has {lines:,} lines, more than the limit of {self.settings.lines:,}.",
            )

    def detect(self, texts: Sequence[str]) -> list[Detection | None]:
        """Return the most likely language of each text."""
        return [self.detector.detect(text)[0] for text in texts]

    def detect_source(self, text: str, target: str) -> str:
        """Return the most likely language of a text among those that can be translated to the target language."""
        likely = [each.language for each in self.detector.detect(text)]
        return next((code for code in likely if self.directions.can_translate(code, target)), likely[0])

    async def while_connected(self, request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Wait for work, and cancel it if the client goes away or the time limit is over.

        Raises:
            Refusal: The queue is full (429), the text has more lines than the queue (413), the time is over (503), or
                the text cannot be translated (400).
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({task, gone}, timeout=self.settings.seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if gone.done():
                raise Refusal(499, "The client went away.")
            raise Refusal(503, f"The translation took longer than {self.settings.seconds:g} s.", retry_after=30)
        except QueueFullError as error:
            self._queue_log.warn("the queue of a model reached its limit of lines")
            raise Refusal(429, str(error), retry_after=5) from None
        except TooManyLinesError as error:
            raise Refusal(413, str(error)) from None
        except NMTError as error:
            raise Refusal(400, str(error)) from None
        finally:
            for each in (task, gone):
                each.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    def _route(self, source: str, target: str, *, detected: bool) -> list[Direction]:
        """Return the directions of a translation; none if a detected language is the target language."""
        try:
            return self.directions.route(source, target)
        except UnknownLanguageError as error:
            if source == target and detected:
                return []
            raise Refusal(400, str(error)) from None

    def _count(self, route: Sequence[Direction], texts: Sequence[str]) -> None:
        for direction in route:
            labels = direction.source.code, direction.target.code
            self.metrics.characters.labels(*labels).inc(sum(map(len, texts)))
            self.metrics.lines.labels(*labels).inc(sum(text.count("\n") + 1 for text in texts))


async def _disconnected(request: Request) -> None:
    """Return when the client goes away. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def api_key(request: Request, parameters: Mapping[str, Any]) -> str | None:
    """Return the API key of a request, from its parameters or its header `Authorization`."""
    given = parameters.get("api_key")
    if isinstance(given, str) and given:
        return given
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "deepl-auth-key") else None


def address_of(request: Request) -> str:
    """Return the address of the client. Behind a proxy that is trusted, it is the one that the proxy forwards."""
    return request.client.host if request.client else "unknown"
