"""Subword pieces: text to ids and back, through SentencePiece."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import sentencepiece

from nmt.data.special_tokens import BOS, EOS, PAD, UNK
from nmt.errors import DataError

WORD_START = "\u2581"
"""What SentencePiece writes for the space before a word."""


ValueT = TypeVar("ValueT")


class SubwordModel:
    """One SentencePiece model: cuts text into pieces, each with an id, and joins ids to text again."""

    def __init__(self, model: bytes, *, right_to_left: bool = False) -> None:
        """Loads a model from the bytes of its file.

        Args:
            model: The bytes.
            right_to_left: Rows of ids run from a text's last piece to its first: `encode` gives them so, `decode`
                takes them so. Whatever learns from such rows learns to write backwards.

        Raises:
            DataError: They are not a SentencePiece model with this toolkit's ids for PAD, UNK, BOS and EOS.
        """
        sentencepiece.set_min_log_level(2)
        try:
            if not model:
                raise ValueError("it is empty")
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            found = tuple(getattr(self._processor, name)() for name in ("pad_id", "unk_id", "bos_id", "eos_id"))
        except (RuntimeError, TypeError, ValueError) as error:
            raise DataError(f"This is not a SentencePiece model: {error}.") from error
        if found != (PAD, UNK, BOS, EOS):
            raise DataError(
                f"The SentencePiece model has the ids {found} for pad, unk, bos and eos; "
                f"({PAD}, {UNK}, {BOS}, {EOS}) are needed."
            )
        self.model_bytes = model
        self.right_to_left = right_to_left
        self.size: int = self._processor.get_piece_size()
        self.fingerprint = hashlib.sha256(model).hexdigest()

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The best ids of each line, without BOS and EOS."""
        ids: list[list[int]] = self._encode(_clean(lines), num_threads=1)
        return ids

    def encode_many(self, lines: Sequence[str], *, threads: int) -> list[list[int]]:
        """`encode`, spread over threads; pays off for thousands of lines."""
        ids: list[list[int]] = self._encode(_clean(lines), num_threads=threads)
        return ids

    def has_pieces_across_spaces(self) -> bool:
        """Whether a piece holds a space between other characters, as a symbol of the user's may."""
        return any(
            WORD_START in self._processor.id_to_piece(piece)[1:].rstrip(WORD_START) for piece in range(self.size)
        )

    def best_segmentations(self, word: str, *, most: int) -> list[tuple[int, ...]]:
        """The ids of the best ways to cut `word`, which starts with WORD_START or stands within a sentence.

        Only unigram models can tell; a word that SentencePiece would not give back unchanged has none.
        """
        if not word.startswith(WORD_START):
            return []
        found: list[list[int]] = self._processor.nbest_encode(word[len(WORD_START) :], nbest_size=most, out_type=int)
        return [tuple(ids) for ids in found if "".join(self.pieces(ids)) == word]

    def is_ordinary(self, piece: int) -> bool:
        """Whether `piece` is text that was learnt: not a byte, a symbol of the user's, or one with a meaning."""
        processor = self._processor
        return not (
            processor.is_byte(piece)
            or processor.is_control(piece)
            or processor.is_unknown(piece)
            or processor.is_unused(piece)
            # Symbols of the user's have the score +0; the first merge of a BPE model has -0.
            or math.copysign(1.0, processor.get_score(piece)) > 0
        )

    @property
    def kind(self) -> Literal["unigram", "bpe"]:
        """The algorithm of the model."""
        try:
            self._processor.nbest_encode("a", nbest_size=1)
        except RuntimeError:
            return "bpe"
        return "unigram"

    def scores(self) -> list[float]:
        """The score of each piece: unigram, its log-probability; BPE, the higher the earlier it is merged."""
        return [float(self._processor.get_score(piece)) for piece in range(self.size)]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of ids, on one line (a line end that was written as a byte becomes a space)."""
        order = -1 if self.right_to_left else 1
        rows = [[int(piece) for piece in row][::order] for row in ids]
        texts: list[str] = [self._processor.decode(row) if row else "" for row in rows]
        return [text.replace("\n", " ").replace("\r", " ") for text in texts]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The string of each piece, as in the model: U+2581 stands for a space."""
        return [self._processor.id_to_piece(int(piece)) for piece in ids]

    def ids(self, pieces: Sequence[str]) -> list[int]:
        """The ids of a text, given by the strings of its pieces in the order of the text.

        Raises:
            KeyError: There is no such piece, or it is one that no text has: PAD, BOS or EOS.
        """
        ids = [int(self._processor.piece_to_id(piece)) for piece in pieces]
        for piece, found in zip(pieces, ids, strict=True):
            if found in (PAD, BOS, EOS) or (found == UNK and piece != self._processor.id_to_piece(UNK)):
                raise KeyError(piece)
        return self.turned(ids)

    def turned(self, values: Sequence[ValueT]) -> list[ValueT]:
        """What belongs to the pieces of a row of ids in the order of the text; and back, for it is the same."""
        return list(reversed(values)) if self.right_to_left else list(values)

    def __reduce__(self) -> tuple[Callable[..., SubwordModel], tuple[bytes]]:
        return partial(SubwordModel, right_to_left=self.right_to_left), (self.model_bytes,)

    def _encode(self, lines: list[str], **options: Any) -> list[list[int]]:
        ids: list[list[int]] = self._processor.encode(lines, out_type=int, **options)
        return [row[::-1] for row in ids] if self.right_to_left else ids


@dataclass(frozen=True)
class Tokenizers:
    """The subword models of both sides; one and the same object when they are joint."""

    source: SubwordModel
    target: SubwordModel

    def with_direction(self, *, right_to_left: bool) -> Tokenizers:
        """The same subword models for a network that writes in this direction (`data.right_to_left`)."""
        if self.target.right_to_left == right_to_left:
            return self
        return replace(self, target=SubwordModel(self.target.model_bytes, right_to_left=right_to_left))


def _clean(lines: Sequence[str]) -> list[str]:
    """Replaces lone surrogates, which are no text and which UTF-8 cannot express."""
    try:
        "".join(lines).encode()
    except UnicodeEncodeError:
        return [line.encode(errors="replace").decode() for line in lines]
    return list(lines)
