"""Batches the lines of concurrent requests.

No request waits for others: while a batch is translated, lines arrive, and the next batch takes all that wait. The
lines of a batch are taken from the clients in turn, and from the requests of a client in turn. So a long document does
not delay a sentence, not even of the same client.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from nmt.errors import NMTError
from nmt.inference.results import Translation
from nmt.inference.streaming import SourceLine

BatchWork = Callable[[Hashable, list[Any]], Sequence[Any]]
"""Returns the result of each item of a batch with equal options: translations of lines, for example. It is called in a
thread."""


PIECES_PER_LINE = 50
"""Pieces of a line for which the cache has room, on average and with all hypotheses."""


class QueueFullError(NMTError):
    """Too many lines wait for translation."""


class TooManyLinesError(NMTError):
    """A request has more lines than the queue."""


class BatcherLimits(NamedTuple):
    """The limits of a batcher."""

    waiting_lines: int = 10_000
    """Lines of all clients that may wait."""
    batch_lines: int = 64
    """Most lines of a batch."""
    batch_characters: int = 20_000
    """A batch is not extended beyond this number of characters."""
    cached_lines: int = 10_000
    """Translations that are kept for repeated lines. 0: none."""


class _WaitingItem(NamedTuple):
    """A line that waits for its translation, or another item of work."""

    item: Sized
    options: Hashable
    future: asyncio.Future[Any]


Requests = OrderedDict[object, deque[_WaitingItem]]
"""The waiting lines of each request of a client. The next line is of the first request that fits."""


class Batcher:
    """Translates the lines of concurrent requests in one thread. All methods run in one event loop."""

    def __init__(self, work: BatchWork, limits: BatcherLimits) -> None:
        self._work = work
        self._limits = limits
        self._clients: OrderedDict[str, Requests] = OrderedDict()
        self._count = 0
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="translate")
        self._cache: OrderedDict[Hashable, Translation] = OrderedDict()
        self._cached_pieces = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Number of lines that wait, without those of the batch in progress."""
        return self._count

    async def translate(
        self, lines: Sequence[SourceLine], *, client: str, options: Hashable, cached: bool = True
    ) -> list[Translation]:
        """Translate the lines of a request. If the call is cancelled, lines that still wait are dropped.

        Args:
            lines: The lines.
            client: The client, which shares the time equally with other clients.
            options: Decoding options. Lines with equal options share a batch.
            cached: Whether translations of equal lines may be reused.

        Raises:
            QueueFullError: Too many lines wait.
            TooManyLinesError: The request has more lines than the queue.
            NMTError: A line cannot be translated.
        """
        keys = [(options, line) for line in lines]
        found = {key: self._cached(key) for key in keys} if cached else {}
        new = [place for place, key in enumerate(keys) if found.get(key) is None]
        results = [found.get(key) for key in keys]
        translated = await self.run([lines[place] for place in new], client=client, options=options)
        for place, translation in zip(new, translated, strict=True):
            results[place] = translation
            self._remember(keys[place], translation)
        return [each for each in results if each is not None]

    async def run(self, items: Sequence[Sized], *, client: str, options: Hashable) -> list[Any]:
        """Return the result of each item of work of a request; see `translate`. The size of an item is its length."""
        if not items:
            return []
        most = self._limits.waiting_lines
        if len(items) > most:
            raise TooManyLinesError(f"The request has {len(items):,} lines, more than the queue of {most:,}.")
        if self._count + len(items) > most:
            raise QueueFullError("Too many lines wait for translation. Repeat the request later.")
        futures = self._enqueue(items, client, options)
        self._arrived.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        # `gather` cancels the futures if the request is cancelled.
        return await asyncio.gather(*futures)

    async def close(self) -> None:
        """Translate what waits, then end the thread."""
        while self._count:
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    def _enqueue(self, items: Sequence[Sized], client: str, options: Hashable) -> list[asyncio.Future[Any]]:
        loop = asyncio.get_running_loop()
        queue = deque(_WaitingItem(item, options, loop.create_future()) for item in items)
        self._clients.setdefault(client, OrderedDict())[object()] = queue
        self._count += len(queue)
        return [waiting.future for waiting in queue]

    def _cached(self, key: Hashable) -> Translation | None:
        if key in self._cache:
            self._cache.move_to_end(key)
        return self._cache.get(key)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = self._take()
            if not batch:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            results = await loop.run_in_executor(self._thread, self._results, batch)
            for waiting, result in zip(batch, results, strict=True):
                if waiting.future.done():
                    continue
                if isinstance(result, BaseException):
                    waiting.future.set_exception(result)
                else:
                    waiting.future.set_result(result)

    def _take(self) -> list[_WaitingItem]:
        """Remove the lines of the next batch from the queues: one line per client in turn, with equal options."""
        batch: list[_WaitingItem] = []
        skipped: set[str] = set()
        while len(batch) < self._limits.batch_lines:
            client = next((name for name in self._clients if name not in skipped), None)
            if client is None:
                break
            requests = self._clients[client]
            waiting = self._next_line(requests, batch)
            if waiting is None:
                skipped.add(client)
            else:
                batch.append(waiting)
            if requests:
                self._clients.move_to_end(client)
            else:
                del self._clients[client]
        return batch

    def _next_line(self, requests: Requests, batch: Sequence[_WaitingItem]) -> _WaitingItem | None:
        """Remove the next line of a client that fits into the batch; None if no line does. Drop cancelled lines."""
        room = self._limits.batch_characters - sum(len(waiting.item) for waiting in batch)
        for request in list(requests):
            queue = requests[request]
            while queue and queue[0].future.cancelled():
                queue.popleft()
                self._count -= 1
            head = queue[0] if queue else None
            fits = head is not None and (not batch or (head.options == batch[0].options and len(head.item) <= room))
            if fits:
                queue.popleft()
                self._count -= 1
                requests.move_to_end(request)
            if not queue:
                del requests[request]
            if fits:
                return head
        return None

    def _results(self, batch: list[_WaitingItem]) -> list[Any]:
        """Compute a batch in the thread. If it fails, each item is computed alone. Errors are results."""
        try:
            return list(self._work(batch[0].options, [waiting.item for waiting in batch]))
        except Exception as error:
            if len(batch) == 1:
                return [error]
        return [result for waiting in batch for result in self._results([waiting])]

    def _remember(self, key: Hashable, translation: Translation) -> None:
        """Keep a translation. The oldest ones make room, so that the cache is bounded in lines and in pieces."""
        most = self._limits.cached_lines
        if key in self._cache:
            self._cached_pieces -= _pieces(self._cache.pop(key))
        self._cache[key] = translation
        self._cached_pieces += _pieces(translation)
        while self._cache and (len(self._cache) > most or self._cached_pieces > most * PIECES_PER_LINE):
            self._cached_pieces -= _pieces(self._cache.popitem(last=False)[1])


def _pieces(translation: Translation) -> int:
    """Return the number of pieces of all hypotheses."""
    return sum(len(each.pieces) for each in translation.hypotheses)
