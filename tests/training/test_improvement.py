"""A score that is noise decides nothing: neither the best model, nor the learning rate, nor the end of training."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from cli_tools import untouched_logging
from nmt.inference.model_file import load_model
from nmt.metrics.corpus import score
from nmt.training.improvement import LOSS_GAIN, NOISE_RANK, Mark, ScoreNoise, score_noise
from nmt.training.validation import ValidationResult, Validator, make_mark
from toy_experiments import write_toy_experiment
from toy_runs import records, run

WORDS = ["die", "der", "das", "Hund", "Katze", "Vogel", "sieht", "mag", "findet", "heute", "hier", "oft", "und"]
OPTIONS: dict[str, Any] = {"metric": "bleu", "bleu_tokenizer": "13a", "lowercase": False, "target_language": "de"}


def noisy(score: float, loss: float) -> Mark:
    return Mark(score, loss, error=1.0, significant=False)


def clear(score: float, loss: float) -> Mark:
    return Mark(score, loss, error=1.0, significant=True)


# ------------------------------------------------------------------------------------------------------------ rules


def test_of_two_scores_that_are_noise_the_loss_decides() -> None:
    assert noisy(1.0, 3.0).is_better_than(noisy(2.0, 4.0))
    assert not noisy(2.0, 4.0).is_better_than(noisy(1.0, 3.0))


def test_of_two_clear_scores_the_score_decides() -> None:
    assert clear(20.0, 4.0).is_better_than(clear(19.0, 3.0))
    assert not clear(19.0, 3.0).is_better_than(clear(20.0, 4.0))
    assert clear(20.0, 3.0).is_better_than(clear(20.0, 4.0))
    assert not clear(20.0, 4.0).is_better_than(clear(20.0, 4.0))


def test_a_clear_score_beats_noise_and_noise_never_beats_it() -> None:
    assert clear(9.0, 3.0).is_better_than(noisy(2.0, 4.0))
    assert not noisy(9.0, 3.0).is_better_than(clear(2.0, 4.0))


def test_ranks_agree_with_comparisons_of_two() -> None:
    marks = [noisy(5.0, 4.0), noisy(1.0, 3.0), noisy(0.0, 2.0), clear(0.1, 9.0), clear(20.0, 3.0), clear(40.0, 5.0)]
    assert sorted(marks, key=lambda mark: mark.rank) == marks
    by_loss = [Mark(-2.0, 2.0), Mark(-1.0, 1.0)]
    assert sorted(by_loss, key=lambda mark: mark.rank) == by_loss
    assert all(after.is_better_than(before) for before, after in pairwise(marks))


def test_the_first_validation_is_the_best_and_an_undefined_one_never() -> None:
    assert noisy(0.1, 9.0).is_better_than(Mark())
    assert not Mark().is_better_than(noisy(0.1, 9.0))
    assert not Mark().is_better_than(Mark())


def test_a_falling_loss_is_progress_while_the_score_is_noise_or_as_good() -> None:
    assert noisy(0.5, 3.0).is_progress_after(noisy(2.0, 4.0), 4.0)
    assert clear(19.5, 3.0).is_progress_after(clear(20.0, 4.0), 4.0)
    assert not clear(18.5, 3.0).is_progress_after(clear(20.0, 4.0), 4.0)
    assert not noisy(2.0, 4.0).is_progress_after(noisy(0.5, 3.0), 3.0)
    assert not noisy(2.0, 3.0 - LOSS_GAIN / 2).is_progress_after(noisy(0.5, 3.0), 3.0)


def test_the_loss_alone_stops_as_before() -> None:
    """If the loss or the perplexity selects the best model, only a new best is progress."""
    assert Mark(-3.0, 3.0).is_progress_after(Mark(-3.1, 3.1), 3.1)
    assert not Mark(-3.1, 3.1).is_progress_after(Mark(-3.0, 3.0), 3.0)


# ------------------------------------------------------------------------------------------------------ the estimate


def sentences(count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randint(5, 12))) for _ in range(count)]


def is_significant(translations: Sequence[str], references: Sequence[str]) -> bool:
    noise = score_noise(translations, references, **OPTIONS)
    options = {name: value for name, value in OPTIONS.items() if name != "metric"}
    bleu = score(translations, references, metrics=["bleu"], **options)["bleu"].value
    return make_mark("bleu", ValidationResult({"bleu": bleu, "loss": 1.0}, [], 0.0, noise)).significant


@pytest.mark.parametrize("seed", range(5))
def test_random_words_are_noise_and_good_translations_are_not(seed: int) -> None:
    references, babble = sentences(60, seed), sentences(60, seed + 100)
    pairs = zip(references, babble, strict=True)
    good = [reference if number % 3 else other for number, (reference, other) in enumerate(pairs)]
    assert not is_significant(babble, references)
    assert is_significant(good, references)


def test_a_single_sentence_and_equal_outputs_are_noise() -> None:
    references = sentences(40, 1)
    assert not is_significant(references[:1], references[:1])
    assert not is_significant(["die der das"] * 40, references)


# ------------------------------------------------------------------------------------------------------------- runs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=60)
    return tmp_path


def validations(monkeypatch: pytest.MonkeyPatch, result: Callable[[int], tuple[float, float]], *, error: float) -> None:
    """Let the n-th validation have this BLEU and loss, and its BLEU this standard error."""
    number = 0

    def validate(self: Validator, model: object) -> ValidationResult:
        nonlocal number
        bleu, loss = result(number)
        number += 1
        return ValidationResult({"loss": loss, "perplexity": 1.0, "bleu": bleu}, [], 0.0, ScoreNoise(0.5, error))

    monkeypatch.setattr(Validator, "validate", validate)


LIMITS = (
    "training.validation.every_updates=1",
    "training.max_updates=12",
    "training.max_epochs=99",
    "training.validation.patience=3",
    "training.schedule.patience=0",
)


def train() -> tuple[Path, str]:
    with untouched_logging():
        path = run(*LIMITS)
    return path, (path / "train.log").read_text(encoding="utf-8")


def test_noise_ends_nothing_while_the_loss_falls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BLEU falls from its first value, as it may by chance, and the loss falls too."""
    validations(monkeypatch, lambda number: (1.0 / (1 + number), 5.0 - 0.1 * number), error=1.0)
    path, log = train()
    assert [record["update"] for record in records(path, "valid")] == list(range(1, 13))
    assert "learning rate lowered" not in log
    assert log.count("cannot be distinguished from noise (0.50 by chance, standard error 1.00)") == 1
    assert load_model(path / "best.safetensors").provenance["update"] == 12
    assert all(record["best"] for record in records(path, "valid"))


def test_kept_models_and_averages_of_the_best_follow_the_loss_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validations(monkeypatch, lambda number: (3.0 / (1 + number), 5.0 - 0.1 * number), error=1.0)
    with untouched_logging():
        path = run(*LIMITS, "training.keep_best=2", "training.averaging.kind=best", "training.averaging.count=3")
    assert sorted(file.name for file in (path / "models").iterdir()) == [
        "update-000011.safetensors",
        "update-000012.safetensors",
    ]
    average = load_file(path / "last" / "average.safetensors")
    assert sorted(float(value) for name, value in average.items() if name.endswith(".score")) == pytest.approx(
        [NOISE_RANK - 5 + 0.1 * number for number in (9, 10, 11)]
    )


def test_both_standing_still_ends_a_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    validations(monkeypatch, lambda number: (number % 2, 5.0 if number else 4.0), error=1.0)
    path, log = train()
    assert [record["update"] for record in records(path, "valid")] == [1, 2, 3, 4]
    assert "learning rate lowered" in log
    assert load_model(path / "best.safetensors").provenance["update"] == 1
    assert "3 validations without progress" in log


def test_a_clear_score_decides_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the third validation on BLEU is clear, and falls, while the loss still falls: overfitting to the loss."""
    validations(monkeypatch, lambda number: (0.6 if number < 2 else 30.0 - 2 * number, 5.0 - 0.1 * number), error=0.1)
    path, log = train()
    assert "bleu 0.60 cannot be distinguished from noise" in log
    assert "bleu is significant now and selects the best model" in log
    assert load_model(path / "best.safetensors").provenance["update"] == 3
    assert len(records(path, "valid")) == 6


def test_the_log_shows_the_score_and_not_the_loss_that_replaces_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validations(monkeypatch, lambda number: (0.0, 5.0), error=0.0)
    assert "bleu 0.00 cannot be distinguished from noise" in train()[1]
