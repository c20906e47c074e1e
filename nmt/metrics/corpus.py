"""BLEU, chrF and TER of test sets, computed by sacreBLEU. The numbers equal those of its command to the last digit.

Trailing white space is stripped from lines, as the command does. sacreBLEU is imported on first use.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nmt.config.schema import Config
from nmt.data.corpus import read_parallel
from nmt.data.languages import find_language, with_detected_script
from nmt.errors import DataError, NMTError

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric
    from sacrebleu.metrics.bleu import BLEU

# The extra of sacreBLEU that installs the tokenizer.
EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}
# The tokenizers of languages whose characters sacreBLEU's TER can separate, and of languages that need our own way.
TER_BY_CHARACTER, TER_BY_ANY_CHARACTER = ("zh", "ja-mecab"), "char"
SMALLEST_SCORE = 1e-9
"""A smaller score is 0: sacreBLEU's smoothing gives numbers such as 1e-246 to texts without a common word."""
FOURGRAM = 4


@dataclass(frozen=True)
class MetricScore:
    """The score of a test set by one metric."""

    value: float
    """0 to 100. TER is an error rate: lower is better, and more than 100 is possible."""
    signature: str
    """sacreBLEU's signature, which makes the score reproducible."""
    length_ratio: float | None = None
    """Tokens of the hypotheses over tokens of the references; BLEU only."""


def score(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    metrics: Sequence[str],
    bleu_tokenizer: str,
    lowercase: bool,
    target_language: str,
) -> dict[str, MetricScore]:
    """Score translations against one reference each.

    Args:
        hypotheses: Plain (detokenised) translations.
        references: As many references, untouched.
        metrics: Any of `bleu`, `chrf` and `ter`.
        bleu_tokenizer: A tokenizer of sacreBLEU, or `auto` for the one that `nmt.data.languages` has for the language.
        lowercase: Whether to ignore case; TER always ignores it.
        target_language: Code of the language of both texts, such as `de` or `zh-TW`. For a code that is not in the
            table of languages, the script of the references decides.

    Returns:
        The score of each metric, by name. If no text has four tokens, BLEU counts only the shorter n-grams, and its
        signature has `eff:yes`. Otherwise even equal texts would score 0.

    Raises:
        DataError: The numbers of lines differ, or are 0.
        NMTError: The tokenizer that the language needs is not installed.
    """
    check_counts(len(hypotheses), len(references))
    hypotheses = [line.rstrip() for line in hypotheses]
    references = [line.rstrip() for line in references]
    options: dict[str, Any] = {
        "bleu_tokenizer": bleu_tokenizer,
        "lowercase": lowercase,
        "target_language": with_detected_script(target_language, references),
    }
    return {name: _score_one(make_metric(name, **options), hypotheses, references) for name in metrics}


def clear_tokenizer_caches() -> None:
    """Empty sacreBLEU's caches of tokenised lines, each of which keeps 65,536 lines and their metrics."""
    from sacrebleu.tokenizers.tokenizer_base import BaseTokenizer

    waiting: list[type] = [BaseTokenizer]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        clear = getattr(vars(kind).get("__call__"), "cache_clear", None)
        if clear is not None:
            clear()


def make_metric(name: str, *, bleu_tokenizer: str, lowercase: bool, target_language: str) -> Metric:
    """Make one of sacreBLEU's metrics: `bleu`, `chrf` or `ter`; see `score` for the options.

    Raises:
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    makers: dict[str, Callable[[], Metric]] = {
        "bleu": lambda: make_bleu(resolve_tokenizer(bleu_tokenizer, target_language), lowercase=lowercase),
        "chrf": lambda: _make_chrf(lowercase=lowercase),
        "ter": lambda: _make_ter(target_language),
    }
    return makers[name]()


def check_counts(hypotheses: int, references: int) -> None:
    """Make sure that each hypothesis has a reference.

    Raises:
        DataError: The counts differ, or are 0.
    """
    if hypotheses != references:
        raise DataError(
            f"There are {hypotheses} hypotheses but {references} references. Each hypothesis needs one reference. "
            "Check that the files belong to the same test set."
        )
    if references == 0:
        raise DataError("There is nothing to score: the references have no lines.")


def resolve_tokenizer(bleu_tokenizer: str, target_language: str) -> str:
    """Return the name of sacreBLEU's tokenizer, choosing by language if `bleu_tokenizer` is `auto`."""
    if bleu_tokenizer != "auto":
        return bleu_tokenizer
    return find_language(target_language).bleu_tokenizer


def make_bleu(tokenizer: str, *, lowercase: bool, smooth_method: str = "exp", effective_order: bool = False) -> BLEU:
    """Make sacreBLEU's BLEU with one of its tokenizers; `effective_order` is for single sentences.

    Raises:
        NMTError: The tokenizer is not installed, or its model cannot be downloaded.
    """
    from sacrebleu.metrics.bleu import BLEU

    try:
        # `force` silences sacreBLEU's warning of tokenized text: nmt.evaluation.evaluate has a better one.
        return BLEU(
            tokenize=tokenizer,
            lowercase=lowercase,
            force=True,
            smooth_method=smooth_method,
            effective_order=effective_order,
        )
    except (RuntimeError, ImportError) as error:
        if tokenizer not in EXTRAS:
            raise NMTError(f"sacreBLEU's tokenizer {tokenizer} cannot be used: {error}") from error
        raise NMTError(
            f"BLEU with the tokenizer {tokenizer} needs MeCab, which is not installed. "
            f'Install it with: pip install "sacrebleu[{EXTRAS[tokenizer]}]"\n'
            "Or set evaluation.bleu_tokenizer to another tokenizer, such as char. Its scores are not comparable."
        ) from error
    except OSError as error:
        raise NMTError(
            f"sacreBLEU's tokenizer {tokenizer} needs a model that could not be downloaded: {error}\n"
            "Try again with an internet connection, or set evaluation.bleu_tokenizer to another tokenizer."
        ) from error


def _make_chrf(*, lowercase: bool) -> Metric:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(lowercase=lowercase)


def _make_ter(target_language: str) -> Metric:
    """Make TER, which counts characters in scripts without spaces between words."""
    from sacrebleu.metrics.ter import TER

    tokenizer = find_language(target_language).bleu_tokenizer
    unspaced = tokenizer in TER_BY_CHARACTER
    metric = TER(normalized=unspaced, asian_support=unspaced)
    if tokenizer == TER_BY_ANY_CHARACTER:
        metric.tokenizer = _ByCharacter(metric.tokenizer)  # type: ignore[assignment]
        metric.tokenizer_signature += "-char"
    return metric


class _ByCharacter:
    """A tokenizer of sacreBLEU for text with a space between all characters."""

    def __init__(self, tokenizer: Callable[[str], str]) -> None:
        self._tokenizer = tokenizer

    def __call__(self, line: str) -> str:
        return self._tokenizer(" ".join("".join(line.split())))


def as_score(metric: Metric, result: Any) -> MetricScore:
    """Return the result of a metric of sacreBLEU as a score."""
    value = 0.0 if result.score < SMALLEST_SCORE else result.score
    return MetricScore(value, str(metric.get_signature()), getattr(result, "ratio", None))


def _score_one(metric: Metric, hypotheses: Sequence[str], references: Sequence[str]) -> MetricScore:
    metric = for_short_texts(metric, [hypotheses], references)
    result = metric.corpus_score(hypotheses, [references])
    return as_score(metric, result)


def for_short_texts(metric: Metric, systems: Iterable[Sequence[str]], references: Sequence[str]) -> Metric:
    """Return BLEU with the effective order if neither the references nor one of the systems have four tokens in a row.

    Its signature has `eff:yes`. The scores of systems with four tokens are the same as without it. Other metrics are
    returned unchanged.

    Args:
        metric: The metric.
        systems: The hypotheses of each system.
        references: The references, which all systems share.
    """
    if not hasattr(metric, "effective_order"):
        return metric

    def are_short(lines: Sequence[str]) -> bool:
        lengths = (len(metric._preprocess_segment(line).split()) for line in lines)
        longest = 0
        for length in lengths:
            longest = max(longest, length)
            if longest >= FOURGRAM:
                return False
        return longest > 0

    if not are_short(references) or not any(map(are_short, systems)):
        return metric
    metric = copy.copy(metric)
    metric.effective_order = True
    return metric


def check_tokenizers(config: Config) -> str | None:
    """Check that the BLEU of the validation set and of the test sets can be computed.

    The tokenizer follows from the target language, and from the script of the validation text.

    Returns:
        A warning if only `nmt evaluate` needs a tokenizer that cannot be used. None if there is no problem.

    Raises:
        DataError: The validation text cannot be read.
        NMTError: Training needs a tokenizer that is not installed.
    """
    validation, evaluation = config.training.validation.metrics, config.evaluation
    if "bleu" not in (*validation, *evaluation.metrics):
        return None
    tokenizer: str = evaluation.bleu_tokenizer
    if tokenizer == "auto":
        references = [target for _, target in read_parallel(config.data.valid)]
        tokenizer = find_language(with_detected_script(config.data.target_language, references)).bleu_tokenizer
    try:
        make_bleu(tokenizer, lowercase=False)
    except NMTError as error:
        if "bleu" in validation:
            raise
        return str(error)
    return None
