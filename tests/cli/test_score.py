"""`nmt score`, with a small model of random weights."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cli_tools import assert_explained, contents, nmt
from nmt.cli.score_inputs import read_items
from nmt.inference.model_file import load_model, save_model
from nmt.inference.output.formats import Layout, format_translation
from nmt.inference.results import Hypothesis, Translation
from tiny_translator import save_tiny_model, tiny_tokenizers

LINES = ["the red dog sleeps .", "", "a cat sees the house and hears a man .", "  ", "the old woman runs ."]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run, a text and its translations by line and with alternatives."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    save_tiny_model(tmp_path / "runs" / "tiny" / "best.safetensors")
    (tmp_path / "text.en").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    return tmp_path


def translated(*options: str) -> list[dict[str, Any]]:
    outcome = nmt("translate", "text.en", "--format", "jsonl", "--quiet", "-o", "best.jsonl", "--overwrite", *options)
    assert outcome.code == 0, outcome
    return rows(Path("best.jsonl").read_text(encoding="utf-8"))


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


def numbers(text: str) -> list[list[float]]:
    return [[float(number) for number in line.split()] for line in text.removesuffix("\n").split("\n")]


def test_an_n_best_list_gets_the_numbers_of_its_search() -> None:
    expected = translated("--beam-size", "4", "--n-best", "3")
    outcome = nmt("score", "best.jsonl")
    assert outcome.code == 0
    found = rows(outcome.stdout)
    assert [row["source"] for row in found] == LINES
    assert sum(len(row["hypotheses"]) for row in found) > 4
    for row, own in zip(found, expected, strict=True):
        assert row["translation"] == own["translation"]
        for one, other in zip(row["hypotheses"], own["hypotheses"], strict=True):
            for name in ("text", "pieces"):
                assert one[name] == other[name]
            for name in ("score", "log_probability", "piece_log_probabilities"):
                assert one[name] == pytest.approx(other[name], abs=1e-4)
            assert one["mean"] == pytest.approx(one["log_probability"] / (len(one["pieces"]) + 1))
    flat = [one for row in found for one in row["hypotheses"]]
    text = nmt("score", "best.jsonl", "--format", "text").stdout
    shown = [line for line in text.removesuffix("\n").split("\n") if line]
    assert numbers("\n".join(shown)) == [pytest.approx([one["log_probability"], one["mean"]], abs=1e-5) for one in flat]


@pytest.mark.parametrize(
    "options",
    [
        ["--sampling", "--temperature", "0.6", "--top-k", "8", "--n-best", "3"],
        ["--sampling", "--top-p", "0.7", "--n-best", "2"],
        ["--repetition-penalty", "1.6", "--no-repeat-ngram", "1", "--coverage-penalty", "0.4"],
        ["--beam-groups", "2", "--beam-size", "4", "--n-best", "3", "--mbr", "chrf"],
        ["--avoid", "words.txt", "--required", "required.txt"],
    ],
    ids=lambda options: options[0].strip("-"),
)
def test_how_a_translation_was_found_makes_no_difference(folder: Path, options: list[str]) -> None:
    (folder / "words.txt").write_text("the\nred\n", encoding="utf-8")
    (folder / "required.txt").write_text(
        "".join(f"{word}\n" for word in ("cat", "", "dog", "", "man")), encoding="utf-8"
    )
    expected = translated(*options)
    for row, own in zip(rows(nmt("score", "best.jsonl").stdout), expected, strict=True):
        for one, other in zip(row["hypotheses"], own["hypotheses"], strict=True):
            for name in ("log_probability", "piece_log_probabilities"):
                assert one[name] == pytest.approx(other[name], abs=1e-4)


@pytest.mark.parametrize("average", ["probabilities", "log_probabilities"])
def test_several_models_give_the_numbers_of_their_ensemble(folder: Path, average: str) -> None:
    save_tiny_model(folder / "concat.safetensors", attention={"score": "concat"})
    save_tiny_model(folder / "blind.safetensors", attention={"score": "none"}, encoder={"hidden_size": 16})
    together = [f"--model={name}" for name in ("runs/tiny", "concat.safetensors", "blind.safetensors")]
    together += [f"--model-weight={weight}" for weight in (1, 2.5, 0.5)] + ["--ensemble-average", average]
    expected = translated("--beam-size", "4", "--n-best", "3", *together)
    found = rows(nmt("score", "best.jsonl", *together).stdout)
    alone = rows(nmt("score", "best.jsonl").stdout)
    for row, own, other in zip(found, expected, alone, strict=True):
        for one, searched, by_first in zip(row["hypotheses"], own["hypotheses"], other["hypotheses"], strict=True):
            for name in ("score", "log_probability", "piece_log_probabilities"):
                assert one[name] == pytest.approx(searched[name], abs=1e-4)
            assert abs(one["log_probability"] - by_first["log_probability"]) > 1e-3


def test_models_that_cannot_score_together_are_named(folder: Path) -> None:
    wrong = nmt("score", "text.en", "text.en", "--model", "runs/tiny", "--model-weight", "1", "--model-weight", "2")
    assert_explained(wrong, "--model-weight is given 2 times for 1 model", codes=(2,))
    other = load_model(folder / "runs" / "tiny" / "best.safetensors")
    data = other.config.data.model_copy(update={"right_to_left": True})
    config = other.config.model_copy(update={"data": data})
    save_model(
        folder / "back.safetensors", weights=other.weights, config=config, tokenizers=other.tokenizers, provenance={}
    )
    mixed = nmt("score", "text.en", "text.en", "--model", "runs/tiny", "--model", "back.safetensors")
    assert_explained(mixed, "back.safetensors", "from right to left", codes=(2,))


def test_pairs_in_two_files_in_one_and_through_a_pipe(folder: Path) -> None:
    targets = ["a cat .", "", "", "a man runs .", "the dog ."]
    (folder / "text.de").write_text("".join(f"{line}\n" for line in targets), encoding="utf-8")
    two = nmt("score", "text.en", "text.de")
    assert two.code == 0
    lines = two.stdout.split("\n")
    assert [bool(line) for line in lines] == [True, False, True, False, True, False]
    assert "2 blank lines without a score" in two.stderr
    assert "3 translations, mean log-probability per piece -" in two.stderr

    pairs = "".join(f"{line}\t{target}\n" for line, target in zip(LINES, targets, strict=True)).encode()
    (folder / "pairs.tsv.gz").write_bytes(gzip.compress(pairs))
    one = nmt("score", "pairs.tsv.gz", "--quiet")
    assert (one.code, one.stdout, one.stderr) == (0, two.stdout, "")
    piped = nmt("score", "-", folder=folder, stdin=pairs)
    assert piped.stdout == two.stdout
    half = nmt("score", "-", "text.de", "--batch-size", "1", folder=folder, stdin=Path("text.en").read_bytes())
    for found, expected in zip(half.stdout.split("\n"), lines, strict=True):
        assert numbers(found or "0") == [pytest.approx(row, abs=1e-4) for row in numbers(expected or "0")]

    as_json = rows(nmt("score", "text.en", "text.de", "--format", "jsonl").stdout)
    assert [row["target"] for row in as_json] == targets
    assert as_json[1]["log_probability"] is None
    assert as_json[0]["log_probability"] == pytest.approx(float(lines[0].split("\t")[0]), abs=1e-5)
    objects = "".join(json.dumps({"id": 7, "source": row["source"], "target": row["target"]}) + "\n" for row in as_json)
    (folder / "pairs.jsonl").write_text(objects, encoding="utf-8")
    again = rows(nmt("score", "pairs.jsonl").stdout)
    assert [row.pop("id") for row in again] == [7] * 5
    assert [row.keys() for row in again] == [row.keys() for row in as_json]
    assert [row["log_probability"] for row in again] == [row["log_probability"] for row in as_json]


def test_texts_instead_of_pieces(folder: Path) -> None:
    row = {"source": LINES[0], "target": "a cat .", "pieces": [*"▁a"]}
    (folder / "spelt.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (folder / "pair.tsv").write_text(f"{LINES[0]}\ta cat .\n", encoding="utf-8")
    (spelt,) = rows(nmt("score", "spelt.jsonl").stdout)
    assert spelt["pieces"] == row["pieces"]
    assert nmt("score", "spelt.jsonl", "--texts", "--format", "text").stdout == nmt("score", "pair.tsv").stdout


def test_n_best_lists_of_other_tools(folder: Path) -> None:
    best = ["0 ||| a cat . ||| x=1 ||| -3", "0 ||| the dog . ||| ||| -4", "2 ||| a man", "4 |||  ||| a ||| 2"]
    best.append(f"4 ||| {'&#124;' * 3} ||| a ||| 2")
    (folder / "best.txt").write_text("".join(f"{line}\n" for line in best), encoding="utf-8")
    outcome = nmt("score", "text.en", "best.txt", "--input", "moses", "--format", "jsonl")
    found = rows(outcome.stdout)
    assert [row["line"] for row in found] == [1, 1, 3, 5, 5]
    assert [row["source"] for row in found] == [LINES[0], LINES[0], LINES[2], LINES[4], LINES[4]]
    assert [row["target"] for row in found] == ["a cat .", "the dog .", "a man", "", "|||"]
    (folder / "pairs.tsv").write_text(f"{LINES[0]}\tthe dog .\n", encoding="utf-8")
    text = numbers(nmt("score", "pairs.tsv").stdout)
    assert text[0][0] == pytest.approx(found[1]["log_probability"], abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a|b", "a || b", "|||", "||||||", "a |||| b", "|| a ||", "|", "||| ||| |||"),
        *("&#124;", "&#124;&#124;&#124;", "&amp;#124;", "&amp;", "&amp;amp;#124; ||| &#124;", "a & b"),
        *("&amp;|||#124;", "&|||#124;", "& #124;", "&#124;|||&"),
    ],
)
def test_bars_come_back_from_a_moses_list(folder: Path, text: str) -> None:
    hypothesis = Hypothesis(text, [], [], 0.0, -1.0, [-1.0], True)
    translation = Translation(text, [hypothesis], line=1, source=LINES[0])
    written = format_translation(translation, Layout("moses", None), tiny_tokenizers(), None)
    assert written.count("|||") == 3
    (folder / "best.txt").write_text(written, encoding="utf-8")
    (item,) = read_items(Path("text.en"), Path("best.txt"), "moses")
    assert [pair.target for pair in item.pairs] == [text]


def test_single_bars_that_other_tools_escape(folder: Path) -> None:
    (folder / "best.txt").write_text("0 ||| a &#124; b ||| x=1 ||| -3\n", encoding="utf-8")
    (item,) = read_items(Path("text.en"), Path("best.txt"), "moses")
    assert item.pairs[0].target == "a | b"


@pytest.mark.parametrize("format", ["tsv", "moses"])
def test_n_best_lists_of_ours(format: str) -> None:
    expected = translated("--beam-size", "4", "--n-best", "2")
    options = ("--beam-size", "4", "--n-best", "2", "--quiet", "-o", "best.list")
    assert nmt("translate", "text.en", "--format", format, *options).code == 0
    found = rows(nmt("score", "text.en", "best.list", "--input", format, "--format", "jsonl").stdout)
    own = [[one["text"] for one in row["hypotheses"]] or [""] for row in expected]
    assert [row["target"] for row in found] == [text for texts in own for text in texts]
    assert [row["line"] for row in found] == [number for number, texts in enumerate(own, 1) for _ in texts]
    assert [row["score"] is None for row in found] == [not row["source"].strip() for row in found]


def test_output_goes_to_a_file_that_is_not_replaced_unasked(folder: Path) -> None:
    assert nmt("score", "text.en", "text.en", "-o", "scores.tsv").stdout == ""
    assert Path("scores.tsv").read_text(encoding="utf-8").count("\n") == len(LINES)
    before = contents(folder)
    assert_explained(nmt("score", "text.en", "text.en", "-o", "scores.tsv"), "exists already", codes=(2,))
    same = nmt("score", "text.en", "text.en", "-o", "text.en", "--overwrite")
    assert_explained(same, "would replace the input file", codes=(2,))
    assert contents(folder) == before
    assert nmt("score", "text.en", "text.en", "-o", "scores.tsv", "--overwrite", "--format", "jsonl").code == 0


def test_normalisation_changes_the_score_alone() -> None:
    plain = rows(nmt("score", "text.en", "text.en", "--format", "jsonl", "--length-normalization", "none").stdout)
    mean = rows(nmt("score", "text.en", "text.en", "--format", "jsonl", "--length-normalization", "average").stdout)
    assert plain[0]["score"] == pytest.approx(plain[0]["log_probability"])
    assert mean[0]["score"] == pytest.approx(mean[0]["mean"])
    assert mean[0]["log_probability"] == pytest.approx(plain[0]["log_probability"])


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["text.en", "short.de"], ["text.en has 5 lines", "short.de has 2"]),
        (["short.de", "text.en"], ["short.de has 2 lines", "text.en has 5"]),
        (["text.en"], ["text.en, line 1", "1 column,", "tab"]),
        (["-", "-"], ["cannot both be standard input"]),
        (["text.en", "--input", "lines"], ["--input lines requires two files"]),
        (["text.en", "short.de", "--input", "jsonl"], ["Leave out short.de"]),
        (["text.en", "short.de", "--input", "tsv"], ["short.de, line 1", "--format tsv"]),
        (["text.en", "--input", "jsonl"], ["text.en, line 1", "expected a JSON object"]),
        (["wrong.jsonl"], ["wrong.jsonl, line 2", "expected a JSON object"]),
        (["pieces.jsonl"], ["translation 1", "no piece 'x'"]),
        (["text.en", "short.de", "--input", "moses"], ["short.de, line 1", "|||"]),
        (["short.de", "far.txt", "--input", "moses"], ["far.txt, line 1", "line 10 of short.de", "fewer lines"]),
        (["text.en", "back.txt", "--input", "moses"], ["back.txt, line 2", "Sort the list"]),
        (["nowhere.en", "text.en"], ["nowhere.en", "no such file"]),
        (["text.en", "text.en", "--model", "nowhere"], ["nowhere", "no such model"]),
        (["text.en", "text.en", "--alpha", "1", "--length-normalization", "none"], ["--alpha"]),
    ],
)
def test_mistakes_are_explained(folder: Path, arguments: list[str], parts: list[str]) -> None:
    (folder / "short.de").write_text("ein Hund\neine Katze\n", encoding="utf-8")
    (folder / "wrong.jsonl").write_text('{"source": "a", "target": "b"}\n{"source": "a"}\n', encoding="utf-8")
    (folder / "pieces.jsonl").write_text('{"source": "a", "target": "b", "pieces": ["x"]}\n', encoding="utf-8")
    (folder / "far.txt").write_text("9 ||| a cat\n", encoding="utf-8")
    (folder / "back.txt").write_text("1 ||| a cat\n0 ||| a cat\n", encoding="utf-8")
    outcome = nmt("score", *arguments, "-o", "scores.txt")
    assert_explained(outcome, *parts)
    assert not Path("scores.txt").exists()


def test_a_shortlist_of_the_model_is_mentioned(folder: Path) -> None:
    path = folder / "runs" / "tiny" / "best.safetensors"
    file = load_model(path)
    decoding = file.config.decoding.model_copy(update={"shortlist": True})
    config = file.config.model_copy(update={"decoding": decoding})
    save_model(path, weights=file.weights, config=config, tokenizers=file.tokenizers, provenance={})
    outcome = nmt("score", "text.en", "text.en")
    assert outcome.code == 0
    assert "whole vocabulary" in outcome.stderr
