"""The attention of a model between lines and their translations.

B sentences, T target length, S source length (both with EOS). Search keeps no weights. They come from running the
known translation through the decoder once more, all positions at once (forced decoding), which gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.config.decoding import change_decoding
from nmt.data.batch import Batch, make_batch
from nmt.data.lines import is_blank
from nmt.data.tokenizer import EOS
from nmt.device import autocast, choose_device, choose_dtype, set_threads
from nmt.errors import NMTError, UsageError
from nmt.inference.alignment import AttentionMap, piece_units, word_spans, word_units, word_weights
from nmt.inference.model_file import ModelFile
from nmt.inference.text import clean, one_line, part_separator, split_long
from nmt.inference.translator import WINDOW_BATCHES, WINDOW_CHARACTERS, Translator
from nmt.inference.windows import WindowSize, windows
from nmt.log import logger

# Most positions (B x T x S) of a batch: the additive score holds a vector for each, which is 0.3 GB with 512 features.
BATCH_POSITIONS = 160_000


class Attended(NamedTuple):
    """A line, its translation, and the attention between them."""

    line: int
    """Its number, from 1."""
    source: str
    translation: str
    pieces: AttentionMap
    words: AttentionMap
    """The same between words: summed over the pieces of a source word, averaged over those of a target word."""
    parts: int
    """More than 1 for a long line that was translated in parts: no part looks at another, and each has its EOS."""


class _Pair(NamedTuple):
    """One part of a line and its translation, as ids without EOS."""

    source: list[int]
    target: list[int]


class _Job(NamedTuple):
    """A line, with all that it takes to compute its weights."""

    source: str
    translation: str
    pairs: list[_Pair]


class Attender:
    """Finds out what a model looks at. Keeps nothing between calls."""

    def __init__(self, file: ModelFile, *, decoding: Mapping[str, Any]) -> None:
        """Makes the network of a model file.

        Args:
            file: The model.
            decoding: Options in place of the model's own; see `Translator.load`.

        Raises:
            UsageError: The model has no attention, or the options cannot be used.
            CheckpointError: The weights do not fit the configuration.
        """
        if file.config.model.attention.score == "none":
            raise UsageError("The model has no attention (model.attention.score is none), so there is nothing to see.")
        options = change_decoding(file.config.decoding, decoding)
        if options.threads is not None:
            set_threads(options.threads)
        self._decoding = options
        self._device = choose_device(options.device)
        self._dtype = choose_dtype(options.precision, self._device)
        self._network = file.network(self._device)
        self._tokenizers = file.tokenizers
        self._max_pieces = file.config.data.filters.max_pieces
        self._separator = part_separator(file.config.data.target_language)
        # A translator of its own, so that translations are those of `nmt translate`, however that searches.
        self._make_translator = partial(Translator.from_model_file, file, decoding=decoding)

    def attend(self, lines: Iterable[str], targets: Sequence[str] | None = None) -> Iterator[Attended | None]:
        """Give the attention of each line, in order; None for a line that is blank or has a blank translation.

        Args:
            lines: Any strings. A window of them is worked on together, as in `Translator.translate`.
            targets: The translation of each line; None: the model translates them.

        Raises:
            NMTError: Not even a single line fits into the machine's memory.
        """
        batch = self._decoding.batch_sentences
        size = WindowSize(first_lines=batch, lines=batch * WINDOW_BATCHES, characters=WINDOW_CHARACTERS)
        translator = self._make_translator() if targets is None else None
        number = 0
        for window in windows(lines, size):
            texts = [clean(line) for line in window]
            if translator is not None:
                jobs = self._translated(texts, number, translator)
            else:
                assert targets is not None
                jobs = self._given(texts, [clean(line) for line in targets[number : number + len(texts)]], number)
            yield from self._attended(jobs, number)
            number += len(window)

    def _translated(self, texts: Sequence[str], before: int, translator: Translator) -> list[_Job | None]:
        """Translate lines, which `before` lines have preceded; a long one in parts, as `nmt translate` does."""
        parts = [self._parts(text) for text in texts]
        for number, several in enumerate(parts, before + 1):
            if len(several) > 1:
                logger.warning(
                    "line %d is longer than what the model was trained on: translated in %d parts, which do not look "
                    "at each other",
                    number,
                    len(several),
                )
        flat = [part for several in parts for part in several]
        found = iter(translator.translate(flat))
        jobs: list[_Job | None] = []
        for text, several in zip(texts, parts, strict=True):
            best = [translation.hypotheses[0] for translation in islice(found, len(several))]
            sources = self._tokenizers.source.encode(several)
            translation = self._separator.join(filter(None, (hypothesis.text for hypothesis in best)))
            pairs = [_Pair(source, hypothesis.ids) for source, hypothesis in zip(sources, best, strict=True)]
            jobs.append(_Job(text, translation, pairs) if pairs else None)
        return jobs

    def _parts(self, text: str) -> list[str]:
        """Return the parts that the translator would cut a text into; none if there is nothing in it."""
        pieces = self._count([text])[0]
        if pieces <= self._max_pieces:
            return [text] if pieces else []
        parts = split_long(text, longest=self._max_pieces, count=self._count)
        return [part for part, size in zip(parts, self._count(parts), strict=True) if size]

    def _count(self, texts: Sequence[str]) -> list[int]:
        return [len(row) for row in self._tokenizers.source.encode(texts)]

    def _given(self, texts: Sequence[str], targets: Sequence[str], before: int) -> list[_Job | None]:
        """Pair lines, which `before` lines have preceded, with given translations. These cannot be cut into parts."""
        jobs: list[_Job | None] = []
        sources, translations = self._tokenizers.source.encode(texts), self._tokenizers.target.encode(targets)
        for number, (text, target, source, ids) in enumerate(
            zip(texts, targets, sources, translations, strict=True), before + 1
        ):
            if len(source) > self._max_pieces:
                logger.warning("line %d has %d pieces, more than the model was trained on", number, len(source))
            jobs.append(_Job(text, one_line(target), [_Pair(source, ids)]) if source and not is_blank(target) else None)
        return jobs

    def _attended(self, jobs: Sequence[_Job | None], before: int) -> Iterator[Attended | None]:
        weights = iter(self._weights([pair for job in jobs if job is not None for pair in job.pairs]))
        for number, job in enumerate(jobs, before + 1):
            yield None if job is None else self._one(number, job, list(islice(weights, len(job.pairs))))

    def _one(self, number: int, job: _Job, parts: Sequence[NDArray[np.float32]]) -> Attended:
        """Put the parts of a line together; there are no weights between different ones."""
        source = [piece for pair in job.pairs for piece in (*pair.source, EOS)]
        target = [piece for pair in job.pairs for piece in (*pair.target, EOS)]
        pieces = AttentionMap(
            piece_units(source, self._tokenizers.source), piece_units(target, self._tokenizers.target), _diagonal(parts)
        )
        source_spans, target_spans = word_spans(pieces.source), word_spans(pieces.target)
        words = AttentionMap(
            word_units(source, source_spans, self._tokenizers.source),
            word_units(target, target_spans, self._tokenizers.target),
            word_weights(pieces.weights, source_spans, target_spans),
        )
        return Attended(number, job.source, job.translation, pieces, words, len(parts))

    def _weights(self, pairs: Sequence[_Pair]) -> list[NDArray[np.float32]]:
        """Return the weights [T, S] of each pair."""
        found: list[NDArray[np.float32]] = [np.empty((0, 0), dtype=np.float32)] * len(pairs)
        for chosen in _batches(pairs, self._decoding.batch_sentences):
            batch = make_batch([pairs[index].source for index in chosen], [pairs[index].target for index in chosen])
            weights = self._batch_weights(batch)
            for row, index in enumerate(chosen):
                found[index] = weights[row, : batch.target_lengths[row], : batch.source_lengths[row]]
        return found

    def _batch_weights(self, batch: Batch) -> NDArray[np.float32]:
        source, lengths, target_input = (
            torch.from_numpy(array).to(self._device)
            for array in (batch.source, batch.source_lengths, batch.target_input)
        )
        with torch.inference_mode(), autocast(self._device, self._dtype):
            _, weights = self._network.decode(target_input, self._network.encode(source, lengths))
        if weights is None:
            raise NMTError("The model gave no attention weights.")
        values: NDArray[np.float32] = weights.float().cpu().numpy()
        return values


def _batches(pairs: Sequence[_Pair], most: int) -> Iterator[list[int]]:
    """Cut pairs into batches of like length, the longest first, with at most `most` rows and BATCH_POSITIONS."""
    batch: list[int] = []
    widths = (0, 0)
    for index in sorted(range(len(pairs)), key=lambda index: (-len(pairs[index].source), -len(pairs[index].target))):
        source, target = len(pairs[index].source) + 1, len(pairs[index].target) + 1
        wider = (max(widths[0], source), max(widths[1], target))
        if batch and (len(batch) == most or (len(batch) + 1) * wider[0] * wider[1] > BATCH_POSITIONS):
            yield batch
            batch, wider = [], (source, target)
        batch.append(index)
        widths = wider
    if batch:
        yield batch


def _diagonal(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the matrix with `parts` along its diagonal and zeros elsewhere."""
    joined = np.zeros((sum(len(part) for part in parts), sum(part.shape[1] for part in parts)), dtype=np.float32)
    row = column = 0
    for part in parts:
        joined[row : row + part.shape[0], column : column + part.shape[1]] = part
        row, column = row + part.shape[0], column + part.shape[1]
    return joined
