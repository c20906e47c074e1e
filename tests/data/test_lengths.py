from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data import lengths


@given(
    share=st.sampled_from([1e-4, 0.3, 0.5]),
    at_once=st.sampled_from([3, 1000]),
    pairs=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=40),
)
@settings(max_examples=200)
def test_limits_are_the_quantiles_of_all_pairs(share: float, at_once: int, pairs: list[tuple[int, int]]) -> None:
    sources, targets = np.array(pairs, dtype=np.int32).T
    ratios = (targets - 5.0) / np.maximum(sources, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lengths, "LONGER_SHARE", share)
        patch.setattr(lengths, "COUNTED_PAIRS", at_once)
        assert lengths.longest_source(sources) == max(1, math.ceil(np.quantile(sources, 1 - share)))
        expected = max(1.0, math.ceil(float(np.quantile(ratios, 1 - share)) * 100) / 100)
        assert lengths.length_ratio(sources, targets, constant=5) == expected
