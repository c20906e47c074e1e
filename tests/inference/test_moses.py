"""Bars in Moses n-best lists: whatever a text is, it stands in its field, and comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.inference.output.formats import Layout, format_translation
from nmt.inference.output.moses import escape_bars, restore_bars
from nmt.inference.results import Hypothesis, Translation
from nmt.inference.segmentation import one_line

BARS = st.lists(st.sampled_from(["|", "&", "#124;", "amp;", "&amp;", "&#124;", " ", "a", ";", "#"]), max_size=12)
TEXTS = st.text() | BARS.map("".join)


@given(TEXTS)
@example("|||")
@example("&#124;")
@example("&amp;#124;||||&&#124;")
def test_every_text_is_restored(text: str) -> None:
    assert "|||" not in escape_bars(text)
    assert restore_bars(escape_bars(text)) == text


@given(TEXTS, TEXTS)
def test_different_texts_are_written_differently(one: str, other: str) -> None:
    assert (escape_bars(one) == escape_bars(other)) == (one == other)


@pytest.mark.parametrize("text", ["a | b", "a || b", "", "&amp; &lt;", "Der Hund schläft."])
def test_texts_without_three_bars_stay_as_they_are(text: str) -> None:
    assert escape_bars(text) == text


def test_bars_are_written_as_moses_does_and_single_ones_of_other_tools_are_read() -> None:
    assert escape_bars("a ||| b") == "a &#124;&#124;&#124; b"
    assert restore_bars("a &#124; b") == "a | b"


@given(TEXTS.map(one_line))
def test_a_line_of_a_list_has_its_fields_for_any_text(text: str) -> None:
    hypothesis = Hypothesis(text, [5], ["a"], -0.5, -1.0, [-0.25, -0.75], True)
    line = format_translation(Translation(text, [hypothesis], line=7), Layout("moses", None), None, None)  # type: ignore[arg-type]
    number, written, features, score = line.removesuffix("\n").split(" ||| ")
    assert (number, features, score) == ("6", "logprob= -1.000000 length= 2", "-0.500000")
    assert restore_bars(written) == text
