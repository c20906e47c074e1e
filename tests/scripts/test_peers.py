"""The comparison with other toolkits: all systems get the same work, and the tables have a row for each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import peers
from benchmark.__main__ import main
from benchmark.options import Options
from benchmark.peer_worker import copy_network, our_name
from benchmark.peers import CELLS, Files, measure_peers, write_vocabulary_map
from benchmark.report import tables
from cli_tools import untouched_logging
from nmt.data.shortlist_table import ShortlistTable
from nmt.errors import NMTError
from nmt.inference.model_file import load_model

QUICK = Options(parts=("peers",), shapes=("S",), rounds=1, seed=1, device="cpu", quick=True, full=False)

# A translator that repeats a piece. It has as much of CTranslate2's interface as the comparison uses.
FAKE_CTRANSLATE2 = """
class Result:
    def __init__(self, pieces):
        self.hypotheses = [pieces]

    def result(self):
        return self

class Translator:
    def __init__(self, model_path, inter_threads=1, intra_threads=0):
        pass

    def translate_batch(self, source, *, min_decoding_length, max_decoding_length, **others):
        assert all(piece.startswith("p") for pieces in source for piece in pieces)
        return [Result(["p9"] * max_decoding_length) for _ in source]
"""


def test_says_why_the_other_toolkits_cannot_be_installed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(peers, "FOLDER", tmp_path / "peers")
    monkeypatch.setattr(peers, "REQUIREMENTS", (str(tmp_path / "missing-1.0-py3-none-any.whl"),))
    monkeypatch.setattr(sys, "argv", ["benchmark", "--quick", "--parts", "peers"])
    with untouched_logging():
        assert main() != 0
    output, errors = capsys.readouterr()
    assert output == ""
    assert "cannot be installed" in errors
    assert "missing-1.0" in errors


def test_measures_all_systems_with_the_same_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ctranslate2.py").write_text(FAKE_CTRANSLATE2, encoding="utf-8")
    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    monkeypatch.setattr(peers, "install_peers", lambda: None)
    monkeypatch.setattr(peers, "_opennmt", lambda _: [])
    monkeypatch.setattr(peers, "_measure_training", lambda *_: [])
    monkeypatch.setattr(Files, "transformer", lambda self: self.folder)

    def no_export(self: Files, *, int8: bool) -> Path:
        raise NMTError("many words\nonnx is missing")

    monkeypatch.setattr(Files, "export", no_export)
    skipped: list[str] = []
    found = measure_peers(QUICK, skipped)
    assert skipped == ["peers: nmt, ONNX Runtime: onnx is missing", "peers: nmt, ONNX Runtime, int8: onnx is missing"]
    speeds, cpu, over_opennmt, over_ctranslate2, start, training = (table["rows"] for table in found)
    names = ["nmt, numpy", "nmt, numpy, shortlist", "CTranslate2, int8", "CTranslate2, int8, shortlist"]
    for rows in (speeds, over_ctranslate2, start):
        assert [row["system"] for row in rows] == names
    assert all(row[cell] > 0 for row in speeds for cell in CELLS)
    assert [row["system"] for row in cpu] == names
    assert [over_ctranslate2[2][cell] for cell in CELLS] == [1] * len(CELLS)
    assert over_opennmt == training == []
    assert [row["equal_lines"] for row in start[:1]] == ["6 of 6"]
    assert all(row["memory_mb"] > 0 and row["memory_of_batches_mb"] > 0 and row["cpu_seconds"] > 0 for row in start)
    machine: dict[str, Any] = {"device": "cpu", "threads": 1, "torch": "", "rounds": 1}
    text = "\n".join(tables({"machine": machine, "peaks": [], "skipped": skipped, "peers": found}))
    assert all(name in text for name in (*names, "beam 5, one by one", "onnx is missing"))


def test_other_networks_get_our_weights(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    files = Files(folder, QUICK)
    ours = load_model(files.model).weights
    layers = range(files.shape.encoder_layers)
    cells = [f"{kind}_{gate}_l{layer}" for layer in layers for kind in ("weight", "bias") for gate in ("ih", "hh")]
    names = {
        "generator": ["weight", "bias"],
        "model": [
            *(f"encoder.rnn.{cell}{suffix}" for cell in cells for suffix in ("", "_reverse")),
            *(f"decoder.rnn.{cell}" for cell in cells),
            *(f"{side}.embeddings.make_embedding.emb_luts.0.weight" for side in ("encoder", "decoder")),
            *(f"decoder.attn.linear_{way}.weight" for way in ("in", "out")),
        ],
    }
    used = {our_name(f"{part}.{name}") for part, several in names.items() for name in several}
    assert used == set(ours)
    checkpoint: dict[str, Any] = {
        part: {name: torch.zeros(ours[our_name(f"{part}.{name}")].shape) for name in several}
        for part, several in names.items()
    }
    torch.save(checkpoint | {"optim": 1}, tmp_path / "made.pt")
    setup = {"model": str(files.model), "checkpoint": str(tmp_path / "made.pt"), "output": str(tmp_path / "copied.pt")}
    copy_network(setup, iter(()), lambda _: None)
    copied = torch.load(tmp_path / "copied.pt")
    bias = copied["generator"]["bias"]
    assert bias[:4].max() < -1000 < bias[4:].min()  # special pieces are impossible
    assert torch.equal(bias[4:], torch.tensor(np.asarray(ours["output.bias"]))[4:])
    # OpenNMT-py begins its vocabulary with the unknown piece, then padding.
    table = copied["model"]["encoder.embeddings.make_embedding.emb_luts.0.weight"]
    assert torch.equal(table[:4], torch.tensor(np.asarray(ours["encoder.embeddings.table.weight"]))[[1, 0, 2, 3]])


def test_writes_the_vocabulary_map_of_ctranslate2(tmp_path: Path) -> None:
    table = ShortlistTable(
        translations=np.array([[0], [0], [0], [0], [5], [0]], np.int32), frequent=np.array([4], np.int32)
    )
    write_vocabulary_map(table, tmp_path / "map.txt")
    assert (tmp_path / "map.txt").read_text("utf-8") == "\tp4\np4\tp5\np5\t\n"
