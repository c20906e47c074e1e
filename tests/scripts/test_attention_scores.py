"""scripts/attention_scores and scripts/alignment_error: the same models, measured the same way by both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import alignment_error, attention_scores, runs
from nmt.config import Config
from small_corpora import SMALL, command, exercise_folder


@pytest.fixture
def exercise(tmp_path: Path) -> Iterator[None]:
    with exercise_folder(tmp_path):
        yield


def test_trains_scores_with_and_without_guided_alignment(
    exercise: None, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ("--updates", "2", "--out", "results", *SMALL)
    assert command(attention_scores.main, *arguments, "--only", "additive,dot") == 0
    found = json.loads(Path("results/scores.json").read_text("utf-8"))
    assert [(one["score"], one["guided"]) for one in found["runs"]] == [
        (score, guided) for score in ("dot", "additive") for guided in (False, True)
    ]
    assert all(0 <= one["aer"] <= 1 for one in found["runs"])
    assert found["best_with_one_link"]["aer"] == 0  # each target word of the gold links has one
    text = Path("results/scores.md").read_text("utf-8")
    assert "| dot | yes |" in text
    assert "| additive | no |" in text

    capsys.readouterr()
    models = [f"runs/scores-{score}-guided-1" for score in ("additive", "dot")]
    assert command(alignment_error.main, "--json", "--threads", "1", *models) == 0
    measured = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in measured["models"]] == models
    assert [one["guided"] for one in measured["models"]] == [True, True]
    by_score = {one["score"]: one["aer"] for one in found["runs"] if one["guided"]}
    assert {one["score"]: one["aer"] for one in measured["models"]} == by_score

    given = ("--source", "data/exercise/valid.en", "--target", "data/exercise/valid.de")
    assert command(alignment_error.main, models[0], *given, "--alignment", "data/exercise/valid.align") == 0
    assert "best with one link" in capsys.readouterr().out
    Path("data/exercise/test.align").unlink()
    assert command(alignment_error.main, models[0]) == 2
    assert "name the gold links of data/exercise/test.en with --alignment" in caplog.text


def test_guided_and_alone_differ_in_nothing_else(exercise: None) -> None:
    options = attention_scores.parse(["--updates", "2", *SMALL])
    jobs = attention_scores.make_jobs(options)
    assert len(jobs) == 2 * len(attention_scores.SCORES) == 10
    configs: dict[tuple[str, bool], Config] = {(job.labels["score"], job.labels["guided"]): job.config for job in jobs}
    for score in attention_scores.SCORES:
        alone, guided = (runs.flatten(configs[score, way].model_dump()) for way in (False, True))
        differing = {name for name in alone if alone[name] != guided[name]}
        assert differing == {"name", "training.guided_alignment.weight"}


def test_alignment_error_wants_all_three_files(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        alignment_error.parse(["model", "--source", "a", "--target", "b"])
    assert "go together" in capsys.readouterr().err
