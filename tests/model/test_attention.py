"""Attention against its papers' equations, written out naively in float64: one query, head and position at a time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.model import additive_kernel
from nmt.model.attention import Attention, build_attention, coverage_loss
from nmt.model.memory import CellState, Memory

LENGTHS = torch.tensor([4, 2])
MASK = torch.arange(4) < LENGTHS.unsqueeze(1)
POSITIONS = torch.tensor([[0, 1, 6], [0, 2, 5]])
SIZE = 8
HALF_WIDTH = 2
SCORES = ["dot", "scaled_dot", "general", "concat", "additive"]
SCOPES = ["global", "local_m", "local_p"]


def make(score: str, **options: Any) -> Attention:
    defaults = {
        "scope": "global",
        "heads": 1,
        "window": HALF_WIDTH,
        "coverage": False,
        "query_size": SIZE,
        "memory_size": SIZE,
        "size": 12,
        "dropout": 0.0,
    }
    attention = build_attention(score=score, **(defaults | options))
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_(std=0.5)
    return attention.double()


def remember(attention: Attention, states: Tensor, mask: Tensor = MASK) -> Memory:
    keys, values = attention.keys_and_values(states)
    return Memory(states, keys, mask, (CellState(states[:, 0], states[:, 0]),), values)


def random_inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Queries, states, coverage."""
    torch.manual_seed(4)
    given = torch.randn(2, 3, SIZE), torch.randn(2, 4, SIZE), torch.rand(2, 3, 4)
    queries, states, coverage = (tensor.double().requires_grad_() for tensor in given)
    return queries, states, coverage


def attend(
    attention: Attention, queries: Tensor, states: Tensor, coverage: Tensor, mask: Tensor = MASK
) -> tuple[Tensor, Tensor]:
    memory = remember(attention, states, mask)
    positions = POSITIONS if attention.needs_position else None
    return attention(queries, memory, positions=positions, coverage=coverage if attention.needs_coverage else None)


def share(size: int, heads: int, head: int) -> slice:
    return slice(head * size // heads, (head + 1) * size // heads)


def score_by_hand(attention: Attention, kind: str, head: int, query: Tensor, state: Tensor, seen: Tensor) -> Tensor:
    p = dict(attention.score.named_parameters())
    if kind == "general":
        part = share(SIZE, attention.heads, head)
        return query[part] @ (p["projection.weight"][part] @ state)
    part = share(12, attention.heads, head)
    if kind in ("dot", "scaled_dot"):
        if attention.heads > 1:
            query, state = p["query_projection.weight"][part] @ query, p["key_projection.weight"][part] @ state
        return query @ state / (math.sqrt(len(query)) if kind == "scaled_dot" else 1)
    if kind == "concat":
        both = torch.cat([p["query_projection.weight"], p["key_projection.weight"]], dim=1)
        inner = both @ torch.cat([query, state])
    else:
        inner = p["query_projection.weight"] @ query + p["query_projection.bias"] + p["key_projection.weight"] @ state
    if attention.needs_coverage:
        inner = inner + p["coverage_vector.weight"][0] * seen
    return p["vector.weight"][0, part] @ torch.tanh(inner[part])


def centre_by_hand(attention: Attention, scope: str, head: int, query: Tensor, length: int, position: int) -> Any:
    if scope == "local_m":
        return min(position, length - 1 + HALF_WIDTH)
    inner = torch.tanh(attention.window.projection.weight @ query)
    return length * torch.sigmoid(attention.window.vector.weight[head] @ inner)


def attend_by_hand(
    attention: Attention, kind: str, scope: str, query: Tensor, states: list[Tensor], position: int, seen: Tensor
) -> tuple[Tensor, Tensor]:
    """One query: its context [M] and its weights [length]."""
    contexts, every = [], []
    for head in range(attention.heads):
        window, bell = range(len(states)), lambda place: 1.0
        if scope != "global":
            centre = centre_by_hand(attention, scope, head, query, len(states), position)
            window = [place for place in range(len(states)) if abs(place - centre) <= HALF_WIDTH]
        if scope == "local_p":
            sigma = HALF_WIDTH / 2
            bell = lambda place: torch.exp(-((place - centre) ** 2) / (2 * sigma**2))  # noqa: B023, E731
        powers = {i: torch.exp(score_by_hand(attention, kind, head, query, states[i], seen[i])) for i in window}
        total = sum(powers.values())
        weights = [powers[i] / total * bell(i) if i in powers else query.new_zeros(()) for i in range(len(states))]
        values = states
        if attention.heads > 1:
            part = share(SIZE, attention.heads, head)
            values = [attention.value_projection.weight[part] @ state for state in states]
        contexts.append(sum(w * value for w, value in zip(weights, values, strict=True)))
        every.append(torch.stack(weights))
    return torch.cat(contexts), torch.stack(every).mean(0)


def everything_by_hand(
    attention: Attention, kind: str, scope: str, queries: Tensor, states: Tensor, coverage: Tensor
) -> tuple[Tensor, Tensor]:
    contexts, weights = torch.zeros(2, 3, SIZE, dtype=torch.float64), torch.zeros(2, 3, 4, dtype=torch.float64)
    for b, length in enumerate(LENGTHS.tolist()):
        for q in range(3):
            contexts[b, q], weights[b, q, :length] = attend_by_hand(
                attention, kind, scope, queries[b, q], list(states[b, :length]), int(POSITIONS[b, q]), coverage[b, q]
            )
    return contexts, weights


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(
    ("score", "coverage"), [*((score, False) for score in SCORES), ("concat", True), ("additive", True)]
)
def test_values_and_gradients_are_the_papers_equations(score: str, coverage: bool, scope: str, heads: int) -> None:
    inputs = random_inputs()
    attention = make(score, scope=scope, heads=heads, coverage=coverage)
    found = attend(attention, *inputs)
    expected = everything_by_hand(attention, score, scope, *inputs)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-5, atol=1e-6)
    leaves = [*inputs[: 3 if coverage else 2], *attention.parameters()]
    factors = [torch.randn_like(tensor) for tensor in expected]
    gradients = [
        torch.autograd.grad(sum((f * x.double()).sum() for f, x in zip(factors, pair, strict=True)), leaves)
        for pair in (found, expected)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_concat_is_additive_without_its_bias() -> None:
    inputs = random_inputs()
    concat, additive = make("concat"), make("additive")
    additive.score.query_projection.bias.data.zero_()
    additive.load_state_dict(concat.state_dict(), strict=False)
    torch.testing.assert_close(attend(concat, *inputs), attend(additive, *inputs))


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
def test_padding_has_no_weight_and_no_influence(score: str, scope: str, heads: int) -> None:
    queries, states, coverage = random_inputs()
    attention = make(score, scope=scope, heads=heads, coverage=score in ("concat", "additive"))
    contexts, weights = attend(attention, queries, states, coverage)
    assert weights.dtype == torch.float32
    assert bool((weights.masked_select(~MASK.unsqueeze(1)) == 0).all())
    assert bool((weights.sum(-1) > 0).all())
    if scope != "local_p":
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
    noise = torch.where(MASK.unsqueeze(-1), states, 1e4 * torch.randn_like(states))
    other = torch.where(MASK.unsqueeze(1), coverage, 50.0)
    torch.testing.assert_close(attend(attention, queries, noise, other), (contexts, weights))
    longer = torch.cat([states, torch.randn_like(states)], dim=1)
    mask = torch.cat([MASK, torch.zeros_like(MASK)], dim=1)
    found = attend(attention, queries, longer, torch.cat([coverage, coverage], dim=2), mask)
    torch.testing.assert_close(found[0], contexts)
    torch.testing.assert_close(found[1][:, :, :4], weights)
    assert found[1][:, :, 4:].count_nonzero() == 0


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
def test_one_query_at_a_time_is_all_at_once(score: str, scope: str, heads: int) -> None:
    queries, states, coverage = random_inputs()
    attention = make(score, scope=scope, heads=heads, coverage=score in ("concat", "additive"))
    together = attend(attention, queries, states, coverage)
    memory = remember(attention, states)
    for q in range(3):
        some = slice(q, q + 1)
        alone = attention(queries[:, some], memory, positions=POSITIONS[:, some], coverage=coverage[:, some])
        torch.testing.assert_close(alone, (together[0][:, some], together[1][:, some]))


@pytest.mark.parametrize("score", SCORES)
def test_selected_sentences_keep_what_heads_need(score: str) -> None:
    queries, states, coverage = random_inputs()
    attention = make(score, heads=2)
    contexts, weights = attend(attention, queries, states, coverage)
    rows = torch.tensor([1, 0, 1])
    found = attention(queries[rows], remember(attention, states).select(rows))
    torch.testing.assert_close(found, (contexts[rows], weights[rows]))


def test_a_monotonic_window_never_leaves_the_source() -> None:
    queries, states, coverage = random_inputs()
    _, weights = attend(make("dot", scope="local_m"), queries, states, coverage)
    looked_at = [[row.nonzero().flatten().tolist() for row in sentence] for sentence in weights]
    assert looked_at[0] == [[0, 1, 2], [0, 1, 2, 3], [3]]
    assert looked_at[1] == [[0, 1], [0, 1], [1]]


@pytest.mark.parametrize("extreme", [-1e6, 1e6])
def test_a_predicted_window_stays_within_the_source_at_the_extremes(extreme: float) -> None:
    queries, states, coverage = random_inputs()
    attention = make("dot", scope="local_p", window=1)
    attention.window.vector.weight.data.mul_(extreme)
    contexts, weights = attend(attention, queries, states, coverage)
    assert bool(contexts.isfinite().all())
    assert bool((weights.sum(-1) > 0.1).all())
    contexts.sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in attention.parameters())


def test_the_predicted_centre_learns() -> None:
    queries, states, coverage = random_inputs()
    attention = make("dot", scope="local_p")
    attend(attention, queries, states, coverage)[0].square().sum().backward()
    for parameter in attention.window.parameters():
        assert parameter.grad.abs().max() > 1e-4


def test_what_an_attention_asks_for() -> None:
    for score in SCORES:
        for scope in SCOPES:
            attention = make(score, scope=scope, heads=2, coverage=score == "additive")
            assert attention.needs_position == (scope == "local_m")
            assert attention.needs_coverage == (score == "additive")
            assert attention.context_size == SIZE


def test_coverage_loss_is_the_papers_equation() -> None:
    torch.manual_seed(5)
    lengths = [6, 1, 4]
    weights = torch.softmax(torch.randn(3, 6, 5, dtype=torch.float64), dim=-1).requires_grad_()
    expected = torch.zeros((), dtype=torch.float64)
    for b, length in enumerate(lengths):
        for t in range(length):
            for s in range(5):
                expected = expected + torch.minimum(weights[b, t, s], sum(weights[b, :t, s], torch.zeros(())))
    found = coverage_loss(weights, torch.arange(6) < torch.tensor(lengths).unsqueeze(1))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, weights)[0] for loss in (found, expected)))


@pytest.mark.parametrize("heads", [1, 2])
def test_dropout_leaves_weights_out_and_keeps_the_mean(heads: int) -> None:
    queries, states, coverage = (tensor.detach() for tensor in random_inputs())
    queries = queries[:, :1].expand(-1, 4000, -1)
    attention = make("scaled_dot", heads=heads, dropout=0.25)
    contexts, weights = attend(attention.eval(), queries, states, coverage)
    torch.manual_seed(6)
    drawn, reported = attend(attention.train(), queries, states, coverage)
    torch.testing.assert_close(reported, weights)
    assert len(drawn[0].unique(dim=0)) > 8
    torch.testing.assert_close(drawn.mean(1), contexts.mean(1), rtol=0, atol=0.06)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
def test_bfloat16_is_close_to_float32(score: str, scope: str, heads: int) -> None:
    inputs = [(tensor.detach().float() / 2).requires_grad_() for tensor in random_inputs()]
    attention = make(score, scope=scope, heads=heads, coverage=score in ("concat", "additive")).float()
    if scope == "local_p":
        # Centres near a half of the length, so that no window ends just at a position.
        attention.window.vector.weight.data.mul_(0.01)
        attention.window.half_width = 1.5
    exact = attend(attention, *inputs)
    expected = torch.autograd.grad(exact[0].square().sum(), inputs[:2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = attend(attention, *inputs)
        found = torch.autograd.grad(rough[0].float().square().sum(), inputs[:2])
    assert rough[1].dtype == torch.float32
    for one, other in zip((*rough, *found), (*exact, *expected), strict=True):
        assert float(((one - other).norm() / other.norm()).detach()) < 0.03


def textbook_scores(
    queries: Tensor, keys: Tensor, vector: Tensor, coverage: Tensor | None, weight: Tensor | None
) -> Tensor:
    inner = queries.unsqueeze(2) + keys.unsqueeze(1)
    if coverage is not None:
        inner = inner + coverage.unsqueeze(-1) * weight
    hidden = torch.tanh(inner).unflatten(-1, vector.shape)
    return torch.einsum("bqsna,na->bnqs", hidden, vector)


@pytest.mark.parametrize("coverage", [False, True])
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("limit", [1, 60, 200, 10**6])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, limit: int, heads: int, coverage: bool) -> None:
    monkeypatch.setattr(additive_kernel, "_CHUNK_ELEMENTS", limit)
    torch.manual_seed(7)
    shapes = [(3, 5, 6), (3, 4, 6), (heads, 6 // heads), (3, 5, 4), (6,)]
    given: list[Any] = [3 * torch.randn(shape, dtype=torch.float64) for shape in shapes]
    leaves = [tensor.requires_grad_() for tensor in given[: 5 if coverage else 3]]
    given = [*leaves, None, None][:5]
    found = additive_kernel.additive_scores(*given[:3], coverage=given[3], coverage_weight=given[4])
    expected = textbook_scores(*given)
    torch.testing.assert_close(found, expected)
    factor = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad(found, leaves, factor), torch.autograd.grad(expected, leaves, factor), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_tanh_layer_is_not_kept_for_the_backward_pass() -> None:
    attention = make("additive", size=64)
    queries, states = torch.randn(2, 30, SIZE, dtype=torch.float64), torch.randn(2, 40, SIZE, dtype=torch.float64)
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        attention(queries, remember(attention, states, torch.ones(2, 40, dtype=torch.bool)))
    assert max(kept) < 2 * 30 * 40 * 64 / 8


def test_large_inputs_of_the_tanh_layer_are_no_problem() -> None:
    queries, keys = torch.tensor([[[-300.0], [300.0]]]), torch.tensor([[[-200.0], [299.0], [300.0]]])
    vector = torch.ones(1, 1)
    found = additive_kernel.additive_scores(queries, keys, vector, coverage=None, coverage_weight=None)
    torch.testing.assert_close(found, textbook_scores(queries, keys, vector, None, None))
