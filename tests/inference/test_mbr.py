"""Minimum Bayes risk: utilities are sacreBLEU's sentence scores, and the choice is the naive sum."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_tools import assert_explained, nmt
from nmt.inference.mbr import MbrReranker, rank
from nmt.inference.results import Hypothesis, Translation
from nmt.metrics.sentence import make_sentence_metric, make_utility
from tiny_translator import save_tiny_model

OPTIONS = {"bleu_tokenizer": "auto", "target_language": "de"}
TEXTS = ["Der Hund schläft nicht.", "Der Hund schläft.", "der hund", "", "a", "Hund Hund Hund, der Hund."]
LINES = ["the red dog sees a cat .", "", "the old woman hears the small house ."]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("name", ["chrf", "bleu"])
def test_utilities_are_the_scores_of_sacrebleu(name: str, lowercase: bool) -> None:
    utilities = make_utility(name, lowercase=lowercase, **OPTIONS)(TEXTS)
    metric = make_sentence_metric(name, lowercase=lowercase, **OPTIONS)
    assert utilities.tolist() == [[pytest.approx(metric(one, other)) for other in TEXTS] for one in TEXTS]


@settings(max_examples=30)
@given(st.lists(st.text("ab c", max_size=8), min_size=1, max_size=4))
def test_utilities_of_any_text_are_those_of_sacrebleu(texts: list[str]) -> None:
    metric = make_sentence_metric("chrf", lowercase=False, **OPTIONS)
    utilities = make_utility("chrf", lowercase=False, **OPTIONS)(texts)
    assert utilities.tolist() == [[pytest.approx(metric(one, other)) for other in texts] for one in texts]


def hypothesis(text: str, log_probability: float) -> Hypothesis:
    return Hypothesis(text, [5], ["a"], log_probability, log_probability, [log_probability], True)


@pytest.mark.parametrize("sampled", [False, True])
def test_the_best_hypothesis_has_the_greatest_expected_utility(sampled: bool) -> None:
    hypotheses = [hypothesis(text, -0.5 * place) for place, text in enumerate(TEXTS)]
    metric = make_sentence_metric("chrf", lowercase=False, **OPTIONS)
    chances = [1.0 if sampled else math.exp(each.log_probability) for each in hypotheses]
    expected = {
        one.text: sum(p * metric(one.text, other.text) for p, other in zip(chances, hypotheses, strict=True))
        / sum(chances)
        for one in hypotheses
    }
    ranked = rank(hypotheses, make_utility("chrf", lowercase=False, **OPTIONS), sampled=sampled)
    assert {each.text: each.score for each in ranked} == {text: pytest.approx(it) for text, it in expected.items()}
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)


def test_a_text_that_was_sampled_twice_counts_twice() -> None:
    different = [hypothesis(text, -1.0) for text in ("ab", "xyz", "xyz")]
    ranked = rank(different, make_utility("chrf", lowercase=False, **OPTIONS), sampled=True)
    assert [each.text for each in ranked] == ["xyz", "ab"]
    assert ranked[0].score == pytest.approx(2 / 3)


def test_ties_keep_their_order() -> None:
    same = [hypothesis(text, -1.0) for text in ("ab", "cd", "ef")]
    ranked = rank(same, lambda texts: np.ones((len(texts), len(texts))), sampled=True)
    assert [each.text for each in ranked] == ["ab", "cd", "ef"]


def test_a_reranked_translation_starts_with_the_best_hypothesis_and_blank_stays_blank() -> None:
    utility = make_utility("chrf", lowercase=False, **OPTIONS)
    reranker = MbrReranker(utility, sampled=False, num_hypotheses=4, n_best=2)
    given = [hypothesis(text, -1.0) for text in ("xyz", "abcd", "abce")]
    reranked = reranker(Translation("xyz", given, [[7]], line=3, source="source"))
    assert reranked.text == reranked.hypotheses[0].text
    assert [each.text for each in reranked.hypotheses] == ["abcd", "abce"]
    assert (reranked.line, reranked.source, reranked.source_segments) == (3, "source", [[7]])
    blank = Translation("", [])
    assert reranker(blank) == blank


def test_the_command_line_reranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model.safetensors")
    (tmp_path / "text.en").write_text("".join(line + "\n" for line in LINES), encoding="utf-8")
    common = ("translate", "--model", "model.safetensors", "text.en")
    for metric in ("chrf", "bleu"):
        found = nmt(*common, "--mbr", metric, "--beam-size", "4")
        assert found.code == 0, found.stderr
        assert found.stdout.count("\n") == len(LINES)
    assert_explained(nmt(*common, "--mbr", "chrf", "--beam-size", "1"), "--mbr", "--beam-size", codes=(2,))
