"""The toolkit's own interface under /v1: everything that a model can do, and its description in OpenAPI."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from nmt import __version__
from nmt.config.schema import DecodingConfig
from nmt.errors import NMTError
from nmt.inference.aligner import Aligned
from nmt.inference.output.quality_flags import find_flags
from nmt.inference.results import Translation
from nmt.inference.streaming import SourceLine
from nmt.server.access import Refusal
from nmt.server.directions import Direction, Options
from nmt.server.requests import read_parameters
from nmt.server.service import AUTO, Service, address_of, api_key

MAX_BEAM_SIZE = 32
STREAM_LINES = 16
DECIMALS = 4
Short = Annotated[str, Field(max_length=2_000)]
LanguageCode = Annotated[str, Field(min_length=1, max_length=40)]


class RequestLine(BaseModel):
    """A line with constraints on its translation."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="The line. Line breaks count as spaces.")
    prefix: Short = Field(default="", description="The beginning of the translation.")
    required: list[Short] = Field(default=[], max_length=20, description="Phrases that the translation must contain.")


class TranslationRequest(BaseModel):
    """Lines to translate. Options that are left out have the values stored in the model."""

    model_config = ConfigDict(extra="forbid")

    lines: list[str | RequestLine] = Field(description="The lines.", max_length=100_000)
    source: LanguageCode = Field(default=AUTO, description="Source language, or auto.")
    target: LanguageCode = Field(description="Target language.")
    n_best: int | None = Field(default=None, ge=1, le=MAX_BEAM_SIZE, description="Hypotheses of each line.")
    beam_size: int | None = Field(default=None, ge=1, le=MAX_BEAM_SIZE, description="Beam size.")
    split_sentences: bool | None = Field(default=None, description="Split lines into sentences.")
    protect: bool | None = Field(default=None, description="Keep tags, placeholders and addresses unchanged.")
    sampling: bool | None = Field(default=None, description="Sample instead of searching for the best translation.")
    temperature: float | None = Field(default=None, gt=0, le=100, description="Sampling temperature.")
    top_k: int | None = Field(default=None, ge=1, le=100_000, description="Sample among this many pieces.")
    top_p: float | None = Field(default=None, gt=0, lt=1, description="Sample among the most probable pieces.")
    seed: int | None = Field(default=None, ge=0, le=2**31, description="Random seed of sampling.")
    avoid: list[Short] = Field(default=[], max_length=100, description="Phrases that no translation may contain.")
    terminology: dict[Short, Short] = Field(
        default={}, max_length=1_000, description="Source terms with the target terms that translations must contain."
    )
    alignment: bool = Field(default=False, description="Return word alignments and attention weights.")
    cache: bool = Field(default=True, description="Reuse translations of equal lines.")
    api_key: str | None = Field(default=None, description="API key, or send it as Authorization: Bearer.")

    def options(self) -> Options:
        """Return the options for the model."""
        names = TranslationRequest.model_fields.keys() & DecodingConfig.model_fields.keys()
        decoding = {name: value for name in names if (value := getattr(self, name)) is not None}
        return Options.of(decoding, avoid=self.avoid, terminology=self.terminology)

    def pivot_options(self) -> Options:
        """Return the options for the model whose translation is translated again: a plain search."""
        kept = {"beam_size", "split_sentences", "protect"}
        return Options(tuple(each for each in self.options().decoding if each[0] in kept))

    def source_lines(self) -> list[SourceLine]:
        """Return the lines for the translator."""
        given = [RequestLine(text=each) if isinstance(each, str) else each for each in self.lines]
        return [SourceLine(each.text, each.prefix, tuple(each.required)) for each in given]


class Native:
    """The routes of the interface."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/translate", self.translate, methods=["POST"]),
            Route("/v1/stream", self.stream, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/openapi.json", self.openapi, methods=["GET"]),
        ]

    async def translate(self, request: Request) -> Response:
        """Translate lines, with hypotheses, scores and flags."""
        wanted, client = await self._enter(request)
        route = self._route(wanted)
        work = _translate(route, wanted, wanted.source_lines(), client)
        objects = await self._service.while_connected(request, work)
        codes = {"source": route[0].source.code, "target": route[-1].target.code}
        return JSONResponse({**codes, "translations": objects})

    async def stream(self, request: Request) -> Response:
        """Translate lines, and send each translation as a line of JSON when it is ready."""
        wanted, client = await self._enter(request)
        route = self._route(wanted)
        return StreamingResponse(self._stream(route, wanted, client), media_type="application/x-ndjson")

    async def _stream(self, route: list[Direction], wanted: TranslationRequest, client: str) -> AsyncIterator[bytes]:
        lines, seconds = wanted.source_lines(), self._service.settings.seconds
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        for start in range(0, len(lines), STREAM_LINES):
            work = _translate(route, wanted, lines[start : start + STREAM_LINES], client)
            try:
                objects = await asyncio.wait_for(work, max(0.0, end - clock()))
            except NMTError as error:  # the status has been sent
                yield _json_line({"error": str(error)})
                return
            except asyncio.TimeoutError:
                yield _json_line({"error": f"The translation took longer than {seconds:g} s."})
                return
            for each in objects:
                yield _json_line(each)

    async def models(self, request: Request) -> Response:
        """List the models."""
        return JSONResponse(
            {
                "models": [
                    {
                        "source": {"code": each.source.code, "name": each.source.name},
                        "target": {"code": each.target.code, "name": each.target.name},
                        "attention": each.model.config.model.attention.score != "none",
                    }
                    for each in self._service.directions
                ]
            }
        )

    async def openapi(self, request: Request) -> Response:
        """Describe the interface."""
        return JSONResponse(description())

    async def _enter(self, request: Request) -> tuple[TranslationRequest, str]:
        parameters = await read_parameters(request, self._service.settings.body_bytes)
        client = self._service.access.enter(api_key(request, parameters), address_of(request))
        try:
            wanted = TranslationRequest.model_validate(parameters)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))[:100]
            raise Refusal(400, f"Invalid request: {where}: {first['msg']}.") from None
        texts = [each.text for each in wanted.source_lines()]
        self._service.check_size(texts)
        self._service.access.count(client, sum(map(len, texts)))
        return wanted, client

    def _route(self, wanted: TranslationRequest) -> list[Direction]:
        """Return the models of a request: one, or two with the pivot language between them.

        Raises:
            Refusal: No model translates this direction, or not with these options.
        """
        source = wanted.source
        if source == AUTO:
            text = "\n".join(each.text for each in wanted.source_lines())
            source = self._service.detect_source(text, wanted.target)
        try:
            route = self._service.directions.route(source, wanted.target)
            model = route[-1].variant(wanted.options())
            if len(route) > 1:
                route[0].variant(wanted.pivot_options())
        except NMTError as error:
            raise Refusal(400, str(error)) from None
        if len(route) > 1 and (wanted.alignment or wanted.terminology):
            name = "alignment" if wanted.alignment else "terminology"
            raise Refusal(400, f"Invalid request: {name}: this direction uses two models. Translate in two steps.")
        if wanted.alignment and model.config.model.attention.score == "none":
            raise Refusal(400, "The model has no attention, so that there is no alignment.")
        return route


async def _translate(
    route: Sequence[Direction], wanted: TranslationRequest, lines: Sequence[SourceLine], client: str
) -> list[dict[str, Any]]:
    """Return the answer for each line. Constraints and n-best lists are those of the last model of the route.

    Raises:
        QueueFullError: Too many lines wait.
        NMTError: A line cannot be translated.
    """
    *pivots, last = route
    sources = [line.text for line in lines]
    for direction in pivots:
        plain = [SourceLine(line.text) for line in lines]
        options = wanted.pivot_options()
        between = await direction.batcher.translate(plain, client=client, options=options, cached=wanted.cache)
        lines = [dataclasses.replace(line, text=each.text) for line, each in zip(lines, between, strict=True)]
    translations = await last.batcher.translate(lines, client=client, options=wanted.options(), cached=wanted.cache)
    if wanted.alignment:
        aligned = await last.align(translations, client=client)
        objects = await asyncio.to_thread(_objects, translations, aligned)
    else:
        objects = _objects(translations, [[]] * len(translations))
    if pivots:
        return [{**each, "source": text, "pivot": each["source"]} for each, text in zip(objects, sources, strict=True)]
    return objects


def _json_line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _objects(translations: Sequence[Translation], alignments: Sequence[Sequence[Aligned]]) -> list[dict[str, Any]]:
    """Return the answer for each line, with the alignment of each hypothesis that has one."""
    found = []
    for translation, aligned in zip(translations, alignments, strict=True):
        hypotheses = []
        for place, each in enumerate(translation.hypotheses):
            fields: dict[str, Any] = {
                "text": each.text,
                "score": each.score,
                "log_probability": each.log_probability,
                "pieces": each.pieces,
                "piece_log_probabilities": each.piece_log_probabilities,
            }
            if place < len(aligned):
                words = aligned[place].words
                fields["alignment"] = words.links()
                fields["source_words"], fields["target_words"] = words.source.texts, words.target.texts
                fields["attention"] = [[round(weight, DECIMALS) for weight in row] for row in words.weights.tolist()]
            hypotheses.append(fields)
        found.append(
            {
                "source": translation.source,
                "translation": translation.text,
                "flags": find_flags(translation),
                "hypotheses": hypotheses,
            }
        )
    return found


def description() -> dict[str, Any]:
    """Return the description of the interface in OpenAPI 3.1."""
    request = TranslationRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = request.pop("$defs", {}) | {"TranslationRequest": request, "Error": _ERROR, "Translation": _TRANSLATION}
    answer = {
        "type": "object",
        "required": ["source", "target", "translations"],
        "properties": {
            "source": {"type": "string"},
            "target": {"type": "string"},
            "translations": {"type": "array", "items": {"$ref": "#/components/schemas/Translation"}},
        },
    }
    body = {"required": True, "content": {"application/json": {"schema": _schema("TranslationRequest")}}}
    errors = {
        str(status): {"description": text, "content": {"application/json": {"schema": _schema("Error")}}}
        for status, text in _STATUSES.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "nmt", "version": __version__},
        "paths": {
            "/v1/translate": {
                "post": {
                    "summary": "Translate lines",
                    "operationId": "translate",
                    "requestBody": body,
                    "responses": {"200": _json("The translations, in order.", answer), **errors},
                }
            },
            "/v1/stream": {
                "post": {
                    "summary": "Translate lines, one JSON object per line",
                    "operationId": "stream",
                    "requestBody": body,
                    "responses": {
                        "200": {
                            "description": "A translation per line, or an error that ends the stream.",
                            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
                        },
                        **errors,
                    },
                }
            },
            "/v1/models": {
                "get": {
                    "summary": "List the models",
                    "operationId": "models",
                    "responses": {"200": _json("The models.", {"type": "object"})},
                }
            },
        },
        "components": {"schemas": schemas},
    }


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


_STATUSES = {
    400: "The request is not valid.",
    403: "The API key is wrong.",
    408: "The body did not arrive in time.",
    413: "The request is too large.",
    429: "Too many requests, or the queue is full. Retry-After says when to repeat it.",
    503: "The translation took too long.",
}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_TRANSLATION = {
    "type": "object",
    "required": ["source", "translation", "flags", "hypotheses"],
    "properties": {
        "source": {"type": "string"},
        "pivot": {"type": "string"},
        "translation": {"type": "string"},
        "flags": _TEXTS,
        "hypotheses": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["text", "score", "log_probability", "pieces", "piece_log_probabilities"],
                "properties": {
                    "text": {"type": "string"},
                    "score": {"type": "number"},
                    "log_probability": {"type": "number"},
                    "pieces": _TEXTS,
                    "piece_log_probabilities": _NUMBERS,
                    "alignment": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
                    "source_words": _TEXTS,
                    "target_words": _TEXTS,
                    "attention": {"type": "array", "items": _NUMBERS},
                },
            },
        },
    },
}
