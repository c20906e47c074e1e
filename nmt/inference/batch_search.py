"""Searches any number of sentences: sorted by length, in batches that fit into memory, results in the given order.

B sentences, S source length.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nmt.config.schema import DecodingConfig
from nmt.data.special_tokens import EOS, PAD
from nmt.inference.constraints import ConstraintCompiler, SearchJob
from nmt.inference.hardware import Hardware
from nmt.inference.search_options import SearchBatch, SearchRunner
from nmt.inference.shortlist import Shortlist
from nmt.inference.workers import run_in_batches
from nmt.search import LengthNormalization, StepModel, TokenHypothesis

# A batch has its full number of sentences up to this length. Batches of longer sentences are smaller.
REFERENCE_LENGTH = 100

MAX_HYPOTHESES = 4096
"""Most hypotheses of a batch, unless a single sentence has more. Huge beams get smaller batches."""

# The length limit per source piece of a network that `nmt train` did not train; `nmt train` sets the option.
DEFAULT_MAX_LENGTH_RATIO = 2.0


class BatchSearcher:
    """Finds the hypotheses of any number of sentences. Threads may share it."""

    def __init__(
        self,
        model: StepModel[Any, Any],
        *,
        decoding: DecodingConfig,
        normalization: LengthNormalization,
        hardware: Hardware,
        shortlist: Shortlist | None = None,
        constraints: ConstraintCompiler | None = None,
    ) -> None:
        self._model = model
        self._decoding = decoding
        self._normalization = normalization
        self._runner = SearchRunner(decoding, normalization, constraints)
        self._hardware = hardware
        self._shortlist = shortlist

    def with_constraints(self, constraints: ConstraintCompiler) -> BatchSearcher:
        """Return a searcher with other constraints on all sentences."""
        clone = copy.copy(self)
        clone._runner = SearchRunner(self._decoding, self._normalization, constraints)
        return clone

    def search(self, jobs: Sequence[SearchJob]) -> list[list[TokenHypothesis]]:
        """Return the hypotheses of each job, best first.

        Raises:
            NMTError: A single sentence does not fit into memory.
        """
        return run_in_batches(
            jobs,
            work=self._search_batch,
            make_batches=_make_batches,
            batch_size=min(self._decoding.batch_sentences, max(1, MAX_HYPOTHESES // self._rows())),
            hardware=self._hardware,
            explain=self._out_of_memory,
        )

    def _rows(self) -> int:
        """Return the number of hypotheses of a sentence that are computed together."""
        return self._decoding.n_best if self._decoding.sampling else self._decoding.beam_size

    def _out_of_memory(self, job: SearchJob) -> str:
        return (
            f"There is not enough memory to translate a line of {len(job.ids)} pieces with a beam of "
            f"{self._decoding.beam_size}. Use a smaller beam, or --device cpu."
        )

    def _search_batch(self, jobs: Sequence[SearchJob]) -> list[list[TokenHypothesis]]:
        lengths = np.array([len(job.ids) + 1 for job in jobs], dtype=np.int64)  # [B]
        rows = np.full((len(jobs), lengths.max()), PAD, dtype=np.int64)  # [B, S]
        for row, job in zip(rows, jobs, strict=True):
            row[: len(job.ids)] = job.ids
            row[len(job.ids)] = EOS
        ratio, constant = self._decoding.max_length_ratio, self._decoding.max_length_constant
        ratio = DEFAULT_MAX_LENGTH_RATIO if ratio is None else ratio
        max_lengths = ((lengths - 1) * ratio).astype(np.int64) + constant  # [B]
        batch = SearchBatch(
            self._hardware.array(rows),
            self._hardware.array(lengths),
            max_lengths,
            [job.constraints for job in jobs],
        )
        with self._hardware.computing():
            if self._shortlist is None:
                return self._runner.search(self._model, batch)
            return self._runner.search_with_shortlist(self._shortlist, batch)


def _make_batches(jobs: Sequence[SearchJob], size: int) -> Iterator[list[int]]:
    """Split jobs into batches of similar length, as indices; the longest first, so that failures come early."""
    room = size * REFERENCE_LENGTH
    batch: list[int] = []
    width = 0
    for index in sorted(range(len(jobs)), key=lambda index: -len(jobs[index].ids)):
        if batch and (len(batch) == size or (len(batch) + 1) * width > room):
            yield batch
            batch = []
        if not batch:
            width = len(jobs[index].ids) + 1
        batch.append(index)
    if batch:
        yield batch
