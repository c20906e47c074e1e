"""Models that write from right to left: the network sees targets backwards, nobody else does."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli_tools import nmt
from nmt.data.alignments import Links
from nmt.data.batch import make_batch, reversed_targets
from nmt.data.special_tokens import BOS, EOS, PAD
from nmt.inference.model_file import load_model
from tiny_translator import tiny_subword_model, tiny_tokenizers
from toy_experiments import write_toy_experiment

TEXT = "the old woman sees a cat ."


def test_ids_run_backwards_and_texts_read_as_ever() -> None:
    forward, both = tiny_subword_model(), tiny_tokenizers()
    backward = both.with_direction(right_to_left=True).target
    (ids,) = forward.encode([TEXT])
    assert backward.encode([TEXT]) == [ids[::-1]]
    assert backward.decode([ids[::-1], []]) == [TEXT, ""]
    assert backward.fingerprint == forward.fingerprint
    assert pickle.loads(pickle.dumps(backward)).encode([TEXT]) == [ids[::-1]]
    assert both.with_direction(right_to_left=False) is both
    assert both.with_direction(right_to_left=True).source is both.source


def test_a_turned_batch_has_its_targets_from_last_to_first() -> None:
    batch = make_batch([[5, 6], [7]], [[10, 11, 12], [13]])
    links = Links(
        np.array([0, 0, 1]), np.array([0, 2, 0]), np.array([1, 0, 0]), np.array([1.0, 1.0, 1.0], dtype=np.float32)
    )
    found = reversed_targets(replace(batch, links=links))
    assert found.source.tolist() == batch.source.tolist()
    assert found.target_output.tolist() == [[12, 11, 10, EOS], [13, EOS, PAD, PAD]]
    assert found.target_input.tolist() == [[BOS, 12, 11, 10], [BOS, 13, PAD, PAD]]
    assert found.links is not None
    assert found.links.targets.tolist() == [2, 0, 0]
    again = reversed_targets(found)
    assert again.target_input.tolist() == batch.target_input.tolist()
    assert again.links is not None
    assert again.links.targets.tolist() == links.targets.tolist()


def test_it_learns_translates_and_evaluates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same data serves both directions. What the network learnt backwards comes out forwards."""
    monkeypatch.chdir(tmp_path)
    config = write_toy_experiment(tmp_path)
    options = ("training.max_epochs=6", "decoding.max_length_ratio=2")
    trained = nmt("train", config.name, "name=back", "data.right_to_left=true", *options)
    assert trained.code == 0, trained.stderr
    assert len(list((tmp_path / "preprocessed").iterdir())) == 1
    assert nmt("train", config.name, "name=there", "training.max_updates=2").code == 0
    assert len(list((tmp_path / "preprocessed").iterdir())) == 1
    file = load_model(Path("runs/back/best.safetensors"))
    assert file.config.data.right_to_left
    assert file.tokenizers.target.right_to_left
    done = nmt("translate", "--model", "runs/back", "test.en")
    assert done.code == 0, done.stderr
    adverbs = sum(line.split(" ")[0] in ("heute", "hier", "oft") for line in done.stdout.splitlines())
    assert adverbs > 20  # each reference begins so; backwards, it would end so
    listed = nmt("translate", "--model", "runs/back", "test.en", "--format", "jsonl")
    (tmp_path / "found.jsonl").write_text(listed.stdout, encoding="utf-8")
    judged = nmt("score", "--model", "runs/back", "found.jsonl")
    assert judged.code == 0, judged.stderr
    for one, other in zip(listed.stdout.splitlines(), judged.stdout.splitlines(), strict=True):
        (found,), (scored,) = (json.loads(line)["hypotheses"] for line in (one, other))
        assert "".join(found["pieces"]).replace("\u2581", " ").strip() == found["text"]
        assert scored["log_probability"] == pytest.approx(found["log_probability"], abs=1e-4)
        assert scored["piece_log_probabilities"] == pytest.approx(found["piece_log_probabilities"], abs=1e-4)
    refused = nmt("train", config.name, "name=back", "--resume")
    assert refused.code == 2
    assert "data.right_to_left" in refused.stderr
