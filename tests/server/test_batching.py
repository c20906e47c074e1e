from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable
from random import Random
from typing import Any

import pytest

from nmt.errors import NMTError
from nmt.inference.results import Hypothesis, Translation
from nmt.inference.streaming import SourceLine
from nmt.server.batching import PIECES_PER_LINE, Batcher, BatcherLimits, QueueFullError


class Recorder:
    """A translator that writes capitals, waits until it may, and records its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.options: list[Hashable] = []
        self.may = threading.Event()
        self.may.set()

    def __call__(self, options: Hashable, lines: list[SourceLine]) -> list[Translation]:
        self.batches.append([line.text for line in lines])
        self.options.append(options)
        assert self.may.wait(20)
        if any(line.text == "bad" for line in lines):
            raise NMTError("a bad line")
        return [Translation(line.text.upper(), []) for line in lines]


def lines(*texts: str) -> list[SourceLine]:
    return [SourceLine(text) for text in texts]


def texts(translations: list[Translation]) -> list[str]:
    return [translation.text for translation in translations]


async def started(recorder: Recorder, count: int = 1) -> None:
    for _ in range(1000):
        if len(recorder.batches) >= count:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("no batch began")


def run(recorder: Recorder, work: Any, **limits: int) -> Any:
    async def main() -> Any:
        batcher = Batcher(recorder, BatcherLimits(**limits))
        try:
            return await work(batcher)
        finally:
            recorder.may.set()
            await batcher.close()

    return asyncio.run(main())


def test_lines_that_arrive_during_a_batch_are_the_next_batch() -> None:
    recorder = Recorder()

    async def work(batcher: Batcher) -> list[list[str]]:
        recorder.may.clear()
        tasks = [asyncio.ensure_future(batcher.translate(lines("a"), client="1", options=None))]
        await started(recorder)
        for name in "bcd":
            tasks.append(asyncio.ensure_future(batcher.translate(lines(name), client=name, options=None)))
        await asyncio.sleep(0.01)
        recorder.may.set()
        return [texts(found) for found in await asyncio.gather(*tasks)]

    assert run(recorder, work) == [["A"], ["B"], ["C"], ["D"]]
    assert recorder.batches == [["a"], ["b", "c", "d"]]


def test_a_long_request_does_not_delay_a_short_one() -> None:
    recorder = Recorder()

    async def work(batcher: Batcher) -> None:
        recorder.may.clear()
        long = asyncio.ensure_future(
            batcher.translate(lines(*(f"long {n}" for n in range(40))), client="one", options=None)
        )
        await started(recorder)
        short = asyncio.ensure_future(batcher.translate(lines("short"), client="two", options=None))
        await asyncio.sleep(0.01)
        recorder.may.set()
        await asyncio.gather(long, short)

    run(recorder, work, batch_lines=4)
    assert "short" in recorder.batches[1]


def test_only_equal_options_share_a_batch() -> None:
    recorder = Recorder()

    async def work(batcher: Batcher) -> None:
        recorder.may.clear()
        first = asyncio.ensure_future(batcher.translate(lines("x"), client="0", options="a"))
        await started(recorder)
        others = [
            asyncio.ensure_future(batcher.translate(lines(f"{n}"), client=str(n), options="ab"[n % 2]))
            for n in range(6)
        ]
        await asyncio.sleep(0.01)
        recorder.may.set()
        await asyncio.gather(first, *others)

    run(recorder, work)
    assert sorted(recorder.batches[1:]) == [["0", "2", "4"], ["1", "3", "5"]]
    assert sorted(map(str, recorder.options[1:])) == ["a", "b"]


def test_a_cancelled_request_is_not_translated() -> None:
    recorder = Recorder()

    async def work(batcher: Batcher) -> int:
        recorder.may.clear()
        first = asyncio.ensure_future(batcher.translate(lines("a"), client="1", options=None))
        await started(recorder)
        second = asyncio.ensure_future(batcher.translate(lines("b", "c"), client="2", options=None))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        recorder.may.set()
        await first
        await batcher.translate(lines("d"), client="3", options=None)
        return batcher.waiting

    assert run(recorder, work) == 0
    assert recorder.batches == [["a"], ["d"]]


def test_a_full_queue_refuses_whole_requests() -> None:
    recorder = Recorder()

    async def work(batcher: Batcher) -> list[str]:
        recorder.may.clear()
        first = asyncio.ensure_future(batcher.translate(lines("a"), client="1", options=None))
        await started(recorder)
        second = asyncio.ensure_future(batcher.translate(lines("b", "c"), client="1", options=None))
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFullError, match="later"):
            await batcher.translate(lines("d", "e"), client="2", options=None)
        recorder.may.set()
        return texts(await first) + texts(await second)

    assert run(recorder, work, waiting_lines=3) == ["A", "B", "C"]


def test_a_bad_line_fails_alone() -> None:
    recorder = Recorder()

    async def work(batcher: Batcher) -> list[Any]:
        recorder.may.clear()
        tasks = [asyncio.ensure_future(batcher.translate(lines("first"), client="0", options=None))]
        await started(recorder)
        for name in ("a", "bad", "c"):
            tasks.append(asyncio.ensure_future(batcher.translate(lines(name), client=name, options=None)))
        await asyncio.sleep(0.01)
        recorder.may.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    _, a, bad, c = run(recorder, work)
    assert [texts(a), texts(c)] == [["A"], ["C"]]
    assert isinstance(bad, NMTError)


def test_repeated_lines_come_from_the_cache_unless_it_is_refused() -> None:
    recorder = Recorder()

    async def work(batcher: Batcher) -> None:
        for _ in range(3):
            assert texts(await batcher.translate(lines("a", "b"), client="1", options=None)) == ["A", "B"]
        await batcher.translate(lines("a"), client="1", options="other")
        await batcher.translate(lines("a"), client="1", options=None, cached=False)
        await batcher.translate(lines("c", "d", "e"), client="1", options=None)
        await batcher.translate(lines("a"), client="1", options=None)

    run(recorder, work, cached_lines=3)
    assert [sorted(batch) for batch in recorder.batches] == [["a", "b"], ["a"], ["a"], ["c", "d", "e"], ["a"]]


def test_closing_finishes_what_waits() -> None:
    recorder = Recorder()

    async def main() -> list[str]:
        batcher = Batcher(recorder, BatcherLimits(batch_lines=2))
        request = asyncio.ensure_future(batcher.translate(lines(*"abcdef"), client="1", options=None))
        await asyncio.sleep(0)
        await batcher.close()
        return texts(await request)

    assert asyncio.run(main()) == list("ABCDEF")


def test_requests_of_a_client_take_turns_and_do_not_multiply_its_share() -> None:
    recorder = Recorder()

    async def work(batcher: Batcher) -> None:
        recorder.may.clear()
        tasks = [asyncio.ensure_future(batcher.translate(lines("first"), client="one", options=None))]
        await started(recorder)
        for name in "abc":
            many = lines(*(f"{name}{n}" for n in range(20)))
            tasks.append(asyncio.ensure_future(batcher.translate(many, client="one", options=None)))
        tasks.append(asyncio.ensure_future(batcher.translate(lines("short"), client="one", options=None)))
        other = lines(*(f"other{n}" for n in range(20)))
        tasks.append(asyncio.ensure_future(batcher.translate(other, client="two", options=None)))
        await asyncio.sleep(0.01)
        recorder.may.set()
        await asyncio.gather(*tasks)

    run(recorder, work, batch_lines=8)
    assert sorted(recorder.batches[1]) == sorted(["a0", "b0", "c0", "short", *(f"other{n}" for n in range(4))])
    assert all(sum(line.startswith("other") for line in batch) == 4 for batch in recorder.batches[2:6])


def test_every_line_is_translated_once_and_reaches_its_own_request() -> None:
    """Random requests of several clients with two sets of options, some of them cancelled."""
    recorder = Recorder()
    random = Random(3)

    async def work(batcher: Batcher) -> list[tuple[list[str], Any]]:
        tasks = []
        for number in range(200):
            wanted = [f"r{number} l{n}" for n in range(random.randint(1, 12))]
            call = batcher.translate(lines(*wanted), client=f"c{random.randint(0, 5)}", options=random.choice("ab"))
            tasks.append((wanted, asyncio.ensure_future(call)))
            if random.random() < 0.3:
                await asyncio.sleep(0)
            if random.random() < 0.2:
                random.choice(tasks)[1].cancel()
        found = await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
        assert batcher.waiting == 0
        return [(wanted, each) for (wanted, _), each in zip(tasks, found, strict=True)]

    for wanted, result in run(recorder, work, batch_lines=7, batch_characters=60):
        assert isinstance(result, asyncio.CancelledError) or texts(result) == [line.upper() for line in wanted]
    done = [line for batch in recorder.batches for line in batch]
    assert len(done) == len(set(done))


def test_the_cache_is_bounded_in_lines_and_in_pieces() -> None:
    def translate(options: Hashable, sources: list[SourceLine]) -> list[Translation]:
        found = []
        for line in sources:
            pieces = line.text.split()
            found.append(Translation(line.text, [Hypothesis(line.text, [], pieces, 0.0, 0.0, [], True)]))
        return found

    async def work(batcher: Batcher) -> None:
        for number in range(30):
            await batcher.translate(lines(f"{number} a", "x " * (20 * number)), client="1", options=None)
            assert len(batcher._cache) <= 10
            kept = sum(len(each.hypotheses[0].pieces) for each in batcher._cache.values())
            assert kept == batcher._cached_pieces <= 10 * PIECES_PER_LINE

    async def main() -> None:
        batcher = Batcher(translate, BatcherLimits(cached_lines=10))
        await work(batcher)
        await batcher.close()

    asyncio.run(main())
