"""Replayed decoder steps give the results of computed ones. What a CUDA graph does is imitated on the processor."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from covering import Row
from imitated_graphs import ComputedAgain, Recorder
from model_options import LENGTHS, SOURCE, TARGET, make_row, rows
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.special_tokens import BOS
from nmt.inference import step_graphs
from nmt.inference.ensemble import Ensemble
from nmt.inference.hardware import TorchHardware, torch_hardware
from nmt.inference.model_file import load_model
from nmt.inference.results import Translation
from nmt.inference.shortlist import RestrictableNetwork, Shortlist
from nmt.inference.step_graphs import StepGraphs, StepInputs
from nmt.inference.streaming import SourceLine
from nmt.inference.torch_network import TorchNetwork
from nmt.inference.translator import Translator
from nmt.model import Seq2Seq
from nmt.model.graphs import leaves, rebuild
from nmt.search import TokenHypothesis, beam_search, greedy_search, make_length_normalization
from tiny_translator import WORDS, save_tiny_model, tiny_config, tiny_network, tiny_tokenizers

AVERAGE = make_length_normalization("average", None)


def graphs_of(recorder: Recorder, **options: Any) -> StepGraphs:
    return StepGraphs(recorder, **{"eager_steps": 0, **options})


def search(network: Any, beam_size: int, n_best: int = 1) -> list[list[TokenHypothesis]]:
    """Search sentences of different lengths and limits, so that they leave the batch one by one."""
    limits = np.array([9, 3, 6, 2])
    if beam_size == 1:
        return greedy_search(network, SOURCE, LENGTHS, max_lengths=limits, normalization=AVERAGE)
    return beam_search(
        network, SOURCE, LENGTHS, beam_size=beam_size, n_best=n_best, max_lengths=limits, normalization=AVERAGE
    )


def assert_same(found: Sequence[Sequence[TokenHypothesis]], expected: Sequence[Sequence[TokenHypothesis]]) -> None:
    assert [[each.ids for each in row] for row in found] == [[each.ids for each in row] for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.finished == other.finished
            assert one.score == pytest.approx(other.score, rel=1e-4, abs=1e-5)
            assert one.piece_log_probabilities == pytest.approx(other.piece_log_probabilities, rel=1e-4, abs=1e-5)


def name_of(row: Row) -> str:
    return f"{row['decoder.cell']}-{row['attention.score']}-{row['attention.scope']}-{row['attention.placement']}"


# ------------------------------------------------------------------------------------------------- every architecture


@pytest.mark.parametrize("row", rows()[::3], ids=name_of)
def test_a_search_with_graphs_finds_what_it_finds_without(row: Row) -> None:
    model = make_row(row, dtype=torch.float32, spread=0.3)
    recorder = Recorder()
    plain, graphed = TorchNetwork(model), TorchNetwork(model, graphs_of(recorder))
    for beam_size, n_best in ((1, 1), (3, 3)):
        assert_same(search(graphed, beam_size, n_best), search(plain, beam_size, n_best))
    assert recorder.replays > len(recorder.recordings) > 2
    with torch.inference_mode():
        memory = plain.encode(SOURCE, LENGTHS)
        state = plain.init_state(memory)
        for found, expected in zip(
            leaves(graphed.forced(TARGET, state, memory)), leaves(plain.forced(TARGET, state, memory)), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("row", rows()[::6], ids=name_of)
def test_a_step_reads_nothing_on_the_host(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor on the device "meta" has no values: to read one, or to mix it with a tensor of the host, is an error."""
    model = make_row(row, dtype=torch.float32)
    with torch.inference_mode():
        memory = model.encode(SOURCE, LENGTHS)
        inputs = StepInputs(LENGTHS, model.init_state(memory), memory, torch.zeros(4, 1), 3)
        inputs = rebuild(inputs, (values.to("meta") for values in leaves(inputs)))
        monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)  # "meta" has no autocast
        monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
        network = TorchNetwork(model.to("meta"))
        for step in (network._step, network._step_top_k, network._decode):
            assert all(values.is_meta for values in leaves(step(inputs)))
        with pytest.raises(RuntimeError):
            inputs.ids.sum().item()


# ------------------------------------------------------------------------------------------------- every kind of search

RICH = {
    "attention": {"score": "additive", "coverage": True, "input_feeding": True},
    "lexical_model": True,
    "decoder": {"hidden_size": 24, "layers": 2},
}
"""A model with all kinds of state but the position of local attention."""
LINES = [" ".join(random.Random(seed).choices(WORDS.split(), k=1 + seed % 11)) for seed in range(11)]
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"beam_size": 1},
    "beam": {"beam_size": 4},
    "n-best": {"beam_size": 4, "n_best": 4, "stopping": "fast"},
    "lengths": {"min_length": 4, "max_length": 7, "length_normalization": "gnmt", "n_best": 2},
    "penalties": {"coverage_penalty": 0.2, "repetition_penalty": 1.3, "no_repeat_ngram": 2},
    "sampling": {"sampling": True, "n_best": 3, "seed": 5},
    "filtered sampling": {"sampling": True, "n_best": 2, "temperature": 0.8, "top_k": 20, "top_p": 0.9},
    "groups": {"beam_size": 4, "beam_groups": 2, "n_best": 4},
    "constraints": {"beam_size": 4, "n_best": 2},
    "constraints in groups": {"beam_size": 4, "beam_groups": 2, "coverage_penalty": 0.1},
    "shortlist": {"beam_size": 3, "n_best": 3},
    "ensemble": {"beam_size": 3, "n_best": 3},
    "one by one": {"beam_size": 3, "batch_sentences": 1},
}


def constrained(name: str) -> list[SourceLine]:
    """Lines, in some searches with a prefix or a required word."""
    if "constraints" not in name:
        return [SourceLine(line) for line in LINES]
    return [
        SourceLine(line, prefix="the dog" if index % 3 == 0 else "", required=("cat",) if index % 3 == 1 else ())
        for index, line in enumerate(LINES)
    ]


def make_translator(name: str, model: Seq2Seq, graphs: StepGraphs | None) -> Translator:
    hardware = TorchHardware(torch.device("cpu"))
    network = TorchNetwork(model, graphs)
    shortlist = None
    if name == "shortlist":
        size = network.target_size
        generator = np.random.default_rng(1)
        table = ShortlistTable(
            translations=generator.integers(0, size, (size, 6), dtype=np.int32),
            frequent=np.sort(generator.choice(np.arange(4, size, dtype=np.int32), 10, replace=False)),
        )
        shortlist = Shortlist(RestrictableNetwork(network), table, target_size=size, hardware=hardware)
    members = [network, TorchNetwork(tiny_network(tiny_config()), graphs), network]
    searched = Ensemble(members, weights=[1, 2, 1], average="probabilities") if name == "ensemble" else network
    return Translator(
        searched,
        tiny_tokenizers(),
        decoding=tiny_config().decoding.model_copy(update=SEARCHES[name]),
        hardware=hardware,
        shortlist=shortlist,
    )


def assert_same_translations(found: Sequence[Translation], expected: Sequence[Translation]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert [each.ids for each in ours.hypotheses] == [each.ids for each in theirs.hypotheses]
        for one, other in zip(ours.hypotheses, theirs.hypotheses, strict=True):
            assert one.score == pytest.approx(other.score, rel=1e-4, abs=1e-4)


@pytest.fixture(scope="module")
def rich_model() -> Seq2Seq:
    return tiny_network(tiny_config(**RICH))


@pytest.mark.parametrize("name", SEARCHES)
def test_every_kind_of_search_finds_the_same(name: str, rich_model: Seq2Seq) -> None:
    recorder = Recorder()
    found = [*make_translator(name, rich_model, graphs_of(recorder)).translate(constrained(name))]
    assert_same_translations(found, [*make_translator(name, rich_model, None).translate(constrained(name))])
    assert recorder.replays > len(recorder.recordings)


# --------------------------------------------------------------------------------------------- the cache and its limits


class Walk(NamedTuple):
    """A search of some sentences that is advanced one step at a time."""

    network: TorchNetwork
    memory: Any
    found: list[Tensor]

    @classmethod
    def begin(cls, network: TorchNetwork, kept: Sequence[int]) -> Walk:
        chosen = torch.tensor(kept)
        width = int(LENGTHS[chosen].max())
        return cls(network, network.encode(SOURCE[chosen, :width], LENGTHS[chosen]), [])

    def run(self, steps: int) -> Any:
        """Yield after each step, with the outputs in `found`."""
        state = self.network.init_state(self.memory)
        ids = torch.full((len(self.memory.mask),), BOS)
        for _ in range(steps):
            output = self.network.step(ids, state, self.memory)
            self.found.extend(leaves((output.log_probs, output.state, output.weights)))
            state, ids = output.state, output.log_probs.argmax(1)
            yield


@pytest.mark.parametrize("max_graphs", [1, 2, 100])
@pytest.mark.parametrize("eager_steps", [0, 2])
def test_searches_may_alternate_and_graphs_may_be_dropped(
    max_graphs: int, eager_steps: int, rich_model: Seq2Seq
) -> None:
    batches = ([0, 1, 2, 3], [1], [0, 2], [2, 0], [3], [2, 1, 3])
    recorder = Recorder()
    graphed = TorchNetwork(rich_model, graphs_of(recorder, max_graphs=max_graphs, eager_steps=eager_steps))
    with torch.inference_mode():
        walks = [Walk.begin(graphed, kept) for kept in batches]
        running = [walk.run(6) for walk in walks]
        for _ in range(6):
            for each in running:
                next(each, None)
        for walk, kept in zip(walks, batches, strict=True):
            alone = Walk.begin(TorchNetwork(rich_model), kept)
            for _ in alone.run(6):
                pass
            for found, expected in zip(walk.found, alone.found, strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    # Batches of one, two, three and four sentences have a graph each.
    assert (len(recorder.recordings) == 4) == (max_graphs == 100)
    assert len(graphed._graphs._graphs) <= max_graphs  # type: ignore[union-attr]


def test_shapes_that_do_not_recur_are_not_recorded(rich_model: Seq2Seq) -> None:
    recorder = Recorder()
    network = TorchNetwork(rich_model, graphs_of(recorder, eager_steps=2))
    with torch.inference_mode():
        for kept in ([0, 1], [0, 1, 2], [3]):
            for _ in Walk.begin(network, kept).run(2):
                pass
        assert not recorder.recordings
        for _ in Walk.begin(network, [1, 2]).run(1):
            pass
    assert len(recorder.recordings) == 1


@pytest.mark.parametrize("place", ["replay", "copy"])
def test_an_error_in_the_middle_leaves_nothing_behind(
    place: str, rich_model: Seq2Seq, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = TorchNetwork(rich_model, graphs_of(Recorder()))
    expected = search(TorchNetwork(rich_model), 3)
    assert_same(search(network, 3), expected)
    memory = network.encode(SOURCE, LENGTHS)
    ids, state = torch.full((4,), BOS), network.init_state(memory)
    network.step(ids, state, memory)
    owner, name = (ComputedAgain, "replay") if place == "replay" else (step_graphs, "_copy")
    function: Callable[..., None] = getattr(owner, name)
    countdown = 0

    def fails(*arguments: Any) -> None:
        nonlocal countdown
        countdown -= 1
        if countdown == 0:
            raise RuntimeError("out of memory")
        function(*arguments)

    monkeypatch.setattr(owner, name, fails)
    right = TorchNetwork(rich_model).step(ids, state, memory)
    for failure in range(1, 9 if place == "copy" else 2):
        memory = network.encode(SOURCE, LENGTHS)
        countdown = failure
        with pytest.raises(RuntimeError, match="out of memory"):
            network.step(ids, state, memory)
        found = network.step(ids, state, memory)
        for ours, theirs in zip(leaves(found), leaves(right), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
        countdown = failure
        with pytest.raises(RuntimeError, match="out of memory"):
            search(network, 3)
        assert_same(search(network, 3), expected)


def test_the_option_works_without_a_gpu_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Here nothing can be recorded: the real recorder fails, and the model is searched without graphs."""
    save_tiny_model(tmp_path / "model.safetensors")
    file = load_model(tmp_path / "model.safetensors")
    decoding = file.config.decoding.model_copy(update={"cuda_graphs": True})
    hardware = torch_hardware(torch.device("cpu"), torch.float32, decoding)
    with caplog.at_level(logging.WARNING):
        found = search(file.network(hardware), 3)
    assert_same(search(file.network(TorchHardware(torch.device("cpu"))), 3), found)
    assert len([record for record in caplog.records if "cuda_graphs" in record.getMessage()]) == 1
    hardware.free_memory()
    assert torch_hardware(torch.device("cpu"), torch.float32, file.config.decoding).graphs is None


@pytest.mark.parametrize("healthy", [0, 1, 3])
def test_a_failed_recording_turns_graphs_off_with_one_message(
    healthy: int, rich_model: Seq2Seq, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(healthy)
    network = TorchNetwork(rich_model, graphs_of(recorder))
    with caplog.at_level(logging.WARNING):
        for beam_size in (3, 1, 3):
            assert_same(search(network, beam_size), search(TorchNetwork(rich_model), beam_size))
    (message,) = [record.getMessage() for record in caplog.records]
    assert "not permitted when stream is capturing" in message
    assert "more" not in message


def test_a_replay_that_differs_turns_graphs_off(
    rich_model: Seq2Seq, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ComputedAgain, "replay", lambda recording: recording.outputs.by_row[0].add_(1))
    network = TorchNetwork(rich_model, graphs_of(Recorder()))
    with caplog.at_level(logging.WARNING):
        assert_same(search(network, 3), search(TorchNetwork(rich_model), 3))
    assert "the replayed step differs from the computed one" in caplog.text


def test_dropping_all_graphs_changes_no_result(rich_model: Seq2Seq) -> None:
    graphs = graphs_of(Recorder())
    network = TorchNetwork(rich_model, graphs)
    found = [search(network, 3)]
    graphs.clear()
    assert_same(search(network, 3), found[0])


def test_weights_may_change_in_their_place() -> None:
    model = tiny_network(tiny_config())
    network = TorchNetwork(model, graphs_of(Recorder()))
    search(network, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.7)
    assert_same(search(network, 3), search(TorchNetwork(model), 3))


def test_networks_and_operations_have_graphs_of_their_own() -> None:
    graphs = graphs_of(Recorder())
    for seed in (1, 2):
        model = make_row(rows()[0], dtype=torch.float32, spread=0.3)
        with torch.no_grad():
            model.output.weight.mul_(seed)
        plain, graphed = TorchNetwork(model), TorchNetwork(model, graphs)
        assert_same(search(graphed, 3), search(plain, 3))
        memory = plain.encode(SOURCE, LENGTHS)
        state, ids = plain.init_state(memory), torch.full((4,), BOS)
        for name in ("step", "decode"):
            found, expected = (getattr(network, name)(ids, state, memory)[0] for network in (graphed, plain))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_number_formats_have_graphs_of_their_own(rich_model: Seq2Seq) -> None:
    recorder = Recorder()
    network = TorchNetwork(rich_model, graphs_of(recorder))
    search(network, 3)
    count = len(recorder.recordings)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = search(network, 3)
        expected = search(TorchNetwork(rich_model), 3)
    assert len(recorder.recordings) > count
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[0].score == pytest.approx(theirs[0].score, rel=0.1, abs=0.1)
    assert_same(search(network, 3), search(TorchNetwork(rich_model), 3))
