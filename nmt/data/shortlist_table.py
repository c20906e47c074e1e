"""The shortlist table: for each source piece, the target pieces that may be needed to translate it.

The decoder computes only these pieces instead of the whole vocabulary (Jean et al. 2015, L'Hostis et al. 2016). The
table comes from the translation probabilities of IBM Model 1, trained on the training pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from nmt.config.schema import ShortlistConfig
from nmt.data.special_tokens import EOS, PAD
from nmt.data.store import Store
from nmt.data.streams import open_whole
from nmt.data.tokenizer import Tokenizers
from nmt.errors import DataError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.data.ibm_model1 import TranslationTable

FILE = "shortlist-{translations}-{frequent}.safetensors"


@dataclass(frozen=True)
class ShortlistTable:
    """The target pieces that a translation may use.

    Attributes:
        translations: For each source piece, the target piece of the same text if there is one, then its most likely
            translations, best first, padded with PAD; int32 [source vocabulary, 1 + translations].
        frequent: The most frequent target pieces, which every translation may use; int32 [frequent].
    """

    translations: NDArray[np.int32]
    frequent: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            DataError: The arrays do not have the shapes of a table.
        """
        if self.translations.ndim != 2 or self.frequent.ndim != 1 or not self.translations.shape[1]:
            raise DataError("the shortlist table is damaged: its arrays have wrong shapes")

    def check(self, tokenizers: Tokenizers) -> None:
        """Check that the table belongs to these vocabularies.

        Raises:
            DataError: It belongs to others.
        """
        largest = max(int(self.translations.max(initial=0)), int(self.frequent.max(initial=0)))
        smallest = min(int(self.translations.min(initial=0)), int(self.frequent.min(initial=0)))
        if len(self.translations) != tokenizers.source.size or smallest < 0 or largest >= tokenizers.target.size:
            raise DataError("the shortlist table belongs to another vocabulary")


def shortlist_of(folder: Path, store: Store, tokenizers: Tokenizers, options: ShortlistConfig) -> ShortlistTable | None:
    """Read the table from a folder of preprocessed data, or make and store it. None if `options` disable it."""
    if not options.translations:
        return None
    path = folder / FILE.format(translations=options.translations, frequent=options.frequent)
    if path.exists():
        try:
            return _read(path, tokenizers)
        except DataError as error:
            logger.warning("%s. It is made again.", error)
    from safetensors.numpy import save

    table = make_shortlist(store, tokenizers, translations=options.translations, frequent=options.frequent)
    try:
        with open_whole(path) as stream:
            stream.write(save({"translations": table.translations, "frequent": table.frequent}))
    except DataError as error:
        logger.warning("The shortlist table cannot be stored and is made each time: %s", error)
    return table


def make_shortlist(store: Store, tokenizers: Tokenizers, *, translations: int, frequent: int) -> ShortlistTable:
    """Make a table from training pairs.

    Args:
        store: The training pairs.
        tokenizers: The subword models of both sides.
        translations: Target pieces for each source piece, in addition to the same piece and the frequent ones; at
            least 1.
        frequent: Number of frequent target pieces, which are in every shortlist.
    """
    from nmt.data.ibm_model1 import sample_pairs, train_ibm_model1  # translation learns no table

    sources, targets = sample_pairs(store)
    lexicon = train_ibm_model1(sources, targets, target_size=tokenizers.target.size)
    source_counts = np.bincount(sources.ids, minlength=tokenizers.source.size)
    target_counts = np.bincount(targets.ids, minlength=tokenizers.target.size)
    target_counts[: EOS + 1] = 0
    often = np.argsort(-target_counts, kind="stable")[:frequent]
    often = often[target_counts[often] > 0]
    same = _same_pieces(tokenizers, source_counts, target_counts)
    best = _best_translations(lexicon, translations, source_size=len(same), left_out=often)
    return ShortlistTable(
        translations=np.concatenate([same[:, np.newaxis], best], axis=1).astype(np.int32),
        frequent=np.sort(often).astype(np.int32),
    )


def _same_pieces(
    tokenizers: Tokenizers, source_counts: NDArray[np.int64], target_counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the target piece with the same text for each source piece, PAD if there is none [source vocabulary].

    The result is PAD too if only the source side of the training text has the piece, because it was never copied.
    """
    source, target = (model.pieces(range(model.size)) for model in (tokenizers.source, tokenizers.target))
    ids = {piece: number for number, piece in enumerate(target)}
    same = np.array([ids.get(piece, PAD) for piece in source])
    same[(source_counts > 0) & (target_counts[same] == 0)] = PAD
    return same


def _best_translations(
    lexicon: TranslationTable, count: int, *, source_size: int, left_out: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the `count` most probable targets of each source, best first, padded with PAD [source_size, count]."""
    from nmt.data.ibm_model1 import NULL_WORD

    wanted = (lexicon.sources != NULL_WORD) & ~np.isin(lexicon.targets, left_out)
    sources, targets = lexicon.sources[wanted], lexicon.targets[wanted]
    order = np.lexsort((-lexicon.probabilities[wanted], sources))
    sources, targets = sources[order], targets[order]
    ranks = np.arange(len(sources)) - np.searchsorted(sources, sources)
    best = np.full((source_size, count), PAD, dtype=np.int64)
    kept = ranks < count
    best[sources[kept], ranks[kept]] = targets[kept]
    return best


def _read(path: Path, tokenizers: Tokenizers) -> ShortlistTable:
    try:
        from safetensors.numpy import load_file

        arrays = load_file(path)
        table = ShortlistTable(translations=arrays["translations"], frequent=arrays["frequent"])
        table.check(tokenizers)
    except (OSError, SafetensorError, KeyError, DataError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return table
