"""What makes a score doubtful: tokenised text, lengths that do not match, blank or repeated lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nmt.evaluation.metrics import Score

# What a tokenizer leaves behind: free-standing full stops and commas, Moses escapes, subword marks.
TOKENISED = re.compile(r"\s[.,](?:\s|$)|&(?:apos|quot|#91|#93|#124);|@-@|@@(?:\s|$)|▁")
TOKENISED_SHARE = 0.2
SHORTEST_RATIO = 0.9
LONGEST_RATIO = 1.15


def find_oddities(hypotheses: Sequence[str], references: Sequence[str], scores: dict[str, Score]) -> list[str]:
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
