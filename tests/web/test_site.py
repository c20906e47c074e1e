"""`nmt export web`: a site translates in a browser as `nmt translate` does, and sends nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_tools import assert_explained, nmt
from frozen_formats import FOLDER, MODEL
from javascript import Browser, run_in_node, served
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
const { readFileSync } = await import("node:fs");
const { Weights } = await import("./weights.js");
const { Translator } = await import("./translator.js");
const { lines, options } = JSON.parse(readFileSync("cases.json", "utf8"));
const bytes = readFileSync("model.safetensors");
const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const translator = new Translator(new Weights(file, await WebAssembly.compile(readFileSync("kernel.wasm"))));
return options.map((each) => lines.map((line) => {
  const { hypotheses, segments } = translator.translate(line, each);
  return { texts: hypotheses.map(({ text }) => text), scores: hypotheses.map(({ score }) => score), segments };
}));
"""


def test_translations_are_those_of_nmt(site: Path, lines: list[str], tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    (tmp_path / "cases.json").write_text(json.dumps({"lines": lines, "options": OPTIONS}))
    for options, found in zip(OPTIONS, run_in_node(tmp_path, TRANSLATE), strict=True):
        expected = list(Translator.load(PATH, decoding=options).translate(lines))
        assert [each["segments"] for each in found] == [each.source_segments for each in expected]
        assert [each["texts"] for each in found] == [[best.text for best in each.hypotheses] for each in expected]
        for ours, theirs in zip(found, expected, strict=True):
            assert ours["scores"] == pytest.approx([best.score for best in theirs.hypotheses], abs=1e-4)


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
