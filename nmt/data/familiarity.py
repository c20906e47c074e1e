"""Says whether a text resembles the training text: by its scripts, and by the pieces of its words.

Pieces of unknown words are bytes, single letters within a word, and pieces that the training text hardly has.

The facts about the training text (`TrainingText`) are stored in a model file when the model is trained. For a file
without them, the scripts of the source are those of its vocabulary, no piece is rare, and the other facts are unknown.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from nmt.data.special_tokens import UNK
from nmt.data.store import Store
from nmt.data.tokenizer import WORD_START, SubwordModel, Tokenizers
from nmt.data.words import is_word
from nmt.data.writing_systems import scripts_of

SEEN_SHARE = 0.0005
"""A script with a smaller share of the letters was not seen in training."""
USUAL_SHARE = 0.05
"""Scripts with a smaller share of the letters are not those of the target language."""
FEWEST_LETTERS, FEWEST_OUTPUT_LETTERS = 2, 12
FEWEST_UNKNOWN = 4
RARE_COUNT = 1
"""A piece that the training text has at most this often is rare."""
UNKNOWN_SHARE = 0.3
"""A line is unknown if more than this share of its pieces is, plus as much of the rest as in the training text."""


@dataclass(frozen=True)
class TrainingText:
    """Facts about the training text of a model.

    Attributes:
        source_scripts: Share of each script in the letters of the source.
        target_scripts: Share of each script in the letters of the target; empty if unknown.
        unknown_share: Share of rare and unknown pieces in the source (see `unknown_pieces`).
        rare_source: The learned pieces of the source that are rare, as the base64 of packed bits by id, the highest
            bit first; empty if unknown. In a joint vocabulary, many pieces of the target are among them.
        pairs: Number of sentence pairs after filtering; 0 if unknown.
    """

    source_scripts: dict[str, float]
    target_scripts: dict[str, float] = field(default_factory=dict)
    unknown_share: float = 0.2
    rare_source: str = ""
    pairs: int = 0

    def stored(self) -> dict[str, Any]:
        """Return the facts as a model file stores them."""
        return asdict(self)

    def rare_pieces(self, size: int) -> NDArray[np.bool_]:
        """Return for each of `size` source pieces whether it is rare. None is, without facts that fit."""
        try:
            packed = np.frombuffer(base64.b64decode(self.rare_source, validate=True), np.uint8)
        except (binascii.Error, TypeError, ValueError):
            packed = np.zeros(0, np.uint8)
        if len(packed) != (size + 7) // 8:
            return np.zeros(size, np.bool_)
        return np.unpackbits(packed, count=size).astype(np.bool_)


def describe_training_text(store: Store, tokenizers: Tokenizers) -> TrainingText:
    """Count the scripts, and the rare and unknown pieces, of the training text."""
    source = store.count_source_pieces(tokenizers.source.size)
    target = store.count_target_pieces(tokenizers.target.size)
    learned = np.fromiter(map(tokenizers.source.is_learned, range(tokenizers.source.size)), np.bool_)
    rare = learned & (source <= RARE_COUNT)
    unknown = source[rare | unknown_pieces(tokenizers.source)].sum() / max(1, source.sum())
    scripts = _scripts(tokenizers.source, source), _scripts(tokenizers.target, target)
    packed = base64.b64encode(np.packbits(rare).tobytes()).decode()
    return TrainingText(*scripts, unknown_share=round(float(unknown), 4), rare_source=packed, pairs=len(store))


def read_training_text(stored: object, tokenizers: Tokenizers) -> TrainingText:
    """Return the facts that a model file stores, or those that follow from its vocabulary."""
    if isinstance(stored, dict) and "source_scripts" in stored:
        known = {each.name: stored[each.name] for each in fields(TrainingText) if each.name in stored}
        with contextlib.suppress(ValidationError):  # a damaged value counts as unknown
            return TypeAdapter(TrainingText).validate_python(known)
    return TrainingText(_scripts(tokenizers.source, np.ones(tokenizers.source.size, dtype=np.int64)))


def _scripts(subwords: SubwordModel, counts: NDArray[np.int64]) -> dict[str, float]:
    characters: Counter[str] = Counter()
    for number, piece in enumerate(subwords.pieces(range(subwords.size))):
        if counts[number] and subwords.is_learned(number):
            for character in piece.replace(WORD_START, ""):
                characters[character] += int(counts[number])
    return {script: round(share, 6) for script, share in scripts_of(characters).items()}


def unknown_pieces(subwords: SubwordModel) -> NDArray[np.bool_]:
    """Return for each piece whether words that the model does not know consist of such pieces.

    These are bytes, UNK, and single letters within a word, in scripts with spaces between words. In other scripts a
    single character may be a word.
    """
    return np.fromiter((is_unknown_piece(subwords, number) for number in range(subwords.size)), np.bool_, subwords.size)


def is_unknown_piece(subwords: SubwordModel, number: int) -> bool:
    """Return whether words that the model does not know consist of such pieces as this one, see `unknown_pieces`."""
    (piece,) = subwords.pieces([number])
    return (
        number == UNK
        or (not subwords.is_learned(number) and piece.startswith("<0x"))
        or (len(piece) == 1 and piece.isalpha() and is_word(piece))
    )


class FamiliarityCheck:
    """Finds lines unlike the training text. Threads may share it."""

    def __init__(self, tokenizers: Tokenizers, training_text: TrainingText) -> None:
        """Take the subword models, and the facts about the training text."""
        self._rare = training_text.rare_pieces(tokenizers.source.size)
        # A line has few of the pieces, and a visit of all pieces costs as much as the translation of a line.
        self._is_unknown = functools.cache(functools.partial(is_unknown_piece, tokenizers.source))
        self._text = training_text

    def has_unknown_words(self, source: Sequence[Sequence[int]]) -> bool:
        """Return whether much of a line consists of rare and unknown pieces, given the ids of its segments."""
        ids = [piece for segment in source for piece in segment]
        unknown = sum(bool(self._rare[piece]) or self._is_unknown(piece) for piece in ids)
        usual = self._text.unknown_share
        return unknown >= FEWEST_UNKNOWN and unknown > (UNKNOWN_SHARE + (1 - UNKNOWN_SHARE) * usual) * len(ids)

    def has_wrong_script(self, source: str, target: str) -> bool:
        """Return whether most of the source, or of its translation, is in a script that the training text lacks."""
        return _most_elsewhere(source, self._text.source_scripts, SEEN_SHARE, FEWEST_LETTERS) or _most_elsewhere(
            target, self._text.target_scripts, USUAL_SHARE, FEWEST_OUTPUT_LETTERS
        )


def _most_elsewhere(text: str, usual: Mapping[str, float], share: float, fewest: int) -> bool:
    """Return whether most letters of a text are in scripts with less than a share of the usual letters."""
    if not usual or (text.isascii() and usual.get("Latin", 0.0) >= share):
        return False
    letters = Counter(text)
    if sum(count for character, count in letters.items() if character.isalpha()) < fewest:
        return False
    return sum(part for script, part in scripts_of(letters).items() if usual.get(script, 0.0) < share) > 0.5
