"""The interface of DeepL, as far as its official client uses it: translation, languages, usage and glossaries.

Source: the documentation of DeepL's API, https://developers.deepl.com.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nmt.data.languages import find_language
from nmt.server.access import Refusal
from nmt.server.directions import Options
from nmt.server.glossaries import Glossaries
from nmt.server.markup import TagRules
from nmt.server.requests import read_parameters, text_list, text_value
from nmt.server.service import AUTO, Service, address_of, api_key

MAX_TAG_NAMES = 1_000
TAG_PARAMETERS = ("ignore_tags", "non_splitting_tags", "splitting_tags")
PARAMETERS = (
    *("text", "source_lang", "target_lang", "tag_handling", "glossary_id", "split_sentences", "show_billed_characters"),
    *TAG_PARAMETERS,
    *("type", "name", "entries", "entries_format", "dictionaries", "auth_key", "api_key"),
)
NO_LIMIT = 1_000_000_000_000
"""The character limit of a client without one."""


class DeepL:
    """The routes of the interface."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._glossaries = Glossaries(self._enter)

    def routes(self) -> list[Route]:
        """Return the routes."""
        both = ["GET", "POST"]
        return [
            Route("/v2/translate", self.translate, methods=both),
            Route("/v2/languages", self.languages, methods=both),
            Route("/v2/usage", self.usage, methods=both),
            Route("/v2/glossary-language-pairs", self.pairs, methods=["GET"]),
            *self._glossaries.routes(),
        ]

    async def translate(self, request: Request) -> Response:
        """Translate texts."""
        parameters, client = await self._enter(request)
        texts = text_list(parameters, "text")
        source = text_value(parameters, "source_lang", AUTO).lower() or AUTO
        target = text_value(parameters, "target_lang").lower()
        handling = text_value(parameters, "tag_handling", "")
        if handling not in ("", "html", "xml"):
            raise Refusal(400, f"Value for 'tag_handling' not supported: {handling[:20]!r}.")
        terms = None
        if identifier := text_value(parameters, "glossary_id", ""):
            terms = self._glossaries.terms(identifier, client, None if source == AUTO else source, target)
        split = text_value({"split": str(parameters.get("split_sentences", "1"))}, "split")
        translated = await self._service.translate(
            request,
            texts,
            client=client,
            source=source,
            target=target,
            options=Options.of({"split_sentences": split not in ("0", "False")}, terminology=terms),
            is_markup=bool(handling),
            tags=TagRules(*(_tag_names(parameters, name) for name in TAG_PARAMETERS)),
        )
        show = str(parameters.get("show_billed_characters", "1")).lower() in ("1", "true")
        rows = zip(texts, translated.texts, translated.sources, strict=True)
        return JSONResponse(
            {
                "translations": [
                    {
                        "detected_source_language": find_language(code).code.upper(),
                        "text": each.text,
                        **({"billed_characters": len(text)} if show else {}),
                        "model_type_used": "quality_optimized",
                    }
                    for text, each, code in rows
                ]
            }
        )

    async def languages(self, request: Request) -> Response:
        """List source or target languages."""
        parameters, _ = await self._enter(request)
        wanted = text_value(parameters, "type", "source")
        if wanted not in ("source", "target"):
            raise Refusal(400, "Value for 'type' not supported: use source or target.")
        directions = self._service.directions
        sources = [language for language in directions.languages() if directions.targets(language.code)]
        targets = {code for language in sources for code in directions.targets(language.code)}
        found = sources if wanted == "source" else [each for each in directions.languages() if each.code in targets]
        formality = {} if wanted == "source" else {"supports_formality": False}
        return JSONResponse([{"language": each.code.upper(), "name": each.name, **formality} for each in found])

    async def usage(self, request: Request) -> Response:
        """Return the characters that the client has used today, and its limit."""
        _, client = await self._enter(request)
        limit = self._service.access.character_limit(client)
        return JSONResponse(
            {"character_count": self._service.access.used(client), "character_limit": limit or NO_LIMIT}
        )

    async def pairs(self, request: Request) -> Response:
        """List the directions for which glossaries can be made."""
        await self._enter(request)
        return JSONResponse(
            {
                "supported_languages": [
                    {"source_lang": each.source.code, "target_lang": each.target.code}
                    for each in self._service.directions
                ]
            }
        )

    async def _enter(self, request: Request) -> tuple[dict[str, Any], str]:
        parameters = await read_parameters(request, self._service.settings.body_bytes, names=PARAMETERS)
        return parameters, self._service.access.enter(_key(request, parameters), address_of(request))


def _key(request: Request, parameters: Mapping[str, Any]) -> str | None:
    given = parameters.get("auth_key")
    return given if isinstance(given, str) and given else api_key(request, parameters)


def _tag_names(parameters: Mapping[str, Any], name: str) -> frozenset[str]:
    """Return names of elements, which clients send as a list or separated by commas.

    Raises:
        Refusal: There are too many, or one is not a text (400).
    """
    if not parameters.get(name):
        return frozenset()
    names = [each.strip().lower() for text in text_list(parameters, name) for each in text.split(",")]
    if len(names) > MAX_TAG_NAMES:
        raise Refusal(400, f"Value for {name!r} not supported: use at most {MAX_TAG_NAMES} names.")
    return frozenset(filter(None, names))
