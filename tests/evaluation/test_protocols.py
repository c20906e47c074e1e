"""Protocols S and L: the published preparation of Multi30k, told by its reference length."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt.data.lines import read_lines
from nmt.evaluation.protocols import main, score_raw, score_tokenised, tokenise

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


def test_case_and_quotes_count_for_s_alone() -> None:
    reference, hypothesis = ["„Der Hund“ schläft im Haus."], ['"der hund" schläft im haus.']
    assert score_tokenised(hypothesis, reference, language="de").bleu == pytest.approx(100)
    assert score_raw(hypothesis, reference).bleu < 50


def test_the_command_prints_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.de"
    file.write_text("Ein Mann liest ein Buch.\n", encoding="utf-8")
    assert main([str(file), str(file), "--language", "de"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("S  100.00  raw, cased")
    assert "\nL  100.00  lowercased" in printed
    assert "tok:13a" in printed
    assert "tok:none" in printed


def test_unequal_files_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").write_text("a\n", encoding="utf-8")
    (tmp_path / "two").write_text("a\nb\n", encoding="utf-8")
    assert main([str(tmp_path / "one"), str(tmp_path / "two"), "--language", "de"]) == 1
    assert f"{tmp_path / 'one'} has 1 line, but {tmp_path / 'two'} has 2." in capsys.readouterr().err
