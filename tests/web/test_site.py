"""`nmt export web`: a site translates in a browser as `nmt translate` does, and sends nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cli_tools import assert_explained, nmt
from frozen_formats import FOLDER, MODEL
from javascript import Browser, run_javascript, served
from nmt import load
from nmt.inference.translator import Translator
from nmt.web.export import SITE

PATH = FOLDER / MODEL
TEXTS = [
    "",
    "   ",
    "tab\there",
    "Ünïcödé: cafe\u0301 und soft\u00adhyphen, no\u00a0break",
    "emoji 👩\u200d🚀 and \U0001f1e9\U0001f1ea and \ufffd and \ue000",
    "<b onmouseover=alert(1)>&amp;</b><img src=x onerror=alert(1)>",
    "한국어 문장입니다. 日本語の文章です。これは二つ目です。",
    "می\u200cخواهم العربية \u200fשלום",
    'Dr. Smith met J. R. Jones at 3. May. He said: "No." Then left! 2.5 is a number. z.B. this.',
    "word " * 120,
    "x" * 400,
]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    text = [(FOLDER / name).read_text(encoding="utf-8").splitlines() for name in ("train.en", "valid.en")]
    return [*text[0], *text[1], *(" ".join(pair) for pair in zip(text[0], text[1], strict=False)), *TEXTS]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "site"
    assert nmt("export", "web", str(PATH), "-o", str(folder)).code == 0
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


OPTIONS = [
    {},
    {"beam_size": 1},
    {"split_sentences": True, "n_best": 4},
    {"coverage_penalty": 0.2, "min_length": 4, "repetition_penalty": 1.2, "no_repeat_ngram": 2, "stopping": "fast"},
]

TRANSLATE = """
const { read } = await import("./files.js");
const { Weights } = await import("./weights.js");
const { Translator } = await import("./translator.js");
const { lines, options } = JSON.parse(new TextDecoder().decode(await read("cases.json")));
const file = await read("model.safetensors");
const translator = new Translator(new Weights(file.buffer, await WebAssembly.compile(await read("kernel.wasm"))));
return options.map((each) => lines.map((line) => {
  const { hypotheses, segments } = translator.translate(line, each);
  return { texts: hypotheses.map(({ text }) => text), scores: hypotheses.map(({ score }) => score), segments };
}));
"""


def test_translations_are_those_of_nmt(site: Path, lines: list[str], tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    (tmp_path / "cases.json").write_text(json.dumps({"lines": lines, "options": OPTIONS}))
    for options, found in zip(OPTIONS, run_javascript(tmp_path, TRANSLATE), strict=True):
        expected = list(Translator.load(PATH, decoding=options).translate(lines))
        assert [each["segments"] for each in found] == [each.source_segments for each in expected]
        assert [each["texts"] for each in found] == [[best.text for best in each.hypotheses] for each in expected]
        for ours, theirs in zip(found, expected, strict=True):
            assert ours["scores"] == pytest.approx([best.score for best in theirs.hypotheses], abs=1e-4)


ATTEND = (
    TRANSLATE[: TRANSLATE.index("  const { hypotheses")]
    + """
  const translation = translator.translate(line, each);
  return translation.translation ? translator.attention(translation, translation.hypotheses[0]) : null;
}));
"""
)

SEPARATED = [
    "the\u200bdog sees",
    "½ dog ﬁne",
    "the dog\u00ad sees\u2060 it",
    "no\u200b\u200bspace here",
    "\u200b the cat",
]
"""Lines whose words the subword model separates in another way."""


def test_attention_between_words_is_that_of_nmt(site: Path, lines: list[str], tmp_path: Path) -> None:
    chosen = [*lines[:25], *TEXTS, *SEPARATED]
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    options = {"split_sentences": True}
    (tmp_path / "cases.json").write_text(json.dumps({"lines": chosen, "options": [options]}))
    model = load(PATH, **options)
    (found,) = run_javascript(tmp_path, ATTEND)
    for line, ours in zip(chosen, found, strict=True):
        aligned = model.align(model.translate(line))
        if not aligned:
            assert ours is None, line
            continue
        words = aligned[0].words
        assert ours["source_words"] == words.source.texts, line
        assert ours["target_words"] == words.target.texts, line
        np.testing.assert_allclose(ours["attention"], words.weights, atol=1e-3, err_msg=line)


def test_checks_run_in_a_browser_if_there_is_no_node(
    site: Path, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    (tmp_path / "cases.json").write_text(json.dumps({"lines": lines[:5], "options": [{}]}))
    in_node = run_javascript(tmp_path, TRANSLATE)
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "node" else which(name))
    assert run_javascript(tmp_path, TRANSLATE) == in_node
    with pytest.raises(AssertionError, match="broken"):
        run_javascript(tmp_path, 'throw new Error("broken");')


def type_text(browser: Browser, text: str) -> list[str]:
    """The translation of each line of a text that is typed into the page."""
    browser.evaluate(f"""(() => {{
        const input = document.getElementById("input");
        document.getElementById("output").setAttribute("aria-busy", "true");
        input.value = {json.dumps(text)};
        input.dispatchEvent(new Event("input"));
    }})()""")
    browser.wait_for('document.getElementById("output").getAttribute("aria-busy") === "false"')
    shown: list[str] = browser.evaluate(
        '[...document.querySelectorAll("#output .line")].map((each) => each.textContent)'
    )
    return shown


def test_the_page_translates_offline_as_nmt_does(site: Path, lines: list[str], browser: Browser) -> None:
    expected = Translator.load(PATH, decoding={"split_sentences": True}).translate(lines)
    with served(site) as (address, requests):
        browser.open(address)
        loaded = list(requests)
    # The server has ended: nothing can be fetched.
    assert type_text(browser, "\n".join(lines)) == [each.text for each in expected]
    assert requests == loaded
    assert set(loaded) <= {"/", *(f"/{path.name}" for path in site.iterdir())}


def test_the_page_shows_alternatives_and_attention_as_text(site: Path, browser: Browser) -> None:
    with served(site) as (address, _):
        browser.open(address)
        type_text(browser, f"{TEXTS[5]}\nthe dog sees the cat .")
        browser.wait_for('document.querySelectorAll("#words .target").length > 0')
        assert browser.evaluate('document.querySelectorAll("main img, main b").length') == 0
        assert browser.evaluate('document.querySelectorAll("#alternatives button").length') > 1
        browser.evaluate('document.querySelector("#words .target").focus()')
        shades = browser.evaluate(
            '[...document.querySelectorAll("#words .source")].filter((each) => each.style.background).length'
        )
        assert shades > 0
        browser.evaluate('document.querySelectorAll("#alternatives button")[1].click()')
        pressed = '[...document.querySelectorAll("#alternatives button")].map((each) => each.ariaPressed)'
        assert browser.evaluate(pressed)[1] == "true"


def test_the_page_speaks_three_languages(site: Path, browser: Browser) -> None:
    titles = {"en": "English to German", "de": "Englisch – Deutsch", "ko": "영어 → 독일어"}
    with served(site) as (address, _):
        browser.open(address)
        for code, title in titles.items():
            browser.choose("#interface", code)
            assert browser.evaluate("document.title") == title
            assert browser.evaluate("document.documentElement.lang") == code
            assert browser.untranslated() == []
            assert browser.evaluate("document.querySelector('#status').textContent") != ""
        browser.open(address)
        assert browser.evaluate("document.documentElement.lang") == "ko"
        browser.choose("#interface", "en")


def test_the_page_may_connect_to_no_other_place(site: Path, browser: Browser, tmp_path: Path) -> None:
    with served(site) as (address, _), served(tmp_path) as (other, requests):
        browser.open(address)
        assert browser.evaluate(f'fetch("{other}").then(() => "sent", () => "refused")') == "refused"
        assert requests == []


def test_the_site_is_all_that_its_files_name(site: Path) -> None:
    for path in site.glob("*.js"):
        assert set(re.findall(r'from "\./([^"]+)"', path.read_text())) <= {each.name for each in site.iterdir()}
    assert {path.name for path in SITE.iterdir()} < {path.name for path in site.iterdir()}


def test_an_existing_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("x")
    (tmp_path / "model.safetensors").write_text("mine")
    assert_explained(nmt("export", "web", str(PATH), "-o", str(tmp_path), "--overwrite"), "not an export")
    assert (tmp_path / "notes").exists()
    (tmp_path / "notes").unlink()
    assert_explained(nmt("export", "web", str(PATH), "-o", str(tmp_path), "--overwrite"), "not an export")
    assert (tmp_path / "model.safetensors").read_text() == "mine"


def test_a_site_is_replaced_only_if_asked(tmp_path: Path) -> None:
    assert nmt("export", "web", str(PATH), "-o", str(tmp_path / "site")).code == 0
    assert_explained(nmt("export", "web", str(PATH), "-o", str(tmp_path / "site")), "--overwrite")
    assert nmt("export", "web", str(PATH), "-o", str(tmp_path / "site"), "--overwrite").code == 0


def test_a_single_file_translates_from_the_disk(tmp_path: Path, browser: Browser, lines: list[str]) -> None:
    page = tmp_path / "translate.html"
    assert nmt("export", "web", str(PATH), "--single-file", "-o", str(page)).code == 0
    browser.open(page.as_uri())
    expected = Translator.load(PATH, decoding={"split_sentences": True}).translate(lines[:20] + TEXTS)
    assert type_text(browser, "\n".join(lines[:20] + TEXTS)) == [each.text for each in expected]
    with served(tmp_path) as (address, requests):
        assert browser.evaluate(f'fetch("{address}").then(() => "sent", () => "refused")') == "refused"
    assert requests == []
    assert_explained(nmt("export", "web", str(PATH), "--single-file", "-o", str(page)), "exists already")
