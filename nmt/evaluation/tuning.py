"""Tunes decoding options on held-out sentences.

Options are tuned one after the other: each value is tried with the best values of the options before it. This takes one
translation of the set per value, not per combination of values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config.decoding_overrides import override_decoding
from nmt.config.schema import Config, DecodingConfig, PairConfig
from nmt.config.yaml_document import parse_value
from nmt.data.corpus import read_parallel
from nmt.errors import DataError, UsageError
from nmt.evaluation.compare.words import length_ratio, make_word_splitter
from nmt.evaluation.evaluate import TextTranslator
from nmt.metrics.corpus import score

NOT_TUNED = frozenset({"batch_sentences", "device", "threads", "n_best", "precision"})
"""Options that affect speed or output, not translation quality."""


class SearchSpace(NamedTuple):
    """A decoding option and the values to try."""

    option: str
    values: list[Any]


PLAN = (
    SearchSpace("length_normalization", ["none", "average", "gnmt"]),
    SearchSpace("alpha", [0.4, 0.6, 0.8, 1.0, 1.2, 1.5]),
    SearchSpace("beam_size", [1, 2, 5, 8, 12]),
    SearchSpace("coverage_penalty", [0.05, 0.1, 0.2, 0.3]),
)
"""The default search spaces of a single model."""
ENSEMBLE_PLAN = (SearchSpace("ensemble_average", ["probabilities", "log_probabilities"]), *PLAN)
"""The default search spaces of an ensemble."""


class Trial(NamedTuple):
    """Decoding options and their scores."""

    option: str
    value: Any
    decoding: DecodingConfig
    measured: TrialScores
    best: bool
    """Whether it is better than all trials before it."""


def applicable(plan: Sequence[SearchSpace], *, attention: bool) -> list[SearchSpace]:
    """Return the search spaces that apply to models with or without `attention`; a coverage penalty requires it."""
    return [space for space in plan if attention or space.option != "coverage_penalty"]


def parse_search_space(text: str) -> SearchSpace:
    """Read `OPTION=VALUE,VALUE,...`, such as `beam_size=2,5,10`.

    Raises:
        UsageError: The text has another form, or the option is unknown.
    """
    option, equals, listed = text.partition("=")
    values = [parse_value(value) for value in listed.split(",") if value.strip()]
    if not equals or not values:
        raise UsageError(f"--try {text}: expected an option and its values, such as beam_size=2,5,10.")
    known = [name for name in DecodingConfig.model_fields if name not in NOT_TUNED]
    name = option.strip().replace("-", "_").removeprefix("decoding.")
    if name not in known:
        raise UsageError(f"--try {text}: unknown option {name!r}. The options are {', '.join(known)}.")
    return SearchSpace(name, values)


def tune(
    start: DecodingConfig, plan: Sequence[SearchSpace], *, metric: str, measure: Callable[[DecodingConfig], TrialScores]
) -> Iterator[Trial]:
    """Try options one after the other; the last trial marked `best` has the best options.

    A value replaces another only if it scores higher, so the value of `start` or an earlier value wins a tie. alpha is
    skipped without length normalization, and the coverage penalty if the search finds a single hypothesis.

    Args:
        start: The first trial.
        plan: The search spaces, in order.
        metric: The metric to maximize: `bleu` or `chrf`.
        measure: Translates the held-out set with the given options, and scores the result.

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
            scores = measure(decoding)
            better = scores.scores[metric] > measured.scores[metric]
            yield Trial(option, value, decoding, scores, best=better)
            if better:
                best, measured = decoding, scores


METRICS = ("bleu", "chrf")


@dataclass(frozen=True)
class TrialScores:
    """Quality and speed of the translation of a set."""

    scores: dict[str, float]
    """`bleu` and `chrf`."""
    sentences_per_second: float
    length: float | None = None
    """Words of the translations per word of the references. None: not measured."""


@dataclass(frozen=True)
class TuningSet:
    """Sentences with references, and the options of scoring."""

    sources: Sequence[str]
    references: Sequence[str]
    config: Config
    """The configuration of the model: language and scoring options."""

    def measure(self, translator: TextTranslator) -> TrialScores:
        """Translate the set and score the result."""
        began = time.monotonic()
        hypotheses = [translation.text for translation in translator.translate(self.sources)]
        seconds = time.monotonic() - began
        return TrialScores(self.score(hypotheses), len(hypotheses) / max(seconds, 1e-9), self.length(hypotheses))

    def length(self, hypotheses: Sequence[str]) -> float | None:
        """Return the words of translations per word of the references; None if the references have no words."""
        options = self.config.evaluation
        split = make_word_splitter(
            options.bleu_tokenizer, self.config.data.target_language, lowercase=options.lowercase
        )
        return length_ratio([split(line) for line in hypotheses], [split(line) for line in self.references])

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
    """Read the given files, or the part of the validation set that training translated.

    Raises:
        UsageError: Only one of the two files is given.
        DataError: A file cannot be read, or the files have different numbers of lines.
    """
    if (source is None) != (reference is None):
        raise UsageError(
            f"{'--source requires --reference' if reference is None else '--reference requires --source'}."
        )
    if source is not None and reference is not None:
        pairs = read_parallel(PairConfig(source=str(source), target=str(reference)))
    else:
        try:
            pairs = read_parallel(config.data.valid)[: config.training.validation.max_sentences]
        except DataError as error:
            raise DataError(
                f"{error} The file belongs to the validation set of the model's training. Run the command in the "
                "folder of the training, or use another set with --source and --reference."
            ) from error
    return TuningSet([source for source, _ in pairs], [target for _, target in pairs], config)
