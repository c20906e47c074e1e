"""Training of SentencePiece models, also on small corpora."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import sentencepiece

from nmt.config.schema import TokenizerConfig
from nmt.data.special_tokens import BOS, EOS, PAD, UNK
from nmt.data.store import SIDES
from nmt.data.text_form import MAX_FORM_LINES, TextForm, learn_form, normalize
from nmt.data.tokenizer import SubwordModel, Tokenizers, with_form
from nmt.errors import ConfigError, DataError
from nmt.log import logger

THREADS = 4  # fixed, because the sums of unigram training are grouped by thread: the same model on every machine
MAX_LINE_BYTES = 4192  # SentencePiece's own default; longer lines do not help to find pieces
MAX_TRAINING_BYTES = 50_000_000  # unigram training takes over 20 bytes of memory for each byte of text
MIN_COVERAGE = 0.98  # SentencePiece's own limit
RESERVED = re.compile(r"<unk>|<s>|</s>|<pad>|<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class UsedLines:
    """How much text a subword model was trained on.

    Attributes:
        lines: Lines used.
        too_long: Lines of more than MAX_LINE_BYTES, which were not used.
    """

    lines: int
    too_long: int


@dataclass(frozen=True)
class TrainResult:
    """The subword models of both sides, and the text that each was trained on (one entry for a joint model).

    No text means that the models were not trained here.
    """

    tokenizers: Tokenizers
    text: tuple[UsedLines, ...]


class LineSampler(Protocol):
    """Yields training text."""

    def __call__(self, sides: Sequence[str], *, max_lines: int, max_bytes: int) -> Iterator[str]:
        """Yield lines of `sides` (`source`, `target` or both); see `FilterResult.sample_lines`."""


def user_symbols(options: TokenizerConfig, tags: Iterable[str | None]) -> list[str]:
    """Return the symbols that are always one piece: `tokenizer.user_symbols`, and the tags of corpora.

    Raises:
        ConfigError: A symbol is empty, or reserved by SentencePiece.
    """
    symbols = list(dict.fromkeys([*options.user_symbols, *(tag for tag in tags if tag is not None)]))
    for symbol in symbols:
        if not symbol.strip() or "\n" in symbol:
            raise ConfigError(
                f"tokenizer.user_symbols and tags: {symbol!r} is not allowed. A symbol is visible and on one line."
            )
        if RESERVED.fullmatch(symbol):
            raise ConfigError(
                f"tokenizer.user_symbols and tags: {symbol!r} is reserved by the subword model. Choose another name."
            )
    return symbols


def train_tokenizers(options: TokenizerConfig, *, tags: Iterable[str | None], sample: LineSampler) -> TrainResult:
    """Train the subword models of both sides: one joint model, or one for each side.

    Args:
        options: The tokenizer section of the configuration.
        tags: The tags of the corpora.
        sample: Yields the training text of one or both sides.

    Raises:
        ConfigError: A symbol cannot be used, or the character coverage is too low.
        DataError: The vocabulary is too small for the characters of the text, or there is no text.
    """
    symbols = user_symbols(options, tags)
    parts = {"joint": SIDES} if options.joint else {side: (side,) for side in SIDES}
    form = None
    if options.normalization == "nfc":
        form = learn_form(sample(("target",), max_lines=MAX_FORM_LINES, max_bytes=MAX_TRAINING_BYTES))
    trained = [
        train_subwords(
            sample(sides, max_lines=options.max_training_lines, max_bytes=MAX_TRAINING_BYTES),
            options=options,
            symbols=symbols,
            what=name,
            form=form if "target" in sides else None,
        )
        for name, sides in parts.items()
    ]
    tokenizers = Tokenizers(source=trained[0][0], target=trained[-1][0])
    return TrainResult(tokenizers, tuple(text for _, text in trained))


def train_subwords(
    lines: Iterable[str], *, options: TokenizerConfig, symbols: list[str], what: str, form: TextForm | None = None
) -> tuple[SubwordModel, UsedLines]:
    """Train a subword model. The same text gives the same model.

    Args:
        lines: The text.
        options: The tokenizer section of the configuration.
        symbols: Strings that are always one piece.
        what: The name of this model in messages, such as `source`.
        form: With the normalisation `nfc`: the form in which the model writes. Default: NFC.

    Raises:
        ConfigError: The character coverage is too low.
        DataError: The vocabulary is too small for the characters of the text, or there is no text.
    """
    if options.character_coverage < MIN_COVERAGE:
        raise ConfigError(
            f"tokenizer.character_coverage must be from {MIN_COVERAGE} to 1, so that only rare characters are left out."
        )
    text = _LineFilter()
    symbol_count = len((PAD, UNK, BOS, EOS)) + len(symbols) + (256 if options.byte_fallback else 0)
    model = io.BytesIO()
    canonical = options.normalization == "nfc"
    form = form or TextForm()
    if canonical:
        lines = map(partial(normalize, all_marks=form.all_marks), lines)
        symbols = list(map(normalize, symbols))
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=text.select(lines),
            model_writer=model,
            model_type=options.kind,
            vocab_size=max(options.vocabulary_size, symbol_count),  # below it, the error would not name the size needed
            hard_vocab_limit=False,  # a small corpus gives fewer pieces
            character_coverage=options.character_coverage,
            byte_fallback=options.byte_fallback,
            normalization_rule_name="identity" if canonical else options.normalization,
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
        raise _explain(error, options=options, lines=text.lines, what=what) from error
    if text.too_long:
        logger.info(
            "%s lines of more than %d bytes were not used to train the subword model.",
            *(f"{text.too_long:,}", MAX_LINE_BYTES),
        )
    content = model.getvalue()
    trained = SubwordModel(with_form(content, form) if canonical else content)
    if trained.size < options.vocabulary_size:
        logger.warning(
            "The %s vocabulary has %d pieces instead of %d (tokenizer.vocabulary_size), because there is little text.",
            *(what, trained.size, options.vocabulary_size),
        )
    return trained, UsedLines(text.lines, text.too_long)


class _LineFilter:
    """Selects the lines that are short enough, and counts."""

    def __init__(self) -> None:
        self.lines = self.too_long = 0

    def select(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if len(line) > MAX_LINE_BYTES or len(line.encode()) > MAX_LINE_BYTES:
                self.too_long += 1
            else:
                self.lines += 1
                yield line


def _explain(error: Exception, *, options: TokenizerConfig, lines: int, what: str) -> DataError:
    """Translate an error of SentencePiece into one that names the option."""
    required = re.search(r"smaller than required_chars\D*(\d+)\D+(\d+)", str(error))
    if required:
        return DataError(
            f"tokenizer.vocabulary_size {options.vocabulary_size} is too small for the {what} text: its characters "
            f"and symbols need at least {max(map(int, required.groups()))}. "
            "Raise it, or lower tokenizer.character_coverage."
        )
    if lines == 0:
        return DataError(f"There is no {what} text to train a subword model on.")
    return DataError(f"SentencePiece could not train the {what} subword model on {lines:,} lines: {error}")
