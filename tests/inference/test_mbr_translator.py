"""Translators with minimum Bayes risk: all models and options work with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.errors import UsageError
from nmt.inference.constraints import Terminology
from nmt.inference.model_file import ModelFile, load_model
from nmt.inference.streaming import SourceLine
from nmt.inference.translator import Translator
from nmt.metrics.sentence import make_utility
from tiny_translator import save_tiny_model

LINES = ["the red dog sees a cat .", "", "a man runs", "The big house. A cat sleeps. The dog runs."]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[ModelFile]:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder / "one.safetensors")
    save_tiny_model(folder / "two.safetensors", attention={"score": "concat"})
    return [load_model(folder / f"{name}.safetensors") for name in ("one", "two")]


def make(models: list[ModelFile], mbr: str | None, **decoding: Any) -> Translator:
    return Translator.from_models(models, mbr=mbr, decoding={"device": "cpu", **decoding})


@pytest.mark.parametrize("metric", ["chrf", "bleu"])
@pytest.mark.parametrize("options", [{"beam_size": 6}, {"beam_size": 4, "split_sentences": True}], ids=str)
def test_hypotheses_are_reranked_by_expected_utility(
    models: list[ModelFile], options: dict[str, Any], metric: str
) -> None:
    wide = list(make(models[:1], None, **options, n_best=options["beam_size"]).translate(LINES))
    found = list(make(models[:1], metric, **options, n_best=2).translate(LINES))
    utility = make_utility(metric, bleu_tokenizer="auto", lowercase=False, target_language="de")
    for every, chosen in zip(wide, found, strict=True):
        if not every.hypotheses:
            assert (chosen.text, chosen.hypotheses) == ("", [])
            continue
        chances = np.exp([one.log_probability for one in every.hypotheses])
        chances /= chances.sum()
        gains = utility([one.text for one in every.hypotheses]) @ chances
        order = np.argsort(-gains, kind="stable")[:2]
        assert [one.text for one in chosen.hypotheses] == [every.hypotheses[place].text for place in order]
        assert [one.score for one in chosen.hypotheses] == pytest.approx(gains[order].tolist(), abs=1e-4)
        assert chosen.text == chosen.hypotheses[0].text
        assert chosen.source_segments == every.source_segments


def test_samples_count_as_often_as_they_were_drawn(models: list[ModelFile]) -> None:
    options: dict[str, Any] = {"sampling": True, "n_best": 12, "temperature": 0.3, "seed": 4}
    for every, chosen in zip(
        make(models[:1], None, **options).translate(LINES),
        make(models[:1], "chrf", **options).translate(LINES),
        strict=True,
    ):
        drawn = [one.text for one in every.hypotheses]
        assert [one.text for one in chosen.hypotheses] == list(dict.fromkeys(one.text for one in chosen.hypotheses))
        assert {one.text for one in chosen.hypotheses} == set(drawn)
        if drawn:
            gains = make_utility("chrf", bleu_tokenizer="auto", lowercase=False, target_language="de")(drawn).mean(1)
            assert chosen.hypotheses[0].score == pytest.approx(gains.max(), abs=1e-6)
            assert chosen.text == drawn[int(gains.argmax())]


@pytest.mark.parametrize("mbr", [None, "chrf"])
def test_ensembles_and_constraints_work_with_mbr(models: list[ModelFile], mbr: str | None) -> None:
    plain = make(models, mbr, beam_size=4, ensemble_average="log_probabilities")
    assert plain.decoding.ensemble_average == "log_probabilities"
    assert plain.decoding.n_best == 1
    constrained = plain.with_constraints(avoid=["the"], terminology=Terminology({"cat": "Katze"}))
    [found] = constrained.translate([SourceLine(LINES[0], required=("zebra",))])
    words = f" {found.text} ".replace(".", " . ")
    assert "Katze" in words
    assert "zebra" in words
    assert " the " not in words
    unconstrained = [one.text for one in plain.translate(LINES)]
    assert "zebra" not in "".join(unconstrained)
    twins = [one.text for one in make([models[0]] * 2, mbr, beam_size=4).translate(LINES)]
    assert twins == [one.text for one in make(models[:1], mbr, beam_size=4).translate(LINES)]


def test_a_search_with_one_hypothesis_is_refused(models: list[ModelFile]) -> None:
    with pytest.raises(UsageError, match="--beam-size is 1"):
        make(models, "chrf", beam_size=1)
    with pytest.raises(UsageError, match="--n-best is 1"):
        make(models, "chrf", sampling=True, n_best=1)
    with pytest.raises(UsageError, match="expected chrf or bleu"):
        make(models, "ter", beam_size=4)
    with pytest.raises(UsageError, match="2 models"):
        Translator.from_models(models, weights=[1.0], mbr="chrf", decoding={})


@pytest.mark.parametrize("mbr", [None, "chrf"])
def test_alignments_require_the_option(models: list[ModelFile], mbr: str | None, tmp_path: Path) -> None:
    options: dict[str, Any] = {"device": "cpu", "beam_size": 3}
    assert Translator.from_models(models, mbr=mbr, decoding=options).aligner is None
    translator = Translator.from_models(models, mbr=mbr, decoding=options, alignments=True)
    assert translator.aligner is not None
    [found] = translator.translate(LINES[:1])
    aligned = translator.aligner.align(found.source_segments, found.hypotheses[0].segments, (found.source, found.text))
    assert aligned is not None
    assert aligned.pieces.weights.shape == (len(found.hypotheses[0].ids) + 1, len(found.source_segments[0]) + 1)
    assert aligned.pieces.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
