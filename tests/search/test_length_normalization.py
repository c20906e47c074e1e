"""Length normalisation, against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nmt.errors import UsageError
from nmt.search import LengthNormalization, make_length_normalization


def test_none_ranks_by_the_sum() -> None:
    none = make_length_normalization("none", None)
    assert none.score(-3.0, 3) == -3.0
    assert none.score(-4.0, 8) == -4.0


def test_average_is_the_mean_of_the_pieces() -> None:
    average = make_length_normalization("average", None)
    assert average.score(-3.0, 3) == -1.0
    assert average.score(-4.0, 8) == -0.5  # the longer one wins now
    assert make_length_normalization("average", 0.5).score(-4.0, 4) == -2.0


def test_gnmt_is_the_formula_of_the_paper() -> None:
    gnmt = make_length_normalization("gnmt", 1.0)
    assert gnmt.score(-3.0, 1) == -3.0  # (5 + 1) / 6 = 1
    assert gnmt.score(-3.0, 7) == -1.5  # (5 + 7) / 6 = 2
    assert make_length_normalization("gnmt", None).score(-3.0, 7) == pytest.approx(-3.0 / 2**0.6)
    assert make_length_normalization("gnmt", 2.0).score(-4.0, 7) == -1.0


@pytest.mark.parametrize("kind", ["average", "gnmt"])
def test_alpha_zero_is_none(kind: str) -> None:
    assert make_length_normalization(kind, 0.0).score([-3.0, -4.0], [3, 8]).tolist() == [-3.0, -4.0]


def test_an_alpha_without_effect_is_refused() -> None:
    with pytest.raises(UsageError, match="no effect"):
        make_length_normalization("none", 0.7)
    assert make_length_normalization("none", 0.0).score(-2.0, 9) == -2.0


def test_a_negative_alpha_is_refused() -> None:
    with pytest.raises(UsageError, match="negative"):
        make_length_normalization("average", -1.0)


@pytest.mark.parametrize(
    "normalization", [LengthNormalization(kind=kind, alpha=1.3) for kind in ("none", "average", "gnmt")]
)
def test_no_continuation_exceeds_the_bound(normalization: LengthNormalization) -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        longest, length = sorted(random.integers(1, 50, 2))[::-1]
        total = -random.exponential(5)
        later = total - random.exponential(1)
        assert normalization.score(later, length) <= total / normalization.divisor(longest)
