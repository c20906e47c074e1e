"""scripts/long_sentences: systems of equal size, runs that are done once, tables and a figure of what was found."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_tools import ROOT
from experiments import long_sentences, runs
from experiments.concatenation import groups, in_every_group, in_one_group, make_long_multi30k
from experiments.length_report import write_report
from experiments.length_scores import score_lengths
from experiments.systems import SYSTEMS, TOLERANCE, count_parameters, fit
from nmt.config import load_config
from nmt.data.lines import read_lines, write_lines
from nmt.errors import DataError, UsageError
from nmt.model import build_model
from small_corpora import SMALL, command, exercise_folder, write_corpus

SHORT = (*SMALL, "training.max_updates=2")


@pytest.fixture
def exercise(tmp_path: Path) -> Iterator[None]:
    with exercise_folder(tmp_path):
        yield


# ---------------------------------------------------------------------------------------------------- long sentences


def test_trains_three_systems_of_equal_size_once_and_reports(
    exercise: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--seeds", "2", "--out", "results", *SHORT)
    trained: list[str] = []
    train = runs.train
    monkeypatch.setattr(
        runs, "train", lambda config, **options: trained.append(config.name) or train(config, **options)
    )

    assert command(long_sentences.main, *arguments, "--only", "lstm,attention") == 0
    assert trained == [f"long-exercise-{name}-{seed}" for seed in (1, 2) for name in ("lstm", "attention")]
    assert [one["system"] for one in read_json("results/exercise.json")["systems"]] == ["lstm", "attention"]

    trained.clear()
    assert command(long_sentences.main, *arguments) == 0
    assert trained == ["long-exercise-rnn-1", "long-exercise-rnn-2"]  # the others are finished

    systems = read_json("results/exercise.json")["systems"]
    assert [one["system"] for one in systems] == ["rnn", "lstm", "attention"]
    sizes = [one["parameters"] for one in systems]
    assert max(sizes) / min(sizes) <= (1 + TOLERANCE) / (1 - TOLERANCE)
    for system in systems:
        assert [one["seed"] for one in system["runs"]] == [1, 2]
        assert [one["length"] for one in system["table"]] == ["0-9", "10-19", "20-29", "30+"]
        assert sum(one["sentences"] for one in system["table"]) == 12
        assert system["bleu"]["min"] <= system["bleu"]["mean"] <= system["bleu"]["max"]
        for one in system["runs"]:
            assert one["tokens_per_second"] > 0
            assert Path("runs", one["run"], "best.safetensors").is_file()
            assert len(list(read_lines(f"results/{one['run']}.exercise.de", keep_broken=True))) == 12
    text = Path("results/exercise.md").read_text("utf-8")
    assert text in capsys.readouterr().out
    for system in SYSTEMS:
        assert text.count(f"| {system.title} |") == 3  # the mean, and two runs
    assert Path("results/exercise.png").read_bytes().startswith(b"\x89PNG")
    assert (
        b"LSTM with attention" in Path("results/exercise.svg").read_bytes()
        or b"<svg" in Path("results/exercise.svg").read_bytes()
    )


def test_goes_on_with_a_run_that_was_interrupted(exercise: None, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--seeds", "1", "--only", "lstm", "--out", "results", *SHORT, "training.checkpoint_every_updates=1")
    measure = long_sentences.measure_lengths

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(long_sentences, "measure_lengths", stop)
    assert command(long_sentences.main, *arguments) == 130
    assert not list(Path("results").glob("*.json"))
    monkeypatch.setattr(long_sentences, "measure_lengths", measure)
    resumed: list[bool] = []
    train = runs.train
    monkeypatch.setattr(
        runs,
        "train",
        lambda config, *, resume, **options: resumed.append(resume) or train(config, resume=resume, **options),
    )
    assert command(long_sentences.main, *arguments) == 0
    assert resumed == [True]


def test_other_options_or_text_are_not_mixed_up(exercise: None, caplog: pytest.LogCaptureFixture) -> None:
    arguments = ("--seeds", "1", "--only", "lstm", "--out", "results", *SHORT)
    assert command(long_sentences.main, *arguments) == 0
    assert command(long_sentences.main, *arguments, "training.label_smoothing=0.2") == 2
    assert "made with other options or text: training.label_smoothing" in caplog.text
    write_lines("data/exercise/test.de", ["anders"] * 12)
    assert command(long_sentences.main, *arguments) == 2
    assert "made with other options or text: data/exercise/test.de" in caplog.text
    assert command(long_sentences.main, *arguments, "--overwrite") == 0


def read_json(path: str) -> Any:
    return json.loads(Path(path).read_text("utf-8"))


@pytest.mark.parametrize("corpus", long_sentences.CORPORA)
@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_the_real_budgets_are_equal(corpus: str, name: str) -> None:
    file = ROOT / "configs" / f"long-{corpus}.yaml"
    system = next(one for one in SYSTEMS if one.name == name)
    attending = load_config(file, check_files=False)
    sizes = (attending.tokenizer.vocabulary_size,) * 2
    overrides = [*system.structure, "model.encoder.hidden_size=8", "model.decoder.hidden_size=8"]
    config = load_config(file, overrides, check_files=False)
    budget = count_parameters(attending.model, sizes)
    found = fit(config.model, sizes, budget=budget, name=name)
    real = build_model(found, source_size=sizes[0], target_size=sizes[1])
    assert sum(weight.numel() for weight in real.parameters()) == pytest.approx(budget, rel=TOLERANCE)
    assert found.attention.score == "none"
    assert found.encoder.hidden_size == found.decoder.hidden_size


def test_a_budget_that_no_size_meets_is_an_error() -> None:
    config = load_config(ROOT / "configs" / "long-exercise.yaml", check_files=False)
    with pytest.raises(UsageError, match="no hidden size gives lstm the 1,000 parameters"):
        fit(config.model, (2000, 2000), budget=1000, name="lstm")


def test_scores_of_buckets_are_those_of_their_sentences_alone(exercise: None) -> None:
    config = load_config(ROOT / "configs" / "long-exercise.yaml")
    pairs = [("a b c", "x y z w v"), ("d " * 15, "u v w x y"), ("e " * 35, "one two three four five")]
    found = score_lengths(config, pairs, ["x y z w v", "u v w x x", "one two"])
    assert [row["sentences"] for row in found["table"]] == [1, 1, 0, 1]
    assert [row["mean_length"] for row in found["table"]] == [3, 15, None, 35]
    first, second, none, last = (row["bleu"] for row in found["table"])
    assert first == pytest.approx(100)
    assert none is None
    assert 100 > second > last
    alone = score_lengths(config, pairs[1:2], ["u v w x x"])
    assert alone["bleu"] == pytest.approx(second)


def test_the_report_shows_what_is_missing_as_a_dash(tmp_path: Path) -> None:
    buckets = [{"length": name, "sentences": 3, "mean_length": 5.0, "bleu": 10.0} for name in ("0-9", "10+")]
    nothing = {"length": "10+", "sentences": 0, "mean_length": None, "bleu": None}
    result = {
        **{"system": "lstm", "seed": 1, "run": "r", "parameters": 7, "hidden_size": 8, "tokens_per_second": None},
        **{"training_seconds": 60.0, "validation_bleu": 9.0, "bleu": 10.0, "signature": "s"},
        **{"table": [buckets[0], nothing], "figure": [buckets[0], nothing]},
    }
    write_report([result], tmp_path, corpus="c")
    assert "| LSTM | 7 | 8 | - | 1.0 | 10.0 | 10.0 | - | - |" in (tmp_path / "c.md").read_text("utf-8")


@pytest.mark.parametrize(
    "arguments", [["--corpus", "wmt"], ["--only", "transformer"], ["--seeds", "0"], ["--minutes", "soon"]]
)
def test_refuses_what_makes_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        long_sentences.parse(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_without_the_corpus_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(long_sentences.main) == 2
    assert "scripts/make_exercise_corpus puts it there" in caplog.text
    assert command(long_sentences.main, "--corpus", "multi30k") == 1
    assert "scripts/fetch_data multi30k makes it" in caplog.text


# ------------------------------------------------------------------------------------------------ concatenated pairs

PAIRS = [(f"s{number}", f"t{number}") for number in range(20)]


def test_every_pair_is_alone_and_in_one_group() -> None:
    made = list(in_one_group(PAIRS, random.Random(1)))
    assert made[: len(PAIRS)] == PAIRS
    rest = made[len(PAIRS) :]
    assert Counter(word for source, _ in rest for word in source.split()) == Counter(source for source, _ in PAIRS)
    assert {len(source.split()) for source, _ in rest} == {2, 3, 4}
    assert all(source.replace("s", "t") == target for source, target in rest)


def test_every_test_pair_is_in_a_group_of_each_size() -> None:
    made = list(in_every_group(PAIRS, random.Random(1)))
    words = Counter(word for source, _ in made for word in source.split())
    assert set(words.values()) == {4}
    assert list(groups(iter(PAIRS[:5]), 4)) == [("s0 s1 s2 s3", "t0 t1 t2 t3"), ("s4", "t4")]


def test_the_long_multi30k_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="scripts/fetch_data multi30k"):
        make_long_multi30k(tmp_path / "nothing", tmp_path / "long", seed=1)
    names = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
    write_corpus(tmp_path / "multi30k", names, alignments=False)
    for seed, folder in ((1, "one"), (1, "two"), (2, "three")):
        make_long_multi30k(tmp_path / "multi30k", tmp_path / folder, seed=seed)
    written = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert written.keys() == {f"{part}.{side}" for part in ("train", "valid", "test") for side in ("en", "de")}
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert written["train.en"] != (tmp_path / "three" / "train.en").read_bytes()
    before = (tmp_path / "one" / "train.en").stat().st_mtime_ns
    make_long_multi30k(tmp_path / "multi30k", tmp_path / "one", seed=1)
    assert (tmp_path / "one" / "train.en").stat().st_mtime_ns == before


def test_trains_on_the_long_multi30k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
    write_corpus(tmp_path / "data" / "multi30k", names, alignments=False)
    monkeypatch.chdir(tmp_path)
    arguments = ("--corpus", "multi30k", "--seeds", "1", "--only", "attention", "--out", "results", *SHORT)
    assert command(long_sentences.main, *arguments) == 0
    (system,) = read_json("results/multi30k.json")["systems"]
    assert sum(row["sentences"] for row in system["table"]) == 12 + 6 + 4 + 3
