"""Contradictions: options that are each allowed and cannot all be meant. One module for each section."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.conflicts import data, decoding, model, objectives, tokenizer, training
from nmt.config.conflicts.base import Conflict
from nmt.config.conflicts.data import LANGUAGE, every_pair
from nmt.config.conflicts.decoding import search_conflicts
from nmt.config.conflicts.training import warnings
from nmt.config.schema import Config

__all__ = ["LANGUAGE", "Conflict", "conflicts", "every_pair", "search_conflicts", "warnings"]


def conflicts(config: Config) -> Iterator[Conflict]:
    """Everything in a configuration that cannot be meant together."""
    for room in (data, tokenizer, model, training, objectives, decoding):
        for check in room.CHECKS:
            yield from check(config)
