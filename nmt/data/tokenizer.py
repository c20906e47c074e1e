"""Subword pieces: text to ids and back, through SentencePiece."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sentencepiece

from nmt.errors import DataError

PAD, UNK, BOS, EOS = 0, 1, 2, 3

# SentencePiece has one random seed for the whole process.
_sampling_lock = threading.Lock()


class SubwordModel:
    """One SentencePiece model: cuts text into pieces, each with an id, and joins ids to text again."""

    def __init__(self, model: bytes) -> None:
        """Loads a model from the bytes of its file.

        Raises:
            DataError: They are not a SentencePiece model with this toolkit's ids for PAD, UNK, BOS and EOS.
        """
        sentencepiece.set_min_log_level(2)
        try:
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

    def sample(self, lines: Sequence[str], *, strength: float, seed: int) -> list[list[int]]:
        """Random ids of each line, the same for the same lines and seed, whatever was sampled before.

        Args:
            lines: Text.
            strength: For a BPE model, the probability with which each merge is left out (BPE-dropout, Provilkov et
                al. 2020). For a unigram model, the exponent of the probability of a segmentation: the smaller, the
                more varied (subword regularisation, Kudo 2018).
            seed: Any whole number.
        """
        clean = _clean(lines)
        result: list[list[int]] = []
        errors: list[BaseException] = []

        # Each thread has its own random generator, seeded with the process's seed when it is first used: only a new
        # thread starts at its beginning.
        def run() -> None:
            try:
                sentencepiece.set_random_generator_seed(seed % 2**32)
                result.extend(self._encode(clean, num_threads=1, enable_sampling=True, nbest_size=-1, alpha=strength))
            except BaseException as error:  # raised again below, in the caller's thread
                errors.append(error)

        with _sampling_lock:
            thread = threading.Thread(target=run, name="subword-sampling")
            thread.start()
            thread.join()
        if errors:
            raise errors[0]
        return result

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of ids, on one line (a line end that was written as a byte becomes a space)."""
        rows = [[int(piece) for piece in row] for row in ids]
        texts: list[str] = [self._processor.decode(row) if row else "" for row in rows]
        return [text.replace("\n", " ").replace("\r", " ") for text in texts]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The string of each piece, as in the model: U+2581 stands for a space."""
        return [self._processor.id_to_piece(int(piece)) for piece in ids]

    def __reduce__(self) -> tuple[type[SubwordModel], tuple[bytes]]:
        return SubwordModel, (self.model_bytes,)

    def _encode(self, lines: list[str], **options: Any) -> list[list[int]]:
        ids: list[list[int]] = self._processor.encode(lines, out_type=int, **options)
        return ids


@dataclass(frozen=True)
class Tokenizers:
    """The subword models of both sides; one and the same object when they are joint."""

    source: SubwordModel
    target: SubwordModel


def _clean(lines: Sequence[str]) -> list[str]:
    """Replaces lone surrogates, which are no text and which UTF-8 cannot express."""
    try:
        "".join(lines).encode()
    except UnicodeEncodeError:
        return [line.encode(errors="replace").decode() for line in lines]
    return list(lines)
