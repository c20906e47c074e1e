"""The translations that results rest on are kept in docs/results/translations: their scores are what its table says."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from cli_tools import ROOT
from nmt.data.lines import read_lines
from nmt.evaluation.protocols import score_raw, score_tokenised
from nmt.metrics.corpus import score

FOLDER = ROOT / "docs" / "results" / "translations"
MULTI30K = ROOT.parent / "shared" / "data" / "multi30k"


class Row(NamedTuple):
    """A line of the table: a file, and what it scores."""

    file: str
    bleu: str
    tokenised: str
    chrf: str


ROWS = [
    Row(*found)
    for found in re.findall(
        r"^\| \[`(\S+)`\]\(\1\) \|.*\| (\d+\.\d\d) \| (\d+\.\d\d) \| (\d+\.\d\d) \|$",
        (FOLDER / "README.md").read_text("utf-8"),
        flags=re.MULTILINE,
    )
]


def test_the_table_has_every_file_once() -> None:
    assert sorted(row.file for row in ROWS) == sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".md")


@pytest.mark.skipif(not MULTI30K.exists(), reason="needs ../shared/data/multi30k")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_a_file_scores_what_the_table_says(row: Row) -> None:
    hypotheses = list(read_lines(FOLDER / row.file, keep_broken=False))
    language = row.file.rpartition(".")[2]
    references = list(read_lines(MULTI30K / f"test_2016_flickr.{language}", keep_broken=False))
    chrf = score(
        hypotheses, references, metrics=["chrf"], bleu_tokenizer="auto", lowercase=False, target_language=language
    )["chrf"]
    found = Row(
        row.file,
        f"{score_raw(hypotheses, references).bleu:.2f}",
        f"{score_tokenised(hypotheses, references, language=language).bleu:.2f}",
        f"{chrf.value:.2f}",
    )
    assert found == row
