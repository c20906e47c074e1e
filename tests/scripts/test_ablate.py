"""scripts/ablate: one-change variants of a recipe, trained once each, and a table of their validation scores."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ablation.__main__ import CONFIGS, main, parse
from ablation.report import summary, write_report
from ablation.results import best_validation
from ablation.variants import Variant, configure_all, find_list, read_variants, text_of
from cli_tools import ROOT, environment
from experiments import runs
from experiments.side_by_side import train_side_by_side
from light_training import pretend
from nmt.config import load_config
from nmt.errors import ConfigError, DataError, Interrupted, TrainingError, UsageError
from small_corpora import command
from toy_experiments import write_toy_experiment

FAST = ("training.max_updates=2", "training.validation.metrics=[bleu,chrf]", "data.shortlist.translations=0")
LANGUAGES = ("data.source_language=en", "data.target_language=de")
VARIANTS = """\
smaller:
  why: Half the size
    on both sides.
  options: [model.encoder.hidden_size=8, model.decoder.hidden_size=16]
no-smoothing:
  why: All probability to the reference.
  options: [training.label_smoothing=0]
the-same:
  why: What the recipe does already.
  options: [tokenizer.kind=bpe]
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with a tiny corpus, a list of variants, and the recipe without its text."""
    monkeypatch.chdir(tmp_path)
    file = write_toy_experiment(tmp_path, pairs=60)
    Path("variants.yaml").write_text(VARIANTS, "utf-8")
    text = file.read_text("utf-8")
    Path("generic.yaml").write_text(text[: text.index("data:")] + text[text.index("tokenizer:") :], "utf-8")
    return file


def read_json(path: str) -> Any:
    return json.loads(Path(path).read_text("utf-8"))


def test_trains_each_variant_once_and_compares_seed_by_seed(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    trained: list[str] = []
    train = runs.train
    monkeypatch.setattr(
        runs, "train", lambda config, **options: trained.append(config.name) or train(config, **options)
    )
    caplog.set_level("INFO", logger="nmt")
    arguments = ["toy.yaml", *FAST, "--list", "variants.yaml", "--seeds", "2"]
    assert command(main, *arguments, "--only", "smaller", "--seeds", "1") == 0
    assert trained == ["ablate-toy-base-1", "ablate-toy-smaller-1"]

    trained.clear()
    assert command(main, *arguments) == 0
    assert "the-same is what toy.yaml does already: left out" in caplog.text
    assert trained == [
        "ablate-toy-no-smoothing-1",
        *(f"ablate-toy-{one}-2" for one in ("base", "smaller", "no-smoothing")),
    ]

    found = {row["variant"]: row for row in read_json("runs/ablate-toy/ablation.json")["variants"]}
    assert list(found) == ["base", "smaller", "no-smoothing"]
    assert found["smaller"]["parameters"] < found["base"]["parameters"] == found["no-smoothing"]["parameters"]
    for row in found.values():
        assert [one["seed"] for one in row["runs"]] == [1, 2]
        assert row["chrf"]["count"] == 2
        assert row["minutes"] > 0
    for one in found["smaller"]["runs"]:
        best = best_validation(Path("runs", one["run"], "metrics.jsonl"))
        assert (one["bleu"], one["chrf"]) == (best["bleu"], best["chrf"])
    table = Path("runs/ablate-toy/ablation.md").read_text("utf-8")
    assert table in capsys.readouterr().out
    assert table.count("\n| ") == 5  # head, rule, three variants
    assert "- smaller: `model.encoder.hidden_size=8`, `model.decoder.hidden_size=16`. Half the size on both" in table


def test_several_at_a_time_are_the_same_runs_and_a_failure_is_no_end(
    toy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ["training.optimizer.learning_rate=1e30", "training.max_nonfinite=1", "training.log_every=1"]
    text = json.dumps({"diverging": {"why": "Too fast.", "options": options}})
    Path("variants.yaml").write_text(text, "utf-8")
    arguments = ["generic.yaml", "--corpus", "toy.yaml", *FAST, "--list", "variants.yaml", "--seeds", "1"]
    assert command(main, *arguments, "--parallel", "2", "--out", "beside") == 1
    assert "1 of 2 runs failed: ablate-generic-toy-diverging-1" in caplog.text
    (beside,) = read_json("beside/ablation.json")["variants"]
    assert "2 of them side by side" in Path("beside/ablation.md").read_text("utf-8")

    Path("variants.yaml").write_text(VARIANTS, "utf-8")
    assert command(main, *arguments, "--only", "base", "--out", "alone", "--overwrite") == 0
    (alone,) = read_json("alone/ablation.json")["variants"]
    names = ("variant", "bleu", "chrf", "parameters", "best_epoch")
    assert [beside[name] for name in names] == [alone[name] for name in names]


def test_ctrl_c_reaches_all_that_run_side_by_side_once(toy: Path) -> None:
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
        ended.update((str(one.name), code) for one, code in train_side_by_side(configs, pretend, parallel=2))
    assert stop.value.exit_code == 130
    assert ended == {"quick": 0, "fails": 1, "long-1": 130, "long-2": 130}
    assert [Path(f"long-{number}.txt").read_text("utf-8") for number in (1, 2)] == ["saved", "saved"]


@pytest.mark.slow
def test_ctrl_c_saves_all_that_are_being_trained(toy: Path) -> None:
    changes = ("training.max_epochs=100000", "training.max_updates=100000", *FAST[1:])
    words = ["toy.yaml", *changes, "--list", "variants.yaml", "--seeds", "1", "--only", "smaller", "--parallel", "2"]
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts' / 'lib'}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ablation", *words], cwd=toy.parent, env=environment(variables), stderr=subprocess.PIPE
    )
    checkpoints = [Path("runs", f"ablate-toy-{name}-1", "last") for name in ("base", "smaller")]
    deadline = time.monotonic() + 90
    while not all(one.exists() for one in checkpoints) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    before = [os.readlink(one) for one in checkpoints]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 130, errors.decode()
    assert "the same command goes on" in errors.decode()
    assert "Traceback" not in errors.decode()
    for one, earlier in zip(checkpoints, before, strict=True):
        state = read_json(str(one / "state.json"))["train_state"]
        assert f"update-{state['update']:06d}" == Path(os.readlink(one)).name
        assert os.readlink(one) >= earlier


def test_a_list_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    for text, message in (
        ("- a", "expected variants"),
        ("a: [x=1]", "a: expected `why:`"),
        ("a: {why: b, options: [c]}", "expected a list of key.path=value"),
        ("a: {why: '', options: [c=1]}", "a.why"),
        ("base: {why: b, options: [c=1]}", "the recipe itself"),
        ("a: {why: b", "not YAML"),
    ):
        file.write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=message):
            read_variants(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_variants(tmp_path / "nowhere.yaml")


def test_a_variant_that_cannot_be_is_named(toy: Path) -> None:
    wrong = Variant("wrong", "No such option.", ("model.sise=3",))
    with pytest.raises(ConfigError, match=r"variant wrong: .*\n?.*model\.sise"):
        configure_all(toy, [], [wrong])
    right = Variant("right", "Without it.", ("training.label_smoothing=0",))
    assert list(configure_all(toy, [], [wrong, right], only=["right"])) == [None, right]


def test_the_list_is_that_of_the_recipe_or_its_base(toy: Path) -> None:
    Path("lists").mkdir()
    Path("own.yaml").write_text("base: toy.yaml\n", "utf-8")
    with pytest.raises(UsageError, match="name one with --list"):
        find_list(Path("own.yaml"), [], Path("lists"))
    Path("lists/toy.yaml").write_text(VARIANTS, "utf-8")
    assert find_list(Path("own.yaml"), [], Path("lists")) == Path("lists/toy.yaml")


@pytest.mark.parametrize("file", sorted((CONFIGS / "ablations").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_lists_that_are_here_can_be_run(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ["data.source_language=en", "data.target_language=de"]
    text += [f"data.{part}={{source: a, target: b}}" for part in ("train.0", "valid")]
    recipe = CONFIGS / "recipes" / file.name
    base = load_config(recipe, text, check_files=False)
    variants = read_variants(file)
    assert len({variant.options for variant in variants}) == len(variants)
    changed = 0
    for variant in variants:
        config = load_config(recipe, [*text, *variant.options], check_files=False)
        changed += config != base
        assert (config.data.valid, config.data.test) == (base.data.valid, base.data.test)
        assert config.training.validation == base.training.validation, f"{variant.name} is measured otherwise"
    assert changed > len(variants) / 2


def test_summaries_are_those_of_the_textbook(tmp_path: Path) -> None:
    def run(variant: str, seed: int, bleu: float) -> dict[str, Any]:
        numbers = {"chrf": None, "parameters": 7, "training_seconds": 60.0, "best_epoch": 3}
        return {"variant": variant, "seed": seed, "bleu": bleu, **numbers}

    results = [run("base", 1, 30.0), run("base", 2, 34.0), run("x", 1, 31.0), run("x", 2, 37.0), run("x", 3, 99.0)]
    row = summary("x", results[:4])
    assert row["bleu"]["mean"] == 34
    assert row["bleu"]["deviation"] == pytest.approx(math.sqrt(18))
    assert row["bleu_change"]["mean"] == 2
    assert row["bleu_change"]["deviation"] == pytest.approx(math.sqrt(2))
    assert summary("x", results)["bleu_change"]["count"] == 2  # the third seed has nothing to be compared with
    assert summary("base", results)["bleu_change"] is None
    write_report(results[:3], [Variant("x", "Why.", ("a=1",))], tmp_path, recipe="r", parallel=1)
    text = (tmp_path / "ablation.md").read_text("utf-8")
    assert "| base | 2 | 32.00 ± 2.83 | - | - | - | 7 | 1.0 | 3 |" in text
    assert "| x | 1 | 31.00 | +1.00 | - | - | 7 | 1.0 | 3 |" in text


def test_without_a_validation_there_is_nothing_to_measure(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"kind": "valid", "best": false, "bleu": null}\n', "utf-8")
    with pytest.raises(DataError, match="no validation"):
        best_validation(file)


def test_training_errors_are_collected(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(toy)
    jobs = [runs.Job(config.model_copy(update={"name": name}), {}) for name in ("good", "bad", "fine")]

    def train(config: Any, **options: Any) -> Path:
        if config.name == "bad":
            raise TrainingError("it diverged")
        return Path("runs", config.name)

    monkeypatch.setattr(runs, "train", train)
    with pytest.raises(TrainingError, match="1 of 3 runs failed: bad"):
        runs.run_jobs(jobs, out=toy.parent, measure=lambda *_: {}, report=lambda: None, overwrite=False)
    assert [runs.read_result(job, toy.parent) is not None for job in jobs] == [True, False, True]


@pytest.mark.parametrize("arguments", [["nowhere"], ["toy.yaml", "--corpus", "wmt"], ["toy.yaml", "--parallel", "0"]])
def test_refuses_what_makes_no_sense(toy: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize("corpus", sorted((CONFIGS / "corpora").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("recipe", ["low-resource", "low-resource-cpu", "small-cpu", "medium"])
def test_every_corpus_gives_its_text_to_every_recipe(
    recipe: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing but its text: its sizes are those of small models, and need not go together."""
    monkeypatch.chdir(tmp_path)
    text = yaml.safe_load(corpus.read_text("utf-8"))["data"]
    files = [
        path for pair in (*text["train"], text["valid"], *text["test"]) for path in (pair["source"], pair["target"])
    ]
    for file in map(Path, files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a\n", "utf-8")
    file = CONFIGS / "recipes" / f"{recipe}.yaml"
    config = load_config(file, text_of(corpus))
    assert [config.data.train[0].source, config.data.test[0].target] == [files[0], files[-1]]
    generic = load_config(file, ["data.valid={tsv: a.tsv}", "data.train=[{tsv: a.tsv}]", *LANGUAGES], check_files=False)
    assert config.model == generic.model
    assert config.training == generic.training


def test_a_corpus_without_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("none.yaml").write_text("data: {source_language: en}\nmodel: {tyop: 1}\n", "utf-8")
    with pytest.raises(ConfigError, match=r"(?s)none\.yaml:1: data\.train.*data\.valid") as caught:
        text_of(Path("none.yaml"))
    assert "tyop" not in str(caught.value)


def test_unknown_variants_are_named(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert command(main, "toy.yaml", "--list", "variants.yaml", "--only", "larger") == 2
    assert "'larger' is not one of the variants of variants.yaml: smaller, no-smoothing" in caplog.text
