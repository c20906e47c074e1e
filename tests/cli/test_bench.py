"""`nmt bench`, with a small model of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_tools import nmt
from tiny_translator import save_tiny_model


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model.safetensors")
    (tmp_path / "text.en").write_text("the red dog sleeps .\na cat hears a man .\n", encoding="utf-8")


def test_it_measures_a_start_and_all_modes() -> None:
    outcome = nmt("bench", "model.safetensors", "--source", "text.en", "--seconds", "0", "--threads", "1", "--json")
    assert outcome.code == 0, outcome
    found = json.loads(outcome.stdout)
    assert all(value > 0 for value in found["start"].values())
    modes = [(row["batch"], row["beam"], row["shortlist"]) for row in found["speed"]]
    assert modes == [(1, 1, False), (1, 5, False), (8, 1, False), (8, 5, False)]
    assert all(row["sentences_per_second"] > 0 for row in found["speed"])


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.cli.commands.bench.measure_start", lambda options: None)
    outcome = nmt("bench", "model.safetensors", "--seconds", "0", "--beam-size", "2", "--batch-size", "4")
    assert outcome.code == 0, outcome
    head, *rows, blank, text = outcome.stdout.splitlines()
    assert head.split("  ")[-1] == "target pieces/s"
    assert [row.split("  ")[0] for row in rows] == [
        *("one by one, greedy", "one by one, beam 2", "batches of 4, greedy", "batches of 4, beam 2")
    ]
    assert (blank, text) == ("", "on lines of random pieces")


def test_a_blank_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.cli.commands.bench.measure_start", lambda options: None)
    Path("blank.en").write_text("\n \n", encoding="utf-8")
    outcome = nmt("bench", "model.safetensors", "--source", "blank.en")
    assert outcome.code == 2
    assert "blank" in outcome.stderr
