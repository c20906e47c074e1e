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
    max_source_pieces: Count | None = None
    """Most pieces of the source that are translated at once; a longer line is translated sentence by sentence, a longer
    sentence in parts. By default training sets it to what it has seen: one of its sources in 10,000 is longer."""
    max_length_ratio: Annotated[float, Field(ge=0)] | None = None
    """Longest translation, in pieces: this times the source's pieces plus `max_length_constant`. By default training
    sets it so that one of its pairs in 10,000 has a longer target: a search that need not look further ends sooner."""
    max_length_constant: Whole = 10
    """Pieces that every translation may have, however short its source."""
    max_length: Count | None = None
    """Longest translation, in pieces, however long its source."""
    min_length: Whole = 0
    """Shortest translation, in pieces; where the longest one is shorter, that."""
    min_length_ratio: Annotated[float, Field(ge=0)] = 0.0
    """Shortest translation, in pieces for each piece of the source."""
    coverage_penalty: Annotated[float, Field(ge=0)] = 0.0
    """beta of Wu et al. (2016), eq. 14: beta * sum of log(min(attention to a source piece, 1)) is added to scores, so
    that translations which leave something out lose; 0.2 in the paper. With the length normalisation `average` it is
    the mean over source pieces, as the score is then one over target pieces."""
    repetition_penalty: Annotated[float, Field(ge=1)] = 1.0
    """theta of Keskar et al. (2019): the log-probabilities of pieces that a translation has already are multiplied by
    it; 1: nothing is changed."""
    no_repeat_ngram: Count | None = None
    """No sequence of so many pieces appears twice in a translation."""
    stopping: Literal["exact", "fast"] = "exact"
    """When a search ends. exact: when nothing that still goes on could become better than what has ended. fast: when
    nothing that still goes on is better, as it is now."""
    beam_groups: Count = 1
    """Cut the beam into so many groups that keep away from each other (diverse beam search, Vijayakumar et al. 2018):
    for an n-best list of different translations."""
    diversity: Annotated[float, Field(ge=0)] = 0.5
    """What a group pays for each time that a group before it has just chosen the same piece, in log-probability."""
    sampling: bool = False
    """Draw `n_best` translations at random instead of searching for the best: for back-translation. The same line
    gives the same ones, whatever stands beside it."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Of sampling: probabilities to the power of 1/temperature; below 1 nearer to the best, above 1 wilder."""
    top_k: Count | None = None
    """Sample among the so many most probable pieces only."""
    top_p: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Sample among the fewest most probable pieces that together have this probability only."""
    seed: Whole = 1
    """Of sampling: another seed, other translations."""
    ensemble_average: Literal["probabilities", "log_probabilities"] = "probabilities"
    """What several models that translate together average at each step: probabilities keep what any of them likes,
    log_probabilities what all of them can accept."""
    shortlist: bool = False
    """Look only at the likely translations of a sentence's pieces, and at frequent pieces: faster, and a little less
    good. Needs the table of `data.shortlist`."""
    split_sentences: bool = False
    """Translate each sentence of a line by itself: for lines that are paragraphs. They stay one line."""
    protect: bool = False
    """Bring tags, placeholders and URLs through translation unchanged. What the model has no `tokenizer.user_symbols`
    for is left out of the text that it reads, and put where the attention says."""
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
