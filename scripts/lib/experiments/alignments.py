"""How well attention aligns words: its alignment of a known translation, against gold links."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config.schema import PairConfig
from nmt.data.corpus import read_parallel
from nmt.data.lines import is_blank
from nmt.errors import DataError
from nmt.evaluation.alignment_error import AlignmentScore, Gold, best_single_links, read_gold, score_alignments
from nmt.inference.attention import AttentionExtractor, LineAttention
from nmt.inference.model_file import ModelFile
from nmt.log import logger


class AlignedText(NamedTuple):
    """Text with gold links."""

    pairs: list[tuple[str, str]]
    gold: list[Gold]

    def bound(self) -> AlignmentScore:
        """Return the best that one link for each target word can score."""
        return score_alignments([best_single_links(gold) for gold in self.gold], self.gold)


def read_aligned(source: Path, target: Path, alignment: Path) -> AlignedText:
    """Read a text and its gold links.

    Raises:
        DataError: A file cannot be read, or they do not fit together.
    """
    pairs = read_parallel(PairConfig(source=str(source), target=str(target)))
    return AlignedText(pairs, read_gold(alignment, pairs))


def measure_alignment(file: ModelFile, text: AlignedText, *, decoding: Mapping[str, Any]) -> AlignmentScore:
    """Score a model's attention: each target word is linked with the source word that it looks at most.

    The target is not translated but given (forced decoding), as gold links are known for it alone. Attention to the
    pieces of a word is summed, that of the pieces of a target word averaged. A target word that looks most at the end
    of the sentence has no link. Lines whose words the subword model sees differently are left out, with a warning.

    Raises:
        UsageError: The model has no attention.
        DataError: No line can be used.
    """
    attender = AttentionExtractor(file, decoding=decoding)
    sources, targets = ([pair[side] for pair in text.pairs] for side in (0, 1))
    found, gold = [], []
    for pair, links, attended in zip(text.pairs, text.gold, attender.attend(sources, targets), strict=True):
        if attended is not None and _same_words(attended, pair):
            found.append(attended.words.links())
            gold.append(links)
        elif not any(map(is_blank, pair)):
            logger.warning("left out, as the subword model does not see its words as they are: %s", " ||| ".join(pair))
    if not found:
        raise DataError("There is no line whose words could be compared with the gold links.")
    return score_alignments(found, gold)


def _same_words(attended: LineAttention, pair: tuple[str, str]) -> bool:
    """Whether the words of the attention are those between spaces, which gold links count."""
    units = (attended.words.source, attended.words.target)
    return all(len(side.texts) - len(side.ends) == len(line.split()) for side, line in zip(units, pair, strict=True))
