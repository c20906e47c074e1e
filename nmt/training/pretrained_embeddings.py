"""Pretrained embeddings: vectors from a text file initialize the embeddings of matching pieces.

Each line has a word and its numbers, separated by spaces or tabs. A first line of two numbers (of words and of
features) is a header, as in files of fastText and word2vec.

A piece gets the vector of a word if it spells the whole word. A piece that starts a word (with U+2581) matches the word
behind that mark. A piece without the mark continues a word, and matches only if it has no letter or digit, such as
punctuation. If any word of the file has U+2581, the vectors are those of pieces, and each matches its own piece. Pieces
without a match are matched again in lower case.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.lines import read_lines
from nmt.data.tokenizer import WORD_START, SubwordModel
from nmt.errors import DataError

_SPACES = re.compile(r"[ \t]+")


class EmbeddingCoverage(NamedTuple):
    """Number of pieces with a vector."""

    matched: int
    lowercased: int
    """Pieces that match in lower case only."""
    pieces: int
    """Pieces of the vocabulary, without bytes and special pieces."""
    length: float
    """Mean Euclidean length of the vectors."""


def load_vectors(file: str, model: SubwordModel, table: Tensor) -> EmbeddingCoverage:
    """Copy the vectors of `file` into the rows of `table` [V, E] whose pieces match.

    Raises:
        DataError: The file cannot be read, a line is malformed, or the vectors have another size.
    """
    learned = [piece for piece in range(model.size) if model.is_learned(piece)]
    strings = dict(zip(learned, model.pieces(learned), strict=True))
    wanted = {form for piece in strings.values() for form in _forms(piece, of_pieces=True)}
    wanted |= {form for piece in strings.values() for form in _forms(piece, of_pieces=False)}
    found, of_pieces = _read(file, wanted, table.shape[1])
    matched = lowercased = 0
    lengths = 0.0
    for number, piece in strings.items():
        forms = _forms(piece, of_pieces=of_pieces)
        form = next((form for form in forms if form in found), None)
        if form is not None:
            with torch.no_grad():
                table[number] = torch.from_numpy(found[form]).to(table)
            matched += 1
            lowercased += form != forms[0]
            lengths += float(np.linalg.norm(found[form]))
    return EmbeddingCoverage(matched, lowercased, len(learned), lengths / max(matched, 1))


def _forms(piece: str, *, of_pieces: bool) -> list[str]:
    """Return the words of the file that match `piece`, the best first."""
    if of_pieces:
        word = piece
    elif piece.startswith(WORD_START):
        word = piece[len(WORD_START) :]
    elif any(character.isalnum() for character in piece):
        return []
    else:
        word = piece
    return list(dict.fromkeys([word, word.lower()])) if word else []


def _read(file: str, wanted: set[str], size: int) -> tuple[dict[str, NDArray[np.float32]], bool]:
    """Return the first vector of each word in `wanted`, and whether the vectors are those of pieces."""
    found: dict[str, NDArray[np.float32]] = {}
    of_pieces = False
    for number, word, numbers in _entries(file, size):
        of_pieces = of_pieces or word.startswith(WORD_START)
        if word in wanted and word not in found:
            try:
                values = np.array([float(text) for text in numbers], dtype=np.float32)
            except ValueError as error:
                raise DataError(f"{file}, line {number}: {error}.") from None
            if not np.isfinite(values).all():
                raise DataError(f"{file}, line {number}: the vector of {word!r} has an infinite or undefined number.")
            found[word] = values
    return found, of_pieces


def _entries(file: str, size: int) -> Iterator[tuple[int, str, list[str]]]:
    """Yield number, word and features of each line. A word may contain spaces."""
    for number, line in enumerate(read_lines(file, keep_broken=False), start=1):
        fields = _SPACES.split(line.rstrip(" \t"))
        if number == 1 and len(fields) == 2 and all(map(str.isdecimal, fields)):
            if int(fields[1]) != size:
                raise _wrong_size(file, number, int(fields[1]), size)
            continue
        extra = len(fields) - 1 - size
        if extra < 0 or (extra > 0 and _are_numbers(fields[1 : extra + 1])):
            if fields == [""]:
                raise DataError(f"{file}, line {number}: empty line, expected a word and {size} numbers.")
            raise _wrong_size(file, number, len(fields) - 1, size)
        yield number, " ".join(fields[: extra + 1]), fields[extra + 1 :]


def _wrong_size(file: str, number: int, found: int, size: int) -> DataError:
    return DataError(
        f"{file}, line {number}: the vector has {found} numbers, but model.embedding_size is {size}. "
        "The two must be equal."
    )


def _are_numbers(texts: Iterable[str]) -> bool:
    try:
        return all(math.isfinite(float(text)) for text in texts)
    except ValueError:
        return False
