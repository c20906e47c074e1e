"""The best continuations of each sentence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.arrays import top_k_of_sums
from nmt.data.special_tokens import EOS
from nmt.search.interface import Continuations
from nmt.search.top_k import top_k_continuations

SENTENCES = 11


def rows(size: int, beam: int, levels: int | None = None) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size + beam)
    log_probs = torch.randn(SENTENCES * beam, size, generator=generator)
    if levels is not None:
        log_probs = torch.randint(0, levels, log_probs.shape, generator=generator).float()
    return log_probs, torch.randn(SENTENCES, beam, generator=generator)


Find = Callable[[Tensor, Tensor, int], Continuations]


def in_torch(log_probs: Tensor, totals: Tensor, count: int) -> Continuations:
    return top_k_continuations(log_probs, totals, count)


def in_numpy(log_probs: Tensor, totals: Tensor, count: int) -> Continuations:
    found = top_k_continuations(log_probs.numpy(), totals.numpy(), count)
    assert {type(array) for array in found[:3]} == {np.ndarray}
    return Continuations(*map(torch.from_numpy, found[:3]))


def one_by_one(log_probs: Tensor, totals: Tensor, count: int) -> Continuations:
    """In numpy, for each sentence alone: another algorithm than for a batch of many."""
    beam = totals.shape[1]
    parts = [
        in_numpy(log_probs[index * beam :][:beam], totals[index : index + 1], count) for index in range(len(totals))
    ]
    return Continuations(*(torch.cat(column) for column in list(zip(*parts, strict=True))[:3]))


WAYS = pytest.mark.parametrize("find", [in_torch, in_numpy, one_by_one])


@WAYS
@pytest.mark.parametrize("size", [5, 64, 67, 131, 1000, 1027, 8000])
@pytest.mark.parametrize("beam", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_they_are_the_best_of_all(size: int, beam: int, count: int, find: Find) -> None:
    log_probs, totals = rows(size, beam)
    found = find(log_probs, totals, count)
    sums = log_probs.view(SENTENCES, beam, size) + totals.unsqueeze(2)
    sums[:, :, :3] = -torch.inf
    wanted = min(count, beam * (size - 3))
    expected = sums.flatten(1).topk(wanted, dim=1)
    assert torch.equal(found.rows, expected.indices // size)
    assert torch.equal(found.pieces, expected.indices % size)
    assert torch.equal(found.log_probs + totals.gather(1, found.rows), expected.values)


@WAYS
@pytest.mark.parametrize("levels", [3, 40])
@pytest.mark.parametrize("size", [50, 700, 8000])
def test_ties_are_settled_by_the_sentence_alone(size: int, levels: int, find: Find) -> None:
    log_probs, _ = rows(size, 5, levels=levels)
    totals = torch.zeros(SENTENCES, 5)
    found = find(log_probs, totals, 10)
    for index, pair in enumerate(zip(found.rows.tolist(), found.pieces.tolist(), strict=True)):
        assert len(set(zip(*pair, strict=True))) == 10
        alone = find(log_probs[index * 5 : index * 5 + 5], totals[:1], 10)
        assert torch.equal(alone.rows[0], found.rows[index])
        assert torch.equal(alone.pieces[0], found.pieces[index])


@pytest.mark.parametrize("find", [in_numpy, one_by_one])
@pytest.mark.parametrize("levels", [2, 5, 300])
@pytest.mark.parametrize("count", [1, 5, 40])
@pytest.mark.parametrize("beam", [1, 4])
def test_numpy_prefers_the_first_row_then_the_first_piece(beam: int, count: int, levels: int, find: Find) -> None:
    log_probs, _ = rows(900, beam, levels=levels)
    totals = torch.randint(0, 2, (SENTENCES, beam)).float()
    found = find(log_probs, totals, count)
    sums = (log_probs.view(SENTENCES, beam, -1) + totals.unsqueeze(2))[:, :, 3:].flatten(1)
    expected = sums.sort(dim=1, descending=True, stable=True).indices[:, :count]
    assert torch.equal(found.rows, expected // 897)
    assert torch.equal(found.pieces, expected % 897 + 3)


@WAYS
def test_a_hypothesis_that_does_not_exist_is_not_continued(find: Find) -> None:
    log_probs, totals = rows(200, 2)
    totals[:, 1] = -torch.inf
    assert find(log_probs, totals, 20).rows.max() == 0


@WAYS
@pytest.mark.parametrize("possible", [1, 4])
def test_masked_pieces_are_returned_as_impossible(possible: int, find: Find) -> None:
    log_probs, totals = rows(200, 2)
    log_probs[:, 3 + possible :] = -torch.inf
    found = find(log_probs, totals, 20)
    assert torch.equal((found.log_probs > -torch.inf).sum(1), torch.full((SENTENCES,), 2 * possible))
    assert (found.log_probs[:, : 2 * possible] > -torch.inf).all()


@WAYS
def test_an_undefined_probability_is_found(find: Find) -> None:
    log_probs, totals = rows(300, 3)
    log_probs[1::3, 250] = torch.nan
    found = find(log_probs, totals, 2)
    undefined = found.log_probs.isnan()
    assert torch.equal(undefined.sum(1), torch.ones(SENTENCES, dtype=torch.int64))
    assert (set(found.rows[undefined].tolist()), set(found.pieces[undefined].tolist())) == ({1}, {250})


@pytest.mark.parametrize("sentences", [2, 30])
def test_indices_of_impossible_sums_are_indices(sentences: int) -> None:
    values = np.zeros((sentences * 3, 299), np.float32)
    totals = np.full((sentences, 3), -np.inf, np.float32)
    _, rows, columns = top_k_of_sums(values, totals, 40, start=EOS)
    assert ((rows >= 0) & (rows < 3)).all()
    assert ((columns >= EOS) & (columns < 299)).all()


@WAYS
@pytest.mark.parametrize("size", [9, 300, 700])
@pytest.mark.parametrize("finite", [0, 1, 3])
@pytest.mark.parametrize("count", [5, 20])
def test_fewer_pieces_than_wanted_are_possible(size: int, finite: int, count: int, find: Find) -> None:
    log_probs, totals = rows(size, 5)
    log_probs[:, 3 + finite :] = -torch.inf
    totals[:, 1:] = -torch.inf  # one hypothesis for each sentence
    found = find(log_probs, totals, count)
    sums = found.log_probs + totals.gather(1, found.rows)
    expected = log_probs.view(SENTENCES, 5, size)[:, 0, 3 : 3 + finite].sort(descending=True)
    assert torch.equal(sums[:, :finite], expected.values + totals[:, :1])
    assert torch.equal(found.pieces[:, :finite], expected.indices + 3)
    assert bool((sums[:, finite:] == -torch.inf).all())
