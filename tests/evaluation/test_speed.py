"""The measurement of speed: in turns, with a clock of the test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from nmt.errors import UsageError
from nmt.evaluation.speed import Mode, made_up_lines, measure_speed
from nmt.inference.results import Hypothesis, Translation
from tiny_translator import tiny_tokenizers


class FakeTranslator:
    """Needs one second for each line, and `overhead` seconds for each call. A translation has three pieces."""

    def __init__(self, world: World, overhead: float) -> None:
        self.world, self.overhead = world, overhead

    def translate(self, lines: Iterable[str]) -> Iterator[Translation]:
        given = list(lines)
        self.world.calls.append((self, given))
        self.world.time += self.overhead + len(given)
        best = Hypothesis("", [], [], 0.0, 0.0, [], finished=True, segments=[[4, 5], [6]])
        yield from (Translation("", [best]) for _ in given)


class World:
    """The clock, and the calls of all translators."""

    def __init__(self) -> None:
        self.time = 0.0
        self.calls: list[tuple[FakeTranslator, list[str]]] = []


MODES = [Mode(1, 5, False), Mode(8, 5, False), Mode(8, 1, True)]
TEXT = [f"line {number}" for number in range(20)]


def test_rates_are_those_of_the_clock_whatever_the_number_of_turns() -> None:
    for seconds in (0.0, 100.0, 1000.0):
        world = World()
        translators = {mode: FakeTranslator(world, overhead=mode.beam) for mode in MODES}
        speeds = measure_speed(translators, TEXT, seconds=seconds, clock=lambda world=world: world.time)  # type: ignore[misc]
        assert [speed[:3] for speed in speeds] == MODES
        assert [speed.sentences_per_second for speed in speeds] == pytest.approx([1 / 6, 8 / 13, 8 / 9])
        assert [speed.pieces_per_second for speed in speeds] == pytest.approx([3 / 6, 24 / 13, 24 / 9])
        assert len({speed.turns for speed in speeds}) == 1
        assert speeds[0].turns == (1 if seconds == 0 else -(-seconds // (4 * 6 + 13 + 9)))


def test_modes_take_turns_and_read_the_whole_text_in_calls_of_different_lines() -> None:
    world = World()
    translators = {mode: FakeTranslator(world, overhead=1.0) for mode in MODES}
    measure_speed(translators, [*TEXT, "", " ", *TEXT], seconds=300, clock=lambda: world.time)
    for mode, translator in translators.items():
        calls = [lines for owner, lines in world.calls if owner is translator]
        assert {line for lines in calls for line in lines} == set(TEXT)
        assert all(len(set(lines)) == len(lines) <= mode.batch for lines in calls)
    batches = [owner for owner, lines in world.calls if len(lines) == 8]
    assert batches[:4] == [translators[MODES[1]], translators[MODES[2]], translators[MODES[2]], translators[MODES[1]]]


def test_a_text_shorter_than_a_batch() -> None:
    world = World()
    measure_speed({MODES[1]: FakeTranslator(world, overhead=1.0)}, ["a", "b", "a"], seconds=0, clock=lambda: world.time)
    assert world.calls[-1][1] == ["a", "b"]


def test_a_blank_text_is_refused() -> None:
    with pytest.raises(UsageError, match="blank"):
        measure_speed({}, ["", " "], seconds=0)


def test_made_up_lines_are_text_of_the_vocabulary() -> None:
    subwords = tiny_tokenizers().source
    lines = made_up_lines(subwords, 100)
    assert len(set(lines)) > 90
    assert made_up_lines(subwords, 100) == lines
