"""The protocols raw and moses: the published preparation of Multi30k has a known reference length."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cli_tools import assert_explained, nmt
from nmt.data.lines import read_lines
from nmt.evaluation.protocols import score_raw, score_tokenised, tokenise

MULTI30K = Path(__file__).parents[2].parent / "shared" / "data" / "multi30k"


def test_words_are_cut_as_moses_cuts_them() -> None:
    cut = tokenise(["„Das ist gut“, sagt Dr. Groß – 3,50 €!"], language="de")
    assert cut == ["&quot; das ist gut &quot; , sagt dr. groß - 3,50 € !"]


@pytest.mark.skipif(not MULTI30K.exists(), reason="needs ../shared/data/multi30k")
@pytest.mark.parametrize(("language", "length"), [("de", 12103), ("en", 12968)])
def test_reference_length_of_multi30k(language: str, length: int) -> None:
    lines = list(read_lines(MULTI30K / f"test_2016_flickr.{language}", keep_broken=False))
    result = score_tokenised(lines, lines, language=language)
    assert result.reference_length == length
    assert result.bleu == pytest.approx(100)


def test_case_and_quotes_count_for_raw_alone() -> None:
    reference, hypothesis = ["„Der Hund“ schläft im Haus."], ['"der hund" schläft im haus.']
    assert score_tokenised(hypothesis, reference, language="de").bleu == pytest.approx(100)
    assert score_raw(hypothesis, reference).bleu < 50


def test_the_command_scores_by_both(tmp_path: Path) -> None:
    file = tmp_path / "x.de"
    file.write_text("Ein Mann liest ein Buch.\n", encoding="utf-8")
    arguments = ("evaluate", "--hypothesis", str(file), "--reference", str(file))
    shown = nmt(*arguments, "--protocol", "raw", "--protocol", "moses")
    assert shown.code == 0, shown.stderr
    assert "  raw   BLEU 100.00" in shown.stdout
    assert "  moses BLEU 100.00" in shown.stdout
    (found,) = json.loads(nmt(*arguments, "--protocol", "moses", "--json").stdout)
    assert list(found["protocols"]) == ["moses"]
    assert found["protocols"]["moses"]["reference_length"] == 6
    assert "tok:none" in found["protocols"]["moses"]["signature"]
    assert "protocols" not in json.loads(nmt(*arguments, "--json").stdout)[0]


def test_a_missing_package_is_reported_before_the_translation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    arguments = ("--hypothesis", "nowhere", "--reference", "nowhere", "--target-language", "de")
    assert_explained(nmt("evaluate", *arguments, "--protocol", "moses"), "requires the package sacremoses")
