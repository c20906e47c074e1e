"""Contradictions: options that are each allowed and cannot all be meant. One module for each section."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.checks import data, decoding, model, objectives, tokenizer, training
from nmt.config.checks.base import Contradiction
from nmt.config.checks.data import LANGUAGE, every_pair
from nmt.config.checks.decoding import search_contradictions
from nmt.config.checks.training import remarks
from nmt.config.schema import Config

__all__ = ["LANGUAGE", "Contradiction", "contradictions", "every_pair", "remarks", "search_contradictions"]


def contradictions(config: Config) -> Iterator[Contradiction]:
    """Everything in a configuration that cannot be meant together."""
    for room in (data, tokenizer, model, training, objectives, decoding):
        for check in room.CHECKS:
            yield from check(config)
