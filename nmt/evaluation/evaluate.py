"""Translates and scores test sets, or scores existing translations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nmt.config.file_names import path_in
from nmt.config.schema import EvaluationConfig, TestSetConfig
from nmt.data.corpus import read_parallel
from nmt.data.languages import with_detected_script
from nmt.data.lines import read_lines, write_lines
from nmt.errors import UnequalLines, UsageError
from nmt.evaluation.protocols import ProtocolName, ProtocolScore, check_protocols, score_by_protocol
from nmt.log import logger
from nmt.metrics.corpus import MetricScore, make_bleu, resolve_tokenizer, score

if TYPE_CHECKING:
    from nmt.data.tokenizer import SubwordModel

# The keys of every JSON result; a metric that was not computed is null.
METRICS = ("bleu", "chrf", "ter")


class HasText(Protocol):
    """A translation."""

    @property
    def text(self) -> str:
        """The best hypothesis as plain text."""


class TextTranslator(Protocol):
    """The translator interface that evaluation requires."""

    def translate(self, lines: Iterable[str], /) -> Iterator[HasText]:
        """Yield the translation of each line, in order."""


@dataclass(frozen=True)
class Result:
    """The scores of one test set."""

    test: str
    sentences: int
    scores: dict[str, MetricScore]
    protocols: dict[ProtocolName, ProtocolScore] = field(default_factory=dict)
    """BLEU by protocols of the literature, where they were wanted."""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as `nmt evaluate --json` prints it; a metric that was not computed is None."""
        values = {name: self.scores[name].value if name in self.scores else None for name in METRICS}
        signatures = {name: score.signature for name, score in self.scores.items()}
        found: dict[str, Any] = {"test": self.test, **values, "sentences": self.sentences, "signatures": signatures}
        if self.protocols:
            found["protocols"] = {name: score._asdict() for name, score in self.protocols.items()}
        return found


def evaluate_tests(
    translator: TextTranslator,
    tests: Sequence[TestSetConfig],
    *,
    options: EvaluationConfig,
    target_language: str,
    output_folder: Path | None,
    overwrite: bool,
    protocols: Sequence[ProtocolName] = (),
    target: SubwordModel | None = None,
) -> Iterator[Result]:
    """Translate and score test sets one by one. Files and options are checked before the first translation.

    Args:
        translator: Translates the sources.
        tests: The test sets, with unique names.
        options: The metrics and their options.
        target_language: Code of the target language.
        output_folder: The folder for translations, named `<test>.translated.<language>`. None: they are not written.
        overwrite: Whether to replace existing translations.
        protocols: Protocols of the literature to score by besides.
        target: The subword model of the target. Warn of references that it cannot write. Default: no warnings.

    Raises:
        DataError: A file cannot be read, or the sides of a test set have different numbers of lines.
        UsageError: Translations exist, and `overwrite` is not set.
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    check_protocols(protocols)
    outputs = [_output(output_folder, test.name, target_language, overwrite=overwrite) for test in tests]
    texts = [read_parallel(test) for test in tests]
    for pairs in texts:
        check_tokenizer(options, with_detected_script(target_language, [reference for _, reference in pairs]))
    for test, pairs, output in zip(tests, texts, outputs, strict=True):
        hypotheses = [translation.text for translation in translator.translate(source for source, _ in pairs)]
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            write_lines(output, hypotheses)
        references = [reference for _, reference in pairs]
        if target is not None:
            _warn_of_references(test.name, references, target)
        yield _result(test.name, hypotheses, references, options, target_language, protocols)


def evaluate_file(
    hypothesis: str,
    reference: str,
    *,
    name: str,
    options: EvaluationConfig,
    target_language: str,
    protocols: Sequence[ProtocolName] = (),
) -> Result:
    """Score a file of translations against a file of references.

    Raises:
        DataError: A file cannot be read, or the files have different numbers of lines.
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    check_protocols(protocols)
    hypotheses, references = read_with_references(hypothesis, reference)
    check_tokenizer(options, with_detected_script(target_language, references))
    return _result(name, hypotheses, references, options, target_language, protocols)


def _warn_of_references(name: str, references: Sequence[str], target: SubwordModel) -> None:
    """Log the references that no translation can equal, because the subword model cannot write them."""
    from nmt.data.preprocess.report import log_round_trips  # imports numpy
    from nmt.data.preprocess.round_trip import count_round_trips

    log_round_trips(f"{name}, references", count_round_trips(target, references).describe())


def read_with_references(hypothesis: str, reference: str) -> tuple[list[str], list[str]]:
    """Read translations and their references.

    Raises:
        DataError: A file cannot be read, or the files have different numbers of lines.
    """
    hypotheses = list(read_lines(hypothesis, keep_broken=False))
    references = list(read_lines(reference, keep_broken=False))
    if len(hypotheses) != len(references):
        rule = "Each line must be a translation of the same sentence as the same line of the other file."
        raise UnequalLines(hypothesis, len(hypotheses), reference, len(references), rule=rule)
    return hypotheses, references


def override_evaluation(options: EvaluationConfig, given: dict[str, Any]) -> EvaluationConfig:
    """Return evaluation options with those of the command line."""
    return options.model_copy(update={name: value for name, value in given.items() if value is not None})


def check_tokenizer(options: EvaluationConfig, target_language: str) -> None:
    """Check that BLEU can be computed, if it is one of the metrics.

    Raises:
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    if "bleu" in options.metrics:
        make_bleu(resolve_tokenizer(options.bleu_tokenizer, target_language), lowercase=options.lowercase)


def _output(folder: Path | None, name: str, language: str, *, overwrite: bool) -> Path | None:
    if folder is None:
        return None
    path = path_in(folder, f"{name}.translated.{language}")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists. Use another folder, or replace the file with --overwrite.")
    return path


def _result(
    name: str,
    hypotheses: Sequence[str],
    references: Sequence[str],
    options: EvaluationConfig,
    target_language: str,
    protocols: Sequence[ProtocolName],
) -> Result:
    scores = score(
        hypotheses,
        references,
        metrics=options.metrics,
        bleu_tokenizer=options.bleu_tokenizer,
        lowercase=options.lowercase,
        target_language=target_language,
    )
    for warning in sanity_warnings(hypotheses, references, scores):
        logger.warning("%s: %s", name, warning)
    by_script = with_detected_script(target_language, references)
    if "bleu" in scores and options.bleu_tokenizer == "auto" and by_script != target_language:
        tokenizer = resolve_tokenizer("auto", by_script)
        logger.info("%s: BLEU uses the tokenizer %s, by the script of the references", name, tokenizer)
    by_protocol = {
        protocol: score_by_protocol(protocol, hypotheses, references, language=target_language)
        for protocol in protocols
    }
    return Result(test=name, sentences=len(references), scores=scores, protocols=by_protocol)


# Traces of tokenization: separate full stops and commas, Moses escapes, subword marks.
TOKENIZED = re.compile(r"\s[.,](?:\s|$)|&(?:apos|quot|#91|#93|#124);|@-@|@@(?:\s|$)|▁")
TOKENIZED_SHARE = 0.2
SHORTEST_RATIO = 0.9
LONGEST_RATIO = 1.15


def sanity_warnings(hypotheses: Sequence[str], references: Sequence[str], scores: dict[str, MetricScore]) -> list[str]:
    """Return warnings of properties that make scores unreliable."""
    ratio = scores["bleu"].length_ratio if "bleu" in scores else None
    return [
        *_tokenized("hypotheses", hypotheses),
        *_tokenized("references", references),
        *_blank(hypotheses, references),
        *_repeated(hypotheses, references),
        *([] if ratio is None else _length(ratio)),
    ]


def _tokenized(side: str, lines: Sequence[str]) -> Iterator[str]:
    marked = sum(1 for line in lines if TOKENIZED.search(line.rstrip()))
    if marked >= TOKENIZED_SHARE * len(lines):
        yield (
            f"{marked} of {len(lines)} {side} look tokenized. Scores of tokenized text are not comparable. "
            "Use plain text on both sides."
        )


def _blank(hypotheses: Sequence[str], references: Sequence[str]) -> Iterator[str]:
    blank = [number for number, line in enumerate(references, 1) if not line.strip()]
    if blank:
        yield f"{len(blank)} of {len(references)} references are blank, the first in line {blank[0]}."
    pairs = zip(hypotheses, references, strict=True)
    missing = [number for number, (line, other) in enumerate(pairs, 1) if other.strip() and not line.strip()]
    if missing:
        yield f"{len(missing)} of {len(hypotheses)} hypotheses are blank, the first in line {missing[0]}."


def _repeated(hypotheses: Sequence[str], references: Sequence[str]) -> Iterator[str]:
    if len(set(hypotheses)) == 1 and len(set(references)) > 1:
        yield f"All {len(hypotheses)} hypotheses are equal."


def _length(ratio: float) -> Iterator[str]:
    percent = f"{100 * ratio:.0f}%"
    if ratio < SHORTEST_RATIO:
        yield (
            f"The hypotheses have only {percent} of the length of the references, so BLEU's brevity penalty lowers the "
            "score. decoding.length_normalization and decoding.alpha affect the length of translations."
        )
    if ratio > LONGEST_RATIO:
        yield f"The hypotheses have {percent} of the length of the references. They may contain repetitions."
