"""The best continuations of each sentence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nmt.search.top_k import top_k_continuations

SENTENCES = 3


def rows(size: int, beam: int, levels: int | None = None) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size + beam)
    log_probs = torch.randn(SENTENCES * beam, size, generator=generator)
    if levels is not None:
        log_probs = torch.randint(0, levels, log_probs.shape, generator=generator).float()
    return log_probs, torch.randn(SENTENCES, beam, generator=generator)


@pytest.mark.parametrize("size", [5, 64, 67, 131, 1000, 1027, 8000])
@pytest.mark.parametrize("beam", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_they_are_the_best_of_all(size: int, beam: int, count: int) -> None:
    log_probs, totals = rows(size, beam)
    found = top_k_continuations(log_probs, totals, count)
    sums = log_probs.view(SENTENCES, beam, size) + totals.unsqueeze(2)
    sums[:, :, :3] = -torch.inf
    wanted = min(count, beam * (size - 3))
    expected = sums.flatten(1).topk(wanted, dim=1)
    assert torch.equal(found.rows, expected.indices // size)
    assert torch.equal(found.pieces, expected.indices % size)
    assert torch.equal(found.log_probs + totals.gather(1, found.rows), expected.values)


@pytest.mark.parametrize("size", [50, 700, 8000])
def test_ties_are_settled_by_the_sentence_alone(size: int) -> None:
    log_probs, _ = rows(size, 5, levels=3)
    totals = torch.zeros(SENTENCES, 5)
    found = top_k_continuations(log_probs, totals, 10)
    assert all(
        len(set(zip(*pair, strict=True))) == 10 for pair in zip(found.rows.tolist(), found.pieces.tolist(), strict=True)
    )
    for index in range(SENTENCES):
        alone = top_k_continuations(log_probs[index * 5 : index * 5 + 5], totals[:1], 10)
        assert torch.equal(alone.rows[0], found.rows[index])
        assert torch.equal(alone.pieces[0], found.pieces[index])


def test_a_hypothesis_that_does_not_exist_is_not_continued() -> None:
    log_probs, totals = rows(200, 2)
    totals[:, 1] = -torch.inf
    assert top_k_continuations(log_probs, totals, 20).rows.max() == 0
