"""Work in several processes: results in the order of the items, and no process that outlives its work."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from nmt import log
from nmt.errors import NMTError

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item], Result]

ITEMS_AHEAD = 2
"""Items that may wait for a process, beside one for each process."""


class ProcessLostError(NMTError):
    """A process that was killed, or whose memory ran out."""


def map_in_order(
    make: Callable[[], Work[Item, Result]], items: Iterable[Item], *, processes: int, what: str
) -> Iterator[Result]:
    """Yield the result of each item, in the order of the items.

    Ctrl-C, an error or closing the iterator ends all processes at once, in the middle of their items. So does the end
    of this process.

    Args:
        make: Makes the function that is applied to each item, once in each process. It is pickled.
        items: Pickled items. At most `processes` + `ITEMS_AHEAD` of them are in memory.
        processes: Number of processes. With one, everything happens in this process.
        what: Names the work in the error message, such as `preprocessing`.

    Raises:
        ProcessLostError: A process was killed, or memory ran out.
        Exception: What `make`, the function or `items` raises.
    """
    try:
        yield from map(make(), items) if processes == 1 else _map_in_pool(make, items, processes)
    except (BrokenProcessPool, MemoryError) as error:
        hint = " Try fewer --processes." if processes > 1 else ""
        raise ProcessLostError(
            f"A {what} process ended unexpectedly, possibly because memory ran out.{hint}"
        ) from error


def _map_in_pool(make: Callable[[], Work[Any, Any]], items: Iterable[Any], processes: int) -> Iterator[Any]:
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        processes, mp_context=context, initializer=_start, initargs=(make, theirs, log.logger.getEffectiveLevel())
    )
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            with _without_ctrl_c():  # a new process inherits it, until it ignores Ctrl-C
                waiting.append(pool.submit(_apply, item))
            if len(waiting) >= processes + ITEMS_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        ours.close()  # ends the processes
        with contextlib.suppress(BrokenProcessPool):
            pool.shutdown(cancel_futures=True)
        theirs.close()


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Hold SIGINT back until the end of the block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_work: Work[Any, Any] | BaseException
"""The function of this process, or the error that occurred when it was made."""


def _start(make: Callable[[], Work[Any, Any]], stop: Connection, level: int) -> None:
    """Initialize a process, which ends when the other end of `stop` does."""
    begin_worker(stop, level)
    global _work
    try:
        _work = make()
    except Exception as error:
        _work = error


def begin_worker(end: Connection | int, level: int) -> None:
    """Prepare a new process for work. It ignores Ctrl-C, which its parent handles.

    Args:
        end: A connection or the sentinel of a process. The process ends when this becomes ready.
        level: Level of the log of the parent. Less than warnings is not logged.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(end,), daemon=True).start()
    log.setup(level=max(level, logging.WARNING))


def _end_with(end: Connection | int) -> None:
    wait([end])
    os._exit(1)


def _apply(item: Any) -> Any:
    if isinstance(_work, BaseException):
        raise _work
    return _work(item)
