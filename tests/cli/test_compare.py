"""`nmt compare` as a user calls it, with translations and with small models of random weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU

from cli_tools import assert_explained, contents, nmt
from nmt.cli.compare_inputs import _distinct, _short_names
from nmt.config import dump_yaml
from nmt.config.schema import Config
from nmt.inference.model_file import save_model
from tiny_translator import tiny_config, tiny_network, tiny_tokenizers

ENGLISH = ["the dog runs .", "a cat sleeps .", "", "the old man sees a house ."]
GERMAN = ["Der Hund rennt.", "Eine Katze schläft.", "", "Der alte Mann sieht ein Haus."]
OLD = ["Der Hund geht.", "Katze schläft.", "", "Der Mann sieht ein Haus Haus."]
NEW = ["Der Hund rennt.", "Die Katze schläft.", "", "Der alte Mann sieht Haus."]
FAST = ("--samples", "20", "--trials", "20")
FILES = ("--source", "test.en", "--reference", "test.de")


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def save_tiny(path: Path, *, tests: tuple[str, ...] = ("test",), languages: tuple[str, str] = ("en", "de")) -> None:
    data = tiny_config().data.model_dump()
    data["source_language"], data["target_language"] = languages
    data["train"] = [{"source": "train.en", "target": "train.de"}]
    data["test"] = [{"source": f"{name}.en", "target": f"{name}.de", "name": name} for name in tests]
    config = Config.model_validate({**tiny_config().model_dump(), "data": data})
    weights = dict(tiny_network(config).named_parameters())
    save_model(path, weights=weights, config=config, tokenizers=tiny_tokenizers(), provenance={})
    (path.parent / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a test set and two translations of it."""
    monkeypatch.chdir(tmp_path)
    for name, lines in (("test.en", ENGLISH), ("test.de", GERMAN), ("old.de", OLD), ("new.de", NEW)):
        write(tmp_path / name, lines)
    return tmp_path


def compared(*arguments: str) -> Any:
    outcome = nmt("compare", *arguments, *FAST, "--json")
    assert outcome.code == 0, outcome.stderr
    return json.loads(outcome.stdout)


# ------------------------------------------------------------------------------------------------------ translations


def test_translations_as_json_have_sacrebleus_scores() -> None:
    found = compared("old.de", "new.de", *FILES)
    assert [system["name"] for system in found["systems"]] == ["old.de", "new.de"]
    for system, lines in zip(found["systems"], (OLD, NEW), strict=True):
        assert system["scores"]["bleu"] == BLEU().corpus_score(lines, [GERMAN]).score
    assert (found["sentences"], found["length_side"], found["by_frequency"]) == (4, "source", None)
    assert found["systems"][0]["differences"] is None
    assert found["systems"][1]["differences"]["ter"]["value"] < 0
    assert found["systems"][0]["repetition"]["loops"] == 1
    better = found["systems"][1]["examples"]["better"]
    assert better[0]["source"] in ENGLISH


def test_the_source_may_be_missing_and_the_language_told() -> None:
    assert compared("old.de", "new.de", "--reference", "test.de")["length_side"] == "reference"
    Path("test.de").rename("test.txt")
    assert_explained(nmt("compare", "old.de", "--reference", "test.txt"), "--target-language", codes=(2,))
    assert compared("old.de", "--reference", "test.txt", "--target-language", "de")["sentences"] == 4


@pytest.mark.parametrize("lines", [OLD, NEW, GERMAN])
@pytest.mark.parametrize("tokenizer", ["13a", "char", "zh"])
def test_another_tokenizer_gives_the_scores_and_signature_of_evaluate(
    folder: Path, lines: list[str], tokenizer: str
) -> None:
    write(folder / "other.de", lines)
    found = compared("old.de", "other.de", *FILES, "--bleu-tokenizer", tokenizer)
    files = ("--hypothesis", "other.de", "--reference", "test.de")
    evaluated = json.loads(nmt("evaluate", *files, "--bleu-tokenizer", tokenizer, "--json").stdout)[0]
    assert found["systems"][1]["scores"]["bleu"] == evaluated["bleu"]
    assert f"tok:{tokenizer}" in found["signatures"]["bleu"]
    assert "eff:no" in found["signatures"]["bleu"]


@pytest.mark.parametrize("other", [["ja ja", "Hund"], ["nein", "der Hund"], ["ein ganz anderer Satz", "Hund"]])
def test_texts_without_fourgrams_have_the_scores_and_signature_of_evaluate(folder: Path, other: list[str]) -> None:
    write(folder / "short.de", ["ja ja", "Hund"])
    write(folder / "other.de", other)
    found = compared("short.de", "other.de", "--reference", "short.de")
    assert "eff:yes" in found["signatures"]["bleu"]
    assert found["systems"][0]["scores"]["bleu"] == pytest.approx(100)
    evaluated = nmt("evaluate", "--hypothesis", "other.de", "--reference", "short.de", "--json")
    assert found["systems"][1]["scores"]["bleu"] == json.loads(evaluated.stdout)[0]["bleu"]
    assert (found["systems"][1]["differences"]["bleu"]["value"] == 0) == (other == ["ja ja", "Hund"])


def test_a_missing_tokenizer_is_reported_before_anything_is_translated(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny(folder / "model.safetensors")
    monkeypatch.setattr("nmt.cli.commands.compare.collect_lines", lambda *_: pytest.fail("translated"))
    monkeypatch.setitem(sys.modules, "mecab_ko", None)
    monkeypatch.delitem(sys.modules, "sacrebleu.tokenizers.tokenizer_ko_mecab", raising=False)
    outcome = nmt("compare", "model.safetensors", "new.de", "--bleu-tokenizer", "ko-mecab")
    assert_explained(outcome, "sacrebleu[ko]")


def test_rare_words_by_a_given_training_text(folder: Path) -> None:
    write(folder / "train.de", ["Hund und Hund", "Katze"])
    found = compared("old.de", "new.de", *FILES, "--train", "train.de", "--train", "train.de")
    counts = {bucket["count"]: bucket for bucket in found["by_frequency"]}
    assert counts["2-4"]["reference_words"] == 2  # Hund, four times; Katze, twice
    assert counts["2-4"]["systems"]["old.de"]["f1"] == 1
    assert_explained(nmt("compare", "old.de", *FILES, "--train", "none.de"), "none.de", codes=(1,))


def test_tables_fit_a_terminal_whatever_the_names(folder: Path) -> None:
    names = ["x" * 60, "x" * 59 + "東京", "short"]
    write(folder / "train.de", ["Hund"])
    arguments = [part for name in names for part in ("--name", name)]
    outcome = nmt("compare", "old.de", "new.de", "old.de", *FILES, "--train", "train.de", *arguments, *FAST)
    assert outcome.code == 0
    lines = outcome.stdout.split("\n")
    legend = [f"  {number}: …" for number in (1, 2)]
    whole = [line for line in lines if names[0] in line or names[1] in line]
    assert [line[:6] for line in whole[1:]] == legend  # and before them the line that names the baseline
    assert not [line for line in lines if len(line) > 80 and line not in whole and "version:" not in line]
    assert any(line.startswith("short") for line in lines)
    assert all(part in outcome.stdout for part in ("p, bootstrap", "p, randomisation", "loops", "better", "worse"))
    assert outcome.stderr == ""


def test_equal_names_are_told_apart(folder: Path) -> None:
    write(folder / "a" / "out.de", OLD)
    write(folder / "b" / "out.de", NEW)
    found = compared("a/out.de", "b/out.de", "a/out.de", *FILES)
    assert [system["name"] for system in found["systems"]] == ["a/out.de", "b/out.de", "a/out.de (2)"]
    assert found["systems"][2]["differences"]["bleu"]["randomization_p"] == 1
    found = compared("a/out.de", "b/out.de", *FILES, "--name", "same", "--name", "same")
    assert [system["name"] for system in found["systems"]] == ["same", "same (2)"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["runs/one", "runs/two/best.safetensors"], ["one", "two"]),
        (["best.safetensors", "other.safetensors"], ["best.safetensors", "other.safetensors"]),
        (["x/a/t", "y/a/t", "t"], ["x/a/t", "y/a/t", "t"]),
        (["t", "t"], ["t", "t (2)"]),
        (["-", "t"], ["-", "t"]),
    ],
)
def test_names_are_as_short_as_they_can_be(given: list[str], expected: list[str]) -> None:
    assert _distinct(_short_names([Path(name) for name in given])) == expected


def test_a_translation_from_standard_input(folder: Path) -> None:
    outcome = nmt("compare", "old.de", "-", *FILES, *FAST, "--json", folder=folder, stdin="\n".join(NEW).encode())
    assert outcome.code == 0, outcome.stderr
    expected = BLEU().corpus_score(NEW, [GERMAN]).score
    assert json.loads(outcome.stdout)["systems"][1]["scores"]["bleu"] == expected


def test_the_report_is_written_and_not_lightly_replaced(folder: Path) -> None:
    outcome = nmt("compare", "old.de", "new.de", *FILES, *FAST, "-o", "report.html")
    assert outcome.code == 0
    assert "BLEU" in outcome.stdout
    assert Path("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    before = contents(folder)
    refused = nmt("compare", "old.de", "new.de", *FILES, *FAST, "--html", "report.html")
    assert_explained(refused, "report.html exists", "--overwrite", codes=(2,))
    assert contents(folder) == before
    assert nmt("compare", "old.de", *FILES, *FAST, "--html", "report.html", "--overwrite").code == 0
    assert contents(folder) != before


def test_buckets_and_examples_as_asked_for() -> None:
    found = compared("old.de", "new.de", *FILES, "--buckets", "4,6", "--examples", "1")
    assert [bucket["length"] for bucket in found["by_length"]] == ["0-3", "4-5", "6+"]
    assert len(found["systems"][1]["examples"]["better"]) == 1
    none = nmt("compare", "old.de", "new.de", *FILES, *FAST, "--examples", "0")
    assert "beside" not in none.stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["old.de", "gone.de", *FILES], ["gone.de", "no such"]),
        (["old.de", "new.de"], ["--reference"]),
        (["old.de", "--source", "test.en"], ["--source requires --reference"]),
        (["old.de", *FILES, "--test", "news"], ["--test"]),
        (["old.de", *FILES, "--beam-size", "2"], ["--beam-size requires a model"]),
        (["old.de", "new.de", *FILES, "--name", "one"], ["1 times for 2 systems"]),
        (["-", "-", *FILES], ["one system only"]),
        (["old.de", *FILES, "--buckets", "10,x"], ["--buckets", "10,x"]),
        (["old.de", *FILES, "--buckets", "10,5"], ["10,5"]),
        (["old.de", *FILES, "-o", "no/report.html"], ["no such folder: no"]),
        (["old.de", *FILES, "-o", "-"], ["report.html"]),
    ],
)
def test_what_cannot_be_meant_is_explained(folder: Path, arguments: list[str], parts: list[str]) -> None:
    before = contents(folder)
    assert_explained(nmt("compare", *arguments, *FAST), *parts, codes=(2,))
    assert contents(folder) == before


def test_unequal_lengths_name_both(folder: Path) -> None:
    write(folder / "short.de", NEW[:3])
    outcome = nmt("compare", "old.de", "short.de", *FILES)
    assert_explained(outcome, "short.de has 3 lines", "test.de has 4", codes=(1,))
    write(folder / "short.en", ENGLISH[:2])
    outcome = nmt("compare", "old.de", "--source", "short.en", "--reference", "test.de")
    assert_explained(outcome, "short.en has 2 lines", "test.de has 4", codes=(1,))


def test_help_has_examples() -> None:
    shown = nmt("compare", "--help").stdout
    assert "For example" in shown
    assert "nmt compare runs/small runs/large" in shown


# ------------------------------------------------------------------------------------------------------------ models


def test_a_model_translates_as_nmt_translate_does(folder: Path) -> None:
    save_tiny(folder / "runs" / "tiny" / "best.safetensors")
    write(folder / "train.en", ["dog", "cat"])
    write(folder / "train.de", ["Hund", "Katze"])
    translated = nmt("translate", "--model", "runs/tiny", "test.en", "--beam-size", "2")
    write(folder / "translated.de", translated.stdout.split("\n")[:-1])
    found = compared("runs/tiny", "translated.de", "runs/tiny/best.safetensors", "--beam-size", "2")
    assert [system["name"] for system in found["systems"]] == ["tiny", "translated.de", "tiny (2)"]
    assert found["test"] == "test"
    for system in found["systems"][1:]:
        assert system["scores"] == found["systems"][0]["scores"]
        assert all(one["differing_sentences"] == 0 for one in system["differences"].values())
    assert sum(bucket["reference_words"] for bucket in found["by_frequency"] if bucket["count"] == "1") == 2


def test_a_model_under_any_name_is_known(folder: Path) -> None:
    save_tiny(folder / "tiny.bin")
    found = compared("tiny.bin", *FILES)
    assert found["by_frequency"] is None  # its training text is not here
    outcome = nmt("compare", "tiny.bin", *FILES, *FAST)
    assert "the training text train.en of the first model does not exist" in outcome.stderr


def test_which_test_set_is_meant(folder: Path) -> None:
    save_tiny(folder / "two" / "best.safetensors", tests=("test", "news"))
    save_tiny(folder / "none" / "best.safetensors", tests=())
    assert_explained(nmt("compare", "two"), "--test", "test, news", codes=(2,))
    assert_explained(nmt("compare", "two", "--test", "old"), "old", "test, news", codes=(2,))
    assert_explained(nmt("compare", "none"), "--source and --reference", codes=(2,))
    assert compared("old.de", "two", "--test", "test")["test"] == "test"
    assert_explained(nmt("compare", "two", "--reference", "test.de"), "--source", codes=(2,))


def test_models_of_other_languages_are_refused(folder: Path) -> None:
    save_tiny(folder / "german.safetensors")
    save_tiny(folder / "czech.safetensors", languages=("en", "cs"))
    outcome = nmt("compare", "german.safetensors", "czech.safetensors")
    assert_explained(outcome, "german", "en to de", "czech", "en to cs", codes=(2,))


def test_a_run_without_a_model_and_a_broken_model_are_explained(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert_explained(nmt("compare", "empty", *FILES), "empty", "best.safetensors", codes=(2,))
    (folder / "broken.safetensors").write_bytes(b"no model")
    assert_explained(nmt("compare", "broken.safetensors", *FILES), "broken.safetensors", codes=(1,))


def test_wrong_files_are_found_before_anything_is_translated(folder: Path) -> None:
    save_tiny(folder / "tiny.safetensors")
    write(folder / "short.de", NEW[:3])
    outcome = nmt("compare", "tiny.safetensors", "short.de")
    assert_explained(outcome, "short.de has 3 lines", codes=(1,))
    assert "translating" not in outcome.stderr
