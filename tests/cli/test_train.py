"""`nmt preprocess` and `nmt train` as a user has them: from two files to a model that translates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_tools import assert_explained, contents, nmt

CONFIG = """\
data:
  source_language: en
  target_language: de
  train:
    - {source: train.en, target: train.de}
  valid: {source: valid.en, target: valid.de}
  test:
    - {name: small, source: valid.en, target: valid.de}
tokenizer: {vocabulary_size: 300}
model:
  embedding_size: 8
  encoder: {hidden_size: 8}
  decoder: {hidden_size: 16}
training:
  max_updates: 2
  batch_tokens: 256
  threads: 1
  device: cpu
  tensorboard: false
  validation: {samples: 0, patience: null}
decoding: {beam_size: 2, max_length_ratio: 1, max_length_constant: 3}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CONFIG, encoding="utf-8")
    animals = [("dog", "Hund"), ("cat", "Kater"), ("horse", "Hengst"), ("bird", "Vogel"), ("fish", "Fisch")]
    pairs = [(f"the {a} sees the {b} .", f"der {c} sieht den {d} .") for a, c in animals for b, d in animals]
    for name, part in (("train", pairs[:20]), ("valid", pairs[20:])):
        for side, language in ((0, "en"), (1, "de")):
            text = "".join(f"{pair[side]}\n" for pair in part)
            Path(f"{name}.{language}").write_text(text, encoding="utf-8")
    return tmp_path


def test_from_two_files_to_a_model_that_translates_and_is_measured(folder: Path) -> None:
    prepared = nmt("preprocess", "small.yaml")
    assert prepared.code == 0, prepared
    made = Path(prepared.stdout.removesuffix("\n"))
    assert made.is_dir()
    assert made.parent == Path("preprocessed")
    before = contents(folder / made)
    assert nmt("preprocess", "small.yaml").stdout == prepared.stdout
    assert contents(folder / made) == before

    trained = nmt("train", "small.yaml", "seed=3")
    assert trained.code == 0, trained
    assert trained.stdout == f"{Path('runs/small')}\n"
    assert "\r" not in trained.stderr
    assert "\x1b" not in trained.stderr
    run = folder / "runs" / "small"
    assert "seed: 3\n" in (run / "config.yaml").read_text(encoding="utf-8")
    assert nmt("config", "check", str(run / "config.yaml")).code == 0

    before = contents(folder)
    assert_explained(nmt("train", "small.yaml"), "runs/small exists already", "--resume", "--overwrite", codes=(2,))
    changed = nmt("train", "small.yaml", "--resume", "seed=3", "training.optimizer.learning_rate=0.5")
    assert_explained(changed, "training.optimizer.learning_rate", "0.5", "--init-from", codes=(2,))
    assert contents(folder) == before

    assert nmt("translate", "valid.en").stdout.count("\n") == 5
    (result,) = json.loads(nmt("evaluate", "--json").stdout)
    assert (result["test"], result["sentences"]) == ("small", 5)

    child = nmt("train", "small.yaml", "name=child", "training.max_updates=1", "--init-from", "runs/small")
    assert child.code == 0, child
    assert json.loads(nmt("info", "--json").stdout)["name"] == "child"
    assert nmt("train", "small.yaml", "--overwrite", "-q").stdout == f"{Path('runs/small')}\n"
