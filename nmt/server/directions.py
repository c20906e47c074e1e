"""The models of a server by their direction: from one language to another, also through a third one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import nmt
from nmt.api import LoadedModel
from nmt.data.languages import Language, find_language, is_same_language
from nmt.errors import NMTError, UsageError
from nmt.inference.aligner import Aligned
from nmt.inference.results import Translation
from nmt.server.batching import Batcher, BatcherLimits

ALIGNMENT = "alignment"
"""In place of options: the work is to align translations."""
KEPT_VARIANTS = 16
"""Sets of options for which a model is kept ready."""


class UnknownLanguageError(NMTError):
    """A language, or a direction, that no model translates."""


class Options(NamedTuple):
    """The options of a request that the model is prepared for."""

    decoding: tuple[tuple[str, Any], ...] = ()
    """Decoding options as sorted pairs."""
    avoid: tuple[str, ...] = ()
    terminology: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls, decoding: Mapping[str, Any], *, avoid: Iterable[str] = (), terminology: Mapping[str, str] | None = None
    ) -> Options:
        """Return hashable options."""
        return cls(tuple(sorted(decoding.items())), tuple(avoid), tuple(sorted((terminology or {}).items())))


class Direction:
    """A model that translates from one language to another."""

    def __init__(self, model: LoadedModel, limits: BatcherLimits) -> None:
        self.model = model
        data = model.config.data
        self.source, self.target = find_language(data.source_language), find_language(data.target_language)
        self.batcher = Batcher(self._work, limits)
        self._variants: OrderedDict[Hashable, LoadedModel] = OrderedDict({Options(): model})
        self._lock = threading.Lock()

    def variant(self, options: Options) -> LoadedModel:
        """Return the model with the options of a request.

        Raises:
            UsageError: An option cannot be used.
        """
        with self._lock:
            if options in self._variants:
                self._variants.move_to_end(options)
                return self._variants[options]
        changes: dict[str, Any] = dict(options.decoding)
        if options.avoid:
            changes["avoid"] = options.avoid
        if options.terminology:
            changes["terminology"] = dict(options.terminology)
        variant = self.model.with_options(**changes)
        with self._lock:
            self._variants[options] = variant
            while len(self._variants) > KEPT_VARIANTS:
                self._variants.popitem(last=False)
        return variant

    async def align(self, translations: Sequence[Translation], *, client: str) -> list[list[Aligned]]:
        """Return the attention of each hypothesis of translations. It is computed in turn with the lines of others.

        Raises:
            QueueFullError: Too many lines wait.
            UsageError: The model has no attention.
        """
        return await self.batcher.run([_Unaligned(each) for each in translations], client=client, options=ALIGNMENT)

    def _work(self, options: Hashable, items: list[Any]) -> Sequence[Any]:
        """Translate lines, or align translations."""
        if options == ALIGNMENT:
            return [self.model.align(each.translation) for each in items]
        assert isinstance(options, Options)
        translations: list[Translation] = self.variant(options).translate(items)
        return translations


@dataclass(frozen=True)
class _Unaligned:
    """A translation that waits for its alignment."""

    translation: Translation

    def __len__(self) -> int:
        return sum(len(each.text) for each in self.translation.hypotheses)


class Directions:
    """The directions of a server."""

    def __init__(self, directions: Sequence[Direction], *, pivot: str | None = None) -> None:
        """Order the models by direction.

        Args:
            directions: At least one.
            pivot: Code of the language through which pairs without a model are translated. None: no such pairs.

        Raises:
            UsageError: Two models have the same direction, or none can be joined by the pivot language.
        """
        self._by_pair: dict[tuple[str, str], Direction] = {}
        for direction in directions:
            pair = direction.source.code, direction.target.code
            if pair in self._by_pair:
                raise UsageError(f"Two models translate from {pair[0]} to {pair[1]}. Serve one of them.")
            self._by_pair[pair] = direction
        self._pivot = pivot and find_language(pivot).code
        sources, targets = ([pair[side] for pair in self._by_pair] for side in (0, 1))
        if self._pivot and not (self._pivot in sources and self._pivot in targets):
            raise UsageError(
                f"--pivot {pivot} requires a model that translates to {self._pivot} and one that translates from it. "
                f"The models translate from {', '.join(f'{source} to {target}' for source, target in self._by_pair)}."
            )

    @classmethod
    def load(
        cls, models: Sequence[Path], *, decoding: Mapping[str, Any], limits: BatcherLimits, pivot: str | None
    ) -> Directions:
        """Load model files or run folders.

        Raises:
            CheckpointError: A file is not a model file, or is damaged.
            UsageError: An option cannot be used, or two models have the same direction.
        """
        return cls([Direction(nmt.load(path, **decoding), limits) for path in models], pivot=pivot)

    def __iter__(self) -> Iterator[Direction]:
        """Iterate over the directions."""
        return iter(self._by_pair.values())

    def languages(self) -> list[Language]:
        """Return all languages, sources first."""
        found = [direction.source for direction in self] + [direction.target for direction in self]
        return list({language.code: language for language in found}.values())

    def source_codes(self) -> list[str]:
        """Return the codes of the languages that can be translated."""
        return list({direction.source.code: None for direction in self})

    def targets(self, source: str) -> list[str]:
        """Return the codes of the languages that `source` can be translated to."""
        codes = [language.code for language in self.languages()]
        return [code for code in codes if self._find(source, code)]

    def route(self, source: str, target: str) -> list[Direction]:
        """Return the direction from one language to another, or two directions through the pivot language.

        Raises:
            UnknownLanguageError: A language is unknown, or no model translates this direction.
        """
        codes = [self._code(source), self._code(target)]
        route = self._find(*codes)
        if not route:
            offered = ", ".join(f"{pair[0]} to {pair[1]}" for pair in self._by_pair)
            raise UnknownLanguageError(f"No model translates from {codes[0]} to {codes[1]}. The server has {offered}.")
        return route

    def can_translate(self, source: str, target: str) -> bool:
        """Return whether there is a route between two languages."""
        try:
            return bool(self.route(source, target))
        except UnknownLanguageError:
            return False

    def _find(self, source: str, target: str) -> list[Direction]:
        if (source, target) in self._by_pair:
            return [self._by_pair[source, target]]
        pivot = self._pivot
        first, second = self._by_pair.get((source, pivot or "")), self._by_pair.get((pivot or "", target))
        return [first, second] if first and second and source != target else []

    def _code(self, given: str) -> str:
        """Return the code of a language as the server writes it, for a code such as `EN`, `en-US` or `eng`."""
        for language in self.languages():
            if language.code == given or is_same_language(language.code, given):
                return language.code
        offered = ", ".join(language.code for language in self.languages())
        raise UnknownLanguageError(f"The language {given[:20]!r} is not supported. Use one of {offered}.")
