"""Scheduled sampling: what the decoder is fed, against two passes written out; when, where and how often."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cli_tools import untouched_logging
from nmt.config import load_config
from nmt.config.schema import ModelConfig, ScheduledSamplingConfig, TrainingConfig
from nmt.data.batching import Batch, make_batch
from nmt.data.special_tokens import BOS, EOS, PAD
from nmt.model import Seq2Seq, build_model
from nmt.training import train
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.learner import Learner
from nmt.training.objectives.scheduled_sampling import MixedInput, ScheduledSampler, inverse_sigmoid_steepness
from toy_experiments import write_toy_experiment

CPU = torch.device("cpu")
SIZE = 20
DECODERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "input feeding": {"attention": {"input_feeding": True}},
    "coverage": {"attention": {"score": "additive", "coverage": True}},
    "lexical model, tied": {"lexical_model": True, "tying": "two_way"},
}


def tiny_model(*, dropout: float = 0.0, **options: Any) -> Seq2Seq:
    """Random weights, drawn so large that the best piece depends on the sentence."""
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "encoder": {"hidden_size": 4}, "decoder": {"hidden_size": 8}}
    rates = {"dropout": {"embedding": dropout, "layers": dropout, "output": dropout}}
    model = build_model(ModelConfig.model_validate(sizes | rates | options), source_size=SIZE, target_size=SIZE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.7)
    return model


def make_learner(model: Seq2Seq, *, dtype: torch.dtype = torch.float32, seed: int = 1, **options: Any) -> Learner:
    training = TrainingConfig.model_validate(
        {"optimizer": {"kind": "sgd", "learning_rate": 1.0}, "clip_norm": None} | options
    )
    return Learner(model=model, options=training, total_updates=10, device=CPU, dtype=dtype, seed=seed)


def sampling(probability: float, **options: Any) -> dict[str, Any]:
    return {"scheduled_sampling": {"probability": probability, **options}}


def random_pairs(count: int, *, longest: int = 7) -> list[tuple[list[int], list[int]]]:
    generator = np.random.default_rng(0)
    return [
        (
            generator.integers(4, SIZE, generator.integers(1, longest)).tolist(),
            generator.integers(4, SIZE, generator.integers(1, longest)).tolist(),
        )
        for _ in range(count)
    ]


def batch_of(pairs: list[tuple[list[int], list[int]]]) -> Batch:
    return make_batch([source for source, _ in pairs], [target for _, target in pairs])


def random_batch(count: int) -> TensorBatch:
    return to_tensors(batch_of(random_pairs(count)), CPU)


def make_sampler(model: Seq2Seq, probability: float, *, seed: int = 1, **options: Any) -> ScheduledSampler:
    chosen = ScheduledSamplingConfig.model_validate({"probability": probability, **options})
    return ScheduledSampler(model=model, options=chosen, seed=seed, dtype=torch.float32)


def mix(sampler: ScheduledSampler, batch: TensorBatch, update: int) -> MixedInput:
    return sampler.mix(batch, sampler.model.encode(batch.source, batch.source_lengths), update)


def gradients(loss: Tensor, model: Seq2Seq) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    named = zip(model.named_parameters(), found, strict=True)
    return {name: gradient for (name, _), gradient in named if gradient is not None}


# ------------------------------------------------------------------------------------------------------------- ramps


def test_the_share_is_there_at_once_without_a_ramp() -> None:
    sampler = make_sampler(tiny_model(), 0.4, start_updates=3)
    assert [sampler.probability(update) for update in (1, 3, 4, 5, 1000)] == [0.0, 0.0, 0.4, 0.4, 0.4]


def test_the_share_rises_in_a_line() -> None:
    sampler = make_sampler(tiny_model(), 0.8, start_updates=10, ramp_updates=4)
    found = [sampler.probability(update) for update in range(9, 17)]
    assert found == pytest.approx([0, 0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


@pytest.mark.parametrize("ramp", [1, 10, 5000])
def test_the_share_rises_by_the_inverse_sigmoid_of_the_paper(ramp: int) -> None:
    sampler = make_sampler(tiny_model(), 0.5, start_updates=7, ramp_updates=ramp, ramp="inverse_sigmoid")
    k = inverse_sigmoid_steepness(ramp)
    assert k * math.log(k) == pytest.approx(ramp / 2)
    for i in {1, ramp // 3 + 1, ramp // 2 + 1, ramp, 3 * ramp}:
        teacher = k / (k + math.exp(i / k))  # Section 2.4 of Bengio et al.: how often the reference is fed.
        assert sampler.probability(7 + i) == pytest.approx(0.5 * (1 - teacher))
    assert sampler.probability(7) == 0
    if ramp % 2 == 0:
        assert sampler.probability(7 + ramp // 2) == pytest.approx(0.25)
    assert sampler.probability(7 + 1000 * ramp) == pytest.approx(0.5)


# ------------------------------------------------------------------------------------------------- what is fed, and how


@pytest.mark.parametrize("r_drop", [0.0, 1.0])
@pytest.mark.parametrize("options", [{"probability": 0.0}, {"probability": 1.0, "start_updates": 5}])
def test_without_a_share_it_is_plain_likelihood(r_drop: float, options: dict[str, Any]) -> None:
    losses, states = [], []
    for chosen in ({}, {"scheduled_sampling": options}):
        learner = make_learner(tiny_model(dropout=0.3), r_drop=r_drop, **chosen)
        torch.manual_seed(3)
        learned = [learner.update([batch_of(random_pairs(6))], number) for number in (1, 5)]
        losses.append([update.negative_log_likelihood for update in learned])
        states.append((learner.weights, torch.get_rng_state()))
    assert losses[0] == losses[1]
    assert all(torch.equal(value, states[1][0][name]) for name, value in states[0][0].items())
    assert torch.equal(states[0][1], states[1][1])


def naive_feed(model: Seq2Seq, batch: TensorBatch) -> Tensor:
    """Each piece but BOS and padding as the model best goes on from the reference before it, one step at a time."""
    fed = batch.target_input.clone()
    for row, length in enumerate(batch.target_mask.sum(1).tolist()):
        source_length = batch.source_lengths[row : row + 1]
        memory = model.encode(batch.source[row : row + 1, : int(source_length)], source_length)
        state = model.init_state(memory)
        for place in range(length - 1):
            output = model.step(batch.target_input[row, place : place + 1], state, memory)
            log_probs = output.log_probs[0].tolist()
            fed[row, place + 1] = max(range(EOS + 1, SIZE), key=lambda piece: log_probs[piece])
            state = output.state
    return fed


@pytest.mark.parametrize("r_drop", [0.0, 2.0])
@pytest.mark.parametrize("decoder", DECODERS)
def test_all_pieces_are_predictions_of_a_first_pass(decoder: str, r_drop: float) -> None:
    """The loss and its gradient are those of the second pass alone; without dropout R-Drop's two passes are one."""
    model = tiny_model(**DECODERS[decoder]).double()
    batch = random_batch(5)
    fed = naive_feed(model, batch)
    assert (fed != batch.target_input)[batch.target_mask].float().mean() > 0.4
    learner = make_learner(model, dtype=torch.float64, label_smoothing=0.1, r_drop=r_drop, **sampling(1.0))
    found = learner.objective.loss(batch, 1)
    log_probs, _ = model(batch.source, batch.source_lengths, fed)
    real = log_probs[batch.target_mask]
    picked = real.gather(1, batch.target_output[batch.target_mask].unsqueeze(1))
    expected = -0.9 * picked.double().sum() - 0.1 * real.double().mean(1).sum()
    torch.testing.assert_close(found.loss.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.negative_log_likelihood.double(), -picked.double().sum().detach())
    ours, theirs = gradients(found.loss, model), gradients(expected, model)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-4)
    part = found.components["scheduled_sampling"]
    assert int(part.total) == batch.target_tokens - len(batch.source)  # all but BOS
    assert part.num_terms == batch.target_tokens


def test_bos_and_padding_stay_and_nothing_ends_a_sentence() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.output.bias[: EOS + 1] = 50.0  # What would be predicted, were it not for what no translation has inside.
    batch = random_batch(12)
    for choice in ("argmax", "sample"):
        fed = mix(make_sampler(model, 1.0, choice=choice), batch, 1)
        assert (fed.pieces[:, 0] == BOS).all()
        assert (fed.pieces[~batch.target_mask] == PAD).all()
        inside = batch.target_mask.clone()
        inside[:, 0] = False
        assert (fed.pieces[inside] > EOS).all()


def test_nothing_but_the_second_pass_leaves_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(dropout=0.3)
    fed: list[tuple[Tensor, bool]] = []
    decode = model.decode

    def watched(target_input: Tensor, memory: Any) -> Any:
        fed.append((target_input, torch.is_grad_enabled()))
        return decode(target_input, memory)

    monkeypatch.setattr(model, "decode", watched)
    batch = random_batch(6)
    make_learner(model, r_drop=1.0, **sampling(0.5)).objective.loss(batch, 1)
    (first, first_graph), (second, second_graph) = fed
    assert (first_graph, second_graph) == (False, True)
    assert torch.equal(first, batch.target_input)
    # Both passes of R-Drop are fed the same.
    assert torch.equal(second[:6], second[6:])
    assert not torch.equal(second[:6], first)


@pytest.mark.parametrize("chunk", [30, 4_000_000])
def test_samples_are_drawn_by_probability(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.training.objectives.scheduled_sampling._CHUNK_ELEMENTS", chunk)
    model = tiny_model()
    sampler = make_sampler(model, 1.0, choice="sample")
    state, count = torch.randn(8) * 0.3, 4000
    chances = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    drawn = sampler._predict(state.expand(count, -1), chances)
    probabilities = torch.softmax((model.output.weight @ state + model.output.bias)[EOS + 1 :].double(), dim=0)
    counts = torch.bincount(drawn, minlength=SIZE)
    assert int(counts[: EOS + 1].sum()) == 0
    # Chances that are spread evenly find each piece as often as its probability, give or take one at either end.
    assert ((counts[EOS + 1 :] - probabilities * count).abs() <= 1.01).all()
    extremes = torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)
    assert sampler._predict(state.expand(2, -1), extremes).tolist() == [EOS + 1, SIZE - 1]


def test_a_sampled_piece_is_not_always_the_best() -> None:
    model, batch = tiny_model(), random_batch(30)
    best, drawn, again, other = (
        mix(make_sampler(model, 1.0, choice=choice), batch, update).pieces
        for choice, update in (("argmax", 1), ("sample", 1), ("sample", 1), ("sample", 2))
    )
    assert torch.equal(drawn, again)
    assert 0.05 < float((best == drawn)[batch.target_mask].float().mean()) < 0.95
    assert not torch.equal(drawn, other)


# ------------------------------------------------------------------------------------------------- where, how often


@pytest.mark.parametrize("choice", ["argmax", "sample"])
def test_what_a_pair_is_fed_does_not_depend_on_its_batch(choice: str) -> None:
    model, pairs = tiny_model(), random_pairs(9)
    sampler = make_sampler(model, 0.5, choice=choice)
    together = mix(sampler, to_tensors(batch_of(pairs), CPU), 3).pieces
    backwards = mix(sampler, to_tensors(batch_of([*pairs[::-1], ([5] * 30, [6] * 40)]), CPU), 3).pieces
    for row, (source, target) in enumerate(pairs):
        alone = mix(sampler, to_tensors(make_batch([source], [target]), CPU), 3).pieces[0].tolist()
        length = len(target) + 1
        assert together[row, :length].tolist() == alone
        assert backwards[len(pairs) - 1 - row, :length].tolist() == alone


def test_updates_seeds_and_pairs_have_places_of_their_own() -> None:
    """The model predicts a piece that no reference has, so that its places can be seen."""
    model = tiny_model()
    with torch.no_grad():
        model.output.bias[SIZE - 1] = 1000.0
    targets = [[4 + (row + place) % 10 for place in range(12)] for row in range(8)]
    batch = to_tensors(make_batch([[5, row + 4] for row in range(8)], targets), CPU)

    def places(*, seed: int = 1, update: int = 1) -> Tensor:
        return mix(make_sampler(model, 0.5, seed=seed), batch, update).pieces == SIZE - 1

    first = places()
    assert torch.equal(first, places())
    for other in (places(seed=2), places(update=2)):
        assert 0.25 < float((first != other)[:, 1:].float().mean()) < 0.75
    assert len({tuple(row) for row in first.tolist()}) == 8


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_the_share_is_what_was_asked_for_and_is_reported(probability: float) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.output.bias[SIZE - 1] = 1000.0
    generator = np.random.default_rng(2)
    batch = batch_of([([5, 6], generator.integers(4, SIZE - 1, 30).tolist()) for _ in range(40)])
    seen = mix(make_sampler(model, probability), to_tensors(batch, CPU), 1)
    assert seen.num_predicted == int((seen.pieces == SIZE - 1).sum())
    possible = 40 * 30
    deviation = math.sqrt(possible * probability * (1 - probability))
    assert abs(seen.num_predicted - probability * possible) < 4 * deviation
    learned = make_learner(model, **sampling(probability)).update([batch], 1)
    assert learned.components["scheduled_sampling"] == (seen.num_predicted, batch.target_tokens)


@pytest.mark.parametrize("r_drop", [0.0, 1.0])
def test_accumulation_is_one_large_batch(r_drop: float) -> None:
    pairs = random_pairs(6)
    whole, parts = (make_learner(tiny_model(), r_drop=r_drop, **sampling(0.6, choice="sample")) for _ in range(2))
    first = whole.update([batch_of(pairs)], 1)
    second = parts.update([batch_of([pair]) for pair in pairs], 1)
    assert first.components["scheduled_sampling"] == second.components["scheduled_sampling"]
    assert first.negative_log_likelihood == pytest.approx(second.negative_log_likelihood, rel=1e-5)
    for name, value in whole.weights.items():
        torch.testing.assert_close(parts.weights[name], value, rtol=1e-4, atol=1e-5)


# --------------------------------------------------------------------------------------------------------- in a run


def test_a_run_reports_the_rising_share_and_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=120)
    options = (
        "training.scheduled_sampling.probability=0.8",
        "training.scheduled_sampling.choice=sample",
        "training.scheduled_sampling.start_updates=3",
        "training.scheduled_sampling.ramp_updates=9",
        "training.averaging.kind=none",
        "training.log_every=3",
        "training.validation.every_updates=100",
        "training.validation.metrics=[]",
        "training.validation.metric=loss",
    )

    def run(*overrides: str, resume: bool = False) -> Path:
        config = load_config(Path("toy.yaml"), [*options, *overrides])
        return train(config, resume=resume, overwrite=False, init_from=None)

    with untouched_logging():
        straight = run("name=straight", "training.max_updates=15")
        run("name=broken", "training.max_updates=7")
        broken = run("name=broken", "training.max_updates=15", resume=True)
    weights = [load_file(path / "last" / "weights.safetensors") for path in (straight, broken)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    shares = []
    for path in (straight, broken):
        lines = map(json.loads, (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        shares.append([record["scheduled_sampling"] for record in lines if record["kind"] == "train"])
    assert shares[0] == shares[1]
    assert shares[0][0] == 0
    assert shares[0] == sorted(shares[0])
    assert 0.6 < shares[0][-1] < 0.8
