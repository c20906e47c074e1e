"""Search: from the log-probabilities of a model to the best sentences. Knows no concrete model."""

from nmt.search.beam import beam_search
from nmt.search.greedy import greedy_search
from nmt.search.interface import StepModel, StepOutput, TokenHypothesis
from nmt.search.length_normalization import LengthNormalization, make_length_normalization

__all__ = [
    "LengthNormalization",
    "StepModel",
    "StepOutput",
    "TokenHypothesis",
    "beam_search",
    "greedy_search",
    "make_length_normalization",
]
