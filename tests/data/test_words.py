"""Words and equal texts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.words import PhraseFinder, canonical, comparable, is_word, word_units


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Don't  stop\u00a0now", ["Don", "'", "t", " ", "stop", " ", "now"]),
        ("नदी है।", ["नदी", " ", "है", "।"]),
        ("在東京 cafe\u0301", ["在", "東", "京", " ", "café"]),
        ("กำลัง", ["กำ", "ลั", "ง"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("10²", ["10²"]),
        ("", []),
    ],
)
def test_units_of_a_text(text: str, units: list[str]) -> None:
    assert word_units(text) == list(map(canonical, units))


@given(st.text(alphabet="aé\u0301ो क東가각ก\u0e33\u200d²_. \u3000", max_size=20))
def test_units_are_the_text_in_every_canonical_form(text: str) -> None:
    units = word_units(text)
    assert "".join(units).replace(" ", "") == "".join(canonical(text).split())
    assert units == word_units(unicodedata.normalize("NFD", text))
    assert comparable(text) == comparable(unicodedata.normalize("NFD", text))


@given(st.lists(st.sampled_from(["a", "ab", "क", "को", "東", ".", " "]), min_size=1, max_size=8).map("".join))
def test_every_text_is_found_in_itself_and_never_within_a_word(text: str) -> None:
    if text.strip():
        assert PhraseFinder([text]).find(text) == [text]
        if is_word(text.strip()[-1]):
            assert PhraseFinder([text]).find(text.strip() + "x") == []


@pytest.mark.parametrize("invisible", ["\u00ad", "\u200b", "\u200e", "\u200f", "\u202b", "\u2060", "\ufeff", "\ufe0f"])
@pytest.mark.parametrize(
    "text", ["The teacher e\u0301", "ខ្ញុំទៅសាលា", "שלום עולם", "کتاب\u200cها", "葛 ❤ 가각", "က\u1037\u1039"]
)
def test_lines_that_differ_only_in_invisible_characters_are_equal(text: str, invisible: str) -> None:
    for place in range(len(text) + 1):
        other = text[:place] + invisible + text[place:]
        assert comparable(other) == comparable(text)
        assert PhraseFinder([text]).find(other) == [text]


def test_joiners_between_letters_are_seen() -> None:
    assert comparable("می\u200cروم") != comparable("میروم")
    assert comparable("ක්\u200dෂ") != comparable("ක්ෂ")


def test_superscripts_and_digits_are_different() -> None:
    assert comparable("10²") != comparable("102")
