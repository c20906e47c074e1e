"""Tags, placeholders and addresses are found whole and alone, beside letters of any script."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.inference.placeholders import PieceTranslation, mask, restore
from nmt.inference.protected_items import PROTECTED, SIGNS, find_protected
from tiny_translator import tiny_subword_model, tiny_translator

FORMATS = {
    "printf": ["%s", "%d%%", "%-5.2lf"],
    "printf, length": ["%lu", "%zu", "%c"],
    "printf, position": ["%1$s", "%2$d"],
    "Python": ["%(name)s", "{0!r:>5}"],
    "f-string": ["{name}", "{price:.{digits}f}"],
    "Qt": ["%1", "%L2", "%n"],
    "ICU": ["{count, plural, one {{n} book} other {# books}}"],
    "template": ["{{ limit }}", "${name}", "__app_name__"],
    "HTML": ["<b>", "</b>", '<a title="a > b" href="x">', "</a>", "&nbsp;"],
    "numbered tag": ["<0>", "</0>", "<1/>"],
    "escaped tag": ["&lt;b&gt;", "&lt;/b&gt;"],
    "e-mail": ["info@example.com"],
    "emoji": ["😀", "👩🏽\u200d🚀", "❤\ufe0f", "🇩🇪", "1\ufe0f\u20e3", "🏴\U000e0067\U000e0062\U000e0073\U000e007f👍🏽"],
    "access key in brackets": ["(&F)", "(_O)"],
    "URL": ["https://example.com/a_(b)?c=d", "www.example.com"],
}
SCRIPTS = {
    "Latin": ("Book ", " door ", ". "),
    "Han": ("共有", "个文件", "。"),
    "Kana": ("ページ", "から", "。"),
    "Hangul": ("파일", "으로", ". "),
    "Thai": ("แฟ้ม", "ครับ", " "),
    "Cyrillic": ("Файл", "открыт", ". "),
    "Devanagari": ("फ़ाइल", "में", "। "),
    "Arabic": ("ملف", "إلى", ". "),
}
CELLS = [(form, script) for form in FORMATS for script in SCRIPTS]


def text_of(form: str, script: str) -> str:
    """Two sentences, in which each item of a format touches letters of a script."""
    before, after, end = SCRIPTS[script]
    sentence = before + after.join(FORMATS[form]) + after
    return sentence + end + sentence


@pytest.mark.parametrize(("form", "script"), CELLS)
def test_items_beside_any_script_are_found_whole_and_alone(form: str, script: str) -> None:
    text = text_of(form, script)
    items = find_protected(text)
    assert [item.text for item in items] == FORMATS[form] * 2
    assert all(text.startswith(item.text, item.start) for item in items)


@pytest.mark.parametrize("split", [False, True])
def test_no_item_is_lost_or_doubled_beside_any_script(split: bool) -> None:
    translator = tiny_translator(max_source_pieces=None, protect=True, split_sentences=split, beam_size=1)
    for cell, translation in zip(CELLS, translator.translate([text_of(*cell) for cell in CELLS]), strict=True):
        items = FORMATS[cell[0]]
        assert sorted(item.text for item in find_protected(translation.text)) == sorted(items * 2), cell
        assert len(translation.source_segments) == (2 if split and cell[1] != "Thai" else 1), cell


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("%s%d %1%2 and %1 %2", ["%s", "%d", "%1", "%2", "%1", "%2"]),
        ("100% der 50%s 100%sicher 50 % c", []),
        ("%dms, %.2fs and %dx%d", ["%d", "%.2f", "%d", "%d"]),
        ("%Y-%m-%d %name% %@ %<PRIu64> 5%%", ["%Y", "%m", "%d", "%name%", "%@", "%<PRIu64>", "%%"]),
        ("{ name } { $name } {a + 1} {a b} {}", ["{ name }", "{ $name }", "{a + 1}", "{}"]),
        ("{n, select, a {'{' {x}} other {}} {count, plural, one {}", ["{n, select, a {'{' {x}} other {}}", "{}"]),
        ("&amp;lt;b&amp;gt; &quot;https://x.y/z&quot;", ["&amp;lt;b&amp;gt;", "&quot;", "https://x.y/z", "&quot;"]),
        ("см. https://ru.wikipedia.org/wiki/Москва_(город), да", ["https://ru.wikipedia.org/wiki/Москва_(город)"]),
        ("https://почта.рф/x http://例え.jp/", ["https://почта.рф/x", "http://例え.jp/"]),
        ("(https://de.wikipedia.org/wiki/Köln).", ["https://de.wikipedia.org/wiki/Köln"]),
        ("[本](https://ja.wikipedia.org/wiki/日本)的", ["https://ja.wikipedia.org/wiki/日本"]),
        ("https://ja.wikipedia.org/wiki/日本語。", ["https://ja.wikipedia.org/wiki/日本語"]),
        ("请访问https://example.com/阅读更多 [信息]", ["https://example.com/"]),
        ("访问https://example.com/a/查看。", ["https://example.com/a/"]),
        ("ที่https://example.com/a/ตอนนี้เลิกแล้ว)", ["https://example.com/a/"]),
        ("почта@пример.рф müller@example.de x@y", ["почта@пример.рф", "müller@example.de"]),
        ("http:// and https://) are schemes", []),
    ],
)
def test_borders_of_items(text: str, items: list[str]) -> None:
    assert [item.text for item in find_protected(text)] == items


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Hello :name, you have :count messages", [":name", ":count"]),
        ("(:attribute) <b>:Value</b> ':user_id' :arg1.", [":attribute", "<b>", ":Value", "</b>", ":user_id", ":arg1"]),
        ("共有 :count个文件 :size。", [":count", ":size"]),
        ("That is great :smile: :+1:", [":smile:", ":+1:"]),
        ("At 10:30, Lehrer:innen said :this and :p or :-) to std::name, 1:count a:b 名称:name", []),
        ("Le chat :il dort. Note :This is it ::name", []),
        ("© 2020 ™ → 4 * 3 # 5 ① 中", []),
        ("♥ ☎ ✓ ♪ ®\ufe0f", ["♥", "☎", "✓", "♪", "®\ufe0f"]),
    ],
)
def test_names_after_a_colon_and_pictures(text: str, items: list[str]) -> None:
    assert [item.text for item in find_protected(text)] == items


@pytest.mark.parametrize(
    ("label", "key", "plain"),
    [
        ("&File", "&", "File"),
        ("_File", "_", "File"),
        ("Save &As...", "&", "Save As..."),
        ("E&xit", "&", "Exit"),
        ("Prin&t", "&", "Print"),
        ("В&ыход", "&", "Выход"),
        ("_Open %(file_name)s", "_", "Open"),
        ("&Open &lt;b&gt;", "&", "Open"),
        ("„&Datei“ öffnen", "&", "„Datei“ öffnen"),
    ],
)
def test_the_mark_of_an_access_key_is_masked(label: str, key: str, plain: str) -> None:
    assert [item.text for item in find_protected(label) if item.kind == "access key"] == [key]
    assert mask(label, ["<p1>", "<p2>"]).text.removesuffix(" <p1>").removesuffix("<p1>") == plain


@pytest.mark.parametrize(
    "text",
    [
        "R&D, AT&T, Q&A, H&M and S&P 500",
        "cut&paste and drag&drop, rock & roll",
        "a_b file_name _emphasis_ __init__ x&y r&b",
        "Tom &Jerry and R&D",
        "&File &Edit",
        "&&File and 5 & 6",
        "Name: ____ &",
        "the _private name of a long text, " + "which is certainly not the label of a program " * 3,
    ],
)
def test_ordinary_text_has_no_access_key(text: str) -> None:
    assert [item for item in find_protected(text) if item.kind == "access key"] == []


def test_every_label_keeps_its_access_key() -> None:
    labels = ["&the house", "the _red house.", "ho&use", "the man sees a &dog (or not)...", "<b>&the</b> dog"]
    for translation in tiny_translator(protect=True, beam_size=1).translate(labels):
        mark = "_" if "_" in translation.source else "&"
        assert translation.text.count(mark) == 1
        place = translation.text.index(mark)
        if any(map(str.isalpha, translation.text)):
            assert translation.text[place + 1].isalpha(), translation.text
            assert place == 0 or not translation.text[place - 1].isalnum(), translation.text


@pytest.mark.parametrize(
    ("label", "spaces", "expected"),
    [
        ("&red house", True, "&house red"),
        ("red _house", True, "_house red"),
        ("&red house", False, "house red(&R)"),
        ("red _house.", False, "house red(_H)."),
    ],
)
def test_the_mark_goes_before_the_translated_word_or_behind_the_label(label: str, spaces: bool, expected: str) -> None:
    """The translation has its two words in the other order."""
    model = tiny_subword_model()
    masked = mask(label, [])
    source, ids = model.encode([masked.text, re.sub(r"[&_]|\(.*\)", "", expected)])
    weights = np.zeros((len(ids), len(source)), np.float32)  # [T, S]
    weights[np.arange(len(ids)), np.arange(len(ids))[::-1] * len(source) // len(ids)] = 1
    target = PieceTranslation(model.pieces(source), ids, weights)
    assert restore(masked.text, masked.spans, target, model, spaces=spaces) == expected


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(
        st.characters(exclude_categories=["Cs"]) | st.sampled_from("w.%&:<@_{$*#0\u200d\ufe0f\u20e3"), max_size=60
    )
)
def test_a_text_without_signs_has_no_items(text: str) -> None:
    for plain in (SIGNS.sub("", text), SIGNS.sub(" ", text)):
        if SIGNS.search(plain) is None:
            assert re.search(PROTECTED, plain) is None


def test_each_kind_of_item_has_a_sign() -> None:
    numbers = (*range(0x3400), *range(0xFE00, 0xFF00), *range(0x1F000, 0x1FB00), *range(0xE0000, 0xE0080))
    plain = "".join(character for character in map(chr, numbers) if SIGNS.search(character) is None)
    for text in (plain, " ".join(plain), "\ufe0f".join(plain)):
        assert re.search(PROTECTED, text) is None
    assert all(SIGNS.search(item) for items in FORMATS.values() for item in items)
