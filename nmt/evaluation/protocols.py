"""BLEU by the protocols of the literature, so that scores can be compared with published ones.

`raw` is sacreBLEU on the raw, cased text with its 13a tokenizer. `moses` is what most papers on Multi30k report: text
that is lowercased, with normalized punctuation, cut into words by the Moses tokenizer and scored word by word, as
multi-bleu.perl does. The number of reference words shows whether a paper prepared its text in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from nmt.data.languages import find_language
from nmt.errors import NMTError
from nmt.metrics.corpus import as_score, check_counts, make_bleu

ProtocolName = Literal["raw", "moses"]
PROTOCOLS: tuple[str, ...] = get_args(ProtocolName)


class ProtocolScore(NamedTuple):
    """BLEU by one protocol."""

    bleu: float
    signature: str
    details: str
    """n-gram precisions, brevity penalty, and the lengths of hypotheses and references."""
    reference_length: int
    """Tokens of the reference, as the protocol cuts it."""


def check_protocols(protocols: Iterable[ProtocolName]) -> None:
    """Make sure that the packages of protocols are installed.

    Raises:
        NMTError: sacremoses is missing.
    """
    if "moses" in protocols:
        tokenise([], language="en")


def score_by_protocol(
    protocol: ProtocolName, hypotheses: Sequence[str], references: Sequence[str], *, language: str
) -> ProtocolScore:
    """Score translations by a protocol.

    Raises:
        NMTError: sacremoses is missing.
    """
    if protocol == "raw":
        return score_raw(hypotheses, references)
    return score_tokenised(hypotheses, references, language=language)


def score_raw(hypotheses: Sequence[str], references: Sequence[str]) -> ProtocolScore:
    """Score by the protocol `raw`."""
    return _score(hypotheses, references, tokenizer="13a", smooth_method="exp")


def score_tokenised(hypotheses: Sequence[str], references: Sequence[str], *, language: str) -> ProtocolScore:
    """Score by the protocol `moses`."""
    prepared = (tokenise(hypotheses, language=language), tokenise(references, language=language))
    return _score(*prepared, tokenizer="none", smooth_method="none")


def tokenise(lines: Sequence[str], *, language: str) -> list[str]:
    """Lowercase, normalise punctuation, and cut into words, in the order of Multi30k's own script.

    Raises:
        NMTError: sacremoses, the Moses scripts in Python, is missing.
    """
    try:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer
    except ImportError as error:
        message = "The protocol moses requires the package sacremoses. Install it with: pip install sacremoses"
        raise NMTError(message) from error
    code = find_language(language).code
    normalizer, tokenizer = MosesPunctNormalizer(lang=code), MosesTokenizer(lang=code)
    return [tokenizer.tokenize(normalizer.normalize(line.lower()), return_str=True) for line in lines]


def _score(
    hypotheses: Sequence[str], references: Sequence[str], *, tokenizer: str, smooth_method: str
) -> ProtocolScore:
    check_counts(len(hypotheses), len(references))
    metric = make_bleu(tokenizer, lowercase=False, smooth_method=smooth_method)
    result = metric.corpus_score([line.rstrip() for line in hypotheses], [[line.rstrip() for line in references]])
    details = f"{result.prec_str} (BP = {result.bp:.3f}, {result.sys_len} tokens for {result.ref_len} of the reference)"
    found = as_score(metric, result)
    return ProtocolScore(found.value, found.signature, details, result.ref_len)
