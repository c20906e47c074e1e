"""Remarks about doubtful scores: made where there is reason to, and only there."""

from __future__ import annotations

import pytest

from nmt.evaluation.evaluate import sanity_warnings
from nmt.metrics.corpus import score

PLAIN = ["Ein Mann, der liest.", "Zwei Hunde spielen.", "Es kostet 3,50 Euro.", "C'est bien !", "Ja? Nein: vielleicht."]


def remarks(hypotheses: list[str], references: list[str]) -> str:
    scores = score(
        hypotheses, references, metrics=["bleu"], bleu_tokenizer="auto", lowercase=False, target_language="de"
    )
    return "\n".join(sanity_warnings(hypotheses, references, scores))


def test_nothing_to_say_about_plain_text() -> None:
    assert remarks(PLAIN, PLAIN) == ""


@pytest.mark.parametrize(
    "line", ["Ein Mann , der liest .", "l &apos;homme", "ein @-@ mal", "Hun@@ de spielen", "▁Ein ▁Mann"]
)
def test_tokenised_text_is_noticed_on_either_side(line: str) -> None:
    assert "5 of 5 hypotheses look tokenized" in remarks([line] * 4 + [f"{line} "], PLAIN)
    assert "5 of 5 references look tokenized" in remarks(PLAIN, [line] * 5)


def test_one_odd_line_among_many_is_no_reason() -> None:
    assert remarks([*PLAIN, "Ein Haus ."] * 2, [*PLAIN, "Ein Haus ."] * 2) == ""


def test_short_and_long_translations_are_noticed() -> None:
    assert "brevity penalty" in remarks(["Ein Mann", *PLAIN[1:]], [PLAIN[0] * 4, *PLAIN[1:]])
    assert "may contain repetitions" in remarks([PLAIN[0] * 4, *PLAIN[1:]], PLAIN)


def test_blank_lines_are_counted_and_the_first_is_named() -> None:
    found = remarks(["", *PLAIN[1:4], " "], ["Ja.", "", *PLAIN[2:4], ""])
    assert "2 of 5 references are blank, the first in line 2." in found
    assert "1 of 5 hypotheses are blank, the first in line 1." in found


def test_the_same_translation_for_everything_is_noticed() -> None:
    assert "All 5 hypotheses are equal." in remarks(["Ich weiß nicht."] * 5, PLAIN)
    assert "the same" not in remarks(["Ja."] * 5, ["Ja."] * 5)
