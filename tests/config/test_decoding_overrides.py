"""Options of the search that do not go together, and those of a model that give way."""

from __future__ import annotations

from typing import Any

import pytest

from nmt.config.conflicts import search_conflicts
from nmt.config.decoding_overrides import override_decoding
from nmt.config.schema import DecodingConfig
from nmt.errors import UsageError


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"min_length": 5, "max_length": 4}, ["min_length", "max_length"]),
        ({"min_length_ratio": 2.0, "max_length_ratio": 1.5}, ["min_length_ratio", "max_length_ratio"]),
        ({"beam_size": 5, "beam_groups": 2}, ["beam_groups", "beam_size"]),
        ({"diversity": 1.0}, ["diversity", "beam_groups"]),
        ({"beam_size": 1, "stopping": "fast"}, ["stopping", "beam_size"]),
        ({"beam_size": 1, "coverage_penalty": 0.2}, ["coverage_penalty", "beam_size"]),
        ({"temperature": 0.5}, ["temperature", "sampling"]),
        ({"top_k": 5}, ["top_k", "sampling"]),
        ({"sampling": True, "coverage_penalty": 0.2}, ["coverage_penalty", "sampling"]),
        ({"sampling": True, "beam_size": 4, "beam_groups": 2}, ["beam_groups", "sampling"]),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_told(options: dict[str, Any], named: list[str]) -> None:
    (problem,) = search_conflicts(DecodingConfig.model_validate(options))
    assert [path[-1] for path in problem.paths] == named
    with pytest.raises(UsageError, match=f"--{named[0].replace('_', '-')}"):
        override_decoding(DecodingConfig(), options)


def test_more_samples_than_a_beam_holds_are_fine() -> None:
    assert list(search_conflicts(DecodingConfig(sampling=True, n_best=50, beam_size=5))) == []
    assert override_decoding(DecodingConfig(), {"sampling": True, "n_best": 50}).n_best == 50


def test_a_models_options_give_way_to_those_that_are_given() -> None:
    own = DecodingConfig(beam_size=4, beam_groups=2, diversity=1.0, coverage_penalty=0.2, stopping="fast")
    greedy = override_decoding(own, {"beam_size": 1, "beam_groups": 1})
    assert (greedy.coverage_penalty, greedy.stopping, greedy.diversity) == (0.0, "exact", 0.5)
    sampled = override_decoding(own, {"sampling": True})
    assert (sampled.coverage_penalty, sampled.stopping, sampled.beam_groups) == (0.0, "exact", 1)
    assert override_decoding(DecodingConfig(sampling=True, temperature=0.5), {"sampling": False}).temperature == 1.0
