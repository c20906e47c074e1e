"""A log line at least every half minute, and an estimate that forgets a pause. The clock is that of the test."""

from __future__ import annotations

import logging
from itertools import pairwise
from types import SimpleNamespace

import pytest

from nmt.log import logger
from nmt.training import heartbeat
from nmt.training.heartbeat import RECENT, Heartbeat, Pace


class Clock:
    """A clock whose time passes only in waits, at most `end` seconds."""

    def __init__(self, end: float) -> None:
        self.now = 0.0
        self.end = end
        self.events: dict[float, str] = {}

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        """Stand for the wait of the thread. True at the end."""
        until = self.now + seconds
        for time in sorted(self.events):
            if self.now < time <= until:
                self.now = time
                logger.info(self.events[time])
        self.now = until
        return self.now >= self.end


def lines(clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """Return the time and the text of each line of a heartbeat on this clock."""
    caplog.set_level(logging.INFO, logger="nmt")
    monkeypatch.setattr(heartbeat, "time", clock)
    times: list[float] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            times.append(clock.now)

    watch = Watch()
    beat = Heartbeat(lambda: f"at {clock.now:g}")
    beat._end = SimpleNamespace(wait=clock.wait)  # type: ignore[assignment]
    for handler in (beat, watch):
        logger.addHandler(handler)
    try:
        beat._run()
    finally:
        for handler in (beat, watch):
            logger.removeHandler(handler)
    return list(zip(times, caplog.messages, strict=True))


def test_silence_is_broken_every_half_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines(Clock(100), caplog, monkeypatch)
    assert found == [(30, "at 30"), (60, "at 60"), (90, "at 90")]


def test_other_lines_count_and_no_silence_is_longer(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(200)
    clock.events = {10: "report", 35: "report", 64: "report", 100: "report"}
    found = lines(clock, caplog, monkeypatch)
    assert [time for time, text in found if text.startswith("at")] == [94, 130, 160, 190]
    times = [0.0, *(time for time, _ in found)]
    assert max(after - before for before, after in pairwise(times)) <= 30


def test_the_thread_ends_with_the_block() -> None:
    with Heartbeat(lambda: "", interval=1000) as beat:
        assert beat._thread.is_alive()
        assert beat in logger.handlers
    assert not beat._thread.is_alive()
    assert beat not in logger.handlers


def test_a_pause_does_not_change_the_estimate() -> None:
    pace = Pace()
    assert pace.estimate(10, validations=0) is None
    for _ in range(20):
        pace.add(2.0)
    pace.add(100_000.0)  # the process was stopped, or the machine slept
    assert pace.estimate(10, validations=0) == 20
    pace.add_validation(7.0)
    assert pace.estimate(10, validations=2) == 34
    assert pace.estimate(-1, validations=0) == 0


def test_the_estimate_follows_the_recent_pace() -> None:
    pace = Pace()
    for _ in range(1000):
        pace.add(5.0)
    for _ in range(RECENT // 2 + 1):
        pace.add(1.0)
    assert pace.estimate(100, validations=0) == 100
