"""What an update improves, against the papers' equations written out in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.config.schema import GuidedAlignmentConfig, ModelConfig, TrainingConfig
from nmt.data.alignments import Links
from nmt.data.batching import Batch, make_batch
from nmt.model import Seq2Seq, build_model
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.fused_r_drop import r_drop_loss
from nmt.training.learner import Learner
from nmt.training.log_probs import target_log_probs
from nmt.training.objectives.auxiliary_losses import CoverageLoss, GuidedAlignmentLoss

CPU = torch.device("cpu")
SIZE = 20


def tiny_model(*, dropout: float = 0.0, seed: int = 0, **options: Any) -> Seq2Seq:
    torch.manual_seed(seed)
    sizes = {"embedding_size": 8, "encoder": {"hidden_size": 4}, "decoder": {"hidden_size": 8}}
    rates = {"dropout": {"embedding": dropout, "layers": dropout, "output": dropout}}
    return build_model(ModelConfig.model_validate(sizes | rates | options), source_size=SIZE, target_size=SIZE)


def make_learner(model: Seq2Seq, *, dtype: torch.dtype = torch.float32, **options: Any) -> Learner:
    training = TrainingConfig.model_validate(
        {"optimizer": {"kind": "sgd", "learning_rate": 1.0}, "clip_norm": None} | options
    )
    return Learner(model=model, options=training, total_updates=10, device=CPU, dtype=dtype)


def random_batch(count: int, *, seed: int = 0, links: bool = False) -> Batch:
    generator = np.random.default_rng(seed)
    sides = [[generator.integers(4, SIZE, generator.integers(1, 7)).tolist() for _ in range(count)] for _ in range(2)]
    batch = make_batch(*sides)
    if not links:
        return batch
    rows, targets, sources, shares = [], [], [], []
    for row, (source, target) in enumerate(zip(*sides, strict=True)):
        for place in range(0, len(target), 2):
            linked = sorted({int(number) for number in generator.integers(0, len(source), 2)})
            for number in linked:
                rows.append(row)
                targets.append(place)
                sources.append(number)
                shares.append(1 / len(linked))
    columns = [np.array(column, dtype=np.int64) for column in (rows, targets, sources)]
    made = Links(columns[0], columns[1], columns[2], np.array(shares, dtype=np.float32))
    return Batch(**{**vars(batch), "links": made})


def gradients(loss: Tensor, model: Seq2Seq) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    named = zip(model.named_parameters(), found, strict=True)
    return {name: gradient for (name, _), gradient in named if gradient is not None}


# ------------------------------------------------------------------------------------------------------ fused losses


def textbook_r_drop(states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, e: float, alpha: float) -> Tensor:
    """Equations 1 to 3 of Wu et al. (2021), halved, one position at a time."""
    total = torch.zeros((), dtype=torch.float64)
    for place, target in enumerate(targets.tolist()):
        first, second = (torch.log_softmax(weight @ states[number, place] + bias, dim=0) for number in (0, 1))
        for log_p in (first, second):
            total = total - 0.5 * ((1 - e) * log_p[target] + e * log_p.mean())
        one_two = (first.exp() * (first - second)).sum()
        two_one = (second.exp() * (second - first)).sum()
        total = total + 0.5 * alpha * 0.5 * (one_two + two_one)
    return total


@pytest.mark.parametrize("chunk", [40, 4_000_000])
@pytest.mark.parametrize(("smoothing", "alpha"), [(0.0, 1.0), (0.1, 5.0), (0.3, 0.0)])
def test_r_drop_is_the_textbook_loss(
    chunk: int, smoothing: float, alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.training.fused_r_drop._CHUNK_ELEMENTS", chunk)
    torch.manual_seed(0)
    leaves = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 13, 6), (17, 6), (17,))]
    targets = torch.randint(0, 17, (13,))
    fused = r_drop_loss(*leaves, targets, smoothing=smoothing, alpha=alpha, dtype=torch.float64)  # type: ignore[arg-type]
    textbook = textbook_r_drop(*leaves, targets, smoothing, alpha)  # type: ignore[arg-type]
    torch.testing.assert_close(fused.loss, textbook)
    found = torch.autograd.grad(2 * fused.loss, leaves)
    for ours, theirs in zip(found, torch.autograd.grad(2 * textbook, leaves), strict=True):
        torch.testing.assert_close(ours, theirs)
    logits = leaves[0] @ leaves[1].t() + leaves[2]
    nll = sum(F.cross_entropy(part, targets, reduction="sum") for part in logits) / 2
    torch.testing.assert_close(fused.negative_log_likelihood, nll.detach())  # type: ignore[union-attr]


def test_equal_passes_do_not_diverge() -> None:
    torch.manual_seed(0)
    states = torch.randn(1, 9, 6, dtype=torch.float64).expand(2, -1, -1)
    weight, bias, targets = (
        torch.randn(17, 6, dtype=torch.float64),
        torch.zeros(17).double(),
        torch.randint(0, 17, (9,)),
    )
    sums = r_drop_loss(states, weight, bias, targets, smoothing=0.0, alpha=3.0, dtype=torch.float64)
    assert abs(float(sums.divergence)) < 1e-12
    torch.testing.assert_close(sums.loss, F.cross_entropy(states[0] @ weight.t(), targets, reduction="sum"))


@pytest.mark.parametrize("chunk", [40, 4_000_000])
def test_target_log_probs_are_those_of_the_softmax(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.training.log_probs._CHUNK_ELEMENTS", chunk)
    torch.manual_seed(0)
    leaves = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((11, 6), (17, 6), (17,))]
    targets, some = torch.randint(0, 17, (11,)), torch.randn(11, dtype=torch.float64)
    fused = target_log_probs(*leaves, targets, dtype=torch.float64)
    naive = torch.log_softmax(leaves[0] @ leaves[1].t() + leaves[2], dim=1)[torch.arange(11), targets]
    torch.testing.assert_close(fused, naive)
    found = torch.autograd.grad((fused * some).exp().sum(), leaves)
    for ours, theirs in zip(found, torch.autograd.grad((naive * some).exp().sum(), leaves), strict=True):
        torch.testing.assert_close(ours, theirs)


# -------------------------------------------------------------------------------------------------------- objectives


def naive_run(model: Seq2Seq, batch: TensorBatch) -> tuple[Tensor, Tensor]:
    """Log-probabilities [B, T, V] in float64, and the attention weights."""
    memory = model.encode(batch.source, batch.source_lengths)
    states, weights = model.decode(batch.target_input, memory)
    assert weights is not None
    return torch.log_softmax(states @ model.output.weight.t() + model.output.bias, dim=-1), weights


def naive_terms(batch: TensorBatch, log_probs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Smoothed likelihood (e = 0.1), alignment cross-entropy (Chen et al. 2016) and coverage loss (See et al. 2017)."""
    likelihood = alignment = coverage = torch.zeros((), dtype=torch.float64)
    assert batch.links is not None
    links = list(
        zip(batch.links.rows.tolist(), batch.links.targets.tolist(), batch.links.sources.tolist(), strict=True)
    )
    for row in range(len(batch.source)):
        seen = torch.zeros(weights.shape[2], dtype=torch.float64)
        for place in range(int(batch.target_mask[row].sum())):
            log_p = log_probs[row, place]
            likelihood = likelihood - 0.9 * log_p[batch.target_output[row, place]] - 0.1 * log_p.mean()
            linked = [source for r, t, source in links if (r, t) == (row, place)]
            for source in linked:
                alignment = alignment - weights[row, place, source].log() / len(linked)
            coverage = coverage + torch.minimum(weights[row, place], seen).sum()
            seen = seen + weights[row, place]
    return likelihood, alignment, coverage


@pytest.mark.parametrize("r_drop", [0.0, 2.0])
def test_the_loss_is_the_sum_of_its_terms(r_drop: float) -> None:
    model = tiny_model().double()
    options = {"coverage_loss": 0.3, "guided_alignment": {"weight": 0.7}, "label_smoothing": 0.1, "r_drop": r_drop}
    learner = make_learner(model, dtype=torch.float64, **options)
    batch = to_tensors(random_batch(5, links=True), CPU)
    found = learner.objective.loss(batch, 1)
    likelihood, alignment, coverage = naive_terms(batch, *naive_run(model, batch))
    expected = likelihood + 0.7 * alignment + 0.3 * coverage  # Without dropout, R-Drop's two passes are one.
    torch.testing.assert_close(found.loss.double(), expected, rtol=1e-6, atol=1e-6)
    assert batch.links is not None
    factor = 1 if r_drop == 0 else 2
    torch.testing.assert_close(
        found.components["guided_alignment"].total.double(), factor * alignment, rtol=1e-6, atol=1e-6
    )
    assert found.components["guided_alignment"].num_terms == factor * batch.links.linked
    ours, theirs = gradients(found.loss, model), gradients(expected, model)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-5, atol=1e-6)


def test_r_drop_runs_each_sentence_under_two_masks() -> None:
    model = tiny_model(dropout=0.4)
    learner = make_learner(model, r_drop=1.0)
    torch.manual_seed(3)
    divergence = float(learner.objective.loss(to_tensors(random_batch(6), CPU), 1).components["r_drop"].total)
    model.eval()
    assert divergence > 0.1
    assert abs(float(learner.objective.loss(to_tensors(random_batch(6), CPU), 1).components["r_drop"].total)) < 1e-4


def test_target_pieces_without_links_take_no_part() -> None:
    weights = torch.rand(1, 3, 4, requires_grad=True)
    batch = make_batch([[5, 6, 7]], [[8, 9]])
    links = Links(*(np.array([number]) for number in (0, 1, 2)), np.ones(1, np.float32))  # type: ignore[call-arg, arg-type]
    total, over = GuidedAlignmentLoss(GuidedAlignmentConfig(weight=1.0)).compute(
        weights, to_tensors(Batch(**{**vars(batch), "links": links}), CPU)
    )
    assert over == 1
    torch.testing.assert_close(total, -weights[0, 1, 2].log())
    gradient = torch.autograd.grad(total, weights)[0]
    assert int((gradient != 0).sum()) == 1


def test_a_linked_piece_that_attention_cannot_see_costs_much_but_not_infinitely() -> None:
    weights = torch.zeros(1, 2, 2, requires_grad=True)
    links = Links(*(np.zeros(1, np.int64) for _ in range(3)), np.ones(1, np.float32))  # type: ignore[call-arg, arg-type]
    batch = Batch(**{**vars(make_batch([[5]], [[8]])), "links": links})
    total, _ = GuidedAlignmentLoss(GuidedAlignmentConfig(weight=1.0)).compute(weights, to_tensors(batch, CPU))
    assert 10 < float(total.detach()) < 100


def test_the_alignment_weight_goes_in_a_line_and_then_stays() -> None:
    term = GuidedAlignmentLoss(GuidedAlignmentConfig(weight=1.0, final_weight=0.2, decay_updates=4))
    assert [term.weight_at(update) for update in (1, 2, 4, 9)] == pytest.approx([0.8, 0.6, 0.2, 0.2])
    assert GuidedAlignmentLoss(GuidedAlignmentConfig(weight=0.5)).weight_at(1000) == 0.5


def test_a_weight_of_nothing_asks_for_nothing() -> None:
    learner = make_learner(tiny_model(), guided_alignment={"weight": 0.5, "final_weight": 0.0, "decay_updates": 2})
    batch = to_tensors(random_batch(3, links=True), CPU)
    assert "guided_alignment" in learner.objective.loss(batch, 1).components
    assert learner.objective.loss(batch, 2).components == {}
    assert make_learner(tiny_model()).objective.loss(batch, 1).components == {}


def test_coverage_term_is_bounded_by_the_pieces() -> None:
    weights = torch.softmax(torch.randn(3, 5, 4), dim=-1)
    batch = to_tensors(make_batch([[5, 6, 7]] * 3, [[8, 9, 9, 8]] * 3), CPU)
    total, over = CoverageLoss(1.0).compute(weights, batch)
    assert 0 < float(total) < over == 15


@pytest.mark.parametrize(
    "options",
    [
        {"r_drop": 1.0},
        {"guided_alignment": {"weight": 0.5}, "coverage_loss": 0.5},
        {"r_drop": 1.0, "guided_alignment": {"weight": 0.5}, "coverage_loss": 0.5},
    ],
)
def test_accumulation_is_one_large_batch(options: dict[str, Any]) -> None:
    whole, parts = make_learner(tiny_model(), **options), make_learner(tiny_model(), **options)
    large = random_batch(6, links=True)
    assert large.links is not None
    small = []
    for row in range(6):
        mine = large.links.rows == row
        source = large.source[row, : large.source_lengths[row] - 1].tolist()
        target = large.target_output[row, : large.target_lengths[row] - 1].tolist()
        links = Links(
            large.links.rows[mine] * 0, large.links.targets[mine], large.links.sources[mine], large.links.shares[mine]
        )
        small.append(Batch(**{**vars(make_batch([source], [target])), "links": links}))
    first, second = whole.update([large], 1), parts.update(small, 1)
    assert first.components.keys() == second.components.keys()
    for name, value in whole.weights.items():
        torch.testing.assert_close(parts.weights[name], value, rtol=1e-4, atol=1e-6)


# -------------------------------------------------------------------------------------------------------- parent, L2


def test_l2_towards_the_parent_adds_its_gradient() -> None:
    batch = random_batch(4)
    plain, pulled = make_learner(tiny_model()), tiny_model()
    parent = {name: torch.randn_like(value) for name, value in pulled.named_parameters()}
    options = TrainingConfig.model_validate(
        {"optimizer": {"kind": "sgd", "learning_rate": 1.0}, "clip_norm": None, "parent_l2": 0.01}
    )
    learner = Learner(model=pulled, options=options, total_updates=10, device=CPU, dtype=torch.float32, parent=parent)
    before = {name: value.clone() for name, value in plain.weights.items()}
    plain.update([batch], 1)
    learned = learner.update([batch], 1)
    for name, value in learner.weights.items():
        expected = plain.weights[name] - 0.02 * (before[name] - parent[name])
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    distance = sum(float(((before[name] - parent[name]).double() ** 2).sum()) for name in parent)
    assert learned.components["parent_l2"][0] == pytest.approx(distance)


def test_a_batch_in_parts_is_the_same_batch() -> None:
    batch = to_tensors(random_batch(7), CPU)
    parts = batch.split(3)
    assert [len(part.source) for part in parts] == [3, 3, 1]
    assert sum(part.target_tokens for part in parts) == batch.target_tokens
    assert torch.equal(torch.cat([part.target_output for part in parts]), batch.target_output)
