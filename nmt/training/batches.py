"""Batches on their way to the device, prepared in a background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.config.schema import Config
from nmt.data.batching import Batch, Batches, Position
from nmt.data.preprocess import Prepared


def make_batches(config: Config, prepared: Prepared) -> Batches:
    """Return the stream of training batches of `config`."""
    options = config.training
    return Batches(
        prepared.train,
        prepared.tokenizers,
        batch_tokens=options.batch_tokens,
        batch_sentences=options.batch_sentences,
        shuffle_window=options.shuffle_window,
        sampling=config.tokenizer.sampling,
        seed=config.seed,
        weights=[corpus.weight for corpus in config.data.train],
    )


class TensorBatch(NamedTuple):
    """A batch as tensors on the device.   B pairs, S source length, T target length."""

    source: Tensor
    """[B, S]"""
    source_lengths: Tensor
    """[B]"""
    target_input: Tensor
    """[B, T]"""
    target_output: Tensor
    """[B, T]"""
    target_mask: Tensor
    """True at real target positions [B, T]."""
    target_tokens: int


def to_tensors(batch: Batch, device: torch.device) -> TensorBatch:
    """Move `batch` to `device`."""
    lengths = torch.from_numpy(batch.target_lengths)
    mask = torch.arange(batch.target_output.shape[1]).unsqueeze(0) < lengths.unsqueeze(1)
    return TensorBatch(
        torch.from_numpy(batch.source).to(device),
        torch.from_numpy(batch.source_lengths).to(device),
        torch.from_numpy(batch.target_input).to(device),
        torch.from_numpy(batch.target_output).to(device),
        mask.to(device),
        batch.target_tokens,
    )


class Prefetcher:
    """Iterates over batches from a position, a few of them prepared ahead in a thread.

    The position that comes with a batch is that of the batch after it, so what a checkpoint keeps does not depend on
    how far ahead the thread has got.
    """

    def __init__(self, batches: Batches, position: Position, *, depth: int = 4) -> None:
        self._queue: queue.Queue[tuple[Batch, Position] | BaseException] = queue.Queue(maxsize=depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(batches, position), daemon=True, name="batches")
        self._thread.start()

    def _fill(self, batches: Batches, position: Position) -> None:
        try:
            for item in batches.iterate(position):
                if not self._put(item):
                    return
        except BaseException as error:
            self._put(error)

    def _put(self, item: tuple[Batch, Position] | BaseException) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[tuple[Batch, Position]]:
        return self

    def __next__(self) -> tuple[Batch, Position]:
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Stop the thread."""
        self._stopped.set()
        self._thread.join()
