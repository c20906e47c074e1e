"""Greedy and beam search: exact, independent of the batch, and honest about scores."""

from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch

from fake_models import BOS, EOS, FixedModel, HashModel, every_output, plain_beam_search, sources
from nmt.errors import CheckpointError
from nmt.search import LengthNormalization, TokenHypothesis, beam_search, greedy_search

NONE = LengthNormalization(kind="none", alpha=0.0)
AVERAGE = LengthNormalization(kind="average", alpha=1.0)
GNMT = LengthNormalization(kind="gnmt", alpha=0.6)
ALL = [NONE, AVERAGE, GNMT, LengthNormalization(kind="average", alpha=2.0), LengthNormalization(kind="gnmt", alpha=3.0)]


def sentences(count: int, seed: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 12, (count,), generator=generator)
    return [torch.randint(4, 30, (int(length),), generator=generator).tolist() for length in lengths]


def search(
    model: HashModel,
    batch: list[list[int]],
    *,
    beam_size: int,
    n_best: int = 1,
    longest: int | list[int] = 12,
    normalization: LengthNormalization = AVERAGE,
) -> list[list[TokenHypothesis]]:
    source, lengths = sources(*batch)
    limits = torch.tensor([longest] * len(batch) if isinstance(longest, int) else longest)
    if beam_size == 0:
        return greedy_search(model, source, lengths, max_lengths=limits, normalization=normalization)
    return beam_search(
        model,
        source,
        lengths,
        beam_size=beam_size,
        n_best=n_best,
        max_lengths=limits,
        normalization=normalization,
    )


@pytest.mark.parametrize("normalization", ALL, ids=str)
def test_a_wide_beam_finds_the_best_of_all_outputs(normalization: LengthNormalization) -> None:
    size, longest = 7, 6
    for seed in range(3):
        model = HashModel(size=size, seed=seed, eos_bias=-1.0)
        for sentence in sentences(1, seed):
            outputs = every_output(model, sentence, size, longest)
            scores = sorted(
                ((float(normalization.score(total, len(ids) + 1)), ids) for ids, total in outputs.items()), reverse=True
            )
            [found] = search(model, [sentence], beam_size=3000, n_best=10, longest=longest, normalization=normalization)
            assert [tuple(hypothesis.ids) for hypothesis in found] == [ids for _, ids in scores[:10]]
            assert [hypothesis.score for hypothesis in found] == pytest.approx([score for score, _ in scores[:10]])


@functools.cache
def hash_model(size: int, seed: int, eos_bias: float) -> HashModel:
    """One model for all tests that compare it with the textbook, whose probabilities are then computed once."""
    return HashModel(size=size, seed=seed, eos_bias=eos_bias)


@pytest.mark.parametrize("normalization", ALL, ids=str)
@pytest.mark.parametrize("beam_size", [1, 2, 3, 5])
def test_stopping_early_never_changes_the_result(beam_size: int, normalization: LengthNormalization) -> None:
    size = 12
    for seed, eos_bias in itertools.product(range(2), (-2.0, 0.0, 2.0)):
        model = hash_model(size, seed, eos_bias)
        batch = sentences(6, seed)
        limits = [1, 2, 9, 9, 5, 0]
        batched = search(
            model, batch, beam_size=beam_size, n_best=beam_size, longest=limits, normalization=normalization
        )
        for sentence, longest, found in zip(batch, limits, batched, strict=True):
            expected = plain_beam_search(
                model, sentence, size=size, beam_size=beam_size, longest=longest, normalization=normalization
            )[:beam_size]
            assert [(tuple(one.ids), one.finished) for one in found] == [(ids, end) for _, ids, end in expected]
            assert [one.score for one in found] == pytest.approx([score for score, _, _ in expected])


def test_the_best_hypothesis_does_not_depend_on_n() -> None:
    model = HashModel(size=50, seed=5)
    batch = sentences(20, 5)
    one = search(model, batch, beam_size=5)
    five = search(model, batch, beam_size=5, n_best=5)
    assert [found[0] for found in five] == [found[0] for found in one]


@pytest.mark.parametrize("levels", [None, 2])
def test_a_beam_of_one_is_greedy_search(levels: int | None) -> None:
    for seed in range(5):
        model = HashModel(size=300, seed=seed, levels=levels)
        batch = sentences(30, seed)
        limits = [seed + len(sentence) for sentence in batch]
        assert search(model, batch, beam_size=1, longest=limits) == search(model, batch, beam_size=0, longest=limits)


@pytest.mark.parametrize("levels", [None, 2], ids=["no ties", "many ties"])
@pytest.mark.parametrize("beam_size", [0, 1, 5])
@pytest.mark.parametrize("size", [40, 2000])
def test_neighbours_and_order_change_nothing(beam_size: int, levels: int | None, size: int) -> None:
    model = HashModel(size=size, seed=1, levels=levels)
    batch = sentences(16, 7)
    limits = [2 * len(sentence) + 3 for sentence in batch]
    n_best = max(1, beam_size)
    expected = search(model, batch, beam_size=beam_size, n_best=n_best, longest=limits)
    for width in (1, 7):
        found = []
        for start in range(0, len(batch), width):
            part = slice(start, start + width)
            found += search(model, batch[part], beam_size=beam_size, n_best=n_best, longest=limits[part])
        assert found == expected
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3)).tolist()
    shuffled = search(
        model,
        [batch[index] for index in order],
        beam_size=beam_size,
        n_best=n_best,
        longest=[limits[index] for index in order],
    )
    assert shuffled == [expected[index] for index in order]


def test_hypotheses_are_sorted_and_different() -> None:
    model = HashModel(size=30, seed=2)
    for n_best in (1, 3, 6):
        for found in search(model, sentences(20, 2), beam_size=6, n_best=n_best):
            assert 1 <= len(found) <= n_best
            assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
            assert len({tuple(one.ids) for one in found}) == len(found)


@pytest.mark.parametrize("beam_size", [0, 4])
@pytest.mark.parametrize("normalization", ALL, ids=str)
def test_scores_equal_those_of_the_model(beam_size: int, normalization: LengthNormalization) -> None:
    model = HashModel(size=30, seed=4)
    batch = sentences(10, 4)
    for sentence, hypotheses in zip(
        batch,
        search(model, batch, beam_size=beam_size, n_best=max(1, beam_size), normalization=normalization),
        strict=True,
    ):
        memory = model.encode(*sources(sentence))
        for found in hypotheses:
            state, expected = model.init_state(memory), []
            for fed, following in itertools.pairwise([BOS, *found.ids, EOS]):
                output = model.step(torch.tensor([fed]), state, memory)
                state = output.state
                expected.append(float(output.log_probs[0, following]))
            assert found.piece_log_probabilities == pytest.approx(expected)
            assert found.log_probability == pytest.approx(sum(expected))
            assert found.score == pytest.approx(float(normalization.score(sum(expected), len(expected))))


@pytest.mark.parametrize("beam_size", [0, 1, 4])
def test_pad_unk_and_bos_are_never_generated(beam_size: int) -> None:
    log_probs = torch.full((12, 12), -9.0)
    log_probs[:, :EOS] = -0.01
    log_probs[:, 7] = -4.0
    [[found]] = search(FixedModel(log_probs), [[5]], beam_size=beam_size, longest=4)
    assert found.ids == [7, 7, 7, 7]


@pytest.mark.parametrize("beam_size", [0, 1, 4])
def test_eos_is_forced_at_the_length_limit_of_each_sentence(beam_size: int) -> None:
    log_probs = torch.full((12, 12), -30.0)
    log_probs[:, 5] = -0.001
    log_probs[:, EOS] = -60.0
    limits = [3, 0, 40, 7]
    model = FixedModel(log_probs)
    found = search(model, [[5], [6], [7], [8]], beam_size=beam_size, longest=limits, normalization=NONE)
    assert [len(best.ids) for [best] in found] == limits
    assert not any(best.finished for [best] in found)
    assert [best.log_probability for [best] in found] == pytest.approx([-0.001 * limit - 60 for limit in limits])
    assert model.steps == 41


def test_an_unfinished_hypothesis_is_returned_only_if_no_other_ended() -> None:
    log_probs = torch.full((8, 8), -30.0)
    log_probs[:, 5] = -0.001
    log_probs[:, EOS] = -60.0
    log_probs[BOS, EOS] = -7.0
    [found] = search(FixedModel(log_probs), [[5]], beam_size=2, n_best=2, longest=6)
    assert [(one.ids, one.finished) for one in found] == [([], True)]


def test_finished_sentences_are_dropped() -> None:
    log_probs = torch.full((12, 12), -30.0)
    log_probs[:, 5] = -0.001
    log_probs[:, EOS] = -60.0
    model = FixedModel(log_probs)
    search(model, [[5]] * 16, beam_size=3, longest=[1] * 15 + [99])
    assert model.rows == 16 + 16 * 3 + 98 * 3


def test_a_search_ends_when_no_better_hypothesis_is_possible() -> None:
    log_probs = torch.full((12, 12), -20.0)
    log_probs[BOS, 5] = -0.1
    log_probs[5, EOS] = -0.1
    model = FixedModel(log_probs)
    [[found]] = search(model, [[5]], beam_size=4, longest=1000, normalization=NONE)
    assert found.ids == [5]
    assert model.steps == 2


def test_a_damaged_model_is_reported() -> None:
    model = FixedModel(torch.full((12, 12), math.nan))
    for beam_size in (0, 3):
        with pytest.raises(CheckpointError, match="NaN"):
            search(model, [[5]], beam_size=beam_size)
