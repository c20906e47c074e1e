"""The alignment error rate of a model's attention, measured on text with gold links (Och & Ney 2003)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config.schema import Config, PairConfig
from nmt.data.corpus import read_parallel
from nmt.errors import DataError, UsageError
from nmt.evaluation.alignment_error import AlignmentScore, Gold, best_single_links, read_gold, score_alignments
from nmt.inference.attention import AttentionExtractor
from nmt.inference.model_file import ModelFile


class AlignedText(NamedTuple):
    """Parallel text with gold links."""

    pairs: list[tuple[str, str]]
    gold: list[Gold]

    def bound(self) -> AlignmentScore:
        """Return the best score that one link for each target word can reach."""
        return score_alignments([best_single_links(gold) for gold in self.gold], self.gold)


def read_aligned(source: Path | str, target: Path | str, gold: Path | str) -> AlignedText:
    """Read parallel text and its gold links.

    Raises:
        DataError: A file cannot be read, or the files do not fit together.
    """
    pairs = read_parallel(PairConfig(source=str(source), target=str(target)))
    return AlignedText(pairs, read_gold(gold, pairs))


def read_aligned_test(config: Config, gold: Path | str) -> AlignedText:
    """Read the first test set of a configuration and its gold links.

    Raises:
        UsageError: The configuration has no test set of two files.
        DataError: A file cannot be read, or the files do not fit together.
    """
    for test in config.data.test[:1]:
        if test.source is not None and test.target is not None:
            return read_aligned(test.source, test.target, gold)
    raise UsageError("The model's configuration has no test set of two files. Use a source file and --target.")


def measure_attention(file: ModelFile, text: AlignedText, *, decoding: Mapping[str, Any]) -> AlignmentScore:
    """Score the attention of a model: each target word is linked with the source word of the highest weight.

    The target is not translated but given (forced decoding), because only its gold links are known. The attention to
    the pieces of a source word is summed. The attention from the pieces of a target word is averaged. A target word
    with its highest weight on the end of the sentence has no link. Words are those that white space separates.

    Raises:
        UsageError: The model has no attention.
        DataError: No line can be used.
    """
    attender = AttentionExtractor(file, decoding=decoding)
    sources, targets = ([pair[side] for pair in text.pairs] for side in (0, 1))
    found, gold = [], []
    for links, attended in zip(text.gold, attender.attend(sources, targets), strict=True):
        if attended is not None:
            found.append(attended.words.links())
            gold.append(links)
    if not found:
        raise DataError("All lines are blank.")
    return score_alignments(found, gold)
