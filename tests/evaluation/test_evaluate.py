"""Test sets translated and scored: the numbers, the files written, and what is refused before any work."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from nmt.config.schema import EvaluationConfig, TestSetConfig
from nmt.errors import DataError, NMTError, UsageError
from nmt.evaluation.evaluate import Result, evaluate_file, evaluate_tests
from nmt.metrics.corpus import score

PAIRS = [("a man reads .", "Ein Mann liest."), ("", ""), ("two dogs play", "Zwei Hunde spielen im Schnee.")]


class Translation(NamedTuple):
    text: str


class Upper:
    """Stands for a translator; counts what it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def translate(self, lines: Iterable[str]) -> Iterator[Translation]:
        for line in lines:
            self.seen.append(line)
            yield Translation({"": "", "a man reads .": "Ein Mann liest."}.get(line, "Zwei Hunde im Schnee."))


@pytest.fixture
def tests(tmp_path: Path) -> list[TestSetConfig]:
    """The same pairs as two files and as one."""
    for side, name in ((0, "test.en"), (1, "test.de")):
        (tmp_path / name).write_text("".join(pair[side] + "\n" for pair in PAIRS), encoding="utf-8")
    (tmp_path / "test.tsv").write_text("".join("\t".join(pair) + "\n" for pair in PAIRS), encoding="utf-8")
    files = TestSetConfig(name="files", source=str(tmp_path / "test.en"), target=str(tmp_path / "test.de"))
    return [files, TestSetConfig(name="tsv", tsv=str(tmp_path / "test.tsv"))]


def evaluated(
    translator: Upper,
    tests: list[TestSetConfig],
    folder: Path | None = None,
    *,
    overwrite: bool = False,
    language: str = "de",
) -> list[Result]:
    return list(
        evaluate_tests(
            translator,
            tests,
            options=EvaluationConfig(),
            target_language=language,
            output_folder=folder,
            overwrite=overwrite,
        )
    )


def test_results_are_the_scores_of_the_translations(tests: list[TestSetConfig], tmp_path: Path) -> None:
    translator = Upper()
    found = [result.as_dict() for result in evaluated(translator, tests, tmp_path / "out")]
    assert translator.seen == [source for source, _ in PAIRS] * 2
    written = (tmp_path / "out" / "files.translated.de").read_bytes().decode()
    assert written == "Ein Mann liest.\n\nZwei Hunde im Schnee.\n"
    assert (tmp_path / "out" / "tsv.translated.de").read_text(encoding="utf-8") == written
    direct = score(
        written.split("\n")[:-1],
        [reference for _, reference in PAIRS],
        metrics=["bleu", "chrf", "ter"],
        bleu_tokenizer="auto",
        lowercase=False,
        target_language="de",
    )
    for name, result in zip(("files", "tsv"), found, strict=True):
        assert result == {
            "test": name,
            **{metric: direct[metric].value for metric in ("bleu", "chrf", "ter")},
            "sentences": 3,
            "signatures": {metric: direct[metric].signature for metric in ("bleu", "chrf", "ter")},
        }
    assert json.loads(json.dumps(found)) == found


def test_written_translations_score_the_same(tests: list[TestSetConfig], tmp_path: Path) -> None:
    first = evaluated(Upper(), tests[:1], tmp_path)[0]
    again = evaluate_file(
        str(tmp_path / "files.translated.de"),
        str(tmp_path / "test.de"),
        name="files",
        options=EvaluationConfig(),
        target_language="de",
    )
    assert again == first


def test_metrics_not_measured_are_there_as_none(tests: list[TestSetConfig], tmp_path: Path) -> None:
    file = str(tmp_path / "test.de")
    result = evaluate_file(
        file, file, name="x", options=EvaluationConfig(metrics=["chrf"]), target_language="de"
    ).as_dict()
    assert (result["bleu"], result["chrf"], result["ter"]) == (None, 100, None)
    assert list(result["signatures"]) == ["chrf"]


def test_existing_translations_are_kept_unless_told(tests: list[TestSetConfig], tmp_path: Path) -> None:
    kept = tmp_path / "tsv.translated.de"
    kept.write_text("mine", encoding="utf-8")
    translator = Upper()
    with pytest.raises(UsageError, match=r"tsv\.translated\.de exists"):
        evaluated(translator, tests, tmp_path)
    assert translator.seen == [], "refused only after the work was done"
    assert kept.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "files.translated.de").exists()
    evaluated(translator, tests, tmp_path, overwrite=True)
    assert kept.read_text(encoding="utf-8") != "mine"


def test_bad_files_are_found_before_anything_is_translated(tests: list[TestSetConfig], tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("only one column\n", encoding="utf-8")
    translator = Upper()
    with pytest.raises(DataError, match=r"test\.tsv, line 1"):
        evaluated(translator, tests)
    assert translator.seen == []


def test_a_missing_tokenizer_is_found_before_anything_is_translated(
    tests: list[TestSetConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_ja_mecab.MeCab", None)
    translator = Upper()
    with pytest.raises(NMTError, match="MeCab"):
        evaluated(translator, tests, language="ja")
    assert translator.seen == []


def test_unequal_files_are_an_error_with_both_names_and_counts(tmp_path: Path) -> None:
    short, long = tmp_path / "short.de", tmp_path / "long.de"
    short.write_text("a\nb\n", encoding="utf-8")
    long.write_text("a\nb\nc\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"short\.de has 2 lines.*long\.de has 3"):
        evaluate_file(str(short), str(long), name="x", options=EvaluationConfig(), target_language="de")


def test_remarks_are_logged_with_the_test_set(
    tests: list[TestSetConfig], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="nmt"):
        evaluated(Upper(), tests[:1])
    assert "files: 1 of 3 references are blank, the first in line 2." in caplog.text


def test_the_script_of_the_references_decides_which_tokenizer_must_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.evaluation import evaluate

    make = evaluate.make_bleu

    def without_mecab(tokenizer: str, *, lowercase: bool) -> object:
        if "mecab" in tokenizer:
            raise NMTError(f"{tokenizer} is not installed")
        return make(tokenizer, lowercase=lowercase)

    monkeypatch.setattr(evaluate, "make_bleu", without_mecab)
    thai, japanese = tmp_path / "thai", tmp_path / "japanese"
    thai.write_text("สวัสดีครับ ผมชื่อสมชาย\n", encoding="utf-8")
    japanese.write_text("これは犬です。\n", encoding="utf-8")

    def evaluate_text(path: Path, language: str) -> Result:
        return evaluate_file(str(path), str(path), name="a", options=EvaluationConfig(), target_language=language)

    assert round(evaluate_text(thai, "jp").scores["bleu"].value) == 100
    assert round(evaluate_text(thai, "kr").scores["bleu"].value) == 100
    with pytest.raises(NMTError, match="ja-mecab is not installed"):
        evaluate_text(japanese, "jp")
