"""Lines longer than what a model has learnt from: how long that is, and that they are translated in segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli_tools import nmt
from nmt.data.lengths import longest_source
from nmt.inference.model_file import load_model
from nmt.inference.segmentation import Segmenter, max_segment_pieces
from tiny_translator import save_tiny_model, tiny_config, tiny_subword_model
from toy_experiments import write_toy_experiment


def test_the_longest_source_is_what_one_in_ten_thousand_exceeds() -> None:
    usual = np.arange(5, 45, dtype=np.int32)
    assert longest_source(usual) == 44
    odd = np.concatenate([np.tile(usual, 2500), np.full(5, 290, np.int32)])
    assert longest_source(odd) == 44, "a few odd lines teach nothing"
    assert longest_source(np.zeros(3, np.int32)) == 1


def test_what_is_given_comes_before_what_was_seen_and_the_least_of_several_models_counts() -> None:
    untold = tiny_config()
    told = untold.model_copy(update={"decoding": untold.decoding.model_copy(update={"max_source_pieces": 31})})
    assert max_segment_pieces([untold], {}) == untold.data.filters.max_pieces == 40
    assert max_segment_pieces([untold, told], {}) == max_segment_pieces([told, untold], {}) == 31
    assert max_segment_pieces([told], {"max_source_pieces": None, "beam_size": 3}) == 31
    assert max_segment_pieces([untold, told], {"max_source_pieces": 35}) == 35


@pytest.mark.parametrize(
    ("options", "factor"),
    [((), 1), (("data.concatenation.ratio=0.5", "data.concatenation.max_pairs=3"), 3)],
    ids=["as they are", "concatenated"],
)
def test_training_tells_the_model_how_long_its_sentences_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], factor: int
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_toy_experiment(tmp_path)
    trained = nmt("train", str(config), "training.max_updates=1", "--quiet", *options)
    assert trained.code == 0, trained
    model = load_model(tmp_path / "runs" / "toy" / "best.safetensors")
    lines = (tmp_path / "train.en").read_text(encoding="utf-8").splitlines()
    longest = max(map(len, model.tokenizers.source.encode(lines)))
    assert model.config.decoding.max_source_pieces == factor * longest


def test_what_the_configuration_says_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_toy_experiment(tmp_path)
    options = ("training.max_updates=1", "decoding.max_source_pieces=123")
    assert nmt("train", str(config), "--quiet", *options).code == 0
    assert load_model(tmp_path / "runs" / "toy" / "best.safetensors").config.decoding.max_source_pieces == 123


def test_a_line_is_cut_where_the_option_says(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model.safetensors")
    (tmp_path / "line.en").write_text("the dog sees a cat . " * 5 + "\n", encoding="utf-8")
    command = ("translate", str(tmp_path / "line.en"), "--model", str(tmp_path / "model.safetensors"))
    whole, cut = nmt(*command, "--max-source-pieces", "300"), nmt(*command, "--max-source-pieces", "8")
    assert whole.code == cut.code == 0
    assert "in 5 segments" in cut.stderr
    assert "segments" not in whole.stderr
    assert whole.stdout != cut.stdout
    assert cut.stdout.count("\n") == 1


@pytest.mark.parametrize("longest", [5, 12, 25])
def test_what_is_too_long_is_cut_into_its_sentences_and_these_where_they_are_too_long(longest: int) -> None:
    sentences = ["The dog sees a cat.", "A man sleeps!", "The big old house and the small red house and a woman."]
    subwords = tiny_subword_model()
    whole = " ".join(sentences)
    (ids,) = subwords.encode([whole])
    parts = Segmenter(subwords, max_pieces=longest, split_sentences=False).segment(whole, ids)
    assert len(ids) > longest
    assert parts.too_long
    assert " ".join(parts.texts) == whole
    assert parts.ids == subwords.encode(parts.texts)
    assert max(map(len, parts.ids)) <= longest
    starts = [whole.index(sentence) for sentence in sentences]
    assert set(starts) <= {whole.index(text) for text in parts.texts}, (
        "no part has the end of one and the start of another"
    )


def test_what_fits_stays_whole_however_many_sentences_it_has() -> None:
    subwords, text = tiny_subword_model(), "The dog sees a cat. A man sleeps!"
    (ids,) = subwords.encode([text])
    assert Segmenter(subwords, max_pieces=len(ids), split_sentences=False).segment(text, ids) == ([text], [ids], False)
    cut = Segmenter(subwords, max_pieces=len(ids), split_sentences=True).segment(text, ids)
    assert (cut.texts, cut.too_long) == (["The dog sees a cat.", "A man sleeps!"], False)
