"""How translations are searched for, and how they are scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nmt.config.sections.base import Count, Section, Whole


class Decoding(Section):
    """How translations are searched for."""

    beam_size: Count = 5
    """Hypotheses kept at each step; 1 is greedy search."""
    n_best: Count = 1
    """Translations given for each sentence."""
    length_normalization: Literal["none", "average", "gnmt"] = "average"
    """What the log-probability of a hypothesis of n pieces is divided by: 1, n^alpha, or ((5+n)/6)^alpha (Wu et al.
    2016)."""
    alpha: Annotated[float, Field(ge=0)] | None = None
    """Exponent of the length normalisation; by default 1 for average and 0.6 for gnmt."""
    max_length_ratio: Annotated[float, Field(ge=0)] | None = None
    """Longest translation, in pieces: this times the source's pieces plus `max_length_constant`. By default training
    sets it so that one of its pairs in 10,000 has a longer target: a search that need not look further ends sooner."""
    max_length_constant: Whole = 10
    """Pieces that every translation may have, however short its source."""
    shortlist: bool = False
    """Look only at the likely translations of a sentence's pieces, and at frequent pieces: faster, and a little less
    good. Needs the table of `data.shortlist`."""
    batch_sentences: Count = 64
    """Sentences translated together; changes speed, never text."""
    precision: Literal["auto", "bf16", "fp32", "int8"] = "fp32"
    """Of matrix products. fp32 gives the translations of the trained weights, and so does bf16 but for about one line
    in a thousand; int8 (on processors) is the fastest and rounds more."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: on a CUDA device where there is one."""
    threads: Count | None = None
    """Processor threads; by default all cores."""


class Evaluation(Section):
    """How translations are scored."""

    metrics: list[Literal["bleu", "chrf", "ter"]] = ["bleu", "chrf", "ter"]
    """Printed by `nmt evaluate`."""
    bleu_tokenizer: Literal["auto", "13a", "intl", "zh", "ja-mecab", "ko-mecab", "flores200", "char", "none"] = "auto"
    """sacreBLEU's tokenizer; auto: by target language (zh, ja-mecab, ko-mecab, else 13a)."""
    lowercase: bool = False
    """Score without regard to case."""
