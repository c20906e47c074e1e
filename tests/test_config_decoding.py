"""Options of the search that do not go together, and those of a model that give way."""

from __future__ import annotations

from typing import Any

import pytest

from nmt.config.checks import search_contradictions
from nmt.config.decoding import change_decoding
from nmt.config.schema import Decoding
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
    (problem,) = search_contradictions(Decoding.model_validate(options))
    assert [path[-1] for path in problem.paths] == named
    with pytest.raises(UsageError, match=f"--{named[0].replace('_', '-')}"):
        change_decoding(Decoding(), options)


def test_more_samples_than_a_beam_holds_are_fine() -> None:
    assert list(search_contradictions(Decoding(sampling=True, n_best=50, beam_size=5))) == []
    assert change_decoding(Decoding(), {"sampling": True, "n_best": 50}).n_best == 50


def test_a_models_options_give_way_to_those_that_are_given() -> None:
    own = Decoding(beam_size=4, beam_groups=2, diversity=1.0, coverage_penalty=0.2, stopping="fast")
    greedy = change_decoding(own, {"beam_size": 1, "beam_groups": 1})
    assert (greedy.coverage_penalty, greedy.stopping, greedy.diversity) == (0.0, "exact", 0.5)
    sampled = change_decoding(own, {"sampling": True})
    assert (sampled.coverage_penalty, sampled.stopping, sampled.beam_groups) == (0.0, "exact", 1)
    assert change_decoding(Decoding(sampling=True, temperature=0.5), {"sampling": False}).temperature == 1.0
