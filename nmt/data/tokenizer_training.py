"""Training of a SentencePiece model that never fails for want of text."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sentencepiece

from nmt.config.schema import TokenizerConfig
from nmt.data.special_tokens import BOS, EOS, PAD, UNK
from nmt.data.tokenizer import SubwordModel
from nmt.errors import ConfigError, DataError
from nmt.log import logger

THREADS = 4  # fixed, because the sums of unigram training are grouped by thread: the same model on every machine
MAX_LINE_BYTES = 4192  # SentencePiece's own limit; longer lines are no help in finding pieces
MIN_COVERAGE = 0.98  # SentencePiece's own limit
RESERVED = re.compile(r"<unk>|<s>|</s>|<pad>|<0x[0-9A-F]{2}>")


@dataclass
class TrainingText:
    """What the model was trained on: filled in as the lines go by."""

    lines: int = 0
    too_long: int = 0


def user_symbols(options: TokenizerConfig, tags: Iterable[str | None]) -> list[str]:
    """The symbols that are always one piece: the user's, and the corpora's tags.

    Raises:
        ConfigError: A symbol is empty, or one of the model's own.
    """
    symbols = list(dict.fromkeys([*options.user_symbols, *(tag for tag in tags if tag is not None)]))
    for symbol in symbols:
        if not symbol.strip() or "\n" in symbol:
            raise ConfigError(f"tokenizer.user_symbols and tags: {symbol!r} is not a symbol.")
        if RESERVED.fullmatch(symbol):
            raise ConfigError(f"tokenizer.user_symbols and tags: {symbol!r} is a symbol of the subword model itself.")
    return symbols


def train_subwords(
    lines: Iterable[str], *, options: TokenizerConfig, symbols: list[str], what: str
) -> tuple[SubwordModel, TrainingText]:
    """Trains a subword model; the same text gives the same model.

    Args:
        lines: The text.
        options: The tokenizer section of the configuration.
        symbols: Strings that are always one piece.
        what: What messages call this model, such as `source`.

    Raises:
        ConfigError: The character coverage is too low.
        DataError: The vocabulary is too small for the characters of the text, or there is no text.
    """
    if options.character_coverage < MIN_COVERAGE:
        raise ConfigError(
            f"tokenizer.character_coverage must be from {MIN_COVERAGE} to 1: all but the rarest characters."
        )
    seen = TrainingText()
    symbol_count = len((PAD, UNK, BOS, EOS)) + len(symbols) + (256 if options.byte_fallback else 0)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_fitting(lines, seen),
            model_writer=model,
            model_type=options.kind,
            vocab_size=max(options.vocabulary_size, symbol_count),  # below it, the error would not say what is needed
            hard_vocab_limit=False,  # a small corpus gives fewer pieces
            character_coverage=options.character_coverage,
            byte_fallback=options.byte_fallback,
            normalization_rule_name=options.normalization,
            user_defined_symbols=[symbol.replace(" ", "\u2581") for symbol in symbols],
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            max_sentence_length=MAX_LINE_BYTES,
            num_threads=THREADS,
            minloglevel=2,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise _explained(error, options=options, seen=seen, what=what) from error
    if seen.too_long:
        logger.info(
            "%s lines of more than %d bytes did not train the subword model.", f"{seen.too_long:,}", MAX_LINE_BYTES
        )
    trained = SubwordModel(model.getvalue())
    if trained.size < options.vocabulary_size:
        logger.warning(
            "tokenizer.vocabulary_size: the text gives only %d pieces for the %s vocabulary, not %d; going on with %d.",
            trained.size,
            what,
            options.vocabulary_size,
            trained.size,
        )
    return trained, seen


def _fitting(lines: Iterable[str], seen: TrainingText) -> Iterator[str]:
    for line in lines:
        if len(line) > MAX_LINE_BYTES or len(line.encode()) > MAX_LINE_BYTES:
            seen.too_long += 1
        else:
            seen.lines += 1
            yield line


def _explained(error: Exception, *, options: TokenizerConfig, seen: TrainingText, what: str) -> DataError:
    """Says in words what SentencePiece's check says in C++."""
    required = re.search(r"smaller than required_chars\D*(\d+)\D+(\d+)", str(error))
    if required:
        return DataError(
            f"tokenizer.vocabulary_size {options.vocabulary_size} is too small for the {what} text: its characters "
            f"and symbols need at least {max(map(int, required.groups()))}. "
            "Raise it, or lower tokenizer.character_coverage."
        )
    if seen.lines == 0:
        return DataError(f"There is no {what} text to train a subword model on.")
    return DataError(f"SentencePiece could not train the {what} subword model on {seen.lines:,} lines: {error}")
