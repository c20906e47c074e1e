"""The search for fonts that cover a text."""

from __future__ import annotations

import logging
import warnings

import pytest
from matplotlib import font_manager
from matplotlib.font_manager import fontManager

from nmt.plots.fonts import BASE_FAMILY, Fonts, script_of
from nmt.plots.heatmap import draw_heatmap
from small_maps import small_map


def without_fonts_for(character: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only fonts that lack a character."""
    kept = [
        font for font in fontManager.ttflist if ord(character) not in font_manager.get_font(font.fname).get_charmap()
    ]
    monkeypatch.setattr(fontManager, "ttflist", kept)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)


@pytest.mark.parametrize(("character", "script"), [("한", "Korean"), ("語", "Chinese characters"), ("ก", "Thai")])
def test_a_script_without_fonts_is_named_once(
    character: str, script: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_fonts_for(character, monkeypatch)
    fonts = Fonts()
    for _ in range(2):
        assert fonts.families([f"a{character}"], format="png") == [BASE_FAMILY]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.text.count(f"{script}: no installed font has {character}") == 1
    assert "Noto Sans" in caplog.text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_heatmap(small_map(character), families=[BASE_FAMILY], title="", format="png")


def test_without_a_font_the_text_of_an_svg_is_left_to_the_viewer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_fonts_for("한", monkeypatch)
    for text, is_text in (("한국어", True), ("English", False)):
        families = Fonts().families([text], format="svg")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = draw_heatmap(small_map(text), families=families, title="", format="svg").decode()
        assert (f">{text}</text>" in image) == is_text
        assert ("sans-serif;" in image) == is_text
    assert caplog.text == ""


def test_a_font_that_has_the_characters_is_found(caplog: pytest.LogCaptureFixture) -> None:
    """The character is in STIX, which matplotlib brings too, but not in DejaVu Sans."""
    base = font_manager.get_font(font_manager.findfont(BASE_FAMILY)).get_charmap()
    stix = font_manager.get_font(font_manager.findfont("STIXGeneral")).get_charmap()
    character = chr(min(set(stix) - set(base)))
    families = Fonts().families([f"a {character}"], format="svg")
    assert families[0] == BASE_FAMILY
    assert len(families) == 2
    assert caplog.text == ""


def test_fonts_that_were_installed_since_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    base = font_manager.get_font(font_manager.findfont(BASE_FAMILY)).get_charmap()
    path = font_manager.findfont("STIXGeneral")
    character = chr(min(set(font_manager.get_font(path).get_charmap()) - set(base)))
    others = [font for font in fontManager.ttflist if font.name == BASE_FAMILY]
    monkeypatch.setattr(fontManager, "ttflist", others)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [path, __file__])
    assert Fonts().families([character], format="png") == [BASE_FAMILY, "STIXGeneral"]


def test_scripts_have_names() -> None:
    names = {
        "漢": "Chinese characters",
        "カ": "Japanese",
        "ん": "Japanese",
        "글": "Korean",
        "ب": "Arabic",
        "é": "Latin",
    }
    assert {character: script_of(character) for character in names} == names
    assert script_of("😀") == script_of("5") == "symbols"
