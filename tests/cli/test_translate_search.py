"""The search options of `nmt translate`, and the files that steer it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_tools import nmt
from tiny_translator import save_tiny_model

LINES = ["the red dog sleeps .", "", "a cat sees the house ."]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model.safetensors")
    (tmp_path / "text.en").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    return tmp_path


def test_files_steer_translations(folder: Path) -> None:
    (folder / "terms.tsv").write_text("dog\tHund\n", encoding="utf-8")
    (folder / "required.txt").write_text("\n\nzebra\tgreen house\n", encoding="utf-8")
    (folder / "prefixes.txt").write_text("a man\n\n\n", encoding="utf-8")
    files = ("--terminology", "terms.tsv", "--required", "required.txt", "--prefixes", "prefixes.txt")
    found = nmt("translate", "--model", "model.safetensors", "text.en", *files, "--no-repeat-ngram", "3")
    assert found.code == 0, found.stderr
    first, second, third, end = found.stdout.split("\n")
    assert first.startswith("a man")
    assert "Hund" in first
    assert second == end == ""
    assert "zebra" in third
    assert "green house" in third
    (folder / "prefixes.txt").write_text("a man\n", encoding="utf-8")
    short = nmt("translate", "--model", "model.safetensors", "text.en", "--prefixes", "prefixes.txt")
    assert short.code == 1
    assert "prefixes.txt" in short.stderr
    assert "line 2" in short.stderr


def test_samples_are_as_many_as_wanted_and_options_must_make_sense(folder: Path) -> None:
    options = ("--sampling", "--n-best", "7", "--beam-size", "2", "--top-p", "0.9", "--seed", "3", "--format", "tsv")
    found = nmt("translate", "--model", "model.safetensors", "text.en", *options)
    assert found.code == 0, found.stderr
    assert sum(line.startswith("3\t") for line in found.stdout.split("\n")) == 7
    refused = nmt("translate", "--model", "model.safetensors", "text.en", "--temperature", "0.7")
    assert refused.code == 2
    assert "--temperature" in refused.stderr
    assert "--sampling" in refused.stderr
