"""One hypothesis file scored as two protocols of the literature do, so that numbers can be laid side by side.

S is sacreBLEU on the raw, cased text, with its 13a tokenizer: what this toolkit reports. L is what most papers on
Multi30k report: lowercased text, punctuation normalised, cut into words by the Moses tokenizer, scored word by word as
multi-bleu.perl does. The reference's length in words tells whether the text was prepared as theirs was.

Run as `python -m nmt.evaluation.protocols HYPOTHESIS REFERENCE --language de`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

from nmt.errors import NMTError
from nmt.evaluation.evaluate import read_with_references
from nmt.metrics.corpus import check_counts, make_bleu


class ProtocolScore(NamedTuple):
    """BLEU by one protocol."""

    bleu: float
    signature: str
    details: str
    """n-gram precisions, brevity penalty, and the lengths of hypotheses and references."""
    reference_length: int
    """Tokens of the reference, as the protocol cuts it."""


def score_raw(hypotheses: Sequence[str], references: Sequence[str]) -> ProtocolScore:
    """Score by protocol S: sacreBLEU on raw, cased text."""
    return _score(hypotheses, references, tokenizer="13a", smooth_method="exp")


def score_tokenised(hypotheses: Sequence[str], references: Sequence[str], *, language: str) -> ProtocolScore:
    """Score by protocol L: lowercased, normalised, Moses-tokenised."""
    prepared = (tokenise(hypotheses, language=language), tokenise(references, language=language))
    return _score(*prepared, tokenizer="none", smooth_method="none")


def tokenise(lines: Sequence[str], *, language: str) -> list[str]:
    """Lowercase, normalise punctuation, and cut into words, in the order of Multi30k's own script.

    Raises:
        NMTError: If sacremoses, the Moses scripts in Python, is not installed.
    """
    try:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer
    except ImportError as error:
        raise NMTError("Protocol L needs the Moses tokenizer. Install it with: pip install sacremoses") from error
    normalizer, tokenizer = MosesPunctNormalizer(lang=language), MosesTokenizer(lang=language)
    return [tokenizer.tokenize(normalizer.normalize(line.lower()), return_str=True) for line in lines]


def _score(
    hypotheses: Sequence[str], references: Sequence[str], *, tokenizer: str, smooth_method: str
) -> ProtocolScore:
    check_counts(len(hypotheses), len(references))
    metric = make_bleu(tokenizer, lowercase=False, smooth_method=smooth_method)
    result = metric.corpus_score([line.rstrip() for line in hypotheses], [[line.rstrip() for line in references]])
    details = f"{result.prec_str} (BP = {result.bp:.3f}, {result.sys_len} tokens for {result.ref_len} of the reference)"
    return ProtocolScore(result.score, str(metric.get_signature()), details, result.ref_len)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/score_protocols", description="Score one hypothesis file by protocol S and protocol L."
    )
    parser.add_argument("hypothesis", help="translations, one a line, plain text ('-': standard input)")
    parser.add_argument("reference", help="reference translations, untouched")
    parser.add_argument("--language", required=True, help="code of the language of both files, such as de")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both scores; return the exit code."""
    options = parse(arguments)
    try:
        hypotheses, references = read_with_references(options.hypothesis, options.reference)
        raw = score_raw(hypotheses, references)
        tokenised = score_tokenised(hypotheses, references, language=options.language)
    except NMTError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    _show("S", "raw, cased", raw)
    _show("L", "lowercased, normalised, Moses-tokenised", tokenised)
    return 0


def _show(name: str, text: str, score: ProtocolScore) -> None:
    print(f"{name}  {score.bleu:6.2f}  {text}  {score.details}")
    print(f"           {score.signature}")


if __name__ == "__main__":
    sys.exit(main())
