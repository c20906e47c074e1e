"""Cleaning lines and splitting them into segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.tokenizer import SubwordModel
from nmt.inference.segmentation import clean, one_line, sentence_separator, split_long


@pytest.mark.parametrize(
    "line", ["", " ", "\t ", "\u00a0", "\u3000\u2003", "\u200b\u200d\ufeff", "\x00\x07", "\u2028", "\r"]
)
def test_a_line_without_visible_text_is_blank(line: str) -> None:
    assert clean(line) == ""


@pytest.mark.parametrize("line", ["a", "😀", "👩‍👧", ".", "می‌روم", "\ue000"])
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert clean(line) == line


def test_control_characters_are_spaces() -> None:
    assert clean("a\x00b\tc\u2028d\r\ne\x85f") == "a b c d e f"


@given(st.text())
def test_a_translation_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert one_line(one_line(text)) == one_line(text)


class Vocabulary:
    """The pieces of a target model."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces
        self.size = len(pieces)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [self._pieces[number] for number in ids]


def separator(code: str, *pieces: str) -> str:
    return sentence_separator(code, cast(SubwordModel, Vocabulary(*pieces)))


@pytest.mark.parametrize(
    "code", ["zh", "zho", "cmn", "zh-Hant", "ZH_cn", "ja", "jpn", "th", "tha", "km", "khm", "my", "lo"]
)
def test_no_space_between_sentences_of_scripts_without_spaces(code: str) -> None:
    assert separator(code) == ""


@pytest.mark.parametrize("code", ["de", "deu", "ko", "kor", "bo", "vi", "thx"])
def test_a_space_between_sentences_of_other_scripts(code: str) -> None:
    assert separator(code) == " "


def test_the_vocabulary_decides_for_a_code_that_is_not_in_the_table() -> None:
    assert separator("xyz", "▁the", "▁cat") == " "
    assert separator("xyz", "▁ខ្ញុំ", "បាយ") == ""
    assert separator("de", "▁ខ្ញុំ", "បាយ") == " "


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def test_lines_are_split_after_sentences_first() -> None:
    text = 'One two, three four. "Five six!" Seven eight? Nine, ten.'
    assert split_long(text, max_pieces=6, count_pieces=words) == [
        'One two, three four. "Five six!"',
        "Seven eight? Nine, ten.",
    ]


def test_then_after_clauses_after_words_or_anywhere() -> None:
    assert split_long("One two, three four five six.", max_pieces=4, count_pieces=words) == [
        "One two,",
        "three four five six.",
    ]
    assert split_long("One two three four five.", max_pieces=2, count_pieces=words) == [
        "One two",
        "three four",
        "five.",
    ]
    assert split_long("abcdefgh", max_pieces=3, count_pieces=characters) == ["ab", "cd", "ef", "gh"]


def test_numbers_do_not_end_sentences() -> None:
    assert split_long("It costs 10.500 euros today and more", max_pieces=4, count_pieces=words) == [
        "It costs 10.500 euros",
        "today and more",
    ]


def test_chinese_sentences_need_no_space() -> None:
    assert split_long("今天天气好。我们去吧！好的，走", max_pieces=8, count_pieces=characters) == [
        "今天天气好。",
        "我们去吧！",
        "好的，走",
    ]


@given(st.text(min_size=1, max_size=300), st.integers(1, 40))
def test_segments_are_short_enough_and_lose_nothing(text: str, longest: int) -> None:
    parts = split_long(text, max_pieces=longest, count_pieces=characters)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < len(part) <= longest for part in parts)


@given(st.text(alphabet="ab ,.。!\u00a0", max_size=60), st.integers(1, 8))
def test_segments_are_short_enough_if_spaces_have_no_pieces(text: str, longest: int) -> None:
    def letters(texts: Sequence[str]) -> list[int]:
        return [len("".join(one.split())) for one in texts]

    parts = split_long(text, max_pieces=longest, count_pieces=letters)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < letters([part])[0] <= longest for part in parts)
