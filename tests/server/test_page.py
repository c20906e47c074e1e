"""The page of `nmt serve` in a headless browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import nmt
from javascript import Browser
from nmt.server.application import PAGE, PAGE_FILES
from nmt.web.export import SITE

TEXT = "the red dog\n\nthe house sees"
LINES = '[...document.querySelectorAll("#output .line")].map((each) => each.textContent)'
SHADES = '[...document.querySelectorAll("#words .source")].map((each) => each.style.background)'
FOCUS = "document.activeElement"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser, server: str) -> Browser:
    """The page from English to German, with a text that was typed into it."""
    browser.open(server)
    browser.choose("#interface", "en")
    browser.choose("#source", "en")
    browser.choose("#target", "de")
    browser.click("#input")
    browser.call("Input.insertText", text=TEXT)
    browser.wait_for('document.querySelectorAll("#words .target").length > 0')
    return browser


def translations(server: str, **options: object) -> list[dict[str, object]]:
    """The answer of /v1/translate for the text of the page."""
    body = {"lines": TEXT.split("\n"), "source": "en", "target": "de", "n_best": 4, "split_sentences": True}
    answer: list[dict[str, object]] = httpx.post(f"{server}/v1/translate", json={**body, **options}).json()[
        "translations"
    ]
    return answer


def strongest(weights: list[float]) -> int:
    return weights.index(max(weights))


def opacity(shade: str) -> float:
    found = re.search(r"([\d.]+)\)$", shade)
    return float(found[1]) if found else 0.0


def test_it_translates_as_one_types(page: Browser, models: dict[str, Path]) -> None:
    model = nmt.load(models["en-de"], split_sentences=True)
    assert page.evaluate(LINES) == [each.text for each in model.translate(TEXT.split("\n"))]
    assert page.evaluate("[document.querySelector('#input').lang, document.querySelector('#output').lang]") == [
        "en",
        "de",
    ]
    page.click("#clear")
    page.wait_for('document.querySelector("#details").hidden')
    assert page.evaluate(LINES) == []


def test_a_click_on_an_alternative_takes_it(page: Browser, server: str) -> None:
    first = translations(server)[0]["hypotheses"]
    assert isinstance(first, list)
    page.click("#alternatives button", 1)
    assert page.evaluate(LINES)[0] == first[1]["text"]
    words = page.evaluate('[...document.querySelectorAll("#words .target")].map((each) => each.textContent)')
    assert " ".join(words[: len(first[1]["text"].split())]) == first[1]["text"]
    pressed = page.evaluate('[...document.querySelectorAll("#alternatives button")].map((each) => each.ariaPressed)')
    assert pressed == ["false", "true", "false", "false"][: len(first)]
    page.click("#output .line", 2)
    assert page.evaluate('document.querySelector("#alternatives button").textContent') == page.evaluate(LINES)[2]


def test_the_pointer_on_a_word_shows_its_attention(page: Browser, server: str) -> None:
    hypotheses = translations(server, alignment=True)[0]["hypotheses"]
    assert isinstance(hypotheses, list)
    for word, weights in enumerate(hypotheses[0]["attention"]):
        page.point("#words .target", word)
        shown = list(map(opacity, page.evaluate(SHADES)))
        assert shown == pytest.approx([0.55 * weight for weight in weights], abs=0.006)
        label = page.evaluate(f'document.querySelectorAll("#words .target")[{word}].ariaLabel')
        assert label.endswith(f": {hypotheses[0]['source_words'][strongest(weights)]}")
    page.point("#input")
    assert not any(page.evaluate(SHADES))


def test_the_keyboard_reaches_everything(page: Browser) -> None:
    page.evaluate('document.querySelectorAll("#output .line")[0].focus()')
    page.press("Tab")
    assert page.evaluate(f"{FOCUS}.textContent") == page.evaluate(LINES)[2]  # the line without text is skipped
    page.press("Enter")
    assert page.evaluate(f'{FOCUS}.classList.contains("chosen")')
    page.press("Tab")
    assert page.evaluate(f"{FOCUS}.id") == "copy"
    page.press("Tab")
    page.press("Tab")
    second = page.evaluate(f"{FOCUS}.textContent")
    page.press(" ")
    assert page.evaluate(LINES)[2] == second
    assert page.evaluate(f"{FOCUS}.ariaPressed") == "true"
    buttons = page.evaluate('document.querySelectorAll("#alternatives button").length')
    for _ in range(buttons - 1):
        page.press("Tab")
    assert page.evaluate(f"{FOCUS}.className") == "target"
    assert any(page.evaluate(SHADES))


def test_a_document_that_is_dropped_is_translated_and_downloaded(
    page: Browser, models: dict[str, Path], tmp_path: Path
) -> None:
    text = "the red dog\r\n\r\nthe house sees\r\n"
    document = tmp_path / "note.txt"
    document.write_bytes(text.encode())
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    page.drop("#input", document)
    page.wait_for('document.querySelector("#status").textContent === "The document has been downloaded."')
    found = wait_for_file(downloads / "de-note.txt", page)
    model = nmt.load(models["en-de"], split_sentences=True)
    assert found.split("\r\n") == [each.text for each in model.translate(text.split("\r\n"))]
    assert page.evaluate('document.querySelector("#input").value') == TEXT


def wait_for_file(path: Path, page: Browser) -> str:
    for _ in range(600):
        if path.exists():
            return path.read_bytes().decode()
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")
    raise AssertionError([each.name for each in path.parent.iterdir()])


def test_it_speaks_three_languages(page: Browser, server: str) -> None:
    for code, target in (("de", "Deutsch"), ("ko", "독일어"), ("en", "German")):
        page.choose("#interface", code)
        assert page.evaluate("document.documentElement.lang") == code
        assert page.untranslated() == []
        assert page.evaluate('document.querySelector("#target").selectedOptions[0].textContent') == target
    page.choose("#interface", "ko")
    page.open(server)
    assert page.evaluate('document.querySelector("h1").textContent') == "번역"


def test_a_direction_through_the_pivot_is_translated(page: Browser, server: str) -> None:
    page.choose("#source", "de")
    page.choose("#target", "ko")
    page.wait_for('document.querySelector("#output").lang === "ko"')
    body = {"q": TEXT, "source": "de", "target": "ko"}
    expected = httpx.post(f"{server}/translate", json=body).json()["translatedText"]
    assert "\n".join(page.evaluate(LINES)).split() == expected.split()


@pytest.mark.parametrize("width", [320, 420, 1000])
def test_nothing_is_wider_than_the_window(page: Browser, width: int) -> None:
    page.resize(width, 800)
    for code in ("en", "de", "ko"):
        page.choose("#interface", code)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_link_has_a_text_that_is_translated(browser: Browser, server: str, models: dict[str, Path]) -> None:
    browser.call("Page.navigate", url="about:blank")
    browser.open(f"{server}/#source=en&target=de&q=the%20red%20dog")
    browser.wait_for('document.querySelectorAll("#words .target").length > 0')
    expected = nmt.load(models["en-de"], split_sentences=True).translate("the red dog").text
    assert browser.evaluate(LINES) == [expected]


def test_the_page_needs_no_other_server(server: str) -> None:
    answer = httpx.get(server)
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    for path in PAGE_FILES:
        text = httpx.get(server + path).text
        assert "http://" not in text
        assert "https://" not in text


def test_the_pages_have_all_texts_in_all_languages() -> None:
    script = (PAGE / "interface.js").read_text("utf-8")
    table = script[script.index("const TEXTS") : script.index("const STORED")]
    languages = [re.findall(r"(?<=\s)([a-z_]+): \"", part) for part in re.split(r"\n  \w\w: \{", table)[1:]]
    assert len(languages) == 3
    assert all(sorted(names) == sorted(languages[0]) for names in languages)
    pages = [PAGE / "index.html", PAGE / "page.js", SITE / "index.html", SITE / "page.js"]
    code = "".join(path.read_text("utf-8") for path in pages)
    used = set(re.findall(r'(?:data-(?:text|label|placeholder)=|report\()"(\w+)"', code))
    assert used | set(re.findall(r"\btexts\.(\w+)", code)) == set(languages[0])


def test_every_control_has_a_name(page: Browser) -> None:
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in ("button", "textbox", "combobox", "link", "checkbox")
    ]
    assert len(controls) > 10
    assert [node for node in controls if not node.get("name", {}).get("value")] == []
