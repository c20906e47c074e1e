"""Batches side by side on all cores, and in halves when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from nmt.errors import NMTError
from nmt.log import logger

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def count_workers(device: torch.device, most: int) -> int:
    """Return how many batches to work on at once, at most `most`: one for each processor thread, which has one thread.

    The products of decoding are small: two threads that share each one wait for each other most of the time.
    """
    return max(1, min(torch.get_num_threads(), most)) if device.type == "cpu" else 1


def map_in_threads(
    work: Callable[[Sequence[ItemT]], list[ResultT]], batches: Sequence[Sequence[ItemT]], workers: int
) -> Iterator[list[ResultT]]:
    """Give the results of each batch, in order of the batches, with `workers` of them being worked on at once."""
    if workers == 1:
        yield from map(work, batches)
        return
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(workers, "nmt-worker", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield from pool.map(work, batches)
        finally:
            pool.shutdown(cancel_futures=True)
            # A worker's setting is its own, but also what threads that start later begin with.
            torch.set_num_threads(threads)


def halve_on_oom(
    work: Callable[[Sequence[ItemT]], list[ResultT]],
    items: Sequence[ItemT],
    *,
    device: torch.device,
    explain: Callable[[ItemT], str],
) -> list[ResultT]:
    """Do the work for one batch; if memory runs out, for its halves.

    Args:
        work: Gives a result for each item.
        items: At least one.
        device: Where it happens.
        explain: Says that there is not enough memory for this item alone, and what to do.

    Raises:
        NMTError: One item alone does not fit into memory.
    """
    try:
        return work(items)
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
    # Outside of the handler, where the traceback no longer keeps the batch's tensors alive.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if len(items) == 1:
        raise NMTError(explain(items[0]))
    half = (len(items) + 1) // 2
    logger.warning("out of memory with %d sentences: trying %d at once", len(items), half)
    first = halve_on_oom(work, items[:half], device=device, explain=explain)
    return first + halve_on_oom(work, items[half:], device=device, explain=explain)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out, on whatever device."""
    text = str(error).lower()
    return (
        isinstance(error, (MemoryError, torch.OutOfMemoryError))
        or "out of memory" in text
        or "can't allocate memory" in text
    )
