"""Decoding options chosen on held-out sentences.

One option after another: each of its values is tried with the best of the options before it, and the best value stays.
That takes as many translations of the set as there are values, not as there are combinations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nmt.config.decoding_overrides import override_decoding
from nmt.config.schema import Config, DecodingConfig, PairConfig
from nmt.data.corpus import read_parallel
from nmt.errors import DataError, UsageError
from nmt.evaluation.compare.words import length_ratio, make_cutter
from nmt.evaluation.evaluate import TextTranslator
from nmt.metrics.corpus import score

NOT_TUNED = frozenset({"batch_sentences", "device", "threads", "n_best", "precision"})
"""Options that change speed, or what is written, and not which translation is best."""


class SearchSpace(NamedTuple):
    """An option and the values to try."""

    option: str
    values: list[Any]


PLAN = (
    SearchSpace("length_normalization", ["none", "average", "gnmt"]),
    SearchSpace("alpha", [0.4, 0.6, 0.8, 1.0, 1.2, 1.5]),
    SearchSpace("beam_size", [1, 2, 5, 8, 12]),
    SearchSpace("coverage_penalty", [0.05, 0.1, 0.2, 0.3]),
)
"""What is tried when nothing else is asked for."""
ENSEMBLE_PLAN = (SearchSpace("ensemble_average", ["probabilities", "log_probabilities"]), *PLAN)
"""What is tried then with several models."""


class Trial(NamedTuple):
    """Options that were tried, and what came of it."""

    option: str
    value: Any
    decoding: DecodingConfig
    measured: TrialScores
    best: bool
    """Better than all before."""


def possible(plan: Sequence[SearchSpace], *, attention: bool) -> list[SearchSpace]:
    """What of a plan can be tried with models of which one has `attention`, or none: a coverage penalty needs it."""
    return [choice for choice in plan if attention or choice.option != "coverage_penalty"]


def parse_choice(text: str) -> SearchSpace:
    """Read `OPTION=VALUE,VALUE,...`, such as `beam_size=2,5,10`.

    Raises:
        UsageError: It is no such text, or there is no such option to tune.
    """
    option, equals, listed = text.partition("=")
    values = [yaml.safe_load(value) for value in listed.split(",") if value.strip()]
    if not equals or not values:
        raise UsageError(f"--try {text}: expected an option and the values to try, such as beam_size=2,5,10")
    known = [name for name in DecodingConfig.model_fields if name not in NOT_TUNED]
    name = option.strip().replace("-", "_").removeprefix("decoding.")
    if name not in known:
        raise UsageError(f"--try {text}: there is no option {name} to tune; there are {', '.join(known)}")
    return SearchSpace(name, values)


def tune(
    start: DecodingConfig, plan: Sequence[SearchSpace], *, metric: str, measure: Callable[[DecodingConfig], TrialScores]
) -> Iterator[Trial]:
    """Try options, one after another; the last trial that is `best` has the best ones.

    A value replaces another only if it scores higher: of equals, that of `start` stays, or the one tried first. An
    alpha is not tried where there is no normalisation, nor a coverage penalty where there is nothing to choose from.

    Args:
        start: The options to begin with; they are tried first.
        plan: What to try.
        metric: What is to be high: `bleu` or `chrf`.
        measure: Translates the held-out set with some options.

    Raises:
        UsageError: A value cannot be used.
    """
    best, measured = start, measure(start)
    yield Trial("", None, start, measured, best=True)
    tried = [start]
    for option, values in plan:
        if option == "alpha" and best.length_normalization == "none":
            continue
        if option == "coverage_penalty" and (best.beam_size == 1 or best.sampling):
            continue
        for value in values:
            decoding = override_decoding(best, {option: value})
            if decoding in tried:
                continue
            tried.append(decoding)
            found = measure(decoding)
            better = found.scores[metric] > measured.scores[metric]
            yield Trial(option, value, decoding, found, best=better)
            if better:
                best, measured = decoding, found


METRICS = ("bleu", "chrf")


@dataclass(frozen=True)
class TrialScores:
    """How well, and how fast, a set was translated."""

    scores: dict[str, float]
    """`bleu` and `chrf`."""
    sentences_per_second: float
    length: float | None = None
    """Words of the translations for each word of the references; None if it was not measured."""


@dataclass(frozen=True)
class TuningSet:
    """Sentences, their translations by people, and how a translation of them is scored."""

    sources: Sequence[str]
    references: Sequence[str]
    config: Config
    """Of the model: the language, and the options of scoring."""

    def measure(self, translator: TextTranslator) -> TrialScores:
        """Translate the set and score the result."""
        began = time.monotonic()
        hypotheses = [translation.text for translation in translator.translate(self.sources)]
        seconds = time.monotonic() - began
        return TrialScores(self.score(hypotheses), len(hypotheses) / max(seconds, 1e-9), self.length(hypotheses))

    def length(self, hypotheses: Sequence[str]) -> float | None:
        """Return the words of translations for each word of the references; None if those have none."""
        options = self.config.evaluation
        cut = make_cutter(options.bleu_tokenizer, self.config.data.target_language, lowercase=options.lowercase)
        return length_ratio([cut(line) for line in hypotheses], [cut(line) for line in self.references])

    def score(self, hypotheses: Sequence[str]) -> dict[str, float]:
        """Score translations of the set."""
        results = score(
            hypotheses,
            self.references,
            metrics=METRICS,
            bleu_tokenizer=self.config.evaluation.bleu_tokenizer,
            lowercase=self.config.evaluation.lowercase,
            target_language=self.config.data.target_language,
        )
        return {name: result.value for name, result in results.items()}


def read_tuning_set(config: Config, source: Path | None, reference: Path | None) -> TuningSet:
    """Read a given set, or the validation set of a model's configuration, as much of it as training translated.

    Raises:
        UsageError: One of the two files is given without the other.
        DataError: A file cannot be read, or they are of unequal length.
    """
    if (source is None) != (reference is None):
        raise UsageError("--source and --reference go together; give both, or neither for the validation set")
    if source is not None and reference is not None:
        pairs = read_parallel(PairConfig(source=str(source), target=str(reference)))
    else:
        try:
            pairs = read_parallel(config.data.valid)[: config.training.validation.max_sentences]
        except DataError as error:
            raise DataError(
                f"{error} This is the validation set that the model was trained with; go to the folder of its "
                "training, or give another set with --source and --reference."
            ) from error
    return TuningSet([source for source, _ in pairs], [target for _, target in pairs], config)
