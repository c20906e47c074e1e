"""On a graphics card: what the processor gives, for every kind of model and objective. Skipped where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import toy_runs
from cli_tools import nmt
from nmt.inference.hardware import TorchHardware, torch_hardware
from nmt.inference.torch_network import TorchNetwork
from nmt.inference.translator import Translator
from nmt.training.fused_loss import fused_loss
from nmt.training.fused_r_drop import r_drop_loss
from tiny_translator import tiny_config, tiny_network, tiny_tokenizers, tiny_translator
from toy_experiments import write_toy_experiment
from toy_runs import records

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

LINES = ["the red dog sees a cat .", "a man runs", "", "the old woman hears the big green house and the dog ."] * 9


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path)
    return tmp_path


def run(*overrides: str, **options: Any) -> Path:
    return toy_runs.run("training.device=cuda", *overrides, **options)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_learnt_there_translates_alike_on_both(folder: Path, precision: str) -> None:
    path = run("training.max_epochs=25", "training.optimizer.learning_rate=0.02", f"training.precision={precision}")
    best = max(record["bleu"] for record in records(path, "valid"))
    assert best > 90
    given = ("--source", "valid.en", "--reference", "valid.de", "--json", "--beam-size", "1")
    for device in ("cuda", "cpu"):
        assert json.loads(nmt("evaluate", *given, "--device", device).stdout)[0]["bleu"] == pytest.approx(best, abs=0.5)


@pytest.mark.parametrize("averaging", ["none", "ema", "last", "best"])
def test_resuming_goes_on_there(folder: Path, averaging: str) -> None:
    options = [f"training.averaging.kind={averaging}", "training.checkpoint_every_updates=7", "training.accumulate=2"]
    straight = run("name=straight", "training.max_updates=40", *options)
    run("name=broken", "training.max_updates=17", *options)
    broken = run("name=broken", "training.max_updates=40", *options, resume=True)
    losses = [[record["loss"] for record in records(path, "train")] for path in (straight, broken)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    ours, theirs = (load_file(path / "last" / "average.safetensors") for path in (straight, broken))
    for name in ours:
        if averaging == "ema":
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        ["training.r_drop=5"],
        ["training.scheduled_sampling.probability=0.5"],
        ["training.coverage_loss=0.5", "model.attention.coverage=true", "model.attention.score=additive"],
        ["model.decoder.layers=2", "model.attention.placement=bottom", "model.lexical_model=true"],
        ["model.attention.placement=conditional", "model.encoder.cell=gru", "model.decoder.cell=gru"],
        ["model.attention.input_feeding=true", "model.encoder.layers=2", "model.dropout.variational=true"],
        ["model.encoder.cell=layer_norm_lstm", "model.decoder.cell=layer_norm_lstm", "model.dropout.recurrent=0.2"],
        ["model.attention.score=general", "model.attention.scope=local_p"],
        ["model.attention.score=none"],
        ["tokenizer.sampling=0.1", "model.tying=three_way"],
    ],
    ids=lambda options: options[0],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_kind_of_model_and_objective_learns_there(folder: Path, options: list[str], precision: str) -> None:
    losses = {}
    for device in ("cuda", "cpu"):
        shared = ["training.max_updates=20", "training.optimizer.learning_rate=5e-3", f"training.precision={precision}"]
        path = run(f"name={device}", f"training.device={device}", *shared, *options)
        losses[device] = [record["loss"] for record in records(path, "valid")]
    assert losses["cuda"][-1] == pytest.approx(losses["cpu"][-1], rel=0.15)  # dropout draws others there


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_graphs_change_no_training_there(folder: Path, precision: str, caplog: pytest.LogCaptureFixture) -> None:
    losses = []
    for cuda_graphs in ("false", "true"):
        path = run(
            f"name=graphs-{cuda_graphs}",
            f"training.cuda_graphs={cuda_graphs}",
            f"training.precision={precision}",
            "training.max_updates=40",
            "training.log_every=10",
            "model.attention.input_feeding=true",
            "model.decoder.layers=2",
        )
        losses.append([record["loss"] for record in records(path, "train")])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3 if precision == "fp32" else 2e-2)
    assert "cuda_graphs" not in caplog.text


def test_minimum_risk_goes_on_there(folder: Path) -> None:
    parent = run("training.max_epochs=10", "training.optimizer.learning_rate=0.02", "name=parent")
    options = ["training.objective=minimum_risk", "training.minimum_risk.samples=4", "training.max_updates=10"]
    path = run("name=child", *options, "training.optimizer.learning_rate=1e-4", init_from=parent / "best.safetensors")
    assert records(path, "valid")[-1]["bleu"] > records(parent, "valid")[-1]["bleu"] - 5


def test_losses_and_their_gradients_are_those_of_the_processor() -> None:
    torch.manual_seed(3)
    states, weight, bias = torch.randn(2, 700, 24), torch.randn(300, 24), torch.randn(300)
    targets = torch.randint(0, 300, (700,))
    found = {}
    for device in ("cpu", "cuda"):
        inputs = [values.detach().clone().to(device).requires_grad_() for values in (states, weight, bias)]
        twice = r_drop_loss(*inputs, targets.to(device), smoothing=0.1, alpha=5.0, dtype=torch.float32)
        once = fused_loss(inputs[0][0], *inputs[1:], targets.to(device), smoothing=0.1, dtype=torch.float32)
        (twice.loss + once.loss).backward()  # type: ignore[no-untyped-call]
        found[device] = [twice.loss, once.loss, *(values.grad for values in inputs)]
    for there, here in zip(found["cuda"], found["cpu"], strict=True):
        torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "decoding", [{"beam_size": 1}, {"beam_size": 4, "n_best": 4}, {"beam_size": 3, "coverage_penalty": 0.2}]
)
def test_the_search_finds_there_what_it_finds_here(decoding: dict[str, Any]) -> None:
    config = tiny_config()
    there = Translator(
        TorchNetwork(tiny_network(config).to("cuda")),
        tiny_tokenizers(),
        decoding=config.decoding.model_copy(update={"device": "cuda", **decoding}),
        hardware=TorchHardware(torch.device("cuda")),
        max_source_pieces=40,
    )
    for ours, theirs in zip(there.translate(LINES), tiny_translator(**decoding).translate(LINES), strict=True):
        assert ours.text == theirs.text
        scores = [[candidate.score for candidate in found.hypotheses] for found in (ours, theirs)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-3)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "model",
    [
        {},
        {"attention": {"score": "additive", "coverage": True, "input_feeding": True}, "lexical_model": True},
        {"attention": {"score": "general", "scope": "local_m", "window": 3}},
        {"encoder": {"hidden_size": 12, "cell": "gru"}, "decoder": {"hidden_size": 24, "cell": "gru"}},
        {"attention": {"score": "dot", "heads": 2, "placement": "conditional"}},
    ],
    ids=str,
)
def test_graphs_change_no_translation_there(
    model: dict[str, Any], precision: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config(**model)
    network = tiny_network(config).to("cuda")
    for decoding in ({"beam_size": 1}, {"beam_size": 4, "n_best": 4}, {"sampling": True, "n_best": 2}):
        found = []
        for cuda_graphs in (False, True):
            options = config.decoding.model_copy(update={"cuda_graphs": cuda_graphs, **decoding})
            hardware = torch_hardware(torch.device("cuda"), precision, options)
            translator = Translator(
                TorchNetwork(network, hardware.graphs), tiny_tokenizers(), decoding=options, hardware=hardware
            )
            found.append([[each.ids for each in line.hypotheses] for line in translator.translate(LINES * 2)])
        same = sum(one == other for one, other in zip(*found, strict=True)) / len(found[0])
        assert same >= (1 if precision == torch.float32 else 0.95)
    assert "cuda_graphs" not in caplog.text
