"""Contradictions among the options of search."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.checks.base import Check, Contradiction, key
from nmt.config.checks.effects import written
from nmt.config.problems import KeyPath
from nmt.config.schema import Config, Decoding


def searches(config: Config) -> Iterator[Contradiction]:
    """A search can give only what it keeps."""
    yield from search_contradictions(config.decoding)


def search_contradictions(decoding: Decoding) -> Iterator[Contradiction]:
    """What cannot be meant together in the options of a search."""
    if decoding.n_best > decoding.beam_size and not decoding.sampling:
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
    yield from _length_contradictions(decoding)
    yield from _beam_contradictions(decoding)
    yield from _sampling_contradictions(decoding)


def _length_contradictions(decoding: Decoding) -> Iterator[Contradiction]:
    for least, most in (("min_length", "max_length"), ("min_length_ratio", "max_length_ratio")):
        low, high = getattr(decoding, least), getattr(decoding, most)
        if high is not None and low > high:
            message = f"{least} {low:g} is more than {most} {high:g}"
            yield Contradiction(_decoding(least, most), message, "lower the first or raise the second")


def _beam_contradictions(decoding: Decoding) -> Iterator[Contradiction]:
    if decoding.beam_groups > 1 and decoding.beam_size % decoding.beam_groups and not decoding.sampling:
        message = f"beam_size {decoding.beam_size} cannot be cut into {decoding.beam_groups} groups of one size"
        larger = -(-decoding.beam_size // decoding.beam_groups) * decoding.beam_groups
        yield Contradiction(_decoding("beam_groups", "beam_size"), message, f"write `beam_size: {larger}`")
    if decoding.beam_groups == 1 and _changed(decoding, "diversity"):
        yield _unused(decoding, "diversity", "beam_groups", "raise beam_groups")
    if decoding.beam_size == 1 and not decoding.sampling:
        for name in ("coverage_penalty", "stopping"):
            if _changed(decoding, name):
                yield _unused(decoding, name, "beam_size", "raise beam_size")


def _sampling_contradictions(decoding: Decoding) -> Iterator[Contradiction]:
    if decoding.sampling:
        for name in ("coverage_penalty", "stopping", "beam_groups"):
            if _changed(decoding, name):
                yield _unused(decoding, name, "sampling", "write `sampling: false`")
    else:
        for name in ("temperature", "top_k", "top_p", "seed"):
            if _changed(decoding, name):
                yield _unused(decoding, name, "sampling", "write `sampling: true`")


def _changed(decoding: Decoding, name: str) -> bool:
    return bool(getattr(decoding, name) != Decoding.model_fields[name].default)


def _unused(decoding: Decoding, name: str, switch: str, way_out: str) -> Contradiction:
    value, default = getattr(decoding, name), Decoding.model_fields[name].default
    message = (
        f"found {written(value)}, but it has no effect with decoding.{switch} {written(getattr(decoding, switch))}"
    )
    hint = f"leave it out (its default is {written(default)}), or {way_out}"
    return Contradiction(_decoding(name, switch), message, hint, switched_off=True)


def _decoding(*names: str) -> tuple[KeyPath, ...]:
    return tuple(key(f"decoding.{name}") for name in names)


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
