"""Files of format 1, committed in `tests/formats`, which every later version must read.

The folder has a configuration, a run with checkpoint and model file, preprocessed data, the names of all parameters,
and the results that the model must give. To make the files again, which only a new format justifies:

    .venv/bin/python tests/frozen_formats.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import nmt
from model_options import SIZE, VALUES, make_row, model_options, problems_of
from nmt.inference.model_file import load_model, save_model
from toy_experiments import toy_pairs

FOLDER = Path(__file__).parent / "formats"
EXPERIMENT = "experiment.yaml"
RUN = Path("runs/frozen")
MODEL = RUN / "best.safetensors"
PREPROCESSED = Path("preprocessed")
EXPECTED = "expected.json"
PARAMETERS = "parameters.json"
MAX_BYTES = 300_000

UPDATES = 400
RESUMED = ("training.max_updates=406", "training.log_every=2")
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"beam_size": 1},
    "beam": {"beam_size": 4, "n_best": 2},
    "shortlist": {"beam_size": 4, "shortlist": True},
}
EXACT = {"device": "cpu", "precision": "fp32", "threads": 1}
ROUNDING = 1e-5

CONFIG = """\
# An experiment of format 1: small enough to be committed, with sections that write something to disk.
name: frozen
seed: 3
data:
  source_language: en
  target_language: de
  preprocessed_folder: preprocessed
  train:
    - {source: train.en, target: train.de, alignment: train.align, weight: 2}
  valid: {source: valid.en, target: valid.de}
  test:
    - {name: frozen-test, source: valid.en, target: valid.de}
  shortlist: {translations: 12, frequent: 12}
tokenizer:
  kind: bpe
  vocabulary_size: 80
  byte_fallback: false
  normalization: identity   # the tables of the others would take most of the space
model:
  embedding_size: 16
  encoder: {hidden_size: 8}
  decoder: {hidden_size: 16}
  dropout: {embedding: 0, layers: 0, output: 0}   # resuming must not depend on torch's random numbers
training:
  batch_tokens: 512
  max_epochs: 1000
  max_updates: 400
  optimizer: {learning_rate: 0.01}
  averaging: {kind: ema, decay: 0.9}
  validation: {every_updates: 200, samples: 1, patience: null}
  guided_alignment: {weight: 0.1}
  log_every: 100
  tensorboard: false
  threads: 1
  device: cpu
  precision: fp32
decoding:
  beam_size: 4
"""


def write_texts(folder: Path) -> None:
    pairs = toy_pairs(120, seed=11)
    for name, part in (("train", pairs[20:]), ("valid", pairs[:20])):
        for language, lines in zip(("en", "de"), zip(*part, strict=True), strict=True):
            (folder / f"{name}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "train.align").write_text("0-0 1-2 2-2 3-1\n" * len(pairs[20:]), encoding="utf-8")


def run_nmt(folder: Path, *arguments: str) -> str:
    """Run the command in `folder`; return its standard output."""
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "nmt", *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode()


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_lines(run / "metrics.jsonl")]


def results(model: Path, sources: list[str], targets: list[str]) -> dict[str, Any]:
    """What a model file gives: translations with their log-probabilities for each search, and scores of pairs."""
    found: dict[str, Any] = {}
    for name, options in SEARCHES.items():
        translations = nmt.load(model, **options, **EXACT).translate(sources)
        found[name] = [
            {"text": one.text, "log_probabilities": [hypothesis.log_probability for hypothesis in one.hypotheses]}
            for one in translations
        ]
    scores = nmt.load(model, **EXACT).score(sources, targets)
    return {**found, "scores": [None if one is None else one.log_probability for one in scores]}


def resumed_losses(run: Path) -> list[float]:
    """The training and validation losses of the updates after the frozen checkpoint."""
    return [record["loss"] for record in read_metrics(run) if record["update"] > UPDATES and "loss" in record]


def parameters(row: Mapping[str, Any]) -> dict[str, str]:
    """Names and shapes of the parameters of a model with the options `row` of `model_options.VALUES`."""
    return {name: "x".join(map(str, value.shape)) for name, value in make_row(dict(row)).named_parameters()}


def default_row() -> dict[str, Any]:
    """The first value of each option, without what would forbid most other values."""
    return {name: values[0] for name, values in VALUES.items()}


def single_changes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every allowed row that differs from the default in one option, with a name."""
    base = default_row()
    yield "default", base
    for name, values in VALUES.items():
        for value in values[1:]:
            row = {**base, name: value}
            if not problems_of(model_options(row)):
                yield f"{name}={json.dumps(value)}", row


def parameter_table() -> dict[str, Any]:
    """The parameters of the default model, and how each single option changes them."""
    default = parameters(default_row())
    table: dict[str, Any] = {"size": SIZE, "default": default}
    for name, row in single_changes():
        changed = parameters(row)
        if changed != default:
            table[name] = {
                "added": {key: shape for key, shape in changed.items() if default.get(key) != shape},
                "removed": [key for key in default if key not in changed],
            }
    return table


def check_stable(folder: Path, expected: dict[str, Any], sources: list[str], targets: list[str]) -> None:
    """Check that rounding does not change a translation: weights that differ in their last bits give the same."""
    file = load_model(folder / MODEL)
    generator = torch.Generator().manual_seed(1)
    noisy = {
        name: value * (1 + 1e-6 * torch.randn(value.shape, generator=generator)) for name, value in file.weights.items()
    }
    path = folder / "noisy.safetensors"
    save_model(
        path,
        weights=noisy,
        config=file.config,
        tokenizers=file.tokenizers,
        provenance=file.provenance,
        shortlist=file.shortlist,
    )
    with_noise = results(path, sources, targets)
    for name in SEARCHES:
        assert [one["text"] for one in with_noise[name]] == [one["text"] for one in expected[name]], name
    path.unlink()


def make(folder: Path) -> None:
    """Make all files in an empty folder."""
    (folder / EXPERIMENT).write_text(CONFIG, encoding="utf-8")
    write_texts(folder)
    run_nmt(folder, "train", EXPERIMENT)
    for link in (folder / RUN / "last", folder / "runs" / "latest"):
        link.unlink()  # not every archive keeps symbolic links
    sources, targets = (read_lines(folder / f"valid.{language}") for language in ("en", "de"))
    expected = results(folder / MODEL, sources, targets)
    check_stable(folder, expected, sources, targets)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        run_nmt(Path(copy), "train", EXPERIMENT, "--resume", *RESUMED)
        expected["resumed"] = resumed_losses(Path(copy) / RUN)
    for name, content in ((EXPECTED, expected), (PARAMETERS, parameter_table())):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size <= MAX_BYTES, f"{size:,} bytes are too many to commit"
    print(f"{size:,} bytes in {folder}")


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    make(FOLDER)
