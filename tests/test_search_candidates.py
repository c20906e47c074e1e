"""The best pieces of each row."""

from __future__ import annotations

import pytest
import torch

from nmt.search.candidates import top_pieces


@pytest.mark.parametrize("size", [5, 64, 67, 131, 1000, 1027, 8000])
@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_they_are_the_best_of_the_whole_row(size: int, count: int) -> None:
    log_probs = torch.randn(9, size, generator=torch.Generator().manual_seed(size))
    values, ids = top_pieces(log_probs, count)
    allowed = log_probs.clone()
    allowed[:, :3] = -torch.inf
    expected = allowed.topk(min(count, size - 3), dim=1)
    assert torch.equal(values, expected.values)
    assert torch.equal(ids, expected.indices)


@pytest.mark.parametrize("size", [50, 700, 8000])
def test_ties_are_settled_by_the_row_alone(size: int) -> None:
    rows = torch.randint(0, 3, (40, size), generator=torch.Generator().manual_seed(1)).float()
    values, ids = top_pieces(rows, 5)
    assert torch.equal(rows.gather(1, ids), values)
    assert all(len(set(row)) == 5 for row in ids.tolist())
    for row in range(40):
        assert torch.equal(top_pieces(rows[row : row + 1], 5)[1], ids[row : row + 1])
