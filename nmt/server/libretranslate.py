"""The interface of LibreTranslate: /translate, /languages, /detect, files and settings.

Source: the documentation of LibreTranslate's API, https://docs.libretranslate.com.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import time
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from nmt.errors import DataError, NMTError
from nmt.inference.documents import KINDS, Languages, open_document
from nmt.inference.documents.document import Document
from nmt.server.access import Refusal
from nmt.server.detection import Detection
from nmt.server.directions import Direction, Options
from nmt.server.requests import read_parameters, read_upload, text_list, text_value, whole_number
from nmt.server.service import AUTO, Service, address_of, api_key
from nmt.server.texts import TextRequest, translate_texts
from nmt.terminal import visible

MAX_ALTERNATIVES = 10
MAX_FILE_NAME = 100
FILE_SECONDS = 3_600.0
"""Time after which a translated file is deleted."""
MARKUP_SUFFIXES = (".html", ".htm")
TEXT_SUFFIXES = (".txt", ".md")
PARAMETERS = ("q", "s", "source", "target", "format", "alternatives", "api_key")
SUFFIXES = (*TEXT_SUFFIXES, *MARKUP_SUFFIXES, *KINDS)


class _TranslatedFile(NamedTuple):
    """A file that a client may download."""

    path: Path
    made: float
    shown: str
    """The name for the client."""


class LibreTranslate:
    """The routes of the interface."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._files: dict[str, _TranslatedFile] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def routes(self) -> list[Route]:
        """Return the routes."""
        both = ["GET", "POST"]
        found = [
            Route("/translate", self.translate, methods=["POST"]),
            Route("/detect", self.detect, methods=["POST"]),
            Route("/languages", self.languages, methods=both),
            Route("/translate_file", self.translate_file, methods=["POST"]),
            Route("/download_file/{name}", self.download_file, methods=["GET"]),
            Route("/frontend/settings", self.settings, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
        ]
        if self._service.settings.suggestions is not None:
            found.append(Route("/suggest", self.suggest, methods=["POST"]))
        return found

    async def translate(self, request: Request) -> Response:
        """Translate a text or a list of texts."""
        parameters, client = await self._enter(request)
        texts = text_list(parameters, "q")
        alternatives = whole_number(parameters, "alternatives", 0, most=MAX_ALTERNATIVES)
        format = text_value(parameters, "format", "text")
        if format not in ("text", "html"):
            raise Refusal(400, f"Invalid request: the format {format[:20]!r} is unknown. Use text or html.")
        source = text_value(parameters, "source", AUTO)
        translated = await self._service.translate(
            request,
            texts,
            client=client,
            source=source,
            target=text_value(parameters, "target"),
            alternatives=alternatives,
            is_markup=format == "html",
        )
        is_list = isinstance(parameters["q"], list)
        answer: dict[str, Any] = {"translatedText": _one_or_all([each.text for each in translated.texts], is_list)}
        if source == AUTO:
            detected = [_detected(each) for each in translated.detections if each]
            answer["detectedLanguage"] = _one_or_all(detected, is_list)
        if alternatives:
            answer["alternatives"] = _one_or_all([each.alternatives for each in translated.texts], is_list)
        return JSONResponse(answer)

    async def detect(self, request: Request) -> Response:
        """Identify the language of a text."""
        parameters, _ = await self._enter(request)
        texts = text_list(parameters, "q")
        self._service.check_size(texts)
        return JSONResponse([_detected(each) for each in self._service.detector.detect("\n".join(texts))])

    async def languages(self, request: Request) -> Response:
        """List the languages. It needs no key, and a body is ignored."""
        directions = self._service.directions
        return JSONResponse(
            [
                {"code": language.code, "name": language.name, "targets": directions.targets(language.code)}
                for language in directions.languages()
                if directions.targets(language.code)
            ]
        )

    async def settings(self, request: Request) -> Response:
        """Describe the server to clients."""
        settings, directions = self._service.settings, self._service.directions
        first = next(iter(directions))
        return JSONResponse(
            {
                "apiKeys": self._service.access.needs_key,
                "keyRequired": self._service.access.needs_key,
                "charLimit": settings.characters,
                "frontendTimeout": 500,
                "suggestions": settings.suggestions is not None,
                "filesTranslation": True,
                "supportedFilesFormat": list(SUFFIXES),
                "language": {
                    "source": {"code": first.source.code, "name": first.source.name},
                    "target": {"code": first.target.code, "name": first.target.name},
                },
            }
        )

    async def health(self, request: Request) -> Response:
        """Answer that the server is ready."""
        return JSONResponse({"status": "ok"})

    async def translate_file(self, request: Request) -> Response:
        """Translate a document, and return the address of the result."""
        given, data, fields = await read_upload(request, self._service.settings.file_bytes)
        client = self._service.access.enter(api_key(request, fields), address_of(request))
        suffix = PurePath(given).suffix.lower()
        if suffix not in SUFFIXES:
            raise Refusal(400, f"Invalid request: the file must be one of {' '.join(SUFFIXES)}.")
        source, target = text_value(fields, "source", AUTO), text_value(fields, "target")
        self._service.access.count(client, len(data))
        result = await self._service.while_connected(
            request, self._translated_file(data, suffix, source=source, target=target, client=client)
        )
        self._delete_old()
        name = f"{secrets.token_urlsafe(16)}{suffix}"
        path = self._temporary_folder() / name
        path.write_bytes(result)
        shown = visible(PurePath(given).name[-MAX_FILE_NAME:])
        self._files[name] = _TranslatedFile(path, time.monotonic(), f"{target}-{shown}")
        return JSONResponse({"translatedFileUrl": str(request.url_for("download_file", name=name))})

    async def _translated_file(self, data: bytes, suffix: str, *, source: str, target: str, client: str) -> bytes:
        wanted = TextRequest(client, is_markup=suffix in MARKUP_SUFFIXES)
        if suffix not in KINDS:
            try:
                text = data.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise Refusal(400, f"The file is not UTF-8 (byte {error.start}).") from None
            code = self._service.detect_source(text, target) if source == AUTO else source
            route = self._service.directions.route(code, target)
            return (await translate_texts([text], route, wanted))[0].text.encode()
        path = self._temporary_folder() / f"{secrets.token_urlsafe(16)}{suffix}"
        path.write_bytes(data)
        try:
            document, route = await asyncio.to_thread(self._open, path, source, target)
        finally:
            path.unlink()
        options = Options.of({"protect": True})
        translated = await translate_texts(document.lines, route, wanted._replace(options=options))
        return document.fill([each.text.replace("\n", " ") for each in translated])

    def _open(self, path: Path, source: str, target: str) -> tuple[Document, list[Direction]]:
        """Open a document, and return it with the route of its translation. `auto` detects its language.

        Raises:
            NMTError: The document cannot be read, or no model translates it.
        """
        directions = self._service.directions

        def opened(code: str) -> tuple[Document, list[Direction]]:
            route = directions.route(code, target)
            languages = Languages(route[0].source.code, route[-1].target.code)
            return open_document(path, languages=languages), route

        if source != AUTO:
            return opened(source)
        # Some kinds of documents name their languages, and are refused in others.
        codes = [code for code in directions.source_codes() if directions.can_translate(code, target)]
        codes = codes or directions.source_codes()[:1]
        while True:
            code = codes.pop(0)
            try:
                document, route = opened(code)
                break
            except DataError:
                if not codes:
                    raise
        likely = self._service.detect_source("\n".join(document.lines), target)
        return opened(likely) if likely in codes else (document, route)

    async def download_file(self, request: Request) -> Response:
        """Return a translated file."""
        self._delete_old()
        name = request.path_params["name"]
        if name not in self._files:
            raise Refusal(404, "The file does not exist, or has been deleted.")
        return FileResponse(self._files[name].path, filename=self._files[name].shown)

    async def suggest(self, request: Request) -> Response:
        """Keep a better translation that a person suggests."""
        parameters, _ = await self._enter(request)
        entry = {name: text_value(parameters, name) for name in ("q", "s", "source", "target")}
        self._service.check_size([entry["q"], entry["s"]])
        path = self._service.settings.suggestions
        assert path is not None
        try:
            with open(path, "a", encoding="utf-8") as stream:
                stream.write(visible(json.dumps(entry, ensure_ascii=False)) + "\n")
        except OSError as error:
            raise NMTError(f"{path}: the suggestion cannot be written ({error.strerror}).") from error
        return JSONResponse({"success": True})

    def close(self) -> None:
        """Delete all translated files."""
        if self._folder is not None:
            self._folder.cleanup()

    async def _enter(self, request: Request) -> tuple[dict[str, Any], str]:
        """Return the parameters of a request and its client."""
        parameters = await read_parameters(request, self._service.settings.body_bytes, names=PARAMETERS)
        return parameters, self._service.access.enter(api_key(request, parameters), address_of(request))

    def _temporary_folder(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="nmt-files-")
        return Path(self._folder.name)

    def _delete_old(self) -> None:
        now = time.monotonic()
        for name, file in list(self._files.items()):
            if now - file.made > FILE_SECONDS:
                file.path.unlink(missing_ok=True)
                del self._files[name]


def _detected(detection: Detection) -> dict[str, Any]:
    return {"confidence": detection.confidence, "language": detection.language}


def _one_or_all(values: list[Any], is_list: bool) -> Any:
    return values if is_list else values[0]
