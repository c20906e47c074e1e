"""What is translated and scored: a validation or test set, and the counts of its translations."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.config import Config
from nmt.config.schema import PairConfig
from nmt.data.corpus import read_parallel
from nmt.errors import DataError, UsageError
from nmt.evaluation.compare.buckets import length_of
from nmt.evaluation.compare.significance import Counts, count
from nmt.metrics.corpus import make_metric

METRICS = ("bleu", "chrf")
VALIDATION = "validation"


class Text(NamedTuple):
    """Sentences and their translations by people."""

    name: str
    sources: list[str]
    references: list[str]
    config: Config
    """Of the model: the languages, and the options of scoring."""

    @property
    def words(self) -> int:
        """Words of the source (characters, in languages without spaces)."""
        return sum(length_of(line, self.config.data.source_language) for line in self.sources)

    @property
    def digest(self) -> str:
        """What tells the text from others."""
        return hashlib.sha256("\n".join([*self.sources, *self.references]).encode()).hexdigest()[:16]

    def counts(self, lines: Sequence[str]) -> dict[str, Counts]:
        """Count what a translation of the text is scored by."""
        options = self.config.evaluation
        return {
            name: count(
                make_metric(
                    name,
                    bleu_tokenizer=options.bleu_tokenizer,
                    lowercase=options.lowercase,
                    target_language=self.config.data.target_language,
                ),
                lines,
                self.references,
            )
            for name in METRICS
        }


def read_validation(config: Config, source: Path | None, reference: Path | None, limit: int | None) -> Text:
    """Read the validation set of a model, or another one.

    Raises:
        UsageError: One of two files is given without the other.
        DataError: A file cannot be read, or they do not fit together.
    """
    if (source is None) != (reference is None):
        raise UsageError("--source and --reference go together; leave both out for the validation set of the model")
    given = source is not None
    return _read(
        PairConfig(source=str(source), target=str(reference)) if given else config.data.valid, VALIDATION, config, limit
    )


def read_test(config: Config, name: str, limit: int | None) -> Text:
    """Read a test set that the model's configuration names.

    Raises:
        UsageError: It names no such one.
        DataError: A file cannot be read, or they do not fit together.
    """
    for test in config.data.test:
        if test.name == name:
            return _read(test, name, config, limit)
    known = ", ".join(test.name for test in config.data.test) or "none"
    raise UsageError(f"the first model knows no test set {name}; there are: {known}")


def _read(pair: PairConfig, name: str, config: Config, limit: int | None) -> Text:
    try:
        pairs = read_parallel(pair)[:limit]
    except DataError as error:
        raise DataError(f"{error} Go to the folder in which the first model was trained.") from error
    if len(pairs) < 2:
        raise DataError(f"the {name} set has {len(pairs)} lines; a table needs at least two")
    return Text(name, [source for source, _ in pairs], [target for _, target in pairs], config)
