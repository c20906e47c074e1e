"""Sampling, and minimum risk training against the enumeration of everything that a tiny model can say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fake_models import EOS, HashModel, next_log_probs, sources
from nmt.config.schema import Config, ModelConfig, TrainingConfig
from nmt.data.batching import make_batch
from nmt.data.special_tokens import BOS
from nmt.metrics.sentence import make_sentence_metric
from nmt.model import Seq2Seq, build_model
from nmt.search.sampling import sample
from nmt.training.batch_tensors import to_tensors
from nmt.training.learner import Learner
from nmt.training.objectives.minimum_risk import SentenceScorer, expected_risks, make_sentence_scorer

CPU = torch.device("cpu")

# ---------------------------------------------------------------------------------------------------------- sampling

SENTENCES = [[5, 6], [4], [7, 5, 4, 6], [6, 6, 6]]


def draw(model: HashModel, sentences: list[list[int]], seeds: list[int], *, samples: int, longest: int) -> Any:
    return sample(
        model,
        *sources(*sentences),
        samples=samples,
        max_lengths=torch.full((len(sentences),), longest),
        seeds=np.array(seeds, dtype=np.uint64),
    )


def test_samples_follow_the_models_distribution() -> None:
    """Each piece has its probability among EOS and all after it; what is at the limit ends without another draw."""
    model, count = HashModel(size=7, seed=1, sharpness=1.5), 3000
    (drawn,) = draw(model, [[5, 6]], [11], samples=count, longest=2)

    def chances(prefix: tuple[int, ...]) -> list[float]:
        weights = [math.exp(log_p) for log_p in next_log_probs(model, [5, 6], prefix)]
        return [0.0] * EOS + [weight / sum(weights[EOS:]) for weight in weights[EOS:]]

    exact = {(): chances(())[EOS]}
    for first in range(EOS + 1, 7):
        exact[(first,)] = chances(())[first] * chances((first,))[EOS]
        exact |= {(first, second): chances(())[first] * chances((first,))[second] for second in range(EOS + 1, 7)}
    assert sum(exact.values()) == pytest.approx(1.0)
    for output, p in exact.items():
        seen = drawn.count(list(output)) / count
        assert abs(seen - p) < 5 * math.sqrt(p * (1 - p) / count), output


def test_samples_do_not_depend_on_the_batch() -> None:
    model = HashModel(size=9, seed=2, sharpness=2.0)
    seeds = [3, 1, 4, 1]
    together = draw(model, SENTENCES, seeds, samples=6, longest=9)
    for sentence, seed, drawn in zip(SENTENCES, seeds, together, strict=True):
        assert draw(model, [sentence], [seed], samples=6, longest=9) == [drawn]
    turned = draw(model, SENTENCES[::-1], seeds[::-1], samples=6, longest=9)
    assert turned == together[::-1]
    assert draw(model, SENTENCES, [9, 9, 9, 9], samples=6, longest=9) != together


def test_more_samples_go_on_where_fewer_stopped() -> None:
    model = HashModel(size=9, seed=2, sharpness=1.0)
    few, many = (draw(model, SENTENCES, [1, 2, 3, 4], samples=count, longest=5) for count in (3, 8))
    assert [drawn[:3] for drawn in many] == few
    assert all(len(ids) <= 5 and EOS not in ids for drawn in many for ids in drawn)


# ------------------------------------------------------------------------------------------------------ expected risk


class Numbers:
    """A tokenizer whose text is its ids."""

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        return [" ".join(map(str, row)) for row in rows]


def strange_metric(hypothesis: str, reference: str) -> float:
    """Something between 0 and 1 that depends on every id."""
    if hypothesis == reference:
        return 1.0
    return (sum((place + 3) * int(text) ** 2 for place, text in enumerate(hypothesis.split())) * 37 + 11) % 97 / 97


def make_learner(model: Seq2Seq, *, dtype: torch.dtype = torch.float64, **risk: Any) -> Learner:
    options = TrainingConfig.model_validate(
        {
            "objective": "minimum_risk",
            "minimum_risk": {"sharpness": 0.7, "samples": 600, "max_length_ratio": 1e-6, "max_length_constant": 2}
            | risk,
            "optimizer": {"kind": "sgd", "learning_rate": 1.0},
            "clip_norm": None,
        }
    )
    scorer = SentenceScorer(Numbers(), strange_metric, 5)  # type: ignore[arg-type]
    return Learner(model=model, options=options, total_updates=10, device=CPU, dtype=dtype, scorer=scorer)


def tiny_model(*, size: int = 7, dropout: float = 0.0) -> Seq2Seq:
    torch.manual_seed(4)
    options = {
        "embedding_size": 6,
        "encoder": {"hidden_size": 4},
        "decoder": {"hidden_size": 8},
        "dropout": {"embedding": dropout, "layers": dropout, "output": dropout},
    }
    return build_model(ModelConfig.model_validate(options), source_size=size, target_size=size).double()


def log_probability(model: Seq2Seq, source: list[int], target: tuple[int, ...]) -> Tensor:
    """log p(target), EOS included, piece by piece."""
    memory = model.encode(torch.tensor([[*source, EOS]]), torch.tensor([len(source) + 1]))
    states, _ = model.decode(torch.tensor([[BOS, *target]]), memory)
    total = torch.zeros((), dtype=torch.float64)
    for state, piece in zip(states[0], (*target, EOS), strict=True):
        total = total + torch.log_softmax(model.output.weight @ state + model.output.bias, dim=0)[piece]
    return total


def naive_risk(model: Seq2Seq, source: list[int], reference: tuple[int, ...], a: float, among: bool) -> Tensor:
    """The expected risk over all outputs of at most two pieces, and the reference (Shen et al. 2016, eq. 9 to 11)."""
    outputs = {output for length in range(3) for output in itertools.product(range(EOS + 1, 7), repeat=length)}
    outputs |= {reference} if among else set()
    texts = Numbers().decode([reference, *outputs])
    powers = [torch.exp(a * log_probability(model, source, output)) for output in outputs]
    risks = [1 - strange_metric(text, texts[0]) for text in texts[1:]]
    weighted = [power * risk for power, risk in zip(powers, risks, strict=True)]
    return torch.stack(weighted).sum() / torch.stack(powers).sum()


@pytest.mark.parametrize("among", [True, False])
def test_risk_and_gradient_are_those_of_enumeration(among: bool) -> None:
    model = tiny_model()
    pairs = [([5, 6], (4, 5, 6)), ([4], (6, 6, 5, 4)), ([6, 4, 5], (5,))]
    learner = make_learner(model, reference=among)
    batch = to_tensors(make_batch([source for source, _ in pairs], [target for _, target in pairs]), CPU)
    found = learner.objective.loss(batch, 3)
    expected = torch.stack([naive_risk(model, *pair, 0.7, among) for pair in pairs]).sum()
    torch.testing.assert_close(found.loss, expected)
    nll = -sum(log_probability(model, source, target) for source, target in pairs)
    torch.testing.assert_close(found.negative_log_likelihood, nll.detach())  # type: ignore[union-attr]
    parameters = list(model.parameters())
    ours = torch.autograd.grad(found.loss, parameters)
    for mine, theirs in zip(ours, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_likelihood_joins_in_by_its_weight() -> None:
    model = tiny_model()
    batch = to_tensors(make_batch([[5, 6], [4]], [[4, 5, 6], [6]]), CPU)
    plain, mixed = (
        make_learner(model, likelihood_weight=weight).objective.loss(batch, 1).loss for weight in (0.0, 0.5)
    )
    means = [-log_probability(model, *pair) / (len(pair[1]) + 1) for pair in (([5, 6], (4, 5, 6)), ([4], (6,)))]
    torch.testing.assert_close(mixed, plain + 0.5 * sum(means))


def test_risk_of_one_candidate_is_its_own_and_has_no_gradient() -> None:
    log_probs = torch.tensor([-900.0, -3.0, -4.0], requires_grad=True)
    risks = expected_risks(
        log_probs,
        torch.tensor([0.25, 1.0, 0.5]),
        torch.tensor([0, 1, 1]),
        torch.tensor([True, False, True]),
        count=2,
        sharpness=1.0,
    )
    assert risks.tolist() == [0.25, 0.5]
    assert torch.autograd.grad(risks.sum(), log_probs)[0].tolist() == [0.0, 0.0, 0.0]


def test_an_update_in_parts_is_the_update_of_the_whole_and_splits_change_nothing() -> None:
    sides = [[5, 6], [4], [6, 4, 5], [5]], [[4, 5], [6], [4, 4], [6, 5]]
    learners = [make_learner(tiny_model(), samples=4) for _ in range(3)]
    learners[0].update([make_batch(*sides)], 2)
    learners[1].update([make_batch([source], [target]) for source, target in zip(*sides, strict=True)], 2)
    learners[2].objective.batch_tokens = 1  # type: ignore[attr-defined]
    assert len(learners[2].objective.split(to_tensors(make_batch(*sides), CPU))) == 4
    learners[2].update([make_batch(*sides)], 2)
    for name, value in learners[0].weights.items():
        torch.testing.assert_close(learners[1].weights[name], value)
        torch.testing.assert_close(learners[2].weights[name], value)


def test_samples_are_drawn_without_dropout_and_anew_each_update() -> None:
    model = tiny_model(dropout=0.4)
    learner = make_learner(model, samples=5)
    batch = to_tensors(make_batch([[5, 6]], [[4, 5]]), CPU)
    model.train()
    objective: Any = learner.objective
    first, again, other = (objective._sample(batch, number) for number in (1, 1, 2))
    assert model.training
    assert first == again != other


def test_risk_falls_when_it_is_trained() -> None:
    learner = make_learner(tiny_model(), samples=8, sharpness=0.5)
    batch = make_batch([[5, 6], [4]], [[4, 5], [6]])
    risks = [learner.update([batch], number).components["expected_risk"] for number in range(1, 80)]
    assert sum(total for total, _ in risks[-5:]) < 0.7 * sum(total for total, _ in risks[:5])
    assert risks[0][1] == 2


# ------------------------------------------------------------------------------------------------------------ metrics


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_sentence_scores_are_sacrebleus(name: str) -> None:
    from sacrebleu import sentence_bleu, sentence_chrf

    metric = make_sentence_metric(name, bleu_tokenizer="auto", lowercase=False, target_language="de")
    score: Any = {"bleu": sentence_bleu, "chrf": sentence_chrf}[name]
    texts = ["Das ist ein Haus.", "Das ist ein kleines Haus.", "ein Haus", "x", "", "Ein kleines Haus ist das!"]
    for hypothesis, reference in itertools.product(texts, texts[:3]):
        assert metric(hypothesis, reference) == pytest.approx(score(hypothesis, [reference]).score / 100)
    assert metric(texts[0], texts[0]) == pytest.approx(1.0)


def test_the_judge_follows_the_options_of_evaluation() -> None:
    pair = {"source": "a", "target": "b"}
    config = Config.model_validate(
        {
            "seed": 9,
            "data": {"source_language": "en", "target_language": "de", "train": [pair], "valid": pair},
            "evaluation": {"lowercase": True},
        }
    )
    scorer = make_sentence_scorer(config, Numbers())  # type: ignore[arg-type]
    assert scorer.metric("DAS IST EIN HAUS", "das ist ein haus") == pytest.approx(1.0)
    assert scorer.seed == 9
