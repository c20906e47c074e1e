"""The models of configs/papers: each is what its paper describes, learns, and takes its sizes from one base."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import yaml

import nmt
from cli_tools import untouched_logging
from nmt.config import Config, load_config, load_with_origins
from nmt.config.yaml_document import CoreLoader
from nmt.training import train
from toy_experiments import write_toy_experiment

CONFIGS = Path(__file__).parents[2] / "configs"
PRESETS = sorted((CONFIGS / "papers").glob("*.yaml"))
CORPORA = sorted((CONFIGS / "corpora").glob("*.yaml"))
WANTED = {
    *("cho-2014", "sutskever-2014", "bahdanau-2015", "luong-2015-dot", "luong-2015-general-feed"),
    *("luong-2015-local-p", "gnmt-2016", "rnmt-plus-2018", "sennrich-zhang-2019"),
}
TINY = {"training.max_updates": 3, "training.schedule.warmup": 0, "training.threads": 1, "training.tensorboard": False}
OVERRIDES = [f"{key}={json.dumps(value)}" for key, value in TINY.items()]


def preset(name: str, *overrides: str) -> Config:
    return load_config(CONFIGS / "papers" / f"{name}.yaml", overrides, check_files=False)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny corpus and its base, with equal sizes of both sides."""
    monkeypatch.chdir(tmp_path)
    file = write_toy_experiment(tmp_path, pairs=120)
    file.write_text(
        file.read_text("utf-8").replace("decoder: {hidden_size: 32}", "decoder: {hidden_size: 16}"), "utf-8"
    )
    return file


def test_they_are_all_there() -> None:
    assert {path.stem for path in PRESETS} == WANTED
    assert {path.stem for path in CORPORA} == {"exercise", "multi30k"}


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda path: path.stem)
@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_one_override_sizes_it_for_a_corpus(path: Path, corpus: Path) -> None:
    loaded = load_with_origins(path, [f"base={corpus}"], check_files=False)
    assert loaded.bases == [str(corpus)]
    sizes = yaml.load(corpus.read_text("utf-8"), CoreLoader)["model"]
    model = loaded.config.model
    assert model.embedding_size == sizes["embedding_size"]
    assert model.encoder.hidden_size == model.decoder.hidden_size == sizes["encoder"]["hidden_size"]
    assert loaded.config.data.train[0].source.startswith(f"data/{corpus.stem}/")  # type: ignore[union-attr]
    for key in ("training.max_epochs", "training.batch_tokens", "tokenizer.vocabulary_size"):
        assert loaded.origins[tuple(key.split("."))].file == str(corpus), f"{key} is the corpus's to say"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_each_is_short_and_says_where_it_is_from(path: Path) -> None:
    text = path.read_text("utf-8")
    head = text.split("\nbase:")[0]
    assert re.search(r"arXiv:\d{4}\.\d{5}|arXiv:\d{4}\.\d{4}", head)
    assert "From the paper: " in head
    assert "Differences: " in head
    assert len([line for line in text.splitlines() if line and not line.startswith("#")]) <= 45


def test_the_architectures_are_those_of_the_papers() -> None:
    cho, sutskever, bahdanau = preset("cho-2014"), preset("sutskever-2014"), preset("bahdanau-2015")
    assert (cho.model.encoder.cell, cho.model.encoder.bidirectional, cho.model.attention.score) == (
        "gru",
        False,
        "none",
    )
    assert (sutskever.model.encoder.cell, sutskever.model.encoder.reversed) == ("lstm", True)
    assert sutskever.model.attention.score == "none"
    assert (bahdanau.model.attention.score, bahdanau.model.attention.placement) == ("additive", "conditional")
    assert (bahdanau.model.encoder.bidirectional, bahdanau.model.decoder.output) == (True, "deep")
    luong = [preset(f"luong-2015-{kind}").model.attention for kind in ("dot", "general-feed", "local-p")]
    assert [attention.score for attention in luong] == ["dot", "general", "general"]
    assert [attention.input_feeding for attention in luong] == [False, True, True]
    assert [attention.scope for attention in luong] == ["global", "global", "local_p"]
    gnmt = preset("gnmt-2016").model
    assert (gnmt.encoder.bidirectional_layers, gnmt.encoder.residual_from, gnmt.decoder.residual_from) == (1, 3, 3)
    assert gnmt.attention.placement == "bottom"
    rnmt = preset("rnmt-plus-2018").model
    assert (rnmt.encoder.cell, rnmt.decoder.cell, rnmt.attention.heads) == ("layer_norm_lstm", "layer_norm_lstm", 4)
    low = preset("sennrich-zhang-2019")
    assert (low.model.attention.placement, low.model.tying, low.model.lexical_model) == ("conditional", "two_way", True)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_each_trains_and_translates(path: Path, toy: Path) -> None:
    config = load_config(path, [f"base={toy}", *OVERRIDES])
    with untouched_logging():
        run = train(config, resume=False, overwrite=False, init_from=None)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert records[-1]["update"] == 3
    assert math.isfinite(records[-1]["loss"])
    (translation,) = nmt.load(run).translate(["today the dog sees a cat"])
    assert isinstance(translation.text, str)
