"""The benchmark: its textbook model computes what ours computes, and its report has all that was asked for."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import bulk, processes
from benchmark.__main__ import main, measure, parse
from benchmark.clock import interleaved
from benchmark.configuration import measure_configuration
from benchmark.corpora import repeated
from benchmark.gpu import measure_gpu
from benchmark.growth import fit
from benchmark.options import Options
from benchmark.processes import python
from benchmark.report import tables
from benchmark.scaling import Setting, exchanged_bytes, measure_scaling
from benchmark.shapes import Shape, configuration, network
from benchmark.synthetic import draw_pairs, even_batch, sentences
from benchmark.textbook import TextbookModel
from benchmark.textbook_search import beam_search
from benchmark.trainees import TEXTBOOK, Variant
from benchmark.training_parts import PARTS, PartTimer
from benchmark.workers import measure_workers
from cli_tools import ROOT, untouched_logging
from nmt.data.batch import Batch, pad
from nmt.errors import NMTError
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import to_tensors
from nmt.training.fused_loss import fused_loss
from toy_experiments import write_toy_experiment
from warm_processes import WarmProcess

CPU = torch.device("cpu")
SHAPE = Shape(12, 2, 5, 2, 10, 40)


def batch() -> Batch:
    sources, targets = draw_pairs(7, vocabulary=SHAPE.vocabulary, seed=3)
    return pad(sources, targets, np.arange(7))


@torch.no_grad()
def copy_weights(book: TextbookModel, ours: Seq2Seq) -> None:
    """Give the textbook model the weights of ours, by way of all parameters in the order of computation."""
    book.source_embedding.weight.copy_(ours.encoder.embeddings.table.weight)
    book.target_embedding.weight.copy_(ours.decoder.embeddings.table.weight)
    for level, layer in enumerate(ours.encoder.layers):
        for direction, suffix in ((layer.forward_cell, ""), (layer.backward_cell, "_reverse")):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(book.encoder, f"{name}_l{level}{suffix}").copy_(weight_of(direction, name))
    for cell, layer in zip(book.cells, ours.decoder.layers, strict=True):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cell, name).copy_(weight_of(layer, name))
    book.score.weight.copy_(ours.decoder.attention.score.projection.weight.T)
    book.combine.weight.copy_(ours.decoder.attentional_layer.weight)
    book.output.weight.copy_(ours.output.weight)
    book.output.bias.copy_(ours.output.bias)


def weight_of(layer: torch.nn.Module, name: str) -> torch.Tensor:
    found = [value for key, value in layer.named_parameters() if key.endswith(f"{name}_l0")]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("input_feeding", [False, True])
def test_the_textbook_computes_the_same_loss_as_our_model(input_feeding: bool) -> None:
    ours = network(configuration(SHAPE, input_feeding=input_feeding), SHAPE).eval()
    book = TextbookModel(SHAPE, dropout=0.0, input_feeding=input_feeding)
    copy_weights(book, ours)
    tensors = to_tensors(batch(), CPU)
    states, _ = ours.decode(tensors.target_input, ours.encode(tensors.source, tensors.source_lengths))
    mask = tensors.target_mask
    sums = fused_loss(
        states[mask],
        ours.output.weight,
        ours.output.bias,
        tensors.target_output[mask],
        smoothing=0.1,
        dtype=torch.float32,
    )
    loss = book(tensors.source, tensors.source_lengths, tensors.target_input, tensors.target_output)
    torch.testing.assert_close(sums.loss, loss, rtol=1e-5, atol=1e-3)
    sums.loss.backward()
    loss.backward()
    torch.testing.assert_close(ours.output.weight.grad, book.output.weight.grad, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        ours.encoder.embeddings.table.weight.grad, book.source_embedding.weight.grad, rtol=1e-3, atol=1e-4
    )


def test_textbook_beam_search_finds_what_trying_everything_finds() -> None:
    torch.manual_seed(2)
    shape = Shape(6, 1, 3, 1, 6, 7)
    model = TextbookModel(shape, dropout=0.0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
        model.output.bias[:4] = -100.0  # only the pieces 4, 5 and 6, and no end
    texts = [[4, 5, 6], [6, 4]]
    found = beam_search(model, texts, beam_size=27, max_lengths=[3, 2], device=CPU)
    assert found == [best(model, [4, 5, 6], 3), best(model, [6, 4], 2)]


@torch.no_grad()
def best(model: TextbookModel, text: list[int], length: int) -> list[int]:
    memory, mask, start = model.encode(torch.tensor([[*text, 3]]), torch.tensor([len(text) + 1]))

    def score(pieces: tuple[int, ...]) -> float:
        state, total = start, 0.0
        for before, piece in zip((2, *pieces), pieces, strict=False):
            outputs, state = model.step(torch.tensor([before]), state, memory, mask)
            total += float(torch.log_softmax(model.output(outputs), 1)[0, piece])
        return total

    return list(max(itertools.product((4, 5, 6), repeat=length), key=score))


def test_made_up_sentences_are_as_promised() -> None:
    pairs = draw_pairs(20_000, vocabulary=8000, seed=1)
    lengths = pairs.targets.lengths
    assert abs(lengths.mean() - 14) < 0.2
    assert abs(lengths.std() - 5) < 0.3
    assert (lengths.min(), lengths.max()) >= (4, 20)
    assert lengths.max() <= 45
    assert np.corrcoef(lengths, pairs.sources.lengths)[0, 1] > 0.8
    counts = np.bincount(pairs.targets.ids, minlength=8000)
    assert counts[:4].sum() == 0
    assert abs(counts[4] / counts[13] - 10) < 2  # the first piece and the tenth
    assert sentences(pairs.sources, [5]) == sentences(draw_pairs(20_000, vocabulary=8000, seed=1).sources, [5])
    even = even_batch(3, length=9, vocabulary=50, seed=1)
    assert even.source.shape == even.target_output.shape == (3, 9)
    assert set(even.source_lengths) == set(even.target_lengths) == {9}


def test_repeated_pairs_are_all_different() -> None:
    assert len(set(repeated([("a", "b"), ("c", "d")], 9))) == 9


def test_more_pairs_than_are_generated_come_again_with_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("DIFFERENT", 30), ("WORDS", 500), ("CHUNK", 20), ("VALIDATION", 5)):
        monkeypatch.setattr(bulk, name, value)
    whole: list[list[str]] = []
    for count in (29, 30, 31, 100):
        bulk.write_bulk(tmp_path, count, seed=1)
        whole = [(tmp_path / f"train.{side}").read_text("utf-8").splitlines() for side in ("en", "de")]
        assert [len(lines) for lines in whole] == [count, count]
    for lines in whole:
        assert lines[30:] == [f"{line} {again}" for again in (1, 2, 3) for line in lines[:30]][:70]


def test_tasks_take_turns() -> None:
    order: list[str] = []
    tasks = {name: (lambda name=name: order.append(name) or float(len(order))) for name in "ab"}
    assert interleaved(tasks, rounds=2, before_round=lambda: order.append("-")) == {"a": [2, 6], "b": [3, 5]}
    assert "".join(order) == "-ab-ba"


def test_inner_parts_do_not_count_for_outer_ones() -> None:
    class Work:
        def outer(self) -> float:
            return sum(self.inner() for _ in range(3))

        def inner(self) -> float:
            return sum(map(math.sqrt, range(20_000)))

    timer, work = PartTimer(lambda: None), Work()
    timer.wrap(work, "outer", "outer")
    timer.wrap(work, "inner", "inner")
    work.outer()
    assert timer.seconds.keys() == {"outer", "inner"}
    assert timer.seconds["outer"] < timer.seconds["inner"]


def test_fit_finds_the_line() -> None:
    line = fit([1, 10, 100], [0.5 + 2 * size for size in (1, 10, 100)])
    assert line.constant == pytest.approx(0.5)
    assert line.slope == pytest.approx(2)
    assert line.r_squared == pytest.approx(1)


def test_measures_decoding_preprocessing_and_growth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "argv", ["benchmark", "--quick", "--parts", "decoding,preprocessing,growth,safety", "--json"]
    )
    with untouched_logging(), unchanged_threads():
        assert main() == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    whens = [row["when"] for row in result["peaks"]]
    assert whens == ["before", "after decoding", "after preprocessing", "after growth", "after safety"]
    works = {(row["shape"], row["search"], row["batch"], row["variant"]) for row in result["decoding"]}
    for shape, search, size in itertools.product(("S", "M"), ("greedy", "beam 5"), (64, 1)):
        assert {(shape, search, size, "textbook"), (shape, search, size, "fp32")} <= works
    assert_positive(result["decoding"], "sentences_per_second", "tokens_per_second", "mean_length", "over_textbook")
    apart = result["decoding_parts"]
    assert len(apart) == 8
    assert_positive(apart, "share_of_peak", "cpu_ms_per_sentence")
    for row in apart:
        assert math.isclose(sum(row[key] for key in row if key.endswith("percent")), 100, abs_tol=1)
    assert_positive(result["preprocessing"], "pairs_per_second")
    assert {row["unit"] for row in result["growth"]} == {"pieces", "vocabulary pieces", "sentences", "pairs"}
    for row in result["growth"]:
        assert all(seconds > 0 for _, seconds in row["points"])
        assert row["r_squared"] <= 1
    text = "\n".join(tables(result))
    assert all(row["what"] in text for row in result["growth"])
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_is_measured_and_required() -> None:
    options = Options(parts=("gpu",), shapes=("S",), rounds=1, seed=1, device="cpu", quick=True, full=False)
    with unchanged_threads():
        result = measure(options)
        with pytest.raises(NMTError, match="requires a CUDA device"):
            measure_gpu(replace(options, quick=False), torch.device("cpu"), [])
    training, search = result["gpu"]
    assert_positive(training["rows"], "target", "source_and_target")
    assert_positive(search["rows"], "pieces_per_second")
    assert [row["cuda_graphs"] for row in search["rows"]] == [False, True] * 2
    assert [(row["input_feeding"], row["cuda_graphs"]) for row in training["rows"]] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert all(row["same_translations"] == 1 for row in search["rows"])
    assert "Search in bf16" in "\n".join(tables(result))


class TextProcess(WarmProcess):
    """A process whose output is text."""

    def communicate(self, timeout: float = 120.0) -> Any:
        return tuple(stream.decode() for stream in super().communicate(timeout))


def popen_warm(command: list[str], *, env: dict[str, str], **_: Any) -> TextProcess:
    """In place of `subprocess.Popen` of `python -m MODULE ARGUMENTS...`."""
    return TextProcess(command[2], command[3:], folder=Path.cwd(), variables=env)


def python_warm_for_the_textbook(option: str, module: str, request: str, **options: Any) -> processes.Ran:
    """In place of `benchmark.processes.python`: a new process is started for our network only."""
    if not json.loads(request)["variant"]["textbook"]:
        return processes.python(option, module, request, **options)
    process = popen_warm([sys.executable, option, module, request], env={**os.environ, **options["environment"]})
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return processes.Ran(seconds=1.0, cpu_seconds=1.0, peak_bytes=1 << 40, output=output)


def test_measures_two_processes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("benchmark.scaling.settings", lambda device: [Setting(2, 1)])
    monkeypatch.setattr("benchmark.scaling.subprocess.Popen", popen_warm)
    options = Options(parts=("scaling",), shapes=("S",), rounds=1, seed=1, device="cpu", quick=True, full=False)
    (row,) = measure_scaling(options, torch.device("cpu"))
    assert (row["shape"], row["processes"], row["threads"], row["over_first"]) == ("S", 2, 1, 1.0)
    assert row["target_tokens_per_second"] > 0
    assert row["sent_mb_per_update"] > 0
    assert "S: 2 x 1 threads, " in capsys.readouterr().err  # at once, before the other settings


def test_the_guide_has_the_computed_cost_of_communication() -> None:
    assert exchanged_bytes(1000, 1) == 0
    assert exchanged_bytes(1000, 2) == 4000  # half of the gradients go to the other process, and half of the sums
    text = (ROOT / "docs" / "guide" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| ([0-9]+) M \|(.*)\|\n", text)
    assert len(rows) == 3
    for millions, cells in rows:
        parameters = 1_000_000 * int(millions)
        eight, many, *times = (float(cell.split()[0]) for cell in cells.split("|"))
        volumes = [exchanged_bytes(parameters, processes) / 1e9 for processes in (8, 64, 8)]
        assert [eight, many] == pytest.approx(volumes[:2], rel=0.03)  # millions of parameters are rounded
        speeds = (300, 40, 12.5)  # GB/s. The last one is that of a machine of eight, in a ring of eight machines
        expected = [1000 * volume / speed for volume, speed in zip(volumes, speeds, strict=True)]
        assert times == pytest.approx(expected, rel=0.03, abs=0.06)


def test_measures_translation_in_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"one": ["--threads", "1"], "two": ["--processes", "2"]}
    monkeypatch.setattr("benchmark.workers._ways", lambda skipped: ways)
    options = Options(parts=("workers",), shapes=("S",), rounds=1, seed=1, device="cpu", quick=True, full=False)
    rows = measure_workers(options, [])
    assert [row["way"] for row in rows] == ["one", "two"]
    assert rows[0]["over_first"] == 1
    assert_positive(rows, "seconds", "cpu_seconds", "start_seconds")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_processor_time_includes_processes_whose_parent_has_ended() -> None:
    work = "end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    start = f"subprocess.Popen([sys.executable, '-S', '-c', {'import time' + chr(10) + work!r}])"
    orphan = python("-S", "-c", f"import subprocess, sys\n{start}")
    assert orphan.cpu_seconds >= 0.4


def test_measures_training_and_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each variant is measured in a process of its own too, and starting one takes seconds: two will do.
    fed = Variant(textbook=False, placement="top", input_feeding=True, precision="fp32")
    monkeypatch.setattr("benchmark.training.variants", lambda *_: [TEXTBOOK, fed])
    monkeypatch.setattr("benchmark.training_parts.python", python_warm_for_the_textbook)
    options = Options(
        parts=("training", "startup"), shapes=("M",), rounds=1, seed=1, device="cpu", quick=True, full=False
    )
    with unchanged_threads():
        result = measure(options)
    rows = {row["variant"]: row for row in result["training"]}
    assert rows.keys() == {"textbook", "top, input feeding, fp32"}
    assert rows["textbook"]["over_textbook"] == 1
    assert 0 < rows[fed.name]["share_of_peak"] < 1
    assert_positive(result["training"], "target_tokens_per_second", "peak_memory_mb", "peak_memory_over_import_mb")
    for row in result["training"]:
        assert row["milliseconds_per_update"].keys() == set(PARTS)
        assert row["milliseconds_per_update"]["backward"] > 0
    assert result["startup"][0]["command"] == 'python -c "import torch"'
    assert_positive(result["startup"], "seconds", "peak_memory_mb")
    assert "Milliseconds" in "\n".join(tables(json.loads(json.dumps(result))))


def test_measures_a_configuration_on_its_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_toy_experiment(tmp_path)
    monkeypatch.chdir(tmp_path)
    with unchanged_threads():
        result = measure_configuration(config, ["training.batch_tokens=128"], updates=3)
    assert result["precision"] == "fp32"
    assert_positive([result], "parameters", "target_tokens_per_second", "share_of_matrix_product_speed")


@contextmanager
def unchanged_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def assert_positive(rows: list[dict[str, Any]], *keys: str) -> None:
    assert rows
    assert all(row[key] > 0 for row in rows for key in keys), rows


@pytest.mark.parametrize(
    "arguments",
    [["--parts", "cooking"], ["c.yaml", "--parts", "growth"], ["--updates", "3"], ["--rounds", "0"]],
)
def test_refuses_what_makes_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_measures_preprocessing_of_big_corpora(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("WORDS", 200), ("VOCABULARY", 300), ("VALIDATION", 20), ("CHUNK", 100)):
        monkeypatch.setattr(bulk, name, value)
    monkeypatch.setattr(sys, "argv", ["benchmark", "--pairs", "300", "--processes", "1", "--json"])
    with untouched_logging():
        assert main() == 0
    result = json.loads(capsys.readouterr().out)
    assert [(row["pairs"], row["processes"]) for row in result["Preprocessing"]] == [(300, 1)]
    assert_positive(result["Preprocessing"], "pairs_per_second")
    assert_positive(result["Preprocessing"], "peak_memory_mb")
