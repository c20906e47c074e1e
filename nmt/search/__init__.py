"""Search: from the log-probabilities of a model to the best sentences. Knows no concrete model."""

from nmt.search.beam import beam_search
from nmt.search.greedy import greedy_search
from nmt.search.interface import Hypothesis, StepModel, StepOutput
from nmt.search.normalization import Normalization, make_normalization

__all__ = [
    "Hypothesis",
    "Normalization",
    "StepModel",
    "StepOutput",
    "beam_search",
    "greedy_search",
    "make_normalization",
]
