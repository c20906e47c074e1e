"""A set with references that models and options are compared on, most of all the validation set."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.config.schema import Config, Pair
from nmt.data.text.corpus import read_parallel
from nmt.errors import DataError, UsageError
from nmt.evaluation.comparison.words import length_ratio, make_cutter
from nmt.evaluation.evaluate import Translates
from nmt.evaluation.metrics import score

METRICS = ("bleu", "chrf")


@dataclass(frozen=True)
class Measured:
    """How well, and how fast, a set was translated."""

    scores: dict[str, float]
    """`bleu` and `chrf`."""
    sentences_per_second: float
    length: float | None = None
    """Words of the translations for each word of the references; None if it was not measured."""


@dataclass(frozen=True)
class HeldOut:
    """Sentences, their translations by people, and how a translation of them is scored."""

    sources: Sequence[str]
    references: Sequence[str]
    config: Config
    """Of the model: the language, and the options of scoring."""

    def measure(self, translator: Translates) -> Measured:
        """Translate the set and score the result."""
        began = time.monotonic()
        hypotheses = [translation.text for translation in translator.translate(self.sources)]
        seconds = time.monotonic() - began
        return Measured(self.score(hypotheses), len(hypotheses) / max(seconds, 1e-9), self.length(hypotheses))

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


def read_held_out(config: Config, source: Path | None, reference: Path | None) -> HeldOut:
    """Read a given set, or the validation set of a model's configuration, as much of it as training translated.

    Raises:
        UsageError: One of the two files is given without the other.
        DataError: A file cannot be read, or they are of unequal length.
    """
    if (source is None) != (reference is None):
        raise UsageError("--source and --reference go together; give both, or neither for the validation set")
    if source is not None and reference is not None:
        pairs = read_parallel(Pair(source=str(source), target=str(reference)))
    else:
        try:
            pairs = read_parallel(config.data.valid)[: config.training.validation.max_sentences]
        except DataError as error:
            raise DataError(
                f"{error} This is the validation set that the model was trained with; go to the folder of its "
                "training, or give another set with --source and --reference."
            ) from error
    return HeldOut([source for source, _ in pairs], [target for _, target in pairs], config)
