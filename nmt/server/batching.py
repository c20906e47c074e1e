"""Batches the lines of concurrent requests.

No request waits for others: while a batch is translated, lines arrive, and the next batch takes all that wait. The
lines of a batch are taken from the clients in turn, so that a client with a long document does not delay one with a
sentence.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from nmt.errors import NMTError
from nmt.inference.results import Translation
from nmt.inference.streaming import SourceLine

BatchTranslator = Callable[[Hashable, list[SourceLine]], list[Translation]]
"""Translates lines with options. It is called in a thread."""


class QueueFullError(NMTError):
    """Too many lines wait for translation."""


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


class _Waiting(NamedTuple):
    """A line that waits for its translation."""

    line: SourceLine
    options: Hashable
    future: asyncio.Future[Translation]


class Batcher:
    """Translates the lines of concurrent requests in one thread. All methods run in one event loop."""

    def __init__(self, translate: BatchTranslator, limits: BatcherLimits) -> None:
        self._translate = translate
        self._limits = limits
        self._queues: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._count = 0
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="translate")
        self._cache: OrderedDict[Hashable, Translation] = OrderedDict()
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
            NMTError: A line cannot be translated.
        """
        found = {}
        if cached:
            for place, line in enumerate(lines):
                known = self._cached((options, line))
                if known is not None:
                    found[place] = known
        new = [line for place, line in enumerate(lines) if place not in found]
        if self._count + len(new) > self._limits.waiting_lines:
            raise QueueFullError("Too many lines wait for translation. Repeat the request later.")
        futures = [self._enqueue(line, client, options) for line in new]
        if futures:
            self._start()
            # `gather` cancels the futures if the request is cancelled.
            translated = iter(await asyncio.gather(*futures))
        else:
            translated = iter(())
        return [found[place] if place in found else next(translated) for place in range(len(lines))]

    async def close(self) -> None:
        """Translate what waits, then end the thread."""
        while self._count:
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    def _start(self) -> None:
        self._arrived.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def _enqueue(self, line: SourceLine, client: str, options: Hashable) -> asyncio.Future[Translation]:
        future: asyncio.Future[Translation] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(_Waiting(line, options, future))
        self._count += 1
        return future

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
            results = await loop.run_in_executor(self._thread, self._work, batch)
            for waiting, result in zip(batch, results, strict=True):
                if isinstance(result, Translation):
                    self._remember((waiting.options, waiting.line), result)
                if waiting.future.done():
                    continue
                if isinstance(result, BaseException):
                    waiting.future.set_exception(result)
                else:
                    waiting.future.set_result(result)

    def _take(self) -> list[_Waiting]:
        """Remove the lines of the next batch from the queues: one line per client in turn, with equal options."""
        batch: list[_Waiting] = []
        characters = 0
        skipped: set[str] = set()
        while len(batch) < self._limits.batch_lines:
            client = next((name for name in self._queues if name not in skipped), None)
            if client is None:
                break
            queue = self._queues[client]
            while queue and queue[0].future.cancelled():
                queue.popleft()
                self._count -= 1
            if not queue:
                del self._queues[client]
                continue
            head = queue[0]
            if batch and (
                head.options != batch[0].options or characters + len(head.line) > self._limits.batch_characters
            ):
                skipped.add(client)
                continue
            batch.append(queue.popleft())
            characters += len(head.line)
            self._count -= 1
            self._queues.move_to_end(client)
        return batch

    def _work(self, batch: list[_Waiting]) -> list[Translation | BaseException]:
        """Translate a batch in the thread. If it fails, each line is translated alone."""
        try:
            return list(self._translate(batch[0].options, [waiting.line for waiting in batch]))
        except Exception as error:
            if len(batch) == 1:
                return [error]
        results: list[Translation | BaseException] = []
        for waiting in batch:
            results += self._work([waiting])
        return results

    def _remember(self, key: Hashable, translation: Translation) -> None:
        self._cache[key] = translation
        while len(self._cache) > self._limits.cached_lines:
            self._cache.popitem(last=False)
