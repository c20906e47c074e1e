"""nmt sweep: variants are trained once for each seed, measured and compared in one table."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cli_tools import COMMAND, assert_explained, environment, nmt
from light_training import pretend
from nmt.config import load_config
from nmt.config.schema import ModelConfig
from nmt.data.lines import read_lines, write_lines
from nmt.errors import DataError, Interrupted, TrainingError, UsageError
from nmt.model import build_model
from nmt.sweep import run as runs
from nmt.sweep.equal_size import TOLERANCE, fit
from nmt.sweep.measure import best_validation, score_lines
from nmt.sweep.parallel import train_in_parallel
from nmt.sweep.plan import Plan, Run
from nmt.sweep.schema import ByLength, Sweep, Variant
from nmt.sweep.table import summary, write_report
from small_corpora import SMALL, exercise_folder
from toy_experiments import write_toy_experiment

FAST = ("training.max_updates=2", "training.validation.metrics=[bleu,chrf]", "data.shortlist.translations=0")
SWEEP = """\
base: toy.yaml
seeds: 2
variants:
  - name: smaller
    description: Half the size
      on both sides.
    options: [model.encoder.hidden_size=8, model.decoder.hidden_size=16]
  - name: no-smoothing
    options: [training.label_smoothing=0]
  - name: the-same
    options: [tokenizer.kind=bpe]
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny corpus with its configuration, and a sweep."""
    monkeypatch.chdir(tmp_path)
    file = write_toy_experiment(tmp_path, pairs=60)
    Path("toys.yaml").write_text(SWEEP, "utf-8")
    return file


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runs that are trained."""
    names: list[str] = []
    train = runs.train_or_resume
    monkeypatch.setattr(
        runs, "train_or_resume", lambda config, **options: names.append(config.name) or train(config, **options)
    )
    return names


def sweep(*arguments: str, code: int = 0) -> str:
    """Run the command; return what it printed, or its errors."""
    outcome = nmt("sweep", *arguments)
    assert outcome.code == code, outcome.stderr
    return outcome.stdout if code == 0 else outcome.stderr


def read_json(path: str | Path) -> Any:
    return json.loads(Path(path).read_text("utf-8"))


def test_trains_each_variant_once_and_compares_seed_by_seed(
    toy: Path, trained: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    sweep("toys.yaml", *FAST, "--only", "smaller", "--seeds", "1")
    assert trained == ["toys-base-1", "toys-smaller-1"]
    trained.clear()
    printed = sweep("toys.yaml", *FAST)
    assert "the-same is equal to the base and left out" in caplog.text
    assert trained == ["toys-no-smoothing-1", *(f"toys-{one}-2" for one in ("base", "smaller", "no-smoothing"))]

    found = {row["variant"]: row for row in read_json("runs/sweep-toys/sweep.json")["variants"]}
    assert list(found) == ["base", "smaller", "no-smoothing"]
    assert found["smaller"]["parameters"] < found["base"]["parameters"] == found["no-smoothing"]["parameters"]
    for row in found.values():
        assert [one["seed"] for one in row["runs"]] == [1, 2]
        assert row["chrf"]["count"] == 2
        assert row["minutes"] > 0
    for one in found["smaller"]["runs"]:
        best = best_validation(Path("runs", one["run"], "metrics.jsonl"))
        assert (one["bleu"], one["chrf"]) == (best["bleu"], best["chrf"])
    assert printed == Path("runs/sweep-toys/sweep.md").read_text("utf-8")
    assert printed.count("\n| ") == 5  # head, rule, three variants
    assert "- smaller: `model.encoder.hidden_size=8`, `model.decoder.hidden_size=16`. Half the size on both" in printed
    assert "test" not in printed.replace("latest", "")


@pytest.mark.usefixtures("warm_workers")
def test_parallel_runs_are_the_same_and_a_failure_does_not_stop_them(toy: Path) -> None:
    diverging = ["training.optimizer.learning_rate=1e30", "training.max_nonfinite=1", "training.log_every=1"]
    Path("one.yaml").write_text(json.dumps({"base": "toy.yaml", "variants": [{"name": "bad", "options": diverging}]}))
    assert "1 of 2 runs failed: one-bad-1" in sweep("one.yaml", *FAST, "--seeds", "1", "--parallel", "2", code=1)
    (parallel,) = read_json("runs/sweep-one/sweep.json")["variants"]
    assert "2 runs at the same time" in Path("runs/sweep-one/sweep.md").read_text("utf-8")
    sweep("one.yaml", *FAST, "--seeds", "1", "--only", "base", "--overwrite", "-o", "alone")
    (alone,) = read_json("alone/sweep.json")["variants"]
    names = ("variant", "bleu", "chrf", "parameters", "best_epoch")
    assert [parallel[name] for name in names] == [alone[name] for name in names]


def test_other_options_or_text_are_not_mixed(toy: Path) -> None:
    arguments = ("toys.yaml", "--seeds", "1", "--only", "base")
    sweep(*arguments, *FAST)
    before = Path("runs/sweep-toys/sweep.json").read_bytes()
    assert "has other options or text: training.label_smoothing" in sweep(
        *arguments, *FAST, "training.label_smoothing=0.2", code=2
    )
    write_lines("test.de", ["anders"] * 30)
    assert "has other options or text: test.de" in sweep(*arguments, *FAST, code=2)
    assert Path("runs/sweep-toys/sweep.json").read_bytes() == before
    sweep(*arguments, *FAST, "--name", "others")
    assert Path("runs/others-base-1/best.safetensors").is_file()
    sweep(*arguments, *FAST, "--overwrite")


def test_a_measurement_that_was_interrupted_is_resumed_without_training(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.sweep import measure

    arguments = ("toys.yaml", "--seeds", "1", "--only", "base", *FAST, "training.checkpoint_every_updates=1")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(measure, "measure_run", stop)
        sweep(*arguments, code=130)
    assert not list(Path("runs/sweep-toys").glob("*.json"))
    before = Path("runs/toys-base-1/best.safetensors").read_bytes()
    sweep(*arguments)
    assert Path("runs/toys-base-1/best.safetensors").read_bytes() == before
    # With other measurements the run is measured again, and not trained.
    Path("toys.yaml").write_text(f"{SWEEP}score_on: test\nby_length: {{}}\n", "utf-8")
    assert "First test set" in sweep(*arguments)
    assert Path("runs/toys-base-1/best.safetensors").read_bytes() == before


def test_ctrl_c_reaches_all_parallel_runs_once(toy: Path) -> None:
    config = load_config(toy)
    names = ["quick", "fails", "long-1", "long-2", "never"]
    ended: dict[str, int] = {}

    def interrupt() -> None:
        while not all(Path(f"long-{number}.txt").exists() for number in (1, 2)):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt, daemon=True)
    watcher.start()
    configs = (config.model_copy(update={"name": name}) for name in names)
    with pytest.raises(Interrupted) as stop:
        ended.update((str(one.name), code) for one, code in train_in_parallel(configs, pretend, parallel=2))
    assert stop.value.exit_code == 130
    assert ended == {"quick": 0, "fails": 1, "long-1": 130, "long-2": 130}
    assert [Path(f"long-{number}.txt").read_text("utf-8") for number in (1, 2)] == ["saved", "saved"]


@pytest.mark.slow  # trains for as long as it takes to save; the test above interrupts processes that do not train
def test_ctrl_c_saves_all_parallel_trainings(toy: Path) -> None:
    changes = ("training.max_epochs=100000", "training.max_updates=100000", *FAST[1:])
    words = ["sweep", "toys.yaml", *changes, "--seeds", "1", "--only", "smaller", "--parallel", "2"]
    process = subprocess.Popen([*COMMAND, *words], cwd=toy.parent, env=environment(), stderr=subprocess.PIPE)
    checkpoints = [Path("runs", f"toys-{name}-1", "last") for name in ("base", "smaller")]
    deadline = time.monotonic() + 90
    while not all(one.exists() for one in checkpoints) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    before = [os.readlink(one) for one in checkpoints]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 130, errors.decode()
    assert "The same command resumes" in errors.decode()
    assert "Traceback" not in errors.decode()
    for one, earlier in zip(checkpoints, before, strict=True):
        state = read_json(one / "state.json")["train_state"]
        assert f"update-{state['update']:06d}" == Path(os.readlink(one)).name
        assert os.readlink(one) >= earlier


def test_training_errors_are_collected(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(toy)
    every = [Run(name, 1, config.model_copy(update={"name": name})) for name in ("good", "bad", "fine")]

    def train(config: Any, **options: Any) -> Path:
        if config.name == "bad":
            raise TrainingError("it diverged")
        return Path("runs", config.name)

    monkeypatch.setattr(runs, "train_or_resume", train)
    options: dict[str, Any] = {"measure": lambda *_: {}, "report": lambda: None, "overwrite": False}
    with pytest.raises(TrainingError, match="1 of 3 runs failed: bad"):
        runs.run_all(every, output=toy.parent, settings={}, **options)
    assert [runs.read_result(run, toy.parent, {}) is not None for run in every] == [True, False, True]


def test_unknown_variants_and_missing_files_are_named(toy: Path) -> None:
    message = "'larger' is not one of the variants: base, smaller, no-smoothing, the-same"
    assert_explained(nmt("sweep", "toys.yaml", "--only", "larger"), message)
    assert_explained(nmt("sweep", "toys.yaml", "--base", "nowhere.yaml"), "--base: no such file: nowhere.yaml")
    assert_explained(nmt("sweep", "nowhere.yaml"), "nowhere.yaml")
    Path("test.en").unlink()
    assert_explained(nmt("sweep", "toys.yaml"), 'no such file: "test.en"')


# ----------------------------------------------------------------------------------------------------- measurements


def test_systems_of_equal_size_are_scored_by_length(tmp_path: Path) -> None:
    """The sweep of docs/attention.md in small, with its figure."""
    with exercise_folder(tmp_path):
        Path("small.yaml").write_text(
            "base: lengths.yaml\nbaseline: attention\nmetrics: [bleu]\nscore_on: test\nseeds: 1\n"
            "by_length: {bounds: [10, 20, 30], figure: [10, 20]}\n"
            "variants:\n"
            "  - name: lstm\n    description: LSTM\n    equal_parameters: true\n    options:\n"
            "      [model.attention.score=none, model.encoder.bidirectional=false, model.encoder.hidden_size=32]\n"
            "  - {name: attention, description: LSTM with attention}\n",
            "utf-8",
        )
        data = {
            "source_language": "en",
            "target_language": "de",
            "train": [{"source": "data/exercise/train.en", "target": "data/exercise/train.de"}],
            "valid": {"source": "data/exercise/valid.en", "target": "data/exercise/valid.de"},
            "test": [{"source": "data/exercise/test.en", "target": "data/exercise/test.de"}],
        }
        model = {"decoder": {"bridge": "last_with_cells"}, "attention": {"score": "dot"}}
        Path("lengths.yaml").write_text(json.dumps({"data": data, "model": model}), "utf-8")
        printed = sweep("small.yaml", *SMALL, "training.max_updates=2")
        rows = {row["variant"]: row for row in read_json("runs/sweep-small/sweep.json")["variants"]}
        assert list(rows) == ["lstm", "attention"]
        sizes = [row["parameters"] for row in rows.values()]
        assert max(sizes) / min(sizes) <= (1 + TOLERANCE) / (1 - TOLERANCE)
        assert rows["attention"]["hidden_size"] == 32
        for row in rows.values():
            assert [one["length"] for one in row["by_length"]] == ["0-9", "10-19", "20-29", "30+"]
            assert sum(one["sentences"] for one in row["by_length"]) == 12
            (one,) = row["runs"]
            assert len(list(read_lines(f"runs/sweep-small/{one['run']}.test.de", keep_broken=True))) == 12
        assert "| 30+ words | 30+ minus 0-9 |" in printed
        assert Path("runs/sweep-small/by-length.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in Path("runs/sweep-small/by-length.svg").read_bytes()


def test_alignment_error_is_that_of_the_command(tmp_path: Path) -> None:
    with exercise_folder(tmp_path):
        Path("scores.yaml").write_text(
            "base: quick.yaml\nbaseline: null\nseeds: 1\nmetrics: [aer, bleu]\nscore_on: test\n"
            "gold: data/exercise/test.align\n"
            "options: [data.train.0.alignment=data/exercise/train.align]\n"
            "variants:\n"
            "  - {name: dot, options: [model.attention.score=dot]}\n"
            "  - {name: guided, options: [model.attention.score=dot, training.guided_alignment.weight=0.3]}\n",
            "utf-8",
        )
        config = {
            "data": {
                "source_language": "en",
                "target_language": "de",
                "train": [{"source": "data/exercise/train.en", "target": "data/exercise/train.de"}],
                "valid": {"source": "data/exercise/valid.en", "target": "data/exercise/valid.de"},
                "test": [{"source": "data/exercise/test.en", "target": "data/exercise/test.de"}],
            }
        }
        Path("quick.yaml").write_text(json.dumps(config), "utf-8")
        printed = sweep("scores.yaml", *SMALL, "training.max_updates=2")
        rows = read_json("runs/sweep-scores/sweep.json")["variants"]
        assert [row["variant"] for row in rows] == ["dot", "guided"]
        assert "change" not in printed
        assert "| best with one link a word |  | 0.0 |" in printed  # each target word of the gold links has one
        for row in rows:
            (one,) = row["runs"]
            found = nmt(
                "attention", "-m", f"runs/{one['run']}", "--gold", "data/exercise/test.align", "--format", "json"
            )
            assert json.loads(found.stdout)["attention"]["aer"] == row["aer"]["mean"]


def test_scores_of_buckets_are_those_of_their_sentences_alone(toy: Path) -> None:
    config = load_config(toy)
    pairs = [("a b c", "x y z w v"), ("d " * 15, "u v w x y"), ("e " * 35, "one two three four five")]
    lengths = Sweep(variants=[Variant(name="x")], by_length=ByLength(), score_on="test")
    found = score_lines(config, pairs, ["x y z w v", "u v w x x", "one two"], lengths)
    assert [row["sentences"] for row in found["by_length"]] == [1, 1, 0, 1]
    assert [row["mean_length"] for row in found["by_length"]] == [3, 15, None, 35]
    first, second, none, last = (row["bleu"] for row in found["by_length"])
    assert first == pytest.approx(100)
    assert none is None
    assert 100 > second > last
    assert score_lines(config, pairs[1:2], ["u v w x x"], lengths)["bleu"] == pytest.approx(second)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_equal_sizes_are_equal(cell: str) -> None:
    attending = ModelConfig.model_validate({"encoder": {"hidden_size": 128}, "decoder": {"hidden_size": 256}})
    model = {
        "encoder": {"cell": cell, "bidirectional": False},
        "decoder": {"cell": cell},
        "attention": {"score": "none"},
    }
    sizes = (2000, 2000)
    budget = sum(weight.numel() for weight in build_model(attending, source_size=2000, target_size=2000).parameters())
    found = fit(ModelConfig.model_validate(model), sizes, budget=budget, name=cell)
    real = build_model(found, source_size=sizes[0], target_size=sizes[1])
    assert sum(weight.numel() for weight in real.parameters()) == pytest.approx(budget, rel=TOLERANCE)
    assert found.encoder.hidden_size == found.decoder.hidden_size
    with pytest.raises(UsageError, match="no hidden size of lstm has the 1,000 parameters"):
        fit(ModelConfig.model_validate(model), sizes, budget=1000, name="lstm")


def test_summaries_are_those_of_the_textbook(toy: Path) -> None:
    def one(variant: str, seed: int, bleu: float) -> dict[str, Any]:
        numbers = {"chrf": None, "parameters": 7, "training_seconds": 60.0, "best_epoch": 3}
        more = {"hidden_size": 8, "tokens_per_second": None}
        return {"variant": variant, "seed": seed, "bleu": bleu, **numbers, **more}

    given = Sweep(name="s", base="b", variants=[Variant(name="x", description="Why.", options=["a=1"])])
    results = [one("base", 1, 30.0), one("base", 2, 34.0), one("x", 1, 31.0), one("x", 2, 37.0), one("x", 3, 99.0)]
    row = summary("x", results[:4], given)
    assert row["bleu"]["mean"] == 34
    assert row["bleu"]["deviation"] == pytest.approx(math.sqrt(18))
    assert row["bleu_change"]["mean"] == 2
    assert row["bleu_change"]["deviation"] == pytest.approx(math.sqrt(2))
    assert summary("x", results, given)["bleu_change"]["count"] == 2  # the third seed has no baseline
    assert summary("base", results, given)["bleu_change"] is None
    plan = Plan(given, [Variant(name="base"), *given.variants], [])
    text = write_report(results[:3], plan, toy.parent, parallel=1)
    assert "| base | 2 | 32.00 ± 2.83 | - | - | - | 7 | 1.0 | - | 3 |" in text
    assert "| x | 1 | 31.00 | +1.00 | - | - | 7 | 1.0 | - | 3 |" in text
    assert "- x: `a=1`. Why." in text


def test_a_run_without_a_validation_cannot_be_measured(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"kind": "valid", "best": false, "bleu": null}\n', "utf-8")
    with pytest.raises(DataError, match="no validation"):
        best_validation(file)
