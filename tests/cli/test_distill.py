"""nmt distill: teachers translate the training text, and a student learns from it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cli_tools import assert_explained, contents, nmt
from nmt.augmentation import translations
from nmt.augmentation.configuration import new_config, read_experiment
from nmt.augmentation.distill import DROPPED
from nmt.augmentation.screening import Screen, TranslatedLine
from nmt.augmentation.translations import FlaggedHypothesis
from nmt.config import load_config
from nmt.data.lines import read_lines, write_lines
from nmt.errors import DataError, UsageError
from nmt.inference.output import writer as output_module
from nmt.metrics.sentence import make_sentence_metric
from toy_teachers import save_teacher, write_small_experiment

FAST = ("training.max_updates=2", "training.validation.metrics=[bleu,chrf]", "data.shortlist.translations=0")
OUT = Path("data/toy-distilled")
ALL = ("--drop", "nothing", "--threads", "1")
"""All that teachers of random weights write is suspicious."""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny corpus with its configuration, and two teachers of random weights."""
    monkeypatch.chdir(tmp_path)
    write_small_experiment(tmp_path)
    save_teacher(Path("one.safetensors"))
    save_teacher(Path("two.safetensors"), seed=9, encoder={"hidden_size": 10}, decoder={"hidden_size": 20})
    return Path("toy.yaml")


def lines(file: Path | str) -> list[str]:
    return list(read_lines(file, keep_broken=False))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def run(*arguments: str) -> int:
    outcome = nmt("distill", "toy.yaml", "--teacher", "one.safetensors", *arguments)
    print(outcome.stdout, end="")
    return outcome.code


def stopped_after(count: int) -> Callable[..., None]:
    """Return what writes so many lines of translations and a half, and then is interrupted."""

    def write(blocks: Iterable[str], output: Path, *, append: bool) -> None:
        output_module.write_blocks(islice(blocks, count), output, append=append)
        with open(output, "ab") as stream:
            stream.write(b'{"hypotheses": [{"te')
        raise KeyboardInterrupt

    return write


def test_a_student_learns_from_two_teachers(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open("train.en", "a", encoding="utf-8") as source, open("train.de", "a", encoding="utf-8") as target:
        source.write(f"\n{lines('train.en')[0]}\n")  # a blank line, and a pair that is there
        target.write(f"nichts\n{lines('train.de')[0]}\n")
    arguments = ("--teacher", "two.safetensors", "--beam-size", "2", *FAST, "model.embedding_size=20")
    assert run(*arguments) == 0
    assert lines(OUT / "source.en") == lines("train.en")[:60]
    rows = list(zip(lines("train.en"), translations.read_hypotheses(OUT / "translations.jsonl"), strict=False))
    good = [(line, one.text) for line, (one,) in rows if not {"empty", "unfinished", "repetition"} & {*one.flags}]
    assert list(zip(lines(OUT / "train.en"), lines(OUT / "train.de"), strict=True)) == good
    report = read_json(OUT / "report.json")
    assert (report["read"], report["translated"], report["kept"]) == (62, 60, len(good))
    assert 0 < len(good) == 60 - sum(report["dropped"].values())

    config = load_config(OUT / "config.yaml")
    assert [corpus.source for corpus in config.data.train] == ["train.en", str(OUT / "train.en")]
    assert config == load_config(Path("runs/toy-distilled/config.yaml")).model_copy(
        update={"decoding": config.decoding}
    )
    assert (config.name, config.model.embedding_size, config.training.max_updates) == ("toy-distilled", 20, 2)
    assert Path("runs/toy-distilled/best.safetensors").is_file()
    table = capsys.readouterr().out.splitlines()
    assert [re.split("  +", row)[0] for row in table if row] == [*("validation set", "2 teachers together", "student")]

    before = {**contents(OUT), **contents(Path("runs/toy-distilled/checkpoints"))}
    assert run(*arguments) == 0
    assert {**contents(OUT), **contents(Path("runs/toy-distilled/checkpoints"))} == before


def test_an_interrupted_text_becomes_the_same_one(
    toy: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(*ALL, "--no-train", "--output", "at-once") == 0
    arguments = (*ALL, "--no-train", "--output", "in-parts")
    with monkeypatch.context() as patch:
        for count in (13, 20):
            patch.setattr(translations, "write_blocks", stopped_after(count))
            assert run(*arguments) == 130
    # The first windows have 8, 16 and 32 lines. The second command begins with the window that was interrupted.
    assert len(lines("in-parts/translations.jsonl")) == 8 + 20 + 1
    assert not Path("in-parts/train.de").exists()
    with caplog.at_level("INFO", logger="nmt"):
        assert run(*arguments) == 0
    assert "translating 36 lines" in caplog.text
    at_once, in_parts = contents(Path("at-once")), contents(Path("in-parts"))
    for name in ("translations.jsonl", "train.en", "train.de", "report.json", "made.json"):
        assert at_once[name] == in_parts[name], name


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_the_candidate_closest_to_the_reference_is_taken(toy: Path, metric: str) -> None:
    arguments = ("--n-best", "4", "--closest", metric, *ALL, "--no-train", "data.filters.max_length_ratio=1000")
    assert run(*arguments, "--output", "first") == 0
    rows = list(translations.read_hypotheses(Path("first/translations.jsonl")))
    references = [next((one.text for one in reversed(hypotheses) if one.text), "leer") for hypotheses in rows]
    write_lines("train.de", references)
    assert run(*arguments) == 0
    assert lines(OUT / "translations.jsonl") == lines("first/translations.jsonl")
    score = make_sentence_metric(metric, bleu_tokenizer="auto", lowercase=False, target_language="de")
    chosen = lines(OUT / "train.de")
    for one, reference in zip(chosen, references, strict=True):
        assert score(one, reference) == pytest.approx(1 if reference != "leer" else 0)
    assert chosen != lines("first/train.de")


def test_suspicious_translations_are_left_out(toy: Path) -> None:
    rows = [
        TranslatedLine("a", [FlaggedHypothesis("x x x", ["repetition"]), FlaggedHypothesis("y", [])], "z"),
        TranslatedLine("b", [FlaggedHypothesis("", ["empty", "unfinished"])], "z"),
        TranslatedLine("c", [FlaggedHypothesis("z", ["low_score"]), FlaggedHypothesis("u", [])], "z"),
        TranslatedLine("d", [FlaggedHypothesis("x", ["unfinished"]), FlaggedHypothesis("y y y", ["repetition"])], "z"),
        TranslatedLine("e", [], "z"),
    ]
    screen = Screen(DROPPED)
    assert list(screen.choose(rows)) == ["y", None, "z", None, None]
    assert screen.counts() == {"kept": 2, "dropped": {"empty": 2, "unfinished": 1}}
    hopeless = Screen(DROPPED)
    assert list(hopeless.choose(rows[1:2])) == [None]
    with pytest.raises(DataError, match="Dropped: 1 empty"):
        hopeless.counts()


def test_other_flags_can_be_dropped_without_translating_again(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run("--no-train", *ALL) == 0
    assert len(lines(OUT / "train.de")) == 60
    rows = list(translations.read_hypotheses(OUT / "translations.jsonl"))
    arguments = ("--no-train", "--drop", "repetition,empty", "--threads", "1")
    assert run(*arguments) == 2  # the folder has other pairs
    with caplog.at_level("INFO", logger="nmt"):
        assert run(*arguments, "--overwrite") == 0
    assert "all 60 lines are translated" in caplog.text
    good = [one.text for (one,) in rows if not {"repetition", "empty"} & {*one.flags}]
    assert lines(OUT / "train.de") == good
    assert len(lines(OUT / "train.en")) == len(good) < 60
    assert sum(read_json(OUT / "report.json")["dropped"].values()) == 60 - len(good)
    assert run("--no-train", "--drop", "low_score", "--threads", "1", "--overwrite") == 1
    assert "No pair is left. Dropped: 60 low_score" in caplog.text


def test_each_corpus_keeps_its_weight_and_tag(toy: Path) -> None:
    pairs = list(zip(lines("train.en"), lines("train.de"), strict=True))
    write_lines("more.tsv", [f"{source} today\t{target} heute" for source, target in pairs[:7]])
    text = toy.read_text("utf-8").replace(
        "{source: train.en, target: train.de}",
        '{source: train.en, target: train.de}\n    - {tsv: more.tsv, weight: 2, tag: "<bt>"}',
    )
    toy.write_text(text, "utf-8")
    overrides = ("model.embedding_size=12", "training.validation.metrics=[bleu]", "name=small")
    assert run(*ALL, "--keep", "none", "--no-train", "--output", "text", *overrides) == 0
    first, second = load_config(Path("text/config.yaml")).data.train
    assert (first.source, first.weight, first.tag) == ("text/train-1.en", 1, None)
    assert (second.target, second.tsv, second.weight, second.tag) == ("text/train-2.de", None, 2, "<bt>")
    assert [len(lines(str(corpus.target))) for corpus in (first, second)] == [60, 7]
    planned = new_config(read_experiment(toy, overrides), "toy-distilled", [first, second])
    assert load_config(Path("text/config.yaml")) == planned
    assert planned.name == "small"


def test_wrong_models_are_refused_and_nothing_is_touched(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_teacher(Path("backwards.safetensors"), languages=("de", "en"))
    save_teacher(Path("unlike.safetensors"), size=70)
    before = contents(Path())
    for teacher, message in (
        ("backwards.safetensors", "backwards.safetensors translates de to en, but --teacher must translate en to de"),
        ("unlike.safetensors", "their source subword models differ"),
        ("nowhere", "no such model file, run folder or checkpoint"),
    ):
        caplog.clear()
        assert run("--teacher", teacher) in (1, 2)
        assert message in caplog.text
    assert run("--n-best", "4", "--beam-size", "2") == 2
    assert contents(Path()) == before


def test_what_is_there_is_not_replaced_unasked(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(*ALL, "--no-train") == 0
    before = contents(Path())
    assert run(*ALL, "--no-train", "--beam-size", "1") == 2
    assert "has text of other options, models or files: decoding.beam_size. Restore them" in caplog.text
    assert run(*ALL, "--no-train", "--output", ".") == 2
    assert "exists and has other files" in caplog.text
    assert contents(Path()) == before
    with open(OUT / "config.yaml", "a", encoding="utf-8") as stream:
        stream.write("seed: 3\n")
    assert run(*ALL, "--no-train") == 2
    assert "config.yaml has been changed" in caplog.text
    assert run(*ALL, "--no-train", "--beam-size", "1", "--overwrite") == 0
    after = contents(Path())
    assert after["data/toy-distilled/config.yaml"] == before["data/toy-distilled/config.yaml"]
    assert after["data/toy-distilled/translations.jsonl"] != before["data/toy-distilled/translations.jsonl"]
    Path("runs/toy-distilled").mkdir(parents=True)
    Path("runs/toy-distilled/best.safetensors").write_bytes(b"a model")
    assert run(*ALL, "--beam-size", "1") == 2
    assert "has a model but no checkpoint" in caplog.text


def test_overrides_that_cannot_be_written_are_refused(toy: Path) -> None:
    for override in ("data.train.0.weight=2", "data.train=[]", "data.test.0.name=x", "model={embedding_size: 8}"):
        with pytest.raises(UsageError, match=override.partition("=")[0]):
            read_experiment(toy, [override])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml", "--teacher", "x"], "nowhere.yaml"),
        (["toy.yaml"], "--teacher"),
        (["toy.yaml", "--teacher", "x", "--drop", "ugly"], "--drop: 'ugly' is not one of empty"),
        (["toy.yaml", "--teacher", "x", "--processes", "2", "--threads", "2"], "--processes cannot be used with"),
        (["toy.yaml", "--teacher", "x", "--keep", "some"], "some"),
    ],
)
def test_refuses_options_that_are_not_valid(toy: Path, arguments: list[str], message: str) -> None:
    assert_explained(nmt("distill", *arguments), message, codes=(2,))


def test_the_new_configuration_does_not_depend_on_the_current_folder(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*ALL, "--no-train") == 0
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    (tmp_path / "other" / "train.en").write_text("another text\n", encoding="utf-8")
    corpora = load_config(Path("..") / OUT / "config.yaml").data.train
    assert [corpus.source for corpus in corpora] == ["../train.en", f"../{OUT}/train.en"]
