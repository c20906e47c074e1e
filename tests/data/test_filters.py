from __future__ import annotations

import pytest

from nmt.data.preprocess.filters import FilterCounts, PairFilter, make_filter


def english_german(**changes: object) -> PairFilter:
    options = {"max_words": 10, "max_ratio": 3.0, "identical": True, "source_language": "en", "target_language": "de"}
    return make_filter(**{**options, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("a dog", "ein Hund", None),
        ("tab\there", "hier\tauch", None),
        ("family: \U0001f468\u200d\U0001f469", "mit Verbinder", None),  # joiners are text
        ("\u200fשלום", "hallo", None),  # and so are marks of direction
        ("Don\u2019t\u00a0go", "Geh nicht", None),
        ("", "ein Hund", "empty"),
        ("a dog", " \t", "empty"),
        ("\u00a0\u3000", "ein Hund", "empty"),
        ("a dog", "\u200b\ufeff", "empty"),
        ("caf\udce9", "ein Hund", "wrong encoding"),
        ("a dog", "Stra\ufffde", "wrong encoding"),
        ("a\x00dog", "ein Hund", "control characters"),
        ("a dog", "ein\x85Hund", "control characters"),
        ("a dog", "ein\u2028Hund", "control characters"),
        ("a dog\r", "ein Hund", "control characters"),
        ("a dog", "ein\x7fHund", "control characters"),
        ("w " * 10, "w " * 9, None),
        ("w " * 11, "w " * 10, "too long"),
        ("w " * 9, "w " * 11, "too long"),
        ("w" * 1000, "w", None),
        ("w" * 1001, "w", "too long"),
        ("one two three", "eins", None),
        ("one two three four", "eins", "length ratio"),
        ("one", "eins zwei drei vier", "length ratio"),
        ("same  text ", " same text", "identical sides"),
        ("Same text", "same text", None),
    ],
)
def test_each_reason(source: str, target: str, reason: str | None) -> None:
    assert english_german().reject(source, target) == reason


def test_canonically_equal_sides_are_identical() -> None:
    assert english_german().reject("caf\u00e9 one", "cafe\u0301  one") == "identical sides"


def test_identical_sides_can_be_kept() -> None:
    assert english_german(identical=False).reject("same", "same") is None


def test_words_do_not_limit_languages_without_spaces() -> None:
    reject = english_german(source_language="zh-CN", target_language="en").reject
    assert reject("字" * 40, "w" * 30) is None
    assert reject("字" * 41, "w" * 30) == "too long"
    assert reject("字" * 20, "one two three") is None  # 20 characters to 11
    assert reject("字" * 4, "one two three four") == "length ratio"  # 4 characters to 15
    assert reject("字 字 字", "three cha") is None  # spaces do not count


def test_both_sides_are_counted_in_characters_for_the_ratio_if_one_has_no_spaces() -> None:
    reject = english_german(source_language="en", target_language="ja").reject
    assert reject("a", "日日日") is None
    assert reject("a", "日日日日") == "length ratio"


def test_tally_counts_and_shortens() -> None:
    tally = FilterCounts(max_examples=2, max_characters=8)
    for line in (3, 5, 9):
        tally.add("too long", line, "word " * 10, "w\udce9\x00")
    tally.add("empty", 7, "", "x")
    assert [(reason, count) for reason, count, _ in tally.facts()] == [("too long", 3), ("empty", 1)]
    (_, _, examples), _ = tally.facts()
    assert [example.line for example in examples] == [3, 5]
    assert examples[0].source == "word wo…"
    assert examples[0].target == "w\\udce9\\x00"
