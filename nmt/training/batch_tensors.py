"""Training batches: the stream of a configuration, tensors on the device, and prefetching in a thread.

B pairs, S source length, T target length, N real target positions or links.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config.schema import Config, TrainingConfig
from nmt.data.alignments import Links
from nmt.data.batching import Batch, Batches, Position, Share
from nmt.data.concatenation import ConcatenationSampler
from nmt.data.preprocess.preprocess import PreprocessedData
from nmt.device import runs_ahead


def needs_links(options: TrainingConfig) -> bool:
    """Whether training uses the alignments of the training data."""
    guided = options.guided_alignment
    return guided.weight > 0 or (guided.final_weight or 0.0) > 0


def make_batches(config: Config, data: PreprocessedData) -> Batches:
    """Return the stream of training batches of `config`."""
    options = config.training
    return Batches(
        data.train,
        data.tokenizers,
        batch_tokens=options.batch_tokens,
        batch_sentences=options.batch_sentences,
        shuffle_window=options.shuffle_window,
        sampling=config.tokenizer.sampling,
        seed=config.seed,
        weights=[corpus.weight for corpus in config.data.train],
        aligned=needs_links(options),
        concatenation=ConcatenationSampler(
            ratio=config.data.concatenation.ratio,
            max_pairs=config.data.concatenation.max_pairs,
            max_pieces=config.data.filters.max_pieces,
        ),
    )


class TensorLinks(NamedTuple):
    """Alignment links between the pieces of a batch; see `nmt.data.alignments.Links`."""

    rows: Tensor
    """The pair of each link [N]."""
    targets: Tensor
    """Target position [N]."""
    sources: Tensor
    """Source position [N]."""
    shares: Tensor
    """1 / (number of links of the target piece) [N]."""
    linked: int
    """Number of target pieces with links."""

    def twice(self, pairs: int) -> TensorLinks:
        """Return the links of a batch of `pairs` pairs, followed by the same links for a second copy of the batch."""
        return TensorLinks(
            torch.cat([self.rows, self.rows + pairs]),
            torch.cat([self.targets, self.targets]),
            torch.cat([self.sources, self.sources]),
            torch.cat([self.shares, self.shares]),
            2 * self.linked,
        )


class TensorBatch(NamedTuple):
    """A batch as tensors on the device, rows padded on the right."""

    source: Tensor
    """Source pieces with EOS [B, S]."""
    source_lengths: Tensor
    """[B]"""
    target_input: Tensor
    """BOS and the target pieces [B, T]."""
    target_output: Tensor
    """Target pieces with EOS [B, T]."""
    target_mask: Tensor
    """True at real target positions [B, T]."""
    target_places: Tensor
    """Numbers of the real target positions in the flattened batch [N], from 0 to B * T - 1."""
    target_tokens: int
    """Number of real target positions."""
    links: TensorLinks | None = None

    def at_targets(self, values: Tensor) -> Tensor:
        """Return the `values` [B, T, ...] at the real target positions [N, ...].

        Unlike an index by `target_mask`, this needs no wait for the device: N is known to the host.
        """
        return values.flatten(0, 1)[self.target_places]

    def twice(self) -> TensorBatch:
        """Return the pairs of this batch followed by a second copy of them: [2 * B, ...]."""
        source, source_lengths, target_input, target_output, target_mask = (
            torch.cat([values, values]) for values in self._tensors()
        )
        return TensorBatch(
            source,
            source_lengths,
            target_input,
            target_output,
            target_mask,
            torch.cat([self.target_places, self.target_places + self.target_mask.numel()]),
            2 * self.target_tokens,
            None if self.links is None else self.links.twice(len(self.source)),
        )

    def split(self, size: int) -> list[TensorBatch]:
        """Split the batch into parts of at most `size` pairs, without links."""
        parts = []
        for start in range(0, len(self.source), size):
            rows = slice(start, start + size)
            source, source_lengths, target_input, target_output, mask = (values[rows] for values in self._tensors())
            places = mask.flatten().nonzero()[:, 0]  # [N]
            parts.append(TensorBatch(source, source_lengths, target_input, target_output, mask, places, len(places)))
        return parts

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.source, self.source_lengths, self.target_input, self.target_output, self.target_mask


def to_tensors(batch: Batch, device: torch.device) -> TensorBatch:
    """Copy `batch` to `device`. The host does not wait for the copies to a GPU."""
    mask = np.arange(batch.target_output.shape[1]) < batch.target_lengths[:, None]  # [B, T]
    places = np.flatnonzero(mask)  # [N]
    return TensorBatch(
        _copy(batch.source, device),
        _copy(batch.source_lengths, device),
        _copy(batch.target_input, device),
        _copy(batch.target_output, device),
        _copy(mask, device),
        _copy(places, device),
        len(places),
        None if batch.links is None else _link_tensors(batch.links, device),
    )


def _link_tensors(links: Links, device: torch.device) -> TensorLinks:
    return TensorLinks(
        _copy(links.rows, device),
        _copy(links.targets, device),
        _copy(links.sources, device),
        _copy(links.shares, device),
        links.linked,
    )


def _copy(values: NDArray[Any], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(values)
    if not runs_ahead(device):
        return tensor.to(device)
    # Only from pinned memory is the copy asynchronous. Torch keeps the memory until the copy is done.
    return tensor.pin_memory().to(device, non_blocking=True)


class Prefetcher:
    """Iterates over the batches of updates; a thread prepares up to `depth` updates in advance.

    Each update comes with the position of the batch after it, so a checkpoint does not depend on the number of prepared
    updates.
    """

    def __init__(self, shares: Iterator[tuple[Share, Position]], *, depth: int = 4) -> None:
        self._queue: queue.Queue[tuple[Share, Position] | BaseException] = queue.Queue(maxsize=depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(shares,), daemon=True, name="batches")
        self._thread.start()

    def _fill(self, shares: Iterator[tuple[Share, Position]]) -> None:
        try:
            for item in shares:
                if not self._put(item):
                    return
        except BaseException as error:
            self._put(error)

    def _put(self, item: tuple[Share, Position] | BaseException) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[tuple[Share, Position]]:
        return self

    def __next__(self) -> tuple[Share, Position]:
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Stop the thread and wait for its end."""
        self._stopped.set()
        self._thread.join()
