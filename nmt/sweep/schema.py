"""The file of a sweep: every key with its type, default and meaning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat

from nmt.config.schema import PositiveInt, Section

BASE = "base"
"""The name of the variant without changes."""

Metric = Literal["bleu", "chrf", "loss", "aer"]


class Variant(Section):
    """A variant of the base, or an experiment with a configuration of its own."""

    name: str
    """Name in the table and in the names of its runs."""
    description: str = ""
    """What the variant tests, for the notes below the table."""
    base: str | None = None
    """Another configuration file or recipe for this variant. The path is relative to the sweep file."""
    options: list[str] = []
    """Options of the variant, each as key.path=value."""
    equal_parameters: bool = False
    """Choose the hidden size so that the model has as many parameters as the baseline."""


class SearchedOption(Section):
    """An option that a search varies: a range, or choices."""

    key: str
    """The option, as key.path. With choices: any name."""
    low: float | None = None
    """Lowest value of the range."""
    high: float | None = None
    """Highest value of the range."""
    step: PositiveFloat | None = None
    """Distance of two values of the range. null: any value, or 1 for options with whole numbers."""
    log: bool = False
    """Search on a logarithmic scale, for options such as the learning rate."""
    choices: list[list[str]] | None = None
    """Choices in place of a range. Each is a list of options that belong together, written as key.path=value."""


class Search(Section):
    """A search of options: each trial is a variant whose options depend on the scores of the earlier trials."""

    options: list[SearchedOption] = Field(min_length=1)
    """The options that are searched."""
    trials: PositiveInt = 20
    """Number of trials."""
    minutes: PositiveFloat | None = None
    """Training time of all trials after which no new one begins. null: no limit."""
    seed: PositiveInt = 1
    """Seed of the search. With one run at a time the same seed and scores lead to the same trials."""


class ByLength(Section):
    """Scores by the length of the source."""

    bounds: list[PositiveInt] = [10, 20, 30]
    """Lengths, in words, at which the buckets of the table begin."""
    figure: list[PositiveInt] = []
    """Bounds of the figure, BLEU by length with a line for each variant. An empty list: no figure."""


class Sweep(Section):
    """A sweep."""

    name: str | None = None
    """Prefix of the names of the runs. Default: the name of the sweep file."""
    base: str | None = None
    """Configuration file or recipe that the variants change. The path is relative to the sweep file."""
    corpus: str | None = None
    """Configuration file that provides languages and text for a base without text."""
    options: list[str] = []
    """Options of all runs, each as key.path=value."""
    variants: list[Variant] = []
    """The variants, in the order of the table. Either variants or search is required."""
    search: Search | None = None
    """A search of options in place of variants. The first of the metrics is optimised."""
    baseline: str | None = BASE
    """Variant that the others are compared with: the name of a variant, or base for the base without changes. null: no
    comparison."""
    seeds: PositiveInt = 3
    """Number of runs of each variant, with the seeds 1, 2, 3 and so on. Default for the trials of a search: 1."""
    metrics: list[Metric] = Field(default=["bleu", "chrf"], min_length=1)
    """Columns of the table; aer is the alignment error rate of the attention."""
    score_on: Literal["validation", "test"] = "validation"
    """Score the validation set, as training did, or translate the first test set."""
    gold: str | None = None
    """Gold links of the scored set, for aer (Pharaoh format). The path is relative to the current folder, or to that of
    the sweep file."""
    by_length: ByLength | None = None
    """Scores by the length of the source. null: no such table."""
