"""Translates a text with models and options, and keeps what came of it and how long it took."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from decoding.models import Models
from decoding.store import Made, Store
from decoding.text import Text
from nmt.config.schema import DecodingConfig
from nmt.evaluation.compare.significance import Counts
from nmt.evaluation.reranking import SEARCH_FEATURE, NBestList, RerankScores, rerank_scores
from nmt.inference.results import Translation
from nmt.inference.translator import Translator
from nmt.log import logger
from nmt.search import make_length_normalization

MACHINE = {"batch_sentences", "threads", "device"}
"""Options that change no translation."""
WARMING = 8
"""Lines that are translated before the time is taken."""


class Method(NamedTuple):
    """How to translate."""

    decoding: DecodingConfig
    ensemble: bool
    mbr: str | None = None
    """The utility of a choice by minimum Bayes risk."""
    judged: bool = False
    """The candidates are judged by other models too, and reranked."""


class Output(NamedTuple):
    """A translation of the text."""

    lines: list[str]
    counts: dict[str, Counts]
    seconds: float


class Bench:
    """Models and the text that they translate."""

    def __init__(self, models: Models, text: Text, store: Store, *, threads: int | None) -> None:
        self.models = models
        self.text = text
        self._store = store
        self._threads = threads
        self._outputs: dict[str, Output] = {}

    @property
    def features(self) -> list[str]:
        """What those are called that judge candidates, the models that found them first."""
        return [SEARCH_FEATURE, *(f"{name} {number}" for number, (name, _) in enumerate(self.models.judges, 1))]

    def translate(self, method: Method) -> Output:
        """Translate the text, or find its translation."""
        key = json.dumps(self._facts(method), sort_keys=True)
        if key not in self._outputs:  # counting takes a while too
            made = self._get(method, partial(self._translate, method))
            lines = made["lines"]
            self._outputs[key] = Output(lines, self.text.counts(lines), statistics.median(made["seconds"]))
        return self._outputs[key]

    def judge(self, method: Method) -> tuple[list[RerankScores], float]:
        """Find candidates and let all models judge them; return them, and the seconds that it took."""
        made = self._get(method, partial(self._judge, method))
        judged = [
            RerankScores(NBestList(source, texts, own), np.array(features).reshape(len(texts), len(self.features)))
            for source, (texts, own, features) in zip(self.text.sources, made["candidates"], strict=True)
        ]
        return judged, statistics.median(made["seconds"])

    def time_again(self, method: Method) -> None:
        """Do once more what was done, and keep how long it takes now."""
        make = partial(self._judge if method.judged else self._translate, method)
        made = self._get(method, make)
        again = make()
        self._store.put(self._facts(method), {**made, "seconds": made["seconds"] + again["seconds"]})
        self._outputs.clear()

    def _get(self, method: Method, make: Callable[[], Made]) -> Made:
        return self._store.get(self._facts(method), make)

    def _facts(self, method: Method) -> dict[str, Any]:
        decoding = method.decoding.model_dump(mode="json", exclude=MACHINE)
        decoding["alpha"] = make_length_normalization(method.decoding.length_normalization, method.decoding.alpha).alpha
        return {
            "models": self.models.digests(ensemble=method.ensemble, judges=method.judged),
            "judges": [name for name, _ in self.models.judges if method.judged],
            "text": self.text.digest,
            "decoding": decoding,
            "mbr": method.mbr,
        }

    def _translate(self, method: Method) -> Made:
        translator = self._translator(method)
        found, seconds = self._timed(translator.translate)
        return {"lines": [translation.text for translation in found], "seconds": [seconds]}

    def _judge(self, method: Method) -> Made:
        judges = self.models.make_judges({"threads": self._threads})
        found, seconds = self._timed(self._translator(method).translate)
        began = time.monotonic()
        judged = rerank_scores([_candidates(*pair) for pair in zip(self.text.sources, found, strict=True)], judges)
        seconds += time.monotonic() - began
        rows = [[one.nbest.texts, one.nbest.mean_log_probabilities, one.features.tolist()] for one in judged]
        return {"candidates": rows, "seconds": [seconds]}

    def _timed(self, translate: Callable[[Iterable[str]], Iterator[Translation]]) -> tuple[list[Translation], float]:
        for _ in translate(self.text.sources[:WARMING]):
            pass
        began = time.monotonic()
        found = list(translate(self.text.sources))
        seconds = time.monotonic() - began
        logger.info("translated %s lines in %.1f s", f"{len(found):,}", seconds)
        return found, seconds

    def _translator(self, method: Method) -> Translator:
        members = [each.with_decoding(method.decoding) for each in self.models.translating(ensemble=method.ensemble)]
        return Translator.from_models(members, mbr=method.mbr, decoding={"threads": self._threads})


def _candidates(source: str, translation: Translation) -> NBestList:
    """Return what `nmt rerank` makes of the candidates of a line."""
    found: Sequence[Any] = translation.hypotheses
    means = [each.log_probability / max(1, len(each.piece_log_probabilities)) for each in found]
    return NBestList(source, [each.text for each in found], means)
