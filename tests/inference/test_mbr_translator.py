"""Choosing by minimum Bayes risk, with all models and options that a translator may be made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.errors import UsageError
from nmt.evaluation.choosing import choosing_translator
from nmt.inference.constraints import Request, Terminology
from nmt.inference.ensemble import EnsembleMember
from nmt.inference.mbr import ConsensusTranslator
from nmt.inference.model_file import load_model
from nmt.inference.translator import Translator
from nmt.metrics.sentence import make_utility
from tiny_translator import save_tiny_model

LINES = ["the red dog sees a cat .", "", "a man runs", "The big house. A cat sleeps. The dog runs."]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[EnsembleMember]:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder / "one.safetensors")
    save_tiny_model(folder / "two.safetensors", attention={"score": "concat"})
    return [EnsembleMember(name, load_model(folder / f"{name}.safetensors")) for name in ("one", "two")]


def make(members: list[EnsembleMember], mbr: str | None, **decoding: Any) -> Translator | ConsensusTranslator:
    return choosing_translator(members, mbr=mbr, decoding={"device": "cpu", **decoding})


@pytest.mark.parametrize("metric", ["chrf", "bleu"])
@pytest.mark.parametrize("options", [{"beam_size": 6}, {"beam_size": 4, "split_sentences": True}], ids=str)
def test_the_one_is_chosen_that_the_others_agree_with_most(
    members: list[EnsembleMember], options: dict[str, Any], metric: str
) -> None:
    wide = list(make(members[:1], None, **options, n_best=options["beam_size"]).translate(LINES))
    found = list(make(members[:1], metric, **options, n_best=2).translate(LINES))
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
        assert chosen.source_parts == every.source_parts


def test_samples_count_as_often_as_they_were_drawn(members: list[EnsembleMember]) -> None:
    options: dict[str, Any] = {"sampling": True, "n_best": 12, "temperature": 0.3, "seed": 4}
    for every, chosen in zip(
        make(members[:1], None, **options).translate(LINES),
        make(members[:1], "chrf", **options).translate(LINES),
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
def test_several_models_phrases_and_requests_go_through(members: list[EnsembleMember], mbr: str | None) -> None:
    plain = make(members, mbr, beam_size=4, ensemble_average="log_probabilities")
    assert plain.decoding.ensemble_average == "log_probabilities"
    assert plain.decoding.n_best == 1
    steered = plain.with_phrases(avoid=["the"], terminology=Terminology({"cat": "Katze"}))
    [found] = steered.translate([Request(LINES[0], required=("zebra",))])
    words = f" {found.text} ".replace(".", " . ")
    assert "Katze" in words
    assert "zebra" in words
    assert " the " not in words
    unsteered = [one.text for one in plain.translate(LINES)]
    assert "zebra" not in "".join(unsteered)
    twins = [one.text for one in make([members[0]] * 2, mbr, beam_size=4).translate(LINES)]
    assert twins == [one.text for one in make(members[:1], mbr, beam_size=4).translate(LINES)]


def test_what_cannot_be_chosen_from_is_refused(members: list[EnsembleMember]) -> None:
    with pytest.raises(UsageError, match="--beam-size 1"):
        make(members, "chrf", beam_size=1)
    with pytest.raises(UsageError, match="--n-best 1"):
        make(members, "chrf", sampling=True, n_best=1)
    with pytest.raises(UsageError, match="expected chrf or bleu"):
        make(members, "ter", beam_size=4)
    with pytest.raises(UsageError, match="2 models"):
        choosing_translator(members, weights=[1.0], mbr="chrf", decoding={})


@pytest.mark.parametrize("mbr", [None, "chrf"])
def test_alignments_can_be_had_if_they_are_wanted(
    members: list[EnsembleMember], mbr: str | None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"device": "cpu", "beam_size": 3}
    assert choosing_translator(members, mbr=mbr, decoding=options).aligner is None
    translator = choosing_translator(members, mbr=mbr, decoding=options, alignments=True)
    assert translator.aligner is not None
    [found] = translator.translate(LINES[:1])
    aligned = translator.aligner.align(found.source_parts, found.hypotheses[0].parts)
    assert aligned is not None
    assert aligned.pieces.weights.shape == (len(found.hypotheses[0].ids) + 1, len(found.source_parts[0]) + 1)
    assert aligned.pieces.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
