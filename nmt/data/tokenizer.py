"""Subword pieces: text to ids and back, with SentencePiece."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import sentencepiece

from nmt.data.special_tokens import BOS, EOS, PAD, UNK
from nmt.data.text_form import TextForm, normalize, single_zero_width_spaces, spaces_to_read
from nmt.errors import DataError

WORD_START = "\u2581"
"""SentencePiece's sign for the space before a word."""
FEW_LINES = 16
"""Lists shorter than this are encoded and decoded line by line."""

FORM_FIELD = b"\xc2\x3e"
"""Tag of the field of a SentencePiece file (number 1000, in the range for extensions) that has the form of text."""
FORM_START = b'{"form": '

ValueT = TypeVar("ValueT")


def with_form(model: bytes, form: TextForm) -> bytes:
    """Return a SentencePiece model with a form of text in its last field, which other programs skip."""
    value = form.dump()
    return model + FORM_FIELD + _varint(len(value)) + value


def read_form(model: bytes) -> TextForm | None:
    """Return the form of text that `with_form` added; None for a model without one.

    Raises:
        ValueError: The form is damaged.
    """
    start = model.rfind(FORM_START)
    header = FORM_FIELD + _varint(len(model) - start)
    return TextForm.load(model[start:]) if start >= 0 and model[:start].endswith(header) else None


def _varint(number: int) -> bytes:
    """Return a number as protocol buffers write it."""
    low = bytes([number & 127 | (128 if number > 127 else 0)])
    return low if number <= 127 else low + _varint(number >> 7)


class SubwordModel:
    """One SentencePiece model: segments text into pieces, each with an id, and turns ids into text again."""

    def __init__(self, model: bytes, *, right_to_left: bool = False) -> None:
        """Load a model from the bytes of its file.

        Args:
            model: The bytes.
            right_to_left: Whether rows of ids run from the last piece of a text to its first, both in `encode` and
                `decode`. A network trained on such rows writes from right to left.

        Raises:
            DataError: The bytes are not a SentencePiece model with this toolkit's ids for PAD, UNK, BOS and EOS.
        """
        sentencepiece.set_min_log_level(2)
        try:
            if not model:
                raise ValueError("the file is empty")
            form = read_form(model)
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            special = tuple(getattr(self._processor, name)() for name in ("pad_id", "unk_id", "bos_id", "eos_id"))
            self._processor.id_to_piece(list(range(self._processor.get_piece_size())))  # UTF-8, if it is not damaged
        except (RuntimeError, TypeError, ValueError) as error:
            raise DataError(f"This is not a SentencePiece model: {error}.") from error
        if special != (PAD, UNK, BOS, EOS):
            raise DataError(
                f"The SentencePiece model has the ids {special} for pad, unk, bos and eos. "
                f"This toolkit needs ({PAD}, {UNK}, {BOS}, {EOS})."
            )
        self.model_bytes = model
        self.form = form
        self.right_to_left = right_to_left
        self.size: int = self._processor.get_piece_size()

    @functools.cached_property
    def fingerprint(self) -> str:
        """64 digits that depend on every byte of the model."""
        import hashlib  # loads OpenSSL, which translation does not need

        return hashlib.sha256(self.model_bytes).hexdigest()

    def encode(self, lines: Sequence[str], *, threads: int = 1) -> list[list[int]]:
        """Return the ids of the best segmentation of each line, without BOS and EOS.

        Args:
            lines: The texts.
            threads: Processor threads. More than one pays off for thousands of lines.
        """
        texts = self.normalize(_clean(lines))
        # SentencePiece starts a thread for a list. On a busy machine its start takes longer than a translation.
        if len(texts) < FEW_LINES:
            ids: list[list[int]] = [self._processor.encode(text, out_type=int) for text in texts]
        else:
            ids = self._processor.encode(texts, out_type=int, num_threads=threads)
        return [row[::-1] for row in ids] if self.right_to_left else ids

    def normalize(self, lines: Sequence[str]) -> list[str]:
        """Return lines as this model reads them, before SentencePiece's own normalisation.

        A model without a form (`tokenizer.normalization` other than `nfc`) reads them as they are. Otherwise see
        `nmt.data.text_form.normalize`. White space and marks that the vocabulary does not have are replaced too.
        """
        if self.form is None:
            return list(lines)
        foreign, replacements = self._foreign
        together = "".join(lines)
        if together.isascii() and together.isprintable() and not foreign.search(together):
            return list(lines)
        texts = [normalize(line, all_marks=self.form.all_marks) for line in lines]
        return [text.translate(replacements) if foreign.search(text) else text for text in texts]

    @functools.cached_property
    def _foreign(self) -> tuple[re.Pattern[str], Mapping[int, str]]:
        """White space and marks that are not in the vocabulary, as a pattern and with their replacements."""
        replacements = spaces_to_read("".join(self.pieces(range(self.size))))
        return re.compile(f"[{''.join(map(chr, replacements))}]" if replacements else "(?!)"), replacements

    def foreign_characters(self) -> Mapping[int, str]:
        """Return the white space and marks that are not in the vocabulary, with what replaces them.

        It is empty for a model without a form.
        """
        return {} if self.form is None else self._foreign[1]

    def has_pieces_across_spaces(self) -> bool:
        """Whether a piece has a space between other characters, which only user symbols can have."""
        return any(
            WORD_START in self._processor.id_to_piece(piece)[1:].rstrip(WORD_START) for piece in range(self.size)
        )

    def best_segmentations(self, word: str, *, count: int) -> list[tuple[int, ...]]:
        """Return the ids of the best segmentations of a word, best first. For unigram models.

        Args:
            word: The text of its pieces. There are no segmentations if it does not start with WORD_START, or if
                SentencePiece does not restore it unchanged.
            count: Most segmentations.
        """
        if not word.startswith(WORD_START):
            return []
        text = word[len(WORD_START) :]
        segmentations: list[list[int]] = self._processor.nbest_encode(text, nbest_size=count, out_type=int)
        return [tuple(ids) for ids in segmentations if "".join(self.pieces(ids)) == word]

    def is_learned(self, piece: int) -> bool:
        """Whether a piece was learned from text: not a byte, a user symbol or a special symbol."""
        processor = self._processor
        return not (
            processor.is_byte(piece)
            or processor.is_control(piece)
            or processor.is_unknown(piece)
            or processor.is_unused(piece)
            # User symbols have the score +0. The first merge of a BPE model has -0.
            or math.copysign(1.0, processor.get_score(piece)) > 0
        )

    @property
    def kind(self) -> Literal["unigram", "bpe"]:
        """Algorithm of the model."""
        try:
            self._processor.nbest_encode("a", nbest_size=1)
        except RuntimeError:
            return "bpe"
        return "unigram"

    def scores(self) -> list[float]:
        """Return the score of each piece. Unigram: its log-probability. BPE: higher scores are merged earlier."""
        return [float(self._processor.get_score(piece)) for piece in range(self.size)]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each row of ids, on one line and in the form of the target corpus.

        Line ends that were decoded from bytes become spaces. A run of zero-width spaces, which a hardly trained model
        may write, becomes a single one.
        """
        order = -1 if self.right_to_left else 1
        rows = [[int(piece) for piece in row][::order] for row in ids]
        if len(rows) < FEW_LINES:
            texts: list[str] = [self._processor.decode(row) if row else "" for row in rows]
        else:
            texts = self._processor.decode(rows, num_threads=1)
        return self._written(texts)

    def restore(self, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> list[str]:
        """Return `decode(ids)` for the ids that `encode` returned for these texts. It is faster than `decode`.

        A text whose pieces together are the text is not decoded.
        """
        order = -1 if self.right_to_left else 1
        surface = self._surfaces.__getitem__
        found = [
            text if "".join(map(surface, row[::order])) == WORD_START + text and WORD_START not in text else None
            for text, row in zip(texts, ids, strict=True)
        ]
        restored = self._written([text or "" for text in found])
        rest = [place for place, text in enumerate(found) if text is None]
        for place, text in zip(rest, self.decode([ids[place] for place in rest]), strict=True):
            restored[place] = text
        return restored

    @functools.cached_property
    def _surfaces(self) -> list[str]:
        """The string of each piece that stands for itself, and a text that no line has for each other piece."""
        processor = self._processor
        return [
            "\ud800"
            if any(is_(piece) for is_ in (processor.is_byte, processor.is_control, processor.is_unknown))
            else processor.id_to_piece(piece)
            for piece in range(self.size)
        ]

    def _written(self, texts: Sequence[str]) -> list[str]:
        """Return decoded texts on one line each and in the form of the target corpus."""
        together = "".join(texts)
        if together.isascii() and together.isprintable():
            return list(texts)
        texts = [single_zero_width_spaces(text.replace("\n", " ").replace("\r", " ")) for text in texts]
        return texts if self.form is None else [self.form.write(text) for text in texts]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the string of each piece as the model has it, with WORD_START for spaces."""
        return [self._processor.id_to_piece(int(piece)) for piece in ids]

    def ids(self, pieces: Sequence[str]) -> list[int]:
        """Return the ids of a text from the strings of its pieces in the order of the text.

        Raises:
            KeyError: The model does not have a piece, or the piece is PAD, BOS or EOS.
        """
        ids = [int(self._processor.piece_to_id(piece)) for piece in pieces]
        for piece, number in zip(pieces, ids, strict=True):
            if number in (PAD, BOS, EOS) or (number == UNK and piece != self._processor.id_to_piece(UNK)):
                raise KeyError(piece)
        return self.in_text_order(ids)

    def in_text_order(self, values: Sequence[ValueT]) -> list[ValueT]:
        """Reorder values of the pieces of a row of ids to the order of the text. Also does the reverse."""
        return list(reversed(values)) if self.right_to_left else list(values)

    def __reduce__(self) -> tuple[Callable[..., SubwordModel], tuple[bytes]]:
        return functools.partial(SubwordModel, right_to_left=self.right_to_left), (self.model_bytes,)


@dataclass(frozen=True)
class Tokenizers:
    """The subword models of both sides. A joint model is the same object on both."""

    source: SubwordModel
    target: SubwordModel

    def with_direction(self, *, right_to_left: bool) -> Tokenizers:
        """Return these models for a network that writes in this direction (`data.right_to_left`)."""
        if self.target.right_to_left == right_to_left:
            return self
        return replace(self, target=SubwordModel(self.target.model_bytes, right_to_left=right_to_left))


def _clean(lines: Sequence[str]) -> list[str]:
    """Replace lone surrogates (bytes that were not UTF-8), which UTF-8 cannot express."""
    try:
        "".join(lines).encode()
    except UnicodeEncodeError:
        return [line.encode(errors="replace").decode() for line in lines]
    return list(lines)
