"""Runs batches in parallel threads, and in halves when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from nmt.errors import NMTError
from nmt.inference.hardware import Hardware
from nmt.log import logger

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def run_in_batches(
    items: Sequence[ItemT],
    *,
    work: Callable[[Sequence[ItemT]], list[ResultT]],
    make_batches: Callable[[Sequence[ItemT], int], Iterable[list[int]]],
    batch_size: int,
    hardware: Hardware,
    explain: Callable[[ItemT], str],
) -> list[ResultT]:
    """Return the result of each item. On a processor, as many batches run at once as there are threads.

    The products of decoding are small: two threads that share a product wait for each other much of the time. So they
    share the products of a single batch alone.

    Args:
        items: Any number.
        work: Returns the result of each item of a batch.
        make_batches: Splits the items into batches of at most this size, as indices.
        batch_size: Most items of a batch; batches are smaller if there are few items for many threads.
        hardware: Where the work happens.
        explain: Returns a message for a single item that does not fit into memory.

    Raises:
        NMTError: A single item does not fit into memory.
    """
    workers = max(1, min(hardware.workers, len(items)))
    indices = list(make_batches(items, min(batch_size, max(1, -(-len(items) // workers)))))
    batches = [[items[index] for index in batch] for batch in indices]

    def run(batch: Sequence[ItemT]) -> list[ResultT]:
        return halve_on_oom(work, batch, hardware=hardware, explain=explain)

    if len(batches) == 1:
        with hardware.helping():
            rows = [run(batches[0])]
    else:
        rows = list(map(run, batches)) if workers == 1 else _map_in_threads(run, batches, workers)
    results = {
        index: result
        for batch, row in zip(indices, rows, strict=True)
        for index, result in zip(batch, row, strict=True)
    }
    return [results[index] for index in range(len(items))]


def _map_in_threads(
    work: Callable[[Sequence[ItemT]], list[ResultT]], batches: Sequence[Sequence[ItemT]], workers: int
) -> list[list[ResultT]]:
    """Return the results of each batch, in order of the batches."""
    from concurrent.futures import ThreadPoolExecutor  # a single batch needs no threads

    with ThreadPoolExecutor(workers, "nmt-worker") as pool:
        try:
            return list(pool.map(work, batches))
        finally:
            pool.shutdown(cancel_futures=True)


def halve_on_oom(
    work: Callable[[Sequence[ItemT]], list[ResultT]],
    items: Sequence[ItemT],
    *,
    hardware: Hardware,
    explain: Callable[[ItemT], str],
) -> list[ResultT]:
    """Run one batch, or its halves if memory runs out.

    Args:
        work: Returns the result of each item.
        items: At least one.
        hardware: Where the work happens.
        explain: Returns a message for a single item that does not fit into memory.

    Raises:
        NMTError: A single item does not fit into memory.
    """
    try:
        return work(items)
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
    # Outside of the handler, because the traceback keeps the batch's tensors alive.
    hardware.free_memory()
    if len(items) == 1:
        raise NMTError(explain(items[0]))
    half = (len(items) + 1) // 2
    logger.warning("out of memory with %d sentences: trying %d at once", len(items), half)
    first = halve_on_oom(work, items[:half], hardware=hardware, explain=explain)
    return first + halve_on_oom(work, items[half:], hardware=hardware, explain=explain)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out, on any device."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
