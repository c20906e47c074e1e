"""How text is cut into pieces."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nmt.config.sections.base import Count, Section


class Tokenizer(Section):
    """The SentencePiece subword model that cuts text into pieces."""

    kind: Literal["unigram", "bpe"] = "unigram"
    """Segmentation algorithm (Kudo 2018; Sennrich et al. 2016)."""
    vocabulary_size: Count = 8000
    """Number of pieces (for each side, when `joint` is false). Lowered with a warning if the corpus is too small."""
    joint: bool = True
    """One subword model for both languages; false: one for each."""
    character_coverage: Annotated[float, Field(ge=0.98, le=1)] = 1.0
    """Share of characters that become pieces; use 0.9995 for Chinese and Japanese."""
    byte_fallback: bool = True
    """Write characters without a piece as bytes, so that nothing is ever unknown."""
    normalization: Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = "nmt_nfkc"
    """Unicode normalisation before segmentation; `_cf` also folds case."""
    user_symbols: list[str] = []
    """Strings that are always one piece, such as placeholders."""
    max_training_lines: Count = 1_000_000
    """At most this many lines, sampled evenly, train the subword model."""
    sampling: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Segment the training text anew each time: the dropout probability of BPE-dropout (Provilkov et al. 2020),
    or the smoothing alpha of unigram sampling (Kudo 2018; the smaller, the more varied). 0: always the best."""
