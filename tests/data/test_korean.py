"""Korean: spacing and endings are left alone, and both canonical forms are one text."""

from __future__ import annotations

import unicodedata

import pytest

from nmt.data.languages import find_language
from nmt.data.words import PhraseFinder, comparable
from nmt.inference.protected_items import find_protected
from nmt.inference.segmentation import split_sentences

POLITE = "선생님께서 책을 읽으셨습니다. 할머니께서는 2023. 5. 1. 서울에 오셨어요."


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_terms_are_found_before_particles_and_endings_in_both_forms(form: str) -> None:
    text = unicodedata.normalize(form, POLITE)
    assert PhraseFinder(["선생님", "책", "할머니", "서울"]).find(text) == ["선생님", "책", "할머니", "서울"]
    assert comparable(text) == comparable(POLITE)


def test_spacing_and_honorific_endings_distinguish_texts() -> None:
    assert comparable("읽으셨습니다") != comparable("읽었습니다")
    assert comparable("할 수 있다") != comparable("할수있다")


def test_sentences_end_after_endings_but_not_within_dates() -> None:
    assert split_sentences(POLITE) == ["선생님께서 책을 읽으셨습니다.", "할머니께서는 2023. 5. 1. 서울에 오셨어요."]


def test_items_end_before_particles() -> None:
    text = "%s에게 {name}님의 https://example.com/a에서 help@example.com으로"
    assert [item.text for item in find_protected(text)] == ["%s", "{name}", "https://example.com/a", "help@example.com"]


def test_lengths_are_counted_in_characters() -> None:
    assert find_language("ko").unit == "characters"
    assert find_language("ko").separator == " "
