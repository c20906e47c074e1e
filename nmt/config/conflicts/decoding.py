"""Conflicts between the options of the search."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, key, written
from nmt.config.problems import KeyPath
from nmt.config.schema import Config, DecodingConfig


def searches(config: Config) -> Iterator[Conflict]:
    """Check the options of the search."""
    yield from search_conflicts(config.decoding)


def search_conflicts(decoding: DecodingConfig) -> Iterator[Conflict]:
    """Yield the conflicts between the options of the search."""
    if decoding.n_best > decoding.beam_size and not decoding.sampling:
        paths = (key("decoding.n_best"), key("decoding.beam_size"))
        message = f"n_best {decoding.n_best} is more than beam_size {decoding.beam_size}"
        yield Conflict(paths, message, f"write `beam_size: {decoding.n_best}` or more, or lower n_best")
    if decoding.alpha is not None and decoding.length_normalization == "none":
        paths = (key("decoding.alpha"), key("decoding.length_normalization"))
        message = f"alpha {decoding.alpha:g} has no effect with length_normalization none"
        yield Conflict(paths, message, "leave it out, or write `length_normalization: average` or gnmt")
    if decoding.max_length_ratio == 0 and decoding.max_length_constant == 0:
        paths = (key("decoding.max_length_ratio"), key("decoding.max_length_constant"))
        message = "max_length_ratio and max_length_constant are both 0, so every translation would be empty"
        yield Conflict(paths, message, "increase one of the two")
    yield from _length_conflicts(decoding)
    yield from _beam_conflicts(decoding)
    yield from _sampling_conflicts(decoding)


def _length_conflicts(decoding: DecodingConfig) -> Iterator[Conflict]:
    for least, most in (("min_length", "max_length"), ("min_length_ratio", "max_length_ratio")):
        low, high = getattr(decoding, least), getattr(decoding, most)
        if high is not None and low > high:
            message = f"{least} {low:g} is more than {most} {high:g}"
            yield Conflict(_decoding(least, most), message, "lower the first or increase the second")


def _beam_conflicts(decoding: DecodingConfig) -> Iterator[Conflict]:
    if decoding.beam_groups > 1 and decoding.beam_size % decoding.beam_groups and not decoding.sampling:
        message = f"beam_size {decoding.beam_size} cannot be divided into {decoding.beam_groups} equal groups"
        larger = -(-decoding.beam_size // decoding.beam_groups) * decoding.beam_groups
        yield Conflict(_decoding("beam_groups", "beam_size"), message, f"write `beam_size: {larger}`")
    if decoding.beam_groups == 1 and _changed(decoding, "diversity"):
        yield _unused(decoding, "diversity", "beam_groups", "increase beam_groups")
    if decoding.beam_size == 1 and not decoding.sampling:
        for name in ("coverage_penalty", "stopping"):
            if _changed(decoding, name):
                yield _unused(decoding, name, "beam_size", "increase beam_size")


def _sampling_conflicts(decoding: DecodingConfig) -> Iterator[Conflict]:
    if decoding.sampling:
        for name in ("coverage_penalty", "stopping", "beam_groups"):
            if _changed(decoding, name):
                yield _unused(decoding, name, "sampling", "write `sampling: false`")
    else:
        for name in ("temperature", "top_k", "top_p", "seed"):
            if _changed(decoding, name):
                yield _unused(decoding, name, "sampling", "write `sampling: true`")


def _changed(decoding: DecodingConfig, name: str) -> bool:
    return bool(getattr(decoding, name) != DecodingConfig.model_fields[name].default)


def _unused(decoding: DecodingConfig, name: str, switch: str, alternative: str) -> Conflict:
    value, default = getattr(decoding, name), DecodingConfig.model_fields[name].default
    message = (
        f"found {written(value)}, but it has no effect with decoding.{switch} {written(getattr(decoding, switch))}"
    )
    hint = f"leave it out (its default is {written(default)}), or {alternative}"
    return Conflict(_decoding(name, switch), message, hint, ignored=True)


def _decoding(*names: str) -> tuple[KeyPath, ...]:
    return tuple(key(f"decoding.{name}") for name in names)


def shortlists(config: Config) -> Iterator[Conflict]:
    """Check that a shortlist has a table."""
    table = config.data.shortlist
    translations = key("data.shortlist.translations")
    if config.decoding.shortlist and not table.translations:
        message = "shortlist requires a table, but data.shortlist.translations is 0"
        yield Conflict((key("decoding.shortlist"), translations), message, "increase translations, or leave it out")
    default = type(table).model_fields["frequent"].default
    if not table.translations and table.frequent != default:
        message = f"found {table.frequent}, but it has no effect with data.shortlist.translations 0"
        hint = f"leave it out (its default is {default}), or increase translations"
        yield Conflict((key("data.shortlist.frequent"), translations), message, hint, ignored=True)


CHECKS: tuple[Check, ...] = (searches, shortlists)
