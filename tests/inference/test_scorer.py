"""Scores of given translations: those of the search that found them, the same whatever stands beside them."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.data.special_tokens import BOS, EOS
from nmt.errors import CheckpointError, DataError, NMTError, UsageError
from nmt.inference import forced_decoding as forced
from nmt.inference import scorer
from nmt.inference.forced_decoding import IdPair
from nmt.inference.hardware import Processor
from nmt.inference.model_file import load_model
from nmt.inference.results import SentencePair, TranslationScore
from nmt.inference.scorer import Scorer
from nmt.inference.translator import Translator
from tiny_translator import (
    WORDS,
    for_inference,
    save_tiny_model,
    tiny_config,
    tiny_inference,
    tiny_network,
    tiny_subword_model,
    tiny_tokenizers,
)

CPU = Processor(1)
ARCHITECTURES: list[dict[str, Any]] = [
    {},
    {"attention": {"score": "none"}},
    {"attention": {"score": "additive", "placement": "conditional"}},
    {"attention": {"score": "general", "input_feeding": True, "coverage": False}},
    {"attention": {"score": "additive", "coverage": True}},
    {"attention": {"score": "dot", "scope": "local_m", "window": 2}, "encoder": {"hidden_size": 12, "layers": 2}},
]


def lines(count: int) -> list[str]:
    words = random.Random(3)
    return [" ".join(words.choices(WORDS.split(), k=words.randint(1, 18))) for _ in range(count)]


def tiny_scorer(*, model: dict[str, Any] | None = None, threads: int = 1, **decoding: Any) -> Scorer:
    config = tiny_config(**(model or {}))
    options = config.decoding.model_copy(update={"device": "cpu", **decoding})
    network, tokenizers = tiny_inference(config), tiny_tokenizers()
    return Scorer([network], tokenizers, decoding=options, hardware=Processor(threads), max_source_pieces=40)


def scored(found: Iterator[TranslationScore | None]) -> list[TranslationScore]:
    every = list(found)
    assert all(one is not None for one in every)
    return [one for one in every if one is not None]


@pytest.mark.parametrize("model", ARCHITECTURES, ids=str)
def test_scores_equal_those_of_the_search(model: dict[str, Any]) -> None:
    config = tiny_config(**model)
    options = config.decoding.model_copy(update={"device": "cpu", "n_best": 3, "beam_size": 4})
    translator = Translator(tiny_inference(config), tiny_tokenizers(), decoding=options, hardware=CPU)
    pairs, expected = [], []
    texts = lines(20)
    for line, translation in zip(texts, translator.translate(texts), strict=True):
        for candidate in translation.hypotheses:
            pairs.append(SentencePair(line, candidate.text, candidate.pieces))
            expected.append(candidate)
    assert len(pairs) > 40
    for found, candidate in zip(scored(tiny_scorer(model=model).score(pairs)), expected, strict=True):
        assert found.log_probability == pytest.approx(candidate.log_probability, abs=1e-4)
        assert found.score == pytest.approx(candidate.score, abs=1e-4)
        assert found.piece_log_probabilities == pytest.approx(candidate.piece_log_probabilities, abs=1e-4)
        assert found.pieces == candidate.pieces
        assert found.mean == pytest.approx(found.log_probability / (len(found.pieces) + 1))


def test_a_text_is_scored_in_its_best_segmentation() -> None:
    subwords = tiny_subword_model()
    found = scored(tiny_scorer().score([SentencePair("the dog sleeps .", "a cat runs .")]))[0]
    assert found.pieces == subwords.pieces(subwords.encode(["a cat runs ."])[0])
    letters = [*"▁a"]
    (spelt,) = scored(tiny_scorer().score([SentencePair("the dog sleeps .", "a", letters)]))
    assert spelt.pieces == letters


def test_scores_equal_those_of_single_steps() -> None:
    network, tokenizers = tiny_network(tiny_config()), tiny_tokenizers()
    source = [*tokenizers.source.encode(["the red dog sleeps ."])[0], EOS]
    target = tokenizers.target.encode(["a cat sees the house ."])[0]
    memory = network.encode(torch.tensor([source]), torch.tensor([len(source)]))
    state = network.init_state(memory)
    expected = []
    for fed, wanted in zip([BOS, *target], [*target, EOS], strict=True):
        step = network.step(torch.tensor([fed]), state, memory)
        state = step.state
        expected.append(float(step.log_probs[0, wanted].detach()))
    (found,) = scored(tiny_scorer().score([SentencePair("the red dog sleeps .", "a cat sees the house .")]))
    assert found.piece_log_probabilities == pytest.approx(expected, abs=1e-5)
    assert found.log_probability == pytest.approx(math.fsum(expected), abs=1e-5)


@pytest.mark.parametrize("model", ARCHITECTURES, ids=str)
def test_neighbours_batches_and_slices_change_nothing(model: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    texts = lines(30)
    pairs = [SentencePair(one, other) for one, other in zip(texts, texts[::-1], strict=True)]
    expected = [one.log_probability for one in scored(tiny_scorer(model=model).score(pairs))]
    alone = tiny_scorer(model=model, batch_sentences=1)
    assert [one.log_probability for one in scored(alone.score(pairs[::-1]))] == pytest.approx(expected[::-1], abs=1e-4)
    monkeypatch.setattr(forced, "MAX_POSITIONS", 50)
    monkeypatch.setattr(scorer, "MAX_LOGITS", 1000)
    sliced = tiny_scorer(model=model)
    assert [one.log_probability for one in scored(sliced.score(iter(pairs)))] == pytest.approx(expected, abs=1e-4)


def test_parallel_workers_give_equal_scores() -> None:
    texts = lines(30)
    pairs = [SentencePair(one, other) for one, other in zip(texts, texts[::-1], strict=True)]
    expected = [one.log_probability for one in scored(tiny_scorer().score(pairs))]
    found = [one.log_probability for one in scored(tiny_scorer(threads=3).score(pairs))]
    assert found == pytest.approx(expected, abs=1e-4)


def test_blank_lines() -> None:
    pairs = [
        SentencePair("", "a cat"),
        SentencePair("a dog .", ""),
        SentencePair(" \u00a0", ""),
        SentencePair("a dog .", " \t"),
    ]
    nothing, empty, blank, blank_target = tiny_scorer().score(pairs)
    assert nothing is None
    assert blank is None
    assert empty is not None
    assert empty.pieces == []
    assert len(empty.piece_log_probabilities) == 1  # the end of sentence
    assert blank_target is not None
    assert blank_target.log_probability == pytest.approx(empty.log_probability, abs=1e-5)
    assert list(tiny_scorer().score([])) == []


def test_hostile_text() -> None:
    hostile = ["\ud800", "\x00\x01", "漢字 😀", "the\u2028dog", "</s> <s> <unk>", "x" * 500, "a\tb\r"]
    found = list(tiny_scorer().score([SentencePair(one, other) for one in hostile for other in hostile]))
    assert len(found) == len(hostile) ** 2
    assert all(one is None or math.isfinite(one.log_probability) for one in found)


def test_pieces_of_another_model_are_refused() -> None:
    with pytest.raises(DataError, match="translation 2: the target vocabulary has no piece '▁Ungeheuer'"):
        list(tiny_scorer().score([SentencePair("a", "a"), SentencePair("a", "a", ["▁Ungeheuer"])]))
    with pytest.raises(DataError, match="no piece '</s>'"):
        list(tiny_scorer().score([SentencePair("a", "a", ["▁a", "</s>"])]))


def test_long_lines_are_scored_whole_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    long = "the dog sleeps . " * 30
    with caplog.at_level(logging.WARNING, logger="nmt"):
        found = scored(tiny_scorer().score([SentencePair("a", "a"), SentencePair(long, "a"), SentencePair(long, long)]))
    assert len(found) == 3
    assert "pair 2: a line of" in caplog.text
    assert "2 long lines were scored whole" in caplog.text


def test_scores_depend_on_length_normalization() -> None:
    pair = SentencePair("the dog sleeps .", "a cat runs .")
    (plain,) = scored(tiny_scorer(length_normalization="none").score([pair]))
    (average,) = scored(tiny_scorer(length_normalization="average").score([pair]))
    (gnmt,) = scored(tiny_scorer(length_normalization="gnmt", alpha=0.5).score([pair]))
    assert plain.score == plain.log_probability == average.log_probability
    assert average.score == pytest.approx(average.mean)
    count = len(gnmt.piece_log_probabilities)
    assert gnmt.score == pytest.approx(gnmt.log_probability / ((5 + count) / 6) ** 0.5)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_out_of_memory(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [IdPair([5, 6, 7], [8, 9])] * 6
    expected = tiny_scorer().log_probabilities(pairs)
    most = 2
    whole = scorer.collate

    def limited(several: Any) -> Any:
        if len(several) > most:
            raise error("DefaultCPUAllocator: can't allocate memory")
        return whole(several)

    monkeypatch.setattr(scorer, "collate", limited)
    for one, other in zip(tiny_scorer().log_probabilities(pairs), expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    most = 0
    with pytest.raises(NMTError, match="not enough memory to score a line of 3 pieces with a translation of 2"):
        tiny_scorer().log_probabilities(pairs)


def test_other_errors_are_raised_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(several: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(scorer, "collate", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        tiny_scorer().log_probabilities([IdPair([5], [6])])


def test_damaged_weights_are_reported() -> None:
    config = tiny_config()
    network = tiny_network(config)
    with torch.no_grad():
        network.output.bias[7] = math.nan
    damaged = Scorer([for_inference(network, config)], tiny_tokenizers(), decoding=config.decoding, hardware=CPU)
    with pytest.raises(CheckpointError, match="damaged"):
        list(damaged.score([SentencePair("a dog", "a dog")]))


def test_models_are_loaded_from_files(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model.safetensors")
    pair = SentencePair("the dog sleeps .", "a cat runs .")
    (expected,) = scored(tiny_scorer().score([pair]))
    loaded = Scorer.load(tmp_path / "model.safetensors", decoding={"device": "cpu", "threads": 1})
    assert scored(loaded.score([pair]))[0].score == pytest.approx(expected.score, abs=1e-6)
    file = load_model(tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="beam-size"):
        Scorer.from_models([file], decoding={"beam_size": 0})
