"""Conflicts between the options of the subword models."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, key
from nmt.config.conflicts.data import every_pair
from nmt.config.problems import KeyPath, show
from nmt.config.schema import Config, CorpusConfig

RESERVED_SYMBOLS = ("<pad>", "<unk>", "<s>", "</s>")


def symbols(config: Config) -> Iterator[Conflict]:
    """Check that user symbols and tags can be single pieces."""
    seen: set[str] = set()
    for index, symbol in enumerate(config.tokenizer.user_symbols):
        path = key(f"tokenizer.user_symbols.{index}")
        yield from _symbol(path, symbol)
        if symbol in seen:
            yield Conflict((path,), f"the symbol {show(symbol)} occurs twice in the list", "remove one of the two")
        seen.add(symbol)
    for path, pair in every_pair(config):
        if isinstance(pair, CorpusConfig) and pair.tag is not None:
            yield from _symbol((*path, "tag"), pair.tag)


def _symbol(path: KeyPath, symbol: str) -> Iterator[Conflict]:
    if not symbol:
        yield Conflict((path,), "found an empty symbol", "leave it out")
    elif any(character.isspace() or character == "\u2581" for character in symbol):
        yield Conflict((path,), f"the symbol {show(symbol)} contains a space", "remove the space")
    elif symbol in RESERVED_SYMBOLS:
        message = f"the symbol {show(symbol)} is reserved in every subword model"
        yield Conflict((path,), message, f"choose another symbol than {', '.join(RESERVED_SYMBOLS)}")


def vocabulary(config: Config) -> Iterator[Conflict]:
    """Check that the vocabulary has room for the special pieces, the bytes and the user symbols."""
    options = config.tokenizer
    needed = len(RESERVED_SYMBOLS) + 256 * options.byte_fallback + len(options.user_symbols) + 1
    if options.vocabulary_size < needed:
        paths = (key("tokenizer.vocabulary_size"), key("tokenizer.byte_fallback"), key("tokenizer.user_symbols"))
        parts = f"{len(RESERVED_SYMBOLS)} special pieces" + (", 256 bytes" if options.byte_fallback else "")
        parts += f", {len(options.user_symbols)} user symbols" if options.user_symbols else ""
        message = f"vocabulary_size {options.vocabulary_size} is too small for {parts} and the text itself"
        hint = "write 500 or more" + (", or `byte_fallback: false`" if options.byte_fallback else "")
        yield Conflict(paths, message, hint)


CHECKS: tuple[Check, ...] = (symbols, vocabulary)
