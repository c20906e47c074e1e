"""The table of languages: codes, scripts, and the facts that follow from them in every room."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from nmt.config.conflicts import LANGUAGE
from nmt.data.languages import (
    LANGUAGES,
    MISTAKES,
    Language,
    are_same_pair,
    canonical_code,
    counts_characters,
    detect_script,
    find_language,
    shown_code,
    with_detected_script,
)
from nmt.data.preprocess.filters import make_filter
from nmt.data.writing_systems import SCRIPT_BY_CODE, SCRIPTS
from nmt.metrics.corpus import resolve_tokenizer

KHMER = "ខ្ញុំញ៉ាំបាយនៅផ្ទះ"


def test_the_table_has_each_code_once() -> None:
    counts = Counter(code for row in LANGUAGES for code in {row.code, row.alpha3, *row.aliases})
    assert [code for code, count in counts.items() if count > 1] == []
    assert len({row.name for row in LANGUAGES}) == len(LANGUAGES) >= 120


@pytest.mark.parametrize("row", LANGUAGES, ids=lambda row: row.code)
def test_a_row_is_found_by_each_of_its_codes(row: Language) -> None:
    assert re.fullmatch("[a-z]{3}", row.alpha3)
    assert row.code == row.alpha3 or re.fullmatch("[a-z]{2}", row.code)
    assert row.script in SCRIPT_BY_CODE
    for code in (row.code, row.alpha3, *row.aliases):
        assert LANGUAGE.match(code), "the configuration accepts it"
        assert find_language(code) == find_language(code.upper()) == find_language(f"{code}-ZZ") == row
    if len(row.name) > 3:  # shorter names such as Ga are codes of other languages
        assert find_language(row.name.upper()) == row


@pytest.mark.parametrize(
    ("code", "canonical"),
    [
        ("ENG", "en"),
        ("TI", "ti"),
        ("pt_br", "pt-BR"),
        ("CMN-hant-tw", "zh-Hant-TW"),
        ("XX", "xx"),
        ("es-419", "es-419"),
    ],
)
def test_codes_in_any_spelling_are_shown_as_usual(code: str, canonical: str) -> None:
    assert canonical_code(code) == canonical_code(canonical) == canonical
    assert shown_code(canonical) == canonical
    assert (shown_code(code) == code) == (code == canonical)
    assert are_same_pair((code, "DEU"), (canonical, "de"))
    assert not are_same_pair((code, "de"), ("de", canonical))


def test_facts_follow_from_the_script_and_not_from_the_code() -> None:
    facts = {(row.script, row.spaced, row.unit, row.separator, row.bleu_tokenizer) for row in LANGUAGES}
    assert len(facts) == len({row.script for row in LANGUAGES})
    for row in LANGUAGES:
        assert row.spaced or row.by_character
        assert (row.bleu_tokenizer == "13a") <= row.spaced


@pytest.mark.parametrize(
    "codes", [("zh", "zho", "chi", "cmn"), ("ja", "jpn"), ("ko", "kor"), ("th", "tha"), ("km", "khm")]
)
def test_every_room_treats_all_codes_of_a_language_alike(codes: tuple[str, ...]) -> None:
    filters = [
        make_filter(max_words=5, max_ratio=2, identical=True, source_language=code, target_language="en")
        for code in codes
    ]
    assert filters.count(filters[0]) == len(codes)
    assert filters[0].source_by_character
    assert len({resolve_tokenizer("auto", code) for code in codes}) == 1
    assert len({find_language(code).separator for code in codes}) == 1


def test_a_script_in_the_code_replaces_that_of_the_table() -> None:
    assert find_language("zh").script == "Hans"
    assert find_language("zh-Hant-TW").script == "Hant"
    assert find_language("zh_TW") == find_language("zh")
    pinyin = find_language("zh_latn")
    assert (pinyin.code, pinyin.spaced, pinyin.unit, pinyin.bleu_tokenizer) == ("zh", True, "words", "13a")
    assert find_language("sr-Latn").script == "Latn"
    assert find_language("pt_BR") == find_language("pt")
    assert find_language("de-Qaaa").spaced, "a script that is not in the table counts as one with spaces"


@pytest.mark.parametrize("code", MISTAKES)
def test_country_codes_are_understood_and_noted(code: str) -> None:
    found = find_language(code)
    assert (found.code, found.mistake) == (MISTAKES[code], code)
    assert found.alpha3 == find_language(MISTAKES[code]).alpha3
    assert find_language(MISTAKES[code]).mistake is None


def test_the_text_decides_for_a_code_that_is_not_in_the_table() -> None:
    unknown = find_language("xyz")
    assert (unknown.code, unknown.alpha3, unknown.unit, unknown.bleu_tokenizer) == ("xyz", "", "words", "13a")
    khmer = find_language("xyz", [KHMER])
    assert (khmer.script, khmer.unit, khmer.separator, khmer.bleu_tokenizer) == ("Khmr", "characters", "", "char")
    assert find_language("xyz-Thai", [KHMER]).script == "Thai"
    assert find_language("de", [KHMER]).script == "Latn", "the code of a known language comes first"
    assert find_language("xyz", ["123", ""]) == unknown


def test_a_code_can_carry_the_detected_script() -> None:
    assert with_detected_script("xyz", [KHMER]) == "xyz-Khmr"
    assert find_language(with_detected_script("xyz", [KHMER])) == find_language("xyz-Khmr")
    for code in ("zh-Hant", "km", "th", "xyz-Thai", "de-Latn"):
        assert with_detected_script(code, [KHMER]) == code
    assert with_detected_script("de", [KHMER]) == "de-Khmr", "words without spaces cannot be counted"
    assert with_detected_script("de", ["Straße"]) == with_detected_script("de", ["ελληνικά"]) == "de"
    assert with_detected_script("gan", [KHMER]) == "gan-Khmr", "nor by the tokenizer of Chinese"
    assert with_detected_script("cn", ["一个男人"]) == "cn"
    assert with_detected_script("ja", ["一个男人"]) == "ja"
    assert with_detected_script("km", ["Latin text"]) == "km"


def test_lengths_are_counted_by_the_text() -> None:
    assert counts_characters("en", [KHMER])
    assert counts_characters("en", ["wordswithoutanyspacesbetweenthematall" * 3])
    assert not counts_characters("en", ["words with spaces"])
    assert counts_characters("km", [])
    assert not counts_characters("en", [])
    assert with_detected_script("xyz", ["?"]) == "xyz"


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("The cat", "Latn"),
        ("Кошка спит", "Cyrl"),
        ("私は猫が好きです", "Jpan"),
        ("我喜歡貓", "Hani"),
        ("나는 고양이를 좋아한다", "Hang"),
        ("القط نائم", "Arab"),
        ("ང་ཁྱིམ་ལ་ཟས་ཟ", "Tibt"),
        ("123 !?", "Zyyy"),
        ("", "Zyyy"),
        ("\udcff\udcfe", "Zyyy"),
    ],
)
def test_scripts_are_detected(text: str, script: str) -> None:
    assert detect_script([text]) == script


def test_the_language_of_a_script_is_written_in_it() -> None:
    for script in SCRIPTS:
        if script.language is not None:
            found = find_language(f"{script.language}-{script.code}")
            assert found.alpha3, "it is in the table"
            assert found.bleu_tokenizer == find_language("xyz-" + script.code).bleu_tokenizer
