"""The last pass over the training text: the subword models, and the store of ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import Config, CorpusConfig
from nmt.data.alignments import LinkReader, PieceWords, no_links
from nmt.data.preprocess.filter_pass import FilterResult, describe_filtered
from nmt.data.preprocess.filters import Reason
from nmt.data.special_tokens import UNK
from nmt.data.store import SIDES, Rows, StoreWriter, TextReader
from nmt.data.tokenizer import Tokenizers
from nmt.data.tokenizer_training import TrainingText, train_subwords, user_symbols
from nmt.data.word_segmenter import SubwordSegmenter, make_segmenter
from nmt.errors import DataError
from nmt.log import Progress

# SentencePiece's unigram training takes over 20 bytes of memory for each one of text.
MAX_TRAINING_BYTES = 50_000_000


def learn(config: Config, selection: FilterResult) -> tuple[Tokenizers, list[TrainingText]]:
    """Trains the subword models on evenly sampled training text.

    Raises:
        ConfigError: A symbol cannot be used.
        DataError: The vocabulary is too small for the characters of the text.
    """
    options = config.tokenizer
    symbols = user_symbols(options, [corpus.tag for corpus in config.data.train])
    sides = {"source": selection.sources, "target": selection.targets}
    if options.joint:
        lines = chain.from_iterable(_sample(selection, list(sides.values()), options.max_training_lines))
        model, seen = train_subwords(lines, options=options, symbols=symbols, what="joint")
        return Tokenizers(source=model, target=model), [seen]
    models, text = [], []
    for what, texts in sides.items():
        lines = chain.from_iterable(_sample(selection, [texts], options.max_training_lines))
        model, seen = train_subwords(lines, options=options, symbols=symbols, what=what)
        models.append(model)
        text.append(seen)
    return Tokenizers(source=models[0], target=models[1]), text


def _sample(selection: FilterResult, sides: Sequence[TextReader], max_lines: int) -> Iterator[tuple[str, ...]]:
    """Gives the lines of one or both sides for kept pairs spread evenly over the corpora, within the limits."""
    total = selection.count_kept()
    share = min(1.0, MAX_TRAINING_BYTES / max(1, sum(texts.size for texts in sides)))
    most = max(1, min(max_lines // len(sides), int(total * share)))
    rank = 0
    for numbers in selection.blocks(0, len(selection.kept), kept=True):
        if total > most:
            ranks = np.arange(rank, rank + len(numbers))
            rank += len(numbers)
            numbers = numbers[(ranks + 1) * most // total > ranks * most // total]
        yield from zip(*(texts.lines(numbers) for texts in sides), strict=True)


@dataclass
class Unknown:
    """How many of a side's pieces are unknown."""

    pieces: int = 0
    unknown: int = 0

    def add(self, rows: Rows) -> None:
        """Counts more rows."""
        self.pieces += len(rows.ids)
        self.unknown += int(np.count_nonzero(rows.ids == UNK))

    @property
    def rate(self) -> float:
        """The share that is unknown."""
        return self.unknown / self.pieces if self.pieces else 0.0


class EncodeResult(NamedTuple):
    """What was found while the store was written."""

    unknown: dict[str, float]
    """The share of unknown pieces, by side."""
    alignments: list[dict[str, int] | None]
    """Of each corpus with an alignment: pairs with links, links, and pairs whose links could not be used."""


def encode(
    config: Config, selection: FilterResult, tokenizers: Tokenizers, folder: Path, *, threads: int, bar: Progress
) -> EncodeResult:
    """Writes the ids of the kept pairs to a store, leaving out those with too many pieces.

    Args:
        config: The whole configuration.
        selection: The training pairs; the tallies of its corpora go on counting.
        tokenizers: The subword models.
        folder: Where the store goes.
        threads: Processor threads for segmentation; changes speed alone.
        bar: Counts pairs.

    Raises:
        DataError: No pair is left, or an alignment does not fit its text.
    """
    unknown = Unknown(), Unknown()
    segmenters = _segmenters(tokenizers, threads)
    readers = _link_readers(config.data.train, tokenizers)
    with StoreWriter(
        folder,
        source_size=tokenizers.source.size,
        target_size=tokenizers.target.size,
        link_size=config.data.filters.max_pieces if any(readers) else None,
    ) as store:
        bounds = [0]
        for corpus, options, reader in zip(selection.corpora, config.data.train, readers, strict=True):
            tag = f"{options.tag} " if options.tag is not None else ""
            for numbers in selection.blocks(corpus.start, corpus.end, kept=True):
                block = _encode_block(selection, numbers, tag, segmenters)
                fits, reasons = _judge(block.rows, config.data.filters.max_pieces)
                for row, reason in reasons:
                    corpus.tally.add(reason, int(block.lines[row]), block.sources[row], block.targets[row])
                if reasons:
                    block = block.select(fits)
                for side, count in zip(block.rows, unknown, strict=True):
                    count.add(side)
                links = no_links(len(fits)) if reader is None else reader.read(*block)
                store.add(block.rows, links if any(readers) else None)
                bar.update(len(numbers))
            bounds.append(len(store))
        store.close(bounds)
    if not len(store):
        raise DataError(f"No training pair is left: {describe_filtered(selection.corpora)}")
    rates = dict(zip(SIDES, (side.rate for side in unknown), strict=True))
    return EncodeResult(rates, [None if reader is None else reader.found() for reader in readers])


class _Block(NamedTuple):
    """Some pairs of a corpus."""

    lines: NDArray[np.int64]
    """Their numbers in the corpus, from 1."""
    sources: list[str]
    """With the corpus's tag."""
    targets: list[str]
    rows: tuple[Rows, Rows]

    def select(self, rows: NDArray[np.int64]) -> _Block:
        sources, targets = ([side[row] for row in rows] for side in (self.sources, self.targets))
        return _Block(self.lines[rows], sources, targets, (self.rows[0].select(rows), self.rows[1].select(rows)))


def _encode_block(
    selection: FilterResult, numbers: NDArray[np.int64], tag: str, segmenters: Sequence[SubwordSegmenter]
) -> _Block:
    sources = [tag + line for line in selection.sources.lines(numbers)]
    targets = selection.targets.lines(numbers)
    rows = segmenters[0].rows(sources), segmenters[1].rows(targets)
    return _Block(selection.lines[numbers], sources, targets, rows)


def _link_readers(corpora: Sequence[CorpusConfig], tokenizers: Tokenizers) -> list[LinkReader | None]:
    """A reader for each corpus that has an alignment."""
    words = PieceWords(tokenizers.source), PieceWords(tokenizers.target)
    return [
        None if corpus.alignment is None else LinkReader(corpus.alignment, words, tagged=corpus.tag is not None)
        for corpus in corpora
    ]


def _segmenters(tokenizers: Tokenizers, threads: int) -> list[SubwordSegmenter]:
    """One for each side; both sides of a joint model share the words that they know."""
    models = [tokenizers.source] if tokenizers.source is tokenizers.target else [tokenizers.source, tokenizers.target]
    made = [make_segmenter(model, threads=threads) for model in models]
    return [made[0], made[-1]]


def _judge(rows: tuple[Rows, Rows], max_pieces: int) -> tuple[NDArray[np.int64], list[tuple[int, Reason]]]:
    """The rows that fit, and why each of the others does not."""
    shorter = np.minimum(rows[0].lengths, rows[1].lengths)
    longer = np.maximum(rows[0].lengths, rows[1].lengths)
    fits = (shorter > 0) & (longer <= max_pieces)
    reasons: list[tuple[int, Reason]] = [
        (int(row), "empty" if shorter[row] == 0 else "too many pieces") for row in np.flatnonzero(~fits)
    ]
    return np.flatnonzero(fits), reasons
