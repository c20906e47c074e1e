"""Conflicts: options that are valid alone but cannot be combined. One module per section."""

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
    """Yield all conflicts in a configuration."""
    for module in (data, tokenizer, model, training, objectives, decoding):
        for check in module.CHECKS:
            yield from check(config)
