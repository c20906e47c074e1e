"""The file of a sweep: every key with its type, default and meaning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
    variants: list[Variant] = Field(min_length=1)
    """The variants, in the order of the table."""
    baseline: str | None = BASE
    """Variant that the others are compared with: the name of a variant, or base for the base without changes. null: no
    comparison."""
    seeds: PositiveInt = 3
    """Number of runs of each variant, with the seeds 1, 2, 3 and so on."""
    metrics: list[Metric] = Field(default=["bleu", "chrf"], min_length=1)
    """Columns of the table; aer is the alignment error rate of the attention."""
    score_on: Literal["validation", "test"] = "validation"
    """Score the validation set, as training did, or translate the first test set."""
    gold: str | None = None
    """Gold links of the scored set, for aer (Pharaoh format). The path is relative to the current folder, or to that of
    the sweep file."""
    by_length: ByLength | None = None
    """Scores by the length of the source. null: no such table."""
