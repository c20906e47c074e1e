"""The text to learn from and to be measured on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nmt.config.sections.base import Count, Positive, Section, Weight, Whole


class Pair(Section):
    """Parallel text: two files of equal length, or one with a tab between the sides."""

    source: str | None = None
    """File with one source sentence a line (UTF-8; .gz, .bz2, .xz and .zst are unpacked)."""
    target: str | None = None
    """File with the translation of each line of `source`."""
    tsv: str | None = None
    """Instead of `source` and `target`: one file with source, tab, target on each line."""


class Corpus(Pair):
    """A training corpus."""

    weight: Positive = 1.0
    """How many times an epoch shows each pair: 2 shows all pairs twice, 0.5 a different half each epoch."""
    tag: str | None = None
    """A symbol put before each source sentence, such as `<bt>` for back-translated text."""
    alignment: str | None = None
    """File with the word alignment of each pair: links `i-j` from 0, words being what spaces separate in the line
    (Pharaoh format). What `training.guided_alignment` learns from."""


class TestSet(Pair):
    """A test set, used by `nmt evaluate` and never in training."""

    name: str = "test"
    """What reports call this test set."""


class Filters(Section):
    """Which training pairs are left out. Empty lines, broken UTF-8 and control characters always are."""

    max_words: Count = 250
    """Longest side, in words (in characters for Chinese, Japanese, Korean and Thai: four times as many)."""
    max_pieces: Count = 300
    """Longest side, in subword pieces."""
    max_length_ratio: Positive = 6.0
    """Longer side over shorter side, in words (in characters when a side is Chinese, Japanese, Korean or Thai)."""
    identical: bool = True
    """Leave out pairs whose two sides are the same text."""
    duplicates: bool = True
    """Leave out pairs that came before, word for word, in the same corpus or an earlier one."""


class Shortlist(Section):
    """Likely translations of each piece, learnt from the training text (IBM Model 1) and kept in the model file."""

    translations: Whole = 20
    """Target pieces for each source piece, besides the frequent ones; 0: no table is made."""
    frequent: Whole = 200
    """The most frequent target pieces, which every translation may use."""


class Concatenation(Section):
    """Extra training examples that are several pairs one after another (Kondo et al. 2021, Nguyen et al. 2021)."""

    share: Weight = 0.0
    """How many there are for each pair that an epoch shows, beside the pairs themselves and drawn anew each epoch; 0:
    none."""
    most: Annotated[int, Field(ge=2, le=1000)] = 2
    """Such an example has from two to so many pairs; fewer where it would have more than `filters.max_pieces` on a
    side."""


class Data(Section):
    """The text to learn from and to be measured on."""

    source_language: str
    """Language code of the source, such as `en`."""
    target_language: str
    """Language code of the target, such as `de`. It picks the tokenizer of BLEU for zh, ja and ko."""
    train: list[Corpus] = Field(min_length=1)
    """The training corpora."""
    valid: Pair
    """The validation set: chooses the best model, decides when to stop."""
    test: list[TestSet] = []
    """The test sets of `nmt evaluate`."""
    filters: Filters = Filters()
    """Which training pairs are left out."""
    concatenation: Concatenation = Concatenation()
    """Extra training examples that are several pairs one after another, so that long inputs are nothing new."""
    right_to_left: bool = False
    """Learn to write the target from its last piece to its first. Such a model sees what one that writes forwards does
    not, and so is good at choosing among that one's translations (`nmt rerank`). Translations read as ever."""
    shortlist: Shortlist = Shortlist()
    """Likely translations of each piece, for `decoding.shortlist`."""
    prepared_folder: str = "prepared"
    """Where `nmt preprocess` keeps its results, one subfolder for each combination of text and options."""
