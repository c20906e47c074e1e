"""Contradictions among the options of search."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.checks.base import Check, Contradiction, key
from nmt.config.schema import Config, Decoding


def searches(config: Config) -> Iterator[Contradiction]:
    """A search can give only what it keeps."""
    yield from search_contradictions(config.decoding)


def search_contradictions(decoding: Decoding) -> Iterator[Contradiction]:
    """What cannot be meant together in the options of a search."""
    if decoding.n_best > decoding.beam_size:
        paths = (key("decoding.n_best"), key("decoding.beam_size"))
        message = f"n_best {decoding.n_best} is more than beam_size {decoding.beam_size}"
        yield Contradiction(paths, message, f"write `beam_size: {decoding.n_best}` or more, or lower n_best")
    if decoding.alpha is not None and decoding.length_normalization == "none":
        paths = (key("decoding.alpha"), key("decoding.length_normalization"))
        message = f"alpha {decoding.alpha:g} has no effect with length_normalization none"
        yield Contradiction(paths, message, "leave it out, or write `length_normalization: average` or gnmt")
    if decoding.max_length_ratio == 0 and decoding.max_length_constant == 0:
        paths = (key("decoding.max_length_ratio"), key("decoding.max_length_constant"))
        message = "max_length_ratio and max_length_constant are both 0, so every translation would be empty"
        yield Contradiction(paths, message, "raise one of the two")


def shortlists(config: Config) -> Iterator[Contradiction]:
    """A shortlist needs its table."""
    table = config.data.shortlist
    translations = key("data.shortlist.translations")
    if config.decoding.shortlist and not table.translations:
        message = "shortlist true, but data.shortlist.translations 0 makes no table for it"
        yield Contradiction((key("decoding.shortlist"), translations), message, "raise translations, or leave one out")
    default = type(table).model_fields["frequent"].default
    if not table.translations and table.frequent != default:
        message = f"found {table.frequent}, but it has no effect with data.shortlist.translations 0"
        hint = f"leave it out (its default is {default}), or raise translations"
        yield Contradiction((key("data.shortlist.frequent"), translations), message, hint, switched_off=True)


CHECKS: tuple[Check, ...] = (searches, shortlists)
