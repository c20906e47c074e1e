"""`nmt evaluate` as a user calls it: sacrebleu's own numbers, and those that training reported."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_tools import assert_explained, nmt
from nmt.config.introspection import flag
from nmt.config.schema import DecodingConfig

ENGLISH = ["The dog sleeps.", "A man reads a book.", "", "Two children play in the snow.", "It is late."]
GERMAN = ["Der Hund schläft.", "Ein Mann liest ein Buch.", "", "Zwei Kinder spielen im Schnee.", "Es ist spät."]
TRANSLATED = ["Der Hund schläft nicht. ", "Ein Mann liest Buch.", "", "Zwei Kinder spielen im Schnee.", "Es ist."]


def write(path: Path, lines: list[str]) -> str:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path.name


def by_command(folder: Path, reference: str, hypothesis: str) -> dict[str, tuple[str, str]]:
    command = [sys.executable, "-m", "sacrebleu", reference, "-i", hypothesis, "-m", "bleu", "chrf", "ter", "-w", "12"]
    done = subprocess.run([*command, "-f", "json"], cwd=folder, capture_output=True, text=True, check=True)
    names = {"BLEU": "bleu", "chrF2": "chrf", "TER": "ter"}
    return {names[row["name"]]: (f"{row['score']:.12f}", row["signature"]) for row in json.loads(done.stdout)}


def evaluated(folder: Path, *arguments: str) -> dict[str, Any]:
    outcome = nmt("evaluate", *arguments, "--json", folder=folder)
    assert outcome.code == 0, outcome.stderr
    (result,) = json.loads(outcome.stdout)
    return dict(result)


def test_a_hypothesis_file_gets_the_scores_of_the_sacrebleu_command(tmp_path: Path) -> None:
    reference, hypothesis = write(tmp_path / "reference.de", GERMAN), write(tmp_path / "translated.de", TRANSLATED)
    result = evaluated(tmp_path, "--hypothesis", hypothesis, "--reference", reference)
    assert list(result) == ["test", "bleu", "chrf", "ter", "sentences", "signatures"]
    assert result["sentences"] == len(GERMAN)
    expected = by_command(tmp_path, reference, hypothesis)
    ours = {name: (f"{result[name]:.12f}", result["signatures"][name]) for name in ("bleu", "chrf", "ter")}
    assert ours == expected


def test_files_of_unequal_length_are_an_error(tmp_path: Path) -> None:
    reference, hypothesis = write(tmp_path / "reference.de", GERMAN), write(tmp_path / "short.de", TRANSLATED[:-1])
    outcome = nmt("evaluate", "--hypothesis", hypothesis, "--reference", reference, folder=tmp_path)
    assert_explained(outcome, "short.de has 4 lines", "reference.de has 5")


def test_japanese_is_never_scored_by_13a(tmp_path: Path) -> None:
    file = write(tmp_path / "reference.ja", ["男の人が立っています。"])
    outcome = nmt("evaluate", "--hypothesis", file, "--reference", file, folder=tmp_path)
    assert "13a" not in outcome.stdout
    assert "ja-mecab" in outcome.stdout or 'pip install "sacrebleu[ja]"' in outcome.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of a few updates."""
    folder = tmp_path_factory.mktemp("trained")
    for name, side in (("en", ENGLISH), ("de", GERMAN)):
        write(folder / f"train.{name}", [f"{number} {line}" for number in range(60) for line in side if line])
        write(folder / f"valid.{name}", side)
        write(folder / f"test.{name}", side[::-1])
    config = {
        "data": {
            "source_language": "en",
            "target_language": "de",
            "train": [{"source": "train.en", "target": "train.de"}],
            "valid": {"source": "valid.en", "target": "valid.de"},
            "test": [{"source": "test.en", "target": "test.de"}],
        },
        "tokenizer": {"vocabulary_size": 400},
        "model": {"embedding_size": 32, "encoder": {"hidden_size": 32}, "decoder": {"hidden_size": 64}},
        "training": {"max_updates": 20, "batch_tokens": 512, "threads": 1, "tensorboard": False},
        "decoding": {"max_length_constant": 5, "threads": 1},
    }
    (folder / "tiny.yaml").write_text(json.dumps(config), encoding="utf-8")
    outcome = nmt("train", "tiny.yaml", folder=folder)
    assert outcome.code == 0, outcome.stderr
    return folder


def test_training_reported_what_evaluate_measures(trained: Path) -> None:
    lines = (trained / "runs" / "tiny" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    reported = [row for row in map(json.loads, lines) if row["kind"] == "valid" and row.get("best")][-1]
    result = evaluated(trained, "--source", "valid.en", "--reference", "valid.de", "--beam-size", "1")
    assert (result["bleu"], result["chrf"]) == (reported["bleu"], reported["chrf"])


def test_translations_that_are_kept_score_the_same(trained: Path) -> None:
    result = evaluated(trained, "-o", "kept")
    assert result["test"] == "test"
    again = evaluated(trained, "--hypothesis", "kept/test.translated.de", "--reference", "test.de")
    assert {**again, "test": "test"} == result
    assert (trained / "kept" / "test.translated.de").read_text(encoding="utf-8").split("\n")[2] == ""
    outcome = nmt("evaluate", "-o", "kept", folder=trained)
    assert_explained(outcome, "kept/test.translated.de exists", "--overwrite")


SEARCHES = {
    "greedy": ["--beam-size", "1"],
    "lengths": ["--length-normalization", "gnmt", "--alpha", "0.8", "--max-length", "6", "--min-length", "2"],
    "penalties": ["--coverage-penalty", "0.3", "--repetition-penalty", "1.5", "--no-repeat-ngram", "2"],
    "fast": ["--stopping", "fast", "--beam-size", "3", "--precision", "int8"],
    "groups": ["--beam-groups", "2", "--beam-size", "4", "--diversity", "1", "--mbr", "chrf"],
    "samples": ["--sampling", "--top-k", "9", "--temperature", "0.7", "--seed", "5", "--n-best", "4", "--mbr", "bleu"],
    "steered": ["--avoid", "avoid.txt", "--terminology", "terms.tsv"],
    "together": ["--model", "runs/tiny", "--model", "runs/tiny", "--ensemble-average", "log_probabilities"],
}


@pytest.mark.parametrize("options", SEARCHES.values(), ids=SEARCHES)
def test_what_is_measured_is_what_translate_writes(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.chdir(trained)
    (trained / "avoid.txt").write_text("ein\n\nHund\n", encoding="utf-8")
    (trained / "terms.tsv").write_text("dog\tKatze\n", encoding="utf-8")
    ours = tmp_path / "ours.de"
    assert nmt("translate", "test.en", "-o", str(ours), *options).code == 0
    kept = ("-o", str(tmp_path), "--source", "test.en", "--reference", "test.de")
    measured = nmt("evaluate", "--json", *kept, *options)
    assert measured.code == 0, measured.stderr
    assert (tmp_path / "test.en.translated.de").read_bytes() == ours.read_bytes()
    scored = nmt("evaluate", "--json", "--hypothesis", str(ours), "--reference", "test.de")
    (one,), (other,) = json.loads(measured.stdout), json.loads(scored.stdout)
    assert {**one, "test": ""} == {**other, "test": ""}


def test_every_decoding_option_is_on_the_command_line() -> None:
    for command in ("translate", "evaluate"):
        shown = nmt(command, "--help").stdout
        for name in DecodingConfig.model_fields:
            assert re.search(rf"^  {flag(name)} ", shown, flags=re.MULTILINE), name


def test_options_of_a_search_do_not_go_with_a_translation_that_is_there(tmp_path: Path) -> None:
    file = write(tmp_path / "a.de", GERMAN)
    for option in (["--beam-size", "3"], ["--mbr", "chrf"], ["--top-k", "3"]):
        outcome = nmt("evaluate", "--hypothesis", str(tmp_path / file), "--reference", str(tmp_path / file), *option)
        assert_explained(outcome, f"--hypothesis excludes {option[0]}", codes=(2,))


THAI = ["ผมไม่รู้ว่าเขาจะมาเมื่อไหร่", "เราไปกินข้าวที่บ้านกันเถอะ"]
CHINESE = ["一个男人站在梯子上。", "两只狗在雪地里玩。"]


@pytest.mark.parametrize(
    ("lines", "suffix", "options", "tokenizer"),
    [
        (THAI, "th", (), "char"),
        (THAI, "th", ("--bleu-tokenizer", "13a"), "13a"),
        (CHINESE, "cn", (), "zh"),
        (CHINESE, "gan", (), "zh"),
        (CHINESE, "tok", (), "zh"),
    ],
)
def test_equal_files_are_scored_by_the_script_of_the_text(
    tmp_path: Path, lines: list[str], suffix: str, options: tuple[str, ...], tokenizer: str
) -> None:
    files = tmp_path / f"hyp.{suffix}", tmp_path / f"ref.{suffix}"
    for file in files:
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    result = nmt("evaluate", "--hypothesis", files[0], "--reference", files[1], *options)
    assert result.code == 0
    assert f"tok:{tokenizer}" in result.stdout
    if tokenizer != "13a":
        assert "BLEU 100.00" in result.stdout
    if suffix == "cn":
        assert '"cn" is not a language code. It is read as zh (Chinese)' in result.stderr


def test_the_name_of_a_language_is_refused_with_its_code(tmp_path: Path) -> None:
    file = tmp_path / "ref.txt"
    file.write_text("一个男人。\n", encoding="utf-8")
    result = nmt("evaluate", "--hypothesis", file, "--reference", file, "--target-language", "Chinese")
    assert result.code == 2
    assert "Write zh for Chinese" in result.stderr
