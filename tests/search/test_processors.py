"""Penalties, blocking, constraints, diversity and sampling: what they find is the best there is under them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fake_models import BOS, EOS, FakeOutput, FakeState, HashModel, every_output, next_log_probs
from fake_subwords import SENTENCES, SIZE, check_exact, search
from nmt.errors import UsageError
from nmt.search.sampling import draw


@pytest.mark.parametrize("options", [{"min_length": 2}, {"min_length_ratio": 0.9}], ids=str)
def test_minimum_length(options: dict[str, Any]) -> None:
    check_exact(lambda ids: len(ids) >= 2, **options)


def test_maximum_length() -> None:
    check_exact(lambda ids: len(ids) <= 1, max_length=1)


@pytest.mark.parametrize("size", [1, 2])
def test_ngram_blocking(size: int) -> None:
    def allowed(ids: tuple[int, ...]) -> bool:
        grams = [ids[start : start + size] for start in range(len(ids) - size + 1)]
        return len(set(grams)) == len(grams)

    check_exact(allowed, no_repeat_ngram=size)


def test_the_repetition_penalty_follows_the_paper_and_keeps_model_scores() -> None:
    theta, model, sentence = 1.5, HashModel(size=SIZE, seed=3, eos_bias=-1.0), [5]
    [[found]] = search(model, [sentence], beam_size=400, repetition_penalty=theta)
    scores = {}
    for ids in every_output(model, sentence, SIZE, 3):
        total = 0.0
        for place, piece in enumerate([*ids, EOS]):
            logits = np.array(next_log_probs(model, sentence, ids[:place]))
            logits[list(set(ids[:place]))] *= theta
            total += logits[piece] - np.log(np.exp(logits).sum())
        scores[ids] = total / (len(ids) + 1)
    assert tuple(found.ids) == max(scores, key=scores.__getitem__)
    assert found.score == pytest.approx(max(scores.values()), abs=1e-5)
    assert found.log_probability == pytest.approx(every_output(model, sentence, SIZE, 3)[tuple(found.ids)], abs=1e-5)


class AttendingModel(HashModel):
    """Looks at places that depend on the prefix."""

    def step(self, ids: Tensor, state: FakeState, memory: Any) -> FakeOutput:
        output = super().step(ids, state, memory)
        return output._replace(weights=self.look(output.state.prefixes))

    @staticmethod
    def look(prefixes: Tensor) -> Tensor:
        return torch.stack([torch.sin(prefixes * 0.37 + place) for place in range(3)], dim=1).mul(2).softmax(1).float()


@pytest.mark.parametrize(
    ("kind", "divisor", "of_coverage"),
    [
        ("none", lambda pieces: 1, lambda pieces: 1),
        ("gnmt", lambda pieces: ((5 + pieces) / 6) ** 0.6, lambda pieces: 1),
        ("average", lambda pieces: pieces, lambda pieces: pieces),
    ],
)
def test_the_coverage_penalty_follows_the_paper_and_is_a_mean_for_mean_scores(
    kind: str, divisor: Callable[[int], float], of_coverage: Callable[[int], float]
) -> None:
    beta, model = 0.7, AttendingModel(size=SIZE, seed=2, eos_bias=-1.0)
    sentences = [[5, 6], [6]]
    options = {"beam_size": 400, "n_best": 3, "coverage_penalty": beta, "length_normalization": kind}
    for sentence, found in zip(sentences, search(model, sentences, **options), strict=True):
        scores = {}
        for ids, total in every_output(model, sentence, SIZE, 3).items():
            prefix, attended = torch.zeros(1, dtype=torch.int64), np.zeros(3)
            for piece in (BOS, *ids):
                prefix = model.mix(prefix, torch.tensor([piece]))
                attended += model.look(prefix)[0].numpy()
            seen = [min(each, 1.0) for each in attended[: len(sentence) + 1]]
            penalty = sum(map(math.log, seen)) / of_coverage(len(seen))
            scores[ids] = total / divisor(len(ids) + 1) + beta * penalty
        assert [tuple(one.ids) for one in found[:3]] == sorted(scores, key=scores.__getitem__)[::-1][:3]
        assert [one.score for one in found[:3]] == pytest.approx(sorted(scores.values())[::-1][:3], abs=1e-5)


def test_a_coverage_penalty_needs_attention() -> None:
    with pytest.raises(UsageError, match="attention"):
        search(HashModel(size=SIZE, seed=2), [[5]], coverage_penalty=0.2)


def test_the_fast_rule_stops_when_no_live_hypothesis_is_better() -> None:
    steps = {}
    for stopping in ("exact", "fast"):
        model = HashModel(size=40, seed=1, eos_bias=3.0)
        found = search(model, SENTENCES, longest=30, beam_size=4, stopping=stopping)
        steps[stopping] = model.steps
        assert all(one.finished for [one] in found)
    assert steps["fast"] < steps["exact"]


def test_groups_without_diversity_are_equal_to_a_plain_beam() -> None:
    model = HashModel(size=40, seed=1)
    plain = search(model, SENTENCES, longest=6, beam_size=2, n_best=2)
    assert search(model, SENTENCES, longest=6, beam_size=6, beam_groups=3, diversity=0.0, n_best=2) == plain


def plain_diverse_steps(model: HashModel, sentence: list[int], groups: int, strength: float) -> list[list[int]]:
    """Groups of one hypothesis, in Vijayakumar's algorithm 1; until EOS or three pieces."""
    prefixes: list[tuple[int, ...]] = [()] * groups
    for _ in range(3):
        counts = np.zeros(40)
        for group, prefix in enumerate(prefixes):
            if EOS in prefix:
                continue
            scores = np.array(next_log_probs(model, sentence, prefix)) - strength * counts
            piece = int(scores[EOS:].argmax()) + EOS
            counts[piece] += 1
            prefixes[group] = (*prefix, piece)
    return [list(prefix) for prefix in prefixes]


def test_groups_are_penalized_for_pieces_of_earlier_groups() -> None:
    model = HashModel(size=40, seed=1, eos_bias=-30.0)
    options: dict[str, Any] = {"beam_size": 3, "beam_groups": 3, "diversity": 1.5, "n_best": 3}
    together = search(model, SENTENCES, longest=3, **options)
    for sentence, found in zip(SENTENCES, together, strict=True):
        expected = plain_diverse_steps(model, sentence, 3, 1.5)
        assert sorted(one.ids for one in found) == sorted(map(list, {tuple(ids) for ids in expected}))
        assert search(model, [sentence], longest=3, **options) == [found]


EXTRAS: list[dict[str, Any]] = [
    {"no_repeat_ngram": 1, "min_length": 3, "beam_size": 1},
    {"repetition_penalty": 1.3, "no_repeat_ngram": 2, "min_length": 2, "n_best": 4},
    {"beam_size": 6, "beam_groups": 2, "no_repeat_ngram": 2, "n_best": 4},
    {"sampling": True, "n_best": 3, "top_k": 9, "no_repeat_ngram": 1},
    {"sampling": True, "temperature": 0.7, "top_p": 0.8},
]


@pytest.mark.parametrize("options", EXTRAS, ids=str)
def test_neighbours_and_order_change_nothing(options: dict[str, Any]) -> None:
    model = HashModel(size=60, seed=2, levels=4)
    sentences = [[piece, *range(4, 4 + piece % 5)] for piece in range(4, 20)]
    expected = search(model, sentences, longest=8, **options)
    assert search(model, sentences[::-1], longest=8, **options)[::-1] == expected
    assert [search(model, [sentence], longest=8, **options)[0] for sentence in sentences] == expected


def expected_shares(log_probs: list[float], options: dict[str, Any]) -> np.ndarray[Any, Any]:
    shares = np.exp(np.array(log_probs) / options.get("temperature", 1.0))
    shares[:EOS] = 0
    descending = np.sort(shares)[::-1]
    if "top_k" in options:
        shares[shares < descending[options["top_k"] - 1]] = 0
    if "top_p" in options:
        passed = int(np.searchsorted(np.cumsum(descending) / shares.sum(), options["top_p"]))
        shares[shares < descending[passed]] = 0
    return np.asarray(shares / shares.sum())


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 2.0}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.7}], ids=str
)
def test_samples_pass_a_chi_square_test(options: dict[str, Any]) -> None:
    model, sentence, count = HashModel(size=SIZE, seed=6), [5, 6], 8000
    [found] = search(model, [sentence], longest=2, sampling=True, n_best=count, **options)
    chances: dict[tuple[int, ...], float] = {}
    first = expected_shares(next_log_probs(model, sentence, ()), options)
    chances[()] = first[EOS]
    for piece in range(EOS + 1, SIZE):
        if first[piece]:
            second = expected_shares(next_log_probs(model, sentence, (piece,)), options)
            chances[(piece,)] = first[piece] * second[EOS]
            chances.update({(piece, other): first[piece] * second[other] for other in range(EOS + 1, SIZE)})
    drawn: dict[tuple[int, ...], int] = dict.fromkeys(chances, 0)
    for one in found:
        drawn[tuple(one.ids)] += 1
    assert all(chances[ids] for ids, times in drawn.items() if times)
    likely = [ids for ids, chance in chances.items() if chance * count >= 5]
    statistic = sum((drawn[ids] - chances[ids] * count) ** 2 / (chances[ids] * count) for ids in likely)
    freedom = len(likely)
    assert statistic < freedom + 4.5 * math.sqrt(2 * freedom)


def test_samples_have_the_scores_of_the_model_and_depend_on_the_seed() -> None:
    model, sentence = HashModel(size=SIZE, seed=6), [5, 6]
    options: dict[str, Any] = {"sampling": True, "n_best": 20, "temperature": 1.7, "longest": 4}
    [found] = search(model, [sentence], **options)
    totals = every_output(model, sentence, SIZE, 4)
    for one in found:
        assert one.log_probability == pytest.approx(totals[tuple(one.ids)], abs=1e-5)
        assert one.score == pytest.approx(one.log_probability / (len(one.ids) + 1))
        assert one.finished or len(one.ids) == 4
    assert search(model, [sentence], seed=2, **options) != [found]
    assert search(model, [sentence], **{**options, "n_best": 5}) == [found[:5]]


def test_pairs_of_options_work_together() -> None:
    model = HashModel(size=SIZE, seed=0)
    for one, other in itertools.combinations(EXTRAS[:3], 2):
        for found in search(model, SENTENCES, longest=5, **{**one, **other, "beam_size": 6, "n_best": 2}):
            assert found


def test_rounding_does_not_change_a_sample() -> None:
    generator = torch.Generator().manual_seed(1)
    log_probs = torch.randn(4000, 1000, generator=generator).mul(3).log_softmax(1)
    keys = np.arange(4000, dtype=np.uint64)
    rounded = log_probs + 1e-6 * torch.randn(log_probs.shape, generator=generator)
    assert torch.equal(draw(rounded, keys), draw(log_probs, keys))


@pytest.mark.parametrize("size", [EOS + 1, EOS + 2, 11, 20])
def test_pieces_are_drawn_by_their_probability_whatever_the_size_of_the_vocabulary(size: int) -> None:
    count = 100_000
    log_probs = torch.randn(1, size, generator=torch.Generator().manual_seed(size))
    log_probs[0, EOS + 1 :: 4] = -math.inf
    drawn = draw(log_probs.expand(count, -1), np.arange(count, dtype=np.uint64))
    found = torch.bincount(drawn, minlength=size).double() / count
    log_probs[0, :EOS] = -math.inf
    expected = log_probs[0].double().softmax(0)
    assert (found[expected == 0] == 0).all()
    assert ((found - expected).abs() <= 5 * (expected / count).sqrt()).all()
