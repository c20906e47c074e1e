from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.shuffle import EpochOrder, Permutation, make_key, uniform


@given(st.integers(1, 600), st.integers(0, 2**64 - 1))
def test_a_permutation_has_every_number_once(size: int, key: int) -> None:
    assert sorted(Permutation(size, key)(np.arange(size)).tolist()) == list(range(size))


def test_a_permutation_can_be_asked_anywhere() -> None:
    permutation = Permutation(10**12, 5)
    places = np.array([0, 17, 10**12 - 1])
    assert permutation(places).tolist() == [int(permutation(places[n : n + 1])[0]) for n in range(3)]
    assert permutation(places).max() < 10**12


def test_permutations_look_random() -> None:
    size = 20_000
    numbers = Permutation(size, make_key(1, 2))(np.arange(size))
    assert abs(np.corrcoef(np.arange(size), numbers)[0, 1]) < 0.03
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.03
    assert np.mean(numbers == Permutation(size, make_key(1, 3))(np.arange(size))) < 0.01
    counts = np.histogram(numbers[: size // 2], bins=20)[0]
    assert counts.min() > 400 < 600 > counts.max()


def test_unit_numbers() -> None:
    numbers = uniform(np.arange(100_000), 3)
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.01


def epoch_of(bounds: list[int], weights: list[float], epoch: int, seed: int = 1) -> list[int]:
    order = EpochOrder(bounds, weights, seed=seed, epoch=epoch)
    return order.pairs(0, len(order)).tolist()


def test_weight_one_is_every_pair_once() -> None:
    first, second = (epoch_of([0, 30, 100], [1.0, 1.0], epoch) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert first == epoch_of([0, 30, 100], [1.0, 1.0], 0)
    assert first != epoch_of([0, 30, 100], [1.0, 1.0], 0, seed=2)


def test_whole_weights_repeat() -> None:
    counts = Counter(epoch_of([0, 10, 30], [3.0, 1.0], 0))
    assert all(counts[number] == (3 if number < 10 else 1) for number in range(30))


def test_a_share_is_another_one_each_epoch() -> None:
    halves = [set(epoch_of([0, 100], [0.5], epoch)) for epoch in range(4)]
    assert [len(half) for half in halves] == [50] * 4
    assert halves[0] | halves[1] == halves[2] | halves[3] == set(range(100))
    assert halves[0] == halves[2]
    thirds = [set(epoch_of([0, 100], [0.3], epoch)) for epoch in range(2)]
    assert thirds[0].isdisjoint(thirds[1])


@pytest.mark.parametrize("weight", [0.001, 0.25, 0.37, 1.5, 2.75, 3.0])
def test_weights_hold_in_the_long_run(weight: float) -> None:
    epochs = 100
    counts = Counter(number for epoch in range(epochs) for number in epoch_of([0, 40, 47], [weight, 1.0], epoch))
    small = [counts[number] for number in range(40)]
    assert sum(small) == pytest.approx(40 * weight * epochs, abs=1)
    assert max(small) - min(small) <= max(2, 0.1 * weight * epochs)
    assert all(counts[number] == epochs for number in range(40, 47))


def test_corpora_without_pairs() -> None:
    assert sorted(epoch_of([0, 0, 5, 5], [2.5, 1.0, 1.0], 0)) == list(range(5))
