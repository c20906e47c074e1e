"""Sentences to hypotheses: sorted by length, in batches that fit into memory, back in order."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from nmt.config.schema import DecodingConfig
from nmt.data.special_tokens import EOS, PAD
from nmt.device import autocast
from nmt.inference.search_options import NO_CONSTRAINTS, Constraints, PhraseCompiler, SearchBatch, SearchRunner
from nmt.inference.shortlist import Shortlist
from nmt.inference.workers import count_workers, halve_on_oom, map_in_threads
from nmt.search import LengthNormalization, StepModel, TokenHypothesis

# A batch has room for its number of sentences at this length, so that many long ones make smaller batches.
REFERENCE_LENGTH = 100

# The longest translation for each source piece, for a network that was not trained by `nmt train`, which sets it.
UNKNOWN_LENGTH_RATIO = 2.0

Sentence = Sequence[int]


class _SearchJob(NamedTuple):
    """A sentence and what is wanted of its translation."""

    ids: Sentence
    wish: Constraints


class BatchSearcher:
    """Searches for the best hypotheses of any number of sentences. Keeps nothing between calls."""

    def __init__(
        self,
        model: StepModel[Any, Any],
        *,
        decoding: DecodingConfig,
        normalization: LengthNormalization,
        device: torch.device,
        dtype: torch.dtype,
        shortlist: Shortlist | None = None,
        phrases: PhraseCompiler | None = None,
    ) -> None:
        self._model = model
        self._decoding = decoding
        self._normalization = normalization
        self._composer = SearchRunner(decoding, normalization, phrases)
        self._device = device
        self._dtype = dtype
        self._shortlist = shortlist

    def with_phrases(self, phrases: PhraseCompiler) -> BatchSearcher:
        """Return a searcher that knows these phrases."""
        clone = copy.copy(self)
        clone._composer = SearchRunner(self._decoding, self._normalization, phrases)
        return clone

    def search(
        self, sentences: Sequence[Sentence], wishes: Sequence[Constraints] | None = None
    ) -> list[list[TokenHypothesis]]:
        """Return the hypotheses of each sentence (source ids without EOS), best first.

        Args:
            sentences: Their ids.
            wishes: What is wanted of the translation of each. None: nothing.

        Raises:
            NMTError: One sentence alone does not fit into memory.
        """
        workers = count_workers(self._device, len(sentences))
        size = min(self._decoding.batch_sentences, -(-len(sentences) // workers))
        batches = list(self._batches(sentences, size))
        found: list[list[TokenHypothesis]] = [[]] * len(sentences)
        jobs = [
            _SearchJob(ids, wish)
            for ids, wish in zip(sentences, wishes or [NO_CONSTRAINTS] * len(sentences), strict=True)
        ]
        parts = [[jobs[index] for index in batch] for batch in batches]
        for batch, results in zip(batches, map_in_threads(self._search, parts, workers), strict=True):
            for index, hypotheses in zip(batch, results, strict=True):
                found[index] = hypotheses
        return found

    def _batches(self, sentences: Sequence[Sentence], size: int) -> Iterator[list[int]]:
        """Cut the sentences into batches of like length, the longest first: whatever may fail does so at once."""
        room = size * REFERENCE_LENGTH
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

    def _search(self, jobs: Sequence[_SearchJob]) -> list[list[TokenHypothesis]]:
        """Search for one batch; if memory runs out, for its halves."""
        return halve_on_oom(self._search_batch, jobs, device=self._device, explain=self._too_long)

    def _too_long(self, job: _SearchJob) -> str:
        return (
            f"There is not enough memory to translate a line of {len(job.ids)} pieces with a beam of "
            f"{self._decoding.beam_size}. Use a smaller beam, or --device cpu."
        )

    def _search_batch(self, jobs: Sequence[_SearchJob]) -> list[list[TokenHypothesis]]:
        lengths = np.array([len(job.ids) + 1 for job in jobs], dtype=np.int64)
        rows = np.full((len(jobs), lengths.max()), PAD, dtype=np.int64)
        for row, job in zip(rows, jobs, strict=True):
            row[: len(job.ids)] = job.ids
            row[len(job.ids)] = EOS
        ratio, constant = self._decoding.max_length_ratio, self._decoding.max_length_constant
        ratio = UNKNOWN_LENGTH_RATIO if ratio is None else ratio
        max_lengths = torch.from_numpy(((lengths - 1) * ratio).astype(np.int64) + constant)
        source = torch.from_numpy(rows).to(self._device)
        batch = SearchBatch(source, torch.from_numpy(lengths).to(self._device), max_lengths, [job.wish for job in jobs])
        with torch.inference_mode(), autocast(self._device, self._dtype):
            if self._shortlist is None:
                return self._composer.search(self._model, batch)
            return self._composer.search_listed(self._shortlist, batch)
