"""Test sets translated and scored, or translations that are there already scored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nmt.config.schema import EvaluationConfig, TestSetConfig
from nmt.data.corpus import read_parallel
from nmt.data.lines import read_lines, write_lines
from nmt.errors import UnequalLines, UsageError
from nmt.log import logger
from nmt.metrics.corpus import MetricScore, make_bleu, resolve_tokenizer, score

# Named in every result, so that whoever reads it as JSON finds the same keys whatever was measured.
METRICS = ("bleu", "chrf", "ter")


class HasText(Protocol):
    """A translation."""

    @property
    def text(self) -> str:
        """The best hypothesis as plain text."""


class TextTranslator(Protocol):
    """What evaluation needs of a translator."""

    def translate(self, lines: Iterable[str], /) -> Iterator[HasText]:
        """Give the translation of each line, in order."""


@dataclass(frozen=True)
class Result:
    """The scores of one test set."""

    test: str
    sentences: int
    scores: dict[str, MetricScore]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as `nmt evaluate --json` prints it; a metric that was not measured is None."""
        values = {name: self.scores[name].value if name in self.scores else None for name in METRICS}
        signatures = {name: found.signature for name, found in self.scores.items()}
        return {"test": self.test, **values, "sentences": self.sentences, "signatures": signatures}


def evaluate_tests(
    translator: TextTranslator,
    tests: Sequence[TestSetConfig],
    *,
    options: EvaluationConfig,
    target_language: str,
    output_folder: Path | None,
    overwrite: bool,
) -> Iterator[Result]:
    """Translate test sets and score them, one by one. All that can be wrong is found before the first translation.

    Args:
        translator: Turns source lines into translations.
        tests: The test sets, each with a name of its own.
        options: Metrics and how they are computed.
        target_language: Code of the target language.
        output_folder: Where to keep the translations, as `<test>.translated.<language>`; None: nowhere.
        overwrite: Replace translations that are there.

    Raises:
        DataError: If a file cannot be read or the sides of a test set are of unequal length.
        UsageError: If translations are there and may not be replaced.
        NMTError: If the tokenizer that BLEU needs is not installed.
    """
    _check_tokenizer(options, target_language)
    outputs = [_output(output_folder, test.name, target_language, overwrite=overwrite) for test in tests]
    texts = [read_parallel(test) for test in tests]
    for test, pairs, output in zip(tests, texts, outputs, strict=True):
        hypotheses = [translation.text for translation in translator.translate(source for source, _ in pairs)]
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            write_lines(output, hypotheses)
        references = [reference for _, reference in pairs]
        yield _result(test.name, hypotheses, references, options=options, target_language=target_language)


def evaluate_file(
    hypothesis: str, reference: str, *, name: str, options: EvaluationConfig, target_language: str
) -> Result:
    """Score a file of translations against a file of references.

    Raises:
        DataError: If a file cannot be read or they are of unequal length.
        NMTError: If the tokenizer that BLEU needs is not installed.
    """
    _check_tokenizer(options, target_language)
    hypotheses, references = read_with_references(hypothesis, reference)
    return _result(name, hypotheses, references, options=options, target_language=target_language)


def read_with_references(hypothesis: str, reference: str) -> tuple[list[str], list[str]]:
    """Read translations and their references, line by line the same sentences.

    Raises:
        DataError: If a file cannot be read or they are of unequal length.
    """
    hypotheses = list(read_lines(hypothesis, keep_broken=False))
    references = list(read_lines(reference, keep_broken=False))
    if len(hypotheses) != len(references):
        rule = "Each line of one must be the translation that the same line of the other is the reference of."
        raise UnequalLines(hypothesis, len(hypotheses), reference, len(references), rule=rule)
    return hypotheses, references


def _check_tokenizer(options: EvaluationConfig, target_language: str) -> None:
    if "bleu" in options.metrics:
        make_bleu(resolve_tokenizer(options.bleu_tokenizer, target_language), lowercase=options.lowercase)


def _output(folder: Path | None, name: str, language: str, *, overwrite: bool) -> Path | None:
    if folder is None:
        return None
    path = folder / f"{name}.translated.{language}"
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already. Move it away, choose another folder, or replace it with --overwrite.")
    return path


def _result(
    name: str, hypotheses: Sequence[str], references: Sequence[str], *, options: EvaluationConfig, target_language: str
) -> Result:
    scores = score(
        hypotheses,
        references,
        metrics=options.metrics,
        bleu_tokenizer=options.bleu_tokenizer,
        lowercase=options.lowercase,
        target_language=target_language,
    )
    for remark in sanity_warnings(hypotheses, references, scores):
        logger.warning("%s: %s", name, remark)
    return Result(test=name, sentences=len(references), scores=scores)


# What a tokenizer leaves behind: free-standing full stops and commas, Moses escapes, subword marks.
TOKENISED = re.compile(r"\s[.,](?:\s|$)|&(?:apos|quot|#91|#93|#124);|@-@|@@(?:\s|$)|▁")
TOKENISED_SHARE = 0.2
SHORTEST_RATIO = 0.9
LONGEST_RATIO = 1.15


def sanity_warnings(hypotheses: Sequence[str], references: Sequence[str], scores: dict[str, MetricScore]) -> list[str]:
    """Return a sentence for each thing that whoever reads the scores should know."""
    ratio = scores["bleu"].length_ratio if "bleu" in scores else None
    return [
        *_tokenised("hypotheses", hypotheses),
        *_tokenised("references", references),
        *_blank(hypotheses, references),
        *_repeated(hypotheses, references),
        *([] if ratio is None else _length(ratio)),
    ]


def _tokenised(side: str, lines: Sequence[str]) -> Iterator[str]:
    marked = sum(1 for line in lines if TOKENISED.search(line.rstrip()))
    if marked >= TOKENISED_SHARE * len(lines):
        yield (
            f"{marked} of {len(lines)} {side} look tokenised. Scores of tokenised text compare with no others: "
            "use plain text on both sides."
        )


def _blank(hypotheses: Sequence[str], references: Sequence[str]) -> Iterator[str]:
    unknown = [number for number, line in enumerate(references, 1) if not line.strip()]
    if unknown:
        yield f"{len(unknown)} of {len(references)} references are blank, the first in line {unknown[0]}."
    pairs = zip(hypotheses, references, strict=True)
    missing = [number for number, (line, other) in enumerate(pairs, 1) if other.strip() and not line.strip()]
    if missing:
        yield f"{len(missing)} of {len(hypotheses)} hypotheses are blank, the first in line {missing[0]}."


def _repeated(hypotheses: Sequence[str], references: Sequence[str]) -> Iterator[str]:
    if len(set(hypotheses)) == 1 and len(set(references)) > 1:
        yield f"All {len(hypotheses)} hypotheses are the same."


def _length(ratio: float) -> Iterator[str]:
    percent = f"{100 * ratio:.0f}%"
    if ratio < SHORTEST_RATIO:
        yield (
            f"The hypotheses have only {percent} of the length of the references, so BLEU's brevity penalty lowers the "
            "score. decoding.length_normalization and decoding.alpha change the length of translations."
        )
    if ratio > LONGEST_RATIO:
        yield f"The hypotheses have {percent} of the length of the references. Do they repeat themselves?"
