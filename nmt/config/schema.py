"""Every option of the toolkit, once: its name, type, default, unit and meaning.

A configuration file holds only what differs from these defaults. No other code has defaults of its own. Each section
has a file of its own in `nmt/config/sections/`.
"""

from __future__ import annotations

from nmt.config.sections.base import Section, Whole
from nmt.config.sections.data import Concatenation, Corpus, Data, Filters, Pair, Shortlist, TestSet
from nmt.config.sections.decoding import Decoding, Evaluation
from nmt.config.sections.model import Attention, Decoder, Dropout, Encoder, Initialization, Model
from nmt.config.sections.tokenizer import Tokenizer
from nmt.config.sections.training import (
    Averaging,
    GuidedAlignment,
    MinimumRisk,
    Optimizer,
    Schedule,
    ScheduledSampling,
    Training,
    Validation,
)

__all__ = [
    "Attention",
    "Averaging",
    "Concatenation",
    "Config",
    "Corpus",
    "Data",
    "Decoder",
    "Decoding",
    "Dropout",
    "Encoder",
    "Evaluation",
    "Filters",
    "GuidedAlignment",
    "Initialization",
    "MinimumRisk",
    "Model",
    "Optimizer",
    "Pair",
    "Schedule",
    "ScheduledSampling",
    "Section",
    "Shortlist",
    "TestSet",
    "Tokenizer",
    "Training",
    "Validation",
    "WithBase",
]


class Config(Section):
    """A whole experiment."""

    name: str | None = None
    """Name of the run, `runs/<name>/`; by default the file's name, never that of its base."""
    seed: Whole = 1
    """Seed of everything random."""
    data: Data
    """The text to learn from and to be measured on."""
    tokenizer: Tokenizer = Tokenizer()
    """The subword model that cuts text into pieces."""
    model: Model = Model()
    """The network."""
    training: Training = Training()
    """The training run."""
    decoding: Decoding = Decoding()
    """How translations are searched for."""
    evaluation: Evaluation = Evaluation()
    """How translations are scored."""


class WithBase(Config):
    """An experiment as a file has it: whole, or what differs from another file."""

    base: str | None = None
    """Another configuration file: its options hold wherever this one says nothing. Lists are replaced as a whole. The
    path is relative to this file (on the command line, to the current folder). Or the name of a recipe, such as
    low-resource."""
