"""`nmt tune`: decoding options tried on held-out sentences, and kept in the model file."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cli_tools import assert_explained, contents, nmt
from nmt.cli.commands.tune import _flags, _warn_of_length
from nmt.config.schema import DecodingConfig
from nmt.errors import UsageError
from nmt.evaluation.tuning import ENSEMBLE_PLAN, PLAN, SearchSpace, TrialScores, applicable, parse_search_space, tune
from nmt.inference.model_file import load_model
from tiny_translator import save_tiny_model

LINES = ["the red dog sees a cat .", "a man runs", "the old woman hears the small house .", "the cat or the dog"]
HELD_OUT = ("--source", "text.en", "--reference", "text.de")


def scored(decoding: DecodingConfig) -> TrialScores:
    """As if a beam of 5 and an alpha of 0.8 were best."""
    alpha = 1.0 if decoding.alpha is None else decoding.alpha
    bleu = 30 - abs(decoding.beam_size - 5) - 10 * abs(alpha - 0.8)
    return TrialScores({"bleu": bleu, "chrf": -bleu}, 1.0)


def test_the_best_of_each_option_is_kept_for_the_next() -> None:
    plan = [SearchSpace("beam_size", [1, 5, 8]), SearchSpace("alpha", [0.6, 0.8, 1.0])]
    trials = list(tune(DecodingConfig(beam_size=2), plan, metric="bleu", measure=scored))
    assert [(trial.decoding.beam_size, trial.decoding.alpha) for trial in trials] == [
        (2, None),
        (1, None),
        (5, None),
        (8, None),
        (5, 0.6),
        (5, 0.8),
        (5, 1.0),
    ]
    assert [trial.best for trial in trials] == [True, False, True, False, False, True, False]


def test_other_metrics_choose_otherwise_and_equals_change_nothing() -> None:
    trials = list(tune(DecodingConfig(), [SearchSpace("beam_size", [5, 9, 1])], metric="chrf", measure=scored))
    assert [trial.decoding.beam_size for trial in trials if trial.best] == [5, 9]
    same = tune(DecodingConfig(), PLAN, metric="bleu", measure=lambda _: TrialScores({"bleu": 1.0, "chrf": 1.0}, 1.0))
    assert [trial.best for trial in same].count(True) == 1


def test_no_alpha_without_a_normalisation() -> None:
    start = DecodingConfig(length_normalization="none")
    trials = list(tune(start, [SearchSpace("alpha", [0.5])], metric="bleu", measure=scored))
    assert len(trials) == 1


@pytest.mark.parametrize(
    "start", [DecodingConfig(beam_size=1), DecodingConfig(sampling=True)], ids=["greedy", "sampling"]
)
def test_no_coverage_penalty_where_nothing_can_be_chosen(start: DecodingConfig) -> None:
    trials = list(tune(start, [SearchSpace("coverage_penalty", [0.1])], metric="bleu", measure=scored))
    assert len(trials) == 1
    assert (
        len(list(tune(DecodingConfig(), [SearchSpace("coverage_penalty", [0.1])], metric="bleu", measure=scored))) == 2
    )


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("attention", [True, False])
def test_what_is_tried_is_what_the_models_can_do(ensemble: bool, attention: bool) -> None:
    options = [choice.option for choice in applicable(ENSEMBLE_PLAN if ensemble else PLAN, attention=attention)]
    assert ("coverage_penalty" in options, "ensemble_average" in options) == (attention, ensemble)
    assert options[-3 if attention else -2 :][:2] == ["alpha", "beam_size"]


def test_choices_are_read_from_text() -> None:
    assert parse_search_space("beam_size=2,5") == SearchSpace("beam_size", [2, 5])
    assert parse_search_space("max-length-ratio=1.5, null") == SearchSpace("max_length_ratio", [1.5, None])
    for wrong in ("beam_size", "beam_size=", "beam=3", "device=cpu"):
        with pytest.raises(UsageError, match="--try"):
            parse_search_space(wrong)


@pytest.mark.parametrize(("before", "after", "said"), [(0.97, 1.01, True), (1.0, 0.98, True), (1.0, 1.005, False)])
def test_another_length_is_warned_of(before: float, after: float, said: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="nmt"):
        _warn_of_length(before, after)
        _warn_of_length(None, after)
    assert [f"to {after:.3f}" in record.getMessage() for record in caplog.records] == [True] * said


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model.safetensors")
    (tmp_path / "text.en").write_text("".join(line + "\n" for line in LINES), encoding="utf-8")
    # What a narrow beam makes of it, so that a narrow beam is best.
    translated = nmt("translate", "--model", "model.safetensors", "text.en", "--beam-size", "1")
    (tmp_path / "text.de").write_text(translated.stdout, encoding="utf-8")


def test_the_model_file_gets_the_best_options(tmp_path: Path) -> None:
    before = load_model(tmp_path / "model.safetensors")
    outcome = nmt("tune", "model.safetensors", "--try", "beam_size=1,3", *HELD_OUT)
    assert outcome.code == 0, outcome.stderr
    rows = [line.split() for line in outcome.stdout.splitlines()]
    assert rows[0] == ["tried", "BLEU", "chrF", "length", "sentences/s"]
    assert rows[2][4] == "1.000", "the references are what a beam of 1 makes"
    assert [row[:2] for row in rows[1:4]] == [["unchanged", rows[1][1]], ["beam_size", "1"], ["beam_size", "3"]]
    assert "beam_size=1" in outcome.stdout.splitlines()[-1]
    after = load_model(tmp_path / "model.safetensors")
    assert after.config.decoding == before.config.decoding.model_copy(update={"beam_size": 1})
    assert all((after.weights[name] == value).all() for name, value in before.weights.items())
    assert after.provenance["tuned"]["sentences"] == len(LINES)
    found = nmt("translate", "--model", "model.safetensors", "text.en").stdout
    assert found == (tmp_path / "text.de").read_text(encoding="utf-8")


def test_a_new_file_or_none(tmp_path: Path) -> None:
    before = contents(tmp_path)
    common = ("tune", "model.safetensors", "--try", "alpha=0.5", *HELD_OUT)
    assert nmt(*common, "--dry-run").code == 0
    assert contents(tmp_path) == before
    assert nmt(*common, "-o", "new.safetensors").code == 0
    assert contents(tmp_path).keys() - before.keys() == {"new.safetensors"}
    assert_explained(nmt(*common, "-o", "new.safetensors"), "exists already", codes=(2,))


def test_an_ensemble_is_tuned_and_its_files_stay(tmp_path: Path) -> None:
    """What is printed is what `nmt translate` is to be told, and does what was measured."""
    save_tiny_model(tmp_path / "it's another.safetensors", attention={"score": "additive", "size": 8})
    models = ("model.safetensors", "it's another.safetensors")
    before = contents(tmp_path)
    one, other = (("-m", model) for model in models)
    wanted = nmt("translate", *one, *other, "--ensemble-average", "log_probabilities", "--beam-size", "1", "text.en")
    (tmp_path / "text.de").write_text(wanted.stdout, encoding="utf-8")
    tries = ("--try", "ensemble_average=probabilities,log_probabilities", "--try", "beam_size=1,3")
    outcome = nmt("tune", *models, *tries, *HELD_OUT)
    assert outcome.code == 0, outcome.stderr
    program, *arguments = shlex.split(outcome.stdout.splitlines()[-1])
    assert (program, arguments[:5]) == ("nmt", ["translate", *one, *other])
    found = nmt(*arguments, "text.en")
    assert found.stdout == wanted.stdout
    (tmp_path / "text.de").unlink()
    assert contents(tmp_path).items() <= before.items()

    tried = nmt("tune", *models, "--source", "text.en", "--reference", "text.en", "--try", "beam_size=2").stdout
    assert "ensemble_average" not in tried
    assert_explained(nmt("tune", *models, "-o", "new.safetensors", *HELD_OUT), "-o", "ensemble", codes=(2,))
    assert_explained(nmt("tune", *models, "--try", "max_length=null", *HELD_OUT), "--try max_length", codes=(2,))


def test_flags_say_what_options_are() -> None:
    options = {"alpha": 1.2, "shortlist": True, "protect": False}
    words = _flags([], options)
    assert words == "--alpha 1.2 --shortlist --no-protect"
    known = nmt("translate", "--help").stdout
    assert all(f" {word} " in known for word in words.split() if word.startswith("--"))


def test_what_cannot_be_tried_is_said() -> None:
    assert_explained(nmt("tune", "model.safetensors", "--try", "beam_size=0", *HELD_OUT), "--beam-size", codes=(2,))
    assert_explained(nmt("tune", "model.safetensors", "--source", "text.en"), "--reference", codes=(2,))
    assert_explained(nmt("tune", "model.safetensors"), "validation set", "--source", codes=(2,))
