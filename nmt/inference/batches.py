"""Sentences to hypotheses: sorted by length, in batches that fit into memory, back in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from nmt.config.schema import Decoding
from nmt.data.tokenizer import EOS, PAD
from nmt.device import autocast
from nmt.errors import NMTError
from nmt.inference.shortlist import Shortlist
from nmt.log import logger
from nmt.search import Hypothesis, Normalization, StepModel, beam_search, greedy_search

# A batch has room for its number of sentences at this length, so that many long ones make smaller batches.
ROOMY_LENGTH = 100

# The longest translation for each source piece, for a network that was not trained by `nmt train`, which sets it.
UNKNOWN_LENGTH_RATIO = 2.0

Sentence = Sequence[int]


class Searcher:
    """Searches for the best hypotheses of any number of sentences. Keeps nothing between calls."""

    def __init__(
        self,
        model: StepModel[Any, Any],
        *,
        decoding: Decoding,
        normalization: Normalization,
        device: torch.device,
        dtype: torch.dtype,
        shortlist: Shortlist | None = None,
    ) -> None:
        self._model = model
        self._decoding = decoding
        self._normalization = normalization
        self._device = device
        self._dtype = dtype
        self._shortlist = shortlist

    def search(self, sentences: Sequence[Sentence]) -> list[list[Hypothesis]]:
        """Return the hypotheses of each sentence (source ids without EOS), best first.

        Raises:
            NMTError: One sentence alone does not fit into memory.
        """
        workers = self._workers(len(sentences))
        size = min(self._decoding.batch_sentences, -(-len(sentences) // workers))
        batches = list(self._batches(sentences, size))
        found: list[list[Hypothesis]] = [[]] * len(sentences)
        parts = [[sentences[index] for index in batch] for batch in batches]
        for batch, results in zip(batches, self._all(parts, workers), strict=True):
            for index, hypotheses in zip(batch, results, strict=True):
                found[index] = hypotheses
        return found

    def _workers(self, sentences: int) -> int:
        """Return how many batches to search at once: as many as there are processor threads, each with one thread.

        The products of a search are small: two threads that share each one wait for each other most of the time.
        """
        return max(1, min(torch.get_num_threads(), sentences)) if self._device.type == "cpu" else 1

    def _all(self, batches: list[list[Sentence]], workers: int) -> Iterator[list[list[Hypothesis]]]:
        """Search for each batch, in order of the batches."""
        if workers == 1:
            yield from map(self._search, batches)
            return
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(workers, "search", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield from pool.map(self._search, batches)
            finally:
                pool.shutdown(cancel_futures=True)
                # A worker's setting is its own, but also what threads that start later begin with.
                torch.set_num_threads(threads)

    def _batches(self, sentences: Sequence[Sentence], size: int) -> Iterator[list[int]]:
        """Cut the sentences into batches of like length, the longest first: whatever may fail does so at once."""
        room = size * ROOMY_LENGTH
        batch: list[int] = []
        width = 0
        for index in sorted(range(len(sentences)), key=lambda index: -len(sentences[index])):
            if batch and (len(batch) == size or (len(batch) + 1) * width > room):
                yield batch
                batch = []
            if not batch:
                width = len(sentences[index]) + 1
            batch.append(index)
        if batch:
            yield batch

    def _search(self, sentences: Sequence[Sentence]) -> list[list[Hypothesis]]:
        """Search for one batch; if memory runs out, for its halves."""
        try:
            return self._search_batch(sentences)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not _is_out_of_memory(error):
                raise
        # Outside of the handler, where the traceback no longer keeps the batch's tensors alive.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(sentences) == 1:
            raise NMTError(
                f"There is not enough memory to translate a line of {len(sentences[0])} pieces with a beam of "
                f"{self._decoding.beam_size}. Use a smaller beam, or --device cpu."
            )
        half = (len(sentences) + 1) // 2
        logger.warning("out of memory with %d sentences: trying %d at once", len(sentences), half)
        return self._search(sentences[:half]) + self._search(sentences[half:])

    def _search_batch(self, sentences: Sequence[Sentence]) -> list[list[Hypothesis]]:
        lengths = np.array([len(sentence) + 1 for sentence in sentences], dtype=np.int64)
        rows = np.full((len(sentences), lengths.max()), PAD, dtype=np.int64)
        for row, sentence in zip(rows, sentences, strict=True):
            row[: len(sentence)] = sentence
            row[len(sentence)] = EOS
        ratio, constant = self._decoding.max_length_ratio, self._decoding.max_length_constant
        ratio = UNKNOWN_LENGTH_RATIO if ratio is None else ratio
        max_lengths = torch.from_numpy(((lengths - 1) * ratio).astype(np.int64) + constant)
        source = torch.from_numpy(rows).to(self._device)
        source_lengths = torch.from_numpy(lengths).to(self._device)
        with torch.inference_mode(), autocast(self._device, self._dtype):
            if self._shortlist is None:
                return self._find(self._model, source, source_lengths, max_lengths)
            model = self._shortlist.limit(source)
            return model.with_ids(self._find(model, source, source_lengths, max_lengths))

    def _find(
        self, model: StepModel[Any, Any], source: torch.Tensor, lengths: torch.Tensor, max_lengths: torch.Tensor
    ) -> list[list[Hypothesis]]:
        """Search as the options say."""
        if self._decoding.beam_size == 1:
            return greedy_search(model, source, lengths, max_lengths=max_lengths, normalization=self._normalization)
        return beam_search(
            model,
            source,
            lengths,
            beam_size=self._decoding.beam_size,
            n_best=self._decoding.n_best,
            max_lengths=max_lengths,
            normalization=self._normalization,
        )


def _is_out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text
