"""The glossaries of DeepL's interface: /v2 with one pair of languages each, and /v3 with several.

They are kept in memory. Source: the documentation of DeepL's API, https://developers.deepl.com.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from nmt.data.languages import find_language
from nmt.server.access import Refusal
from nmt.server.requests import text_value

MAX_GLOSSARIES = 1_000
MAX_ENTRIES = 5_000
MAX_CHARACTERS = 50_000_000
"""Characters of all glossaries together."""

Enter = Callable[[Request], Awaitable[tuple[dict[str, Any], str]]]
"""Returns the parameters of a request and its client."""
Entries = dict[str, str]
Pair = tuple[str, str]


@dataclass
class Glossary:
    """Terms with their translations, of one client."""

    owner: str
    name: str
    dictionaries: dict[Pair, Entries]
    """The terms for each pair of languages."""
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat())

    @property
    def characters(self) -> int:
        """The size of all terms."""
        texts = (text for entries in self.dictionaries.values() for pair in entries.items() for text in pair)
        return len(self.name) + sum(map(len, texts))


class Glossaries:
    """The routes of glossaries."""

    def __init__(self, enter: Enter) -> None:
        self._enter = enter
        self._glossaries: dict[str, Glossary] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/glossaries", self.list_v2, methods=["GET"]),
            Route("/v2/glossaries", self.create_v2, methods=["POST"]),
            Route("/v2/glossaries/{id}", self.show_v2, methods=["GET"]),
            Route("/v2/glossaries/{id}", self.delete, methods=["DELETE"]),
            Route("/v2/glossaries/{id}/entries", self.entries_v2, methods=["GET"]),
            Route("/v3/glossaries", self.list_v3, methods=["GET"]),
            Route("/v3/glossaries", self.create_v3, methods=["POST"]),
            Route("/v3/glossaries/{id}", self.show_v3, methods=["GET"]),
            Route("/v3/glossaries/{id}", self.update_v3, methods=["PATCH"]),
            Route("/v3/glossaries/{id}", self.delete, methods=["DELETE"]),
            Route("/v3/glossaries/{id}/entries", self.entries_v3, methods=["GET"]),
            Route("/v3/glossaries/{id}/dictionaries", self.replace_dictionary, methods=["PUT"]),
            Route("/v3/glossaries/{id}/dictionaries", self.delete_dictionary, methods=["DELETE"]),
        ]

    def terms(self, identifier: str, client: str, source: str | None, target: str) -> Entries:
        """Return the terms of a glossary for a translation.

        Raises:
            Refusal: The glossary does not exist (404), or has no terms for these languages (400).
        """
        glossary = self._find(identifier, client)
        found = None if source is None else glossary.dictionaries.get((_code(source), _code(target)))
        if found is None:
            raise Refusal(400, "The glossary has no terms for these languages. Name the source language.")
        return found

    async def list_v2(self, request: Request) -> Response:
        """List the glossaries of the client that have one pair of languages."""
        _, client = await self._enter(request)
        return JSONResponse({"glossaries": [_describe_v2(*each) for each in self._of(client) if _is_v2(each[1])]})

    async def create_v2(self, request: Request) -> Response:
        """Make a glossary with one pair of languages."""
        parameters, client = await self._enter(request)
        glossary = Glossary(client, text_value(parameters, "name"), dict([_dictionary(parameters)]))
        return JSONResponse(_describe_v2(self._add(glossary), glossary), status_code=201)

    async def show_v2(self, request: Request) -> Response:
        """Describe a glossary with one pair of languages."""
        identifier, glossary, _ = await self._chosen(request)
        if not _is_v2(glossary):
            raise Refusal(400, "This glossary has several pairs of languages. Use /v3/glossaries.")
        return JSONResponse(_describe_v2(identifier, glossary))

    async def entries_v2(self, request: Request) -> Response:
        """Return the terms of a glossary, separated by tabs."""
        _, glossary, _ = await self._chosen(request)
        text = "".join(map(_as_tsv, glossary.dictionaries.values()))
        return PlainTextResponse(text, media_type="text/tab-separated-values")

    async def delete(self, request: Request) -> Response:
        """Delete a glossary."""
        identifier, _, _ = await self._chosen(request)
        del self._glossaries[identifier]
        return Response(status_code=204)

    async def list_v3(self, request: Request) -> Response:
        """List the glossaries of the client."""
        _, client = await self._enter(request)
        return JSONResponse({"glossaries": [_describe_v3(*each) for each in self._of(client)]})

    async def create_v3(self, request: Request) -> Response:
        """Make a glossary with several pairs of languages."""
        parameters, client = await self._enter(request)
        glossary = Glossary(client, text_value(parameters, "name"), _dictionaries(parameters))
        return JSONResponse(_describe_v3(self._add(glossary), glossary), status_code=201)

    async def show_v3(self, request: Request) -> Response:
        """Describe a glossary."""
        identifier, glossary, _ = await self._chosen(request)
        return JSONResponse(_describe_v3(identifier, glossary))

    async def update_v3(self, request: Request) -> Response:
        """Change the name of a glossary, or add terms."""
        identifier, glossary, parameters = await self._chosen(request)
        added = _dictionaries(parameters) if parameters.get("dictionaries") is not None else {}
        name = text_value(parameters, "name", glossary.name)
        merged = {pair: {**glossary.dictionaries.get(pair, {}), **entries} for pair, entries in added.items()}
        for entries in merged.values():
            _check_count(entries)
        self._replace(identifier, Glossary(glossary.owner, name, {**glossary.dictionaries, **merged}, glossary.created))
        return JSONResponse(_describe_v3(identifier, self._glossaries[identifier]))

    async def entries_v3(self, request: Request) -> Response:
        """Return the terms of a glossary for one pair of languages."""
        _, glossary, parameters = await self._chosen(request)
        pair = _pair_in(glossary, parameters)
        terms = {"entries": _as_tsv(glossary.dictionaries[pair]), "entries_format": "tsv"}
        return JSONResponse({"dictionaries": [{"source_lang": pair[0], "target_lang": pair[1], **terms}]})

    async def replace_dictionary(self, request: Request) -> Response:
        """Replace the terms of a glossary for one pair of languages."""
        identifier, glossary, parameters = await self._chosen(request)
        pair, entries = _dictionary(parameters)
        changed = {**glossary.dictionaries, pair: entries}
        self._replace(identifier, Glossary(glossary.owner, glossary.name, changed, glossary.created))
        return JSONResponse(_describe_dictionary(pair, entries))

    async def delete_dictionary(self, request: Request) -> Response:
        """Delete the terms of a glossary for one pair of languages."""
        _, glossary, parameters = await self._chosen(request)
        del glossary.dictionaries[_pair_in(glossary, parameters)]
        return Response(status_code=204)

    async def _chosen(self, request: Request) -> tuple[str, Glossary, dict[str, Any]]:
        """Return the glossary that the path of a request names, with the parameters of the request."""
        parameters, client = await self._enter(request)
        identifier = request.path_params["id"]
        return identifier, self._find(identifier, client), parameters

    def _find(self, identifier: str, client: str) -> Glossary:
        glossary = self._glossaries.get(identifier)
        if glossary is None or glossary.owner != client:
            raise Refusal(404, "Glossary not found.")
        return glossary

    def _of(self, client: str) -> Iterable[tuple[str, Glossary]]:
        return [each for each in self._glossaries.items() if each[1].owner == client]

    def _add(self, glossary: Glossary) -> str:
        """Keep a glossary, and return its identifier."""
        if len(self._glossaries) >= MAX_GLOSSARIES:
            raise Refusal(456, f"The server has {MAX_GLOSSARIES} glossaries, its limit. Delete one.")
        identifier = secrets.token_urlsafe(16)
        self._replace(identifier, glossary)
        return identifier

    def _replace(self, identifier: str, glossary: Glossary) -> None:
        others = sum(each.characters for key, each in self._glossaries.items() if key != identifier)
        if others + glossary.characters > MAX_CHARACTERS:
            raise Refusal(456, f"All glossaries together may have {MAX_CHARACTERS:,} characters. Delete one.")
        self._glossaries[identifier] = glossary


def _code(language: str) -> str:
    return find_language(language).code


def _is_v2(glossary: Glossary) -> bool:
    return len(glossary.dictionaries) == 1


def _describe_v2(identifier: str, glossary: Glossary) -> dict[str, Any]:
    ((pair, entries),) = glossary.dictionaries.items()
    return {
        "glossary_id": identifier,
        "name": glossary.name,
        "ready": True,
        **_describe_dictionary(pair, entries),
        "creation_time": glossary.created,
    }


def _describe_v3(identifier: str, glossary: Glossary) -> dict[str, Any]:
    return {
        "glossary_id": identifier,
        "name": glossary.name,
        "creation_time": glossary.created,
        "dictionaries": [_describe_dictionary(*each) for each in glossary.dictionaries.items()],
    }


def _describe_dictionary(pair: Pair, entries: Entries) -> dict[str, Any]:
    return {"source_lang": pair[0], "target_lang": pair[1], "entry_count": len(entries)}


def _as_tsv(entries: Entries) -> str:
    return "".join(f"{source}\t{target}\n" for source, target in entries.items())


def _pair(parameters: dict[str, Any]) -> Pair:
    return _code(text_value(parameters, "source_lang")), _code(text_value(parameters, "target_lang"))


def _pair_in(glossary: Glossary, parameters: dict[str, Any]) -> Pair:
    pair = _pair(parameters)
    if pair not in glossary.dictionaries:
        raise Refusal(404, "The glossary has no terms for these languages.")
    return pair


def _dictionaries(parameters: dict[str, Any]) -> dict[Pair, Entries]:
    given = parameters.get("dictionaries")
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        raise Refusal(400, "Value for 'dictionaries' not supported: use a list of objects.")
    return dict(map(_dictionary, given))


def _dictionary(parameters: dict[str, Any]) -> tuple[Pair, Entries]:
    """Return the pair of languages and the terms of a dictionary.

    Raises:
        Refusal: The terms are not in the format, or there are too many.
    """
    text, format = text_value(parameters, "entries"), text_value(parameters, "entries_format", "tsv")
    if format not in ("tsv", "csv"):
        raise Refusal(400, "Value for 'entries_format' not supported: use tsv or csv.")
    lines = text.splitlines()
    rows = list(csv.reader(io.StringIO(text))) if format == "csv" else [line.split("\t") for line in lines]
    entries: Entries = {}
    for number, row in enumerate(filter(None, rows), 1):
        terms = [term.strip() for term in row[:2]]
        if row == [""]:
            continue
        if len(terms) < 2 or not all(terms):
            raise Refusal(400, f"Entry {number} of the glossary must have a source and a target term.")
        entries[terms[0]] = terms[1]
    _check_count(entries)
    return _pair(parameters), entries


def _check_count(entries: Entries) -> None:
    if not 0 < len(entries) <= MAX_ENTRIES:
        raise Refusal(400, f"A glossary must have 1 to {MAX_ENTRIES:,} entries.")
