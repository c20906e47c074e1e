"""The lessons are notebooks that run: every cell, and the hidden answers too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from cli_tools import ROOT
from notebooks import lessons, notebook

PAGES = pytest.mark.parametrize("page", lessons(), ids=lambda page: str(page.relative_to(ROOT)))
ANSWER = re.compile(r"<details markdown>\n<summary>.*?</summary>\n(.*?)</details>", flags=re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
QUICK = "UPDATES = 3"


def run(page: Path, *, quickly: bool) -> dict[str, Any]:
    """Run the cells of a lesson, then its answers; return the variables. An equation that differs fails."""
    book = notebook(page)
    cells = [cell.source for cell in book.cells if cell.cell_type == "code"]
    answers = [CODE.findall(answer)[0] for answer in ANSWER.findall(page.read_text("utf-8"))]
    variables: dict[str, Any] = {}
    for number, code in enumerate([*cells, *answers]):
        text = re.sub(r"^UPDATES = \d+", QUICK, code, flags=re.MULTILINE) if quickly else code
        exec(compile(text, f"{page.name}, cell {number}", "exec"), variables)
    return variables


@PAGES
def test_the_notebook_is_that_of_the_page(page: Path) -> None:
    text = page.with_suffix(".ipynb").read_text("utf-8")
    assert text == nbformat.writes(notebook(page), version=4) + "\n", "run: python scripts/lib/notebooks.py"
    nbformat.validate(nbformat.reads(text, as_version=4))
    assert '"outputs": []' in text


@PAGES
def test_the_answers_are_hidden_and_no_cells(page: Path) -> None:
    answers = ANSWER.findall(page.read_text("utf-8"))
    assert len(answers) == 4
    for cell in notebook(page).cells:
        assert "<details" not in cell.source or cell.cell_type == "markdown"
        assert cell.source.count("<details") == cell.source.count("</details>") <= 1
        assert "#region" not in cell.source


@PAGES
def test_every_cell_runs_and_every_equation_is_that_of_the_library(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(page, quickly=True)
    assert capsys.readouterr().out.count("equal, shape") == 8


@PAGES
def test_it_has_the_code_of_the_first_lesson(page: Path) -> None:
    first = ROOT / "docs" / "concepts" / "lesson.md"
    code, expected = (CODE.findall(re.sub(r"#.*", "", one.read_text("utf-8"))) for one in (page, first))
    strings = re.compile(r"\"[^\"\n]*\"")
    assert [strings.sub("", one) for one in code] == [strings.sub("", one) for one in expected]


@pytest.mark.slow  # trains seven models for seconds
def test_the_models_do_what_the_lesson_says(capsys: pytest.CaptureFixture[str]) -> None:
    variables = run(ROOT / "docs" / "concepts" / "lesson.md", quickly=False)
    rnn, lstm, attention = (variables["accuracy"](variables["models"][name]) for name in ("RNN", "LSTM", "attention"))
    lengths = variables["LENGTHS"]
    eight, sixteen = lengths.index(8), lengths.index(16)
    assert rnn[eight] < lstm[eight] < attention[eight]
    assert lstm[sixteen] < 70 < 95 < attention[sixteen]
