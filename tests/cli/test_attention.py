"""`nmt attention`, with a small model of random weights: every form of output, and what can go wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from cli_tools import assert_explained, contents, environment, nmt
from nmt.inference.attention_map import END
from tiny_translator import save_tiny_model

LINES = ["the red dog sleeps .", "", "a cat sees the house and hears a man ."]
SENTENCE = LINES[0]
PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_tiny_model(path)
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_MODEL", "")
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "best.safetensors").symlink_to(model)
    (tmp_path / "text.en").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (tmp_path / "text.de").write_text("a dog .\n\nthe old man hears\n", encoding="utf-8")
    return tmp_path


def attention(*arguments: str) -> str:
    """The output of `nmt attention`, which must succeed."""
    outcome = nmt("attention", "--model", "runs/tiny", "--device", "cpu", *arguments)
    assert outcome.code == 0, outcome.stderr
    return outcome.stdout


# ---------------------------------------------------------------------------------------------------------- text


def test_a_sentence_is_shown_as_text(folder: Path) -> None:
    outcome = nmt("attention", SENTENCE, "--target", "a dog .", "--level", "words", folder=folder)
    assert outcome.code == 0
    assert outcome.stderr == f"model: {Path('runs/tiny/best.safetensors')} (newest run)\n"
    lines = outcome.stdout.splitlines()
    assert lines[0] == f"line 1: {SENTENCE}"
    assert lines[1] == "        a dog ."
    legend = len(lines) - 1
    assert lines[legend].startswith("·· ≥ 0.05")
    assert [line.split()[0] for line in lines[legend - 5 : legend - 1]] == ["a", "dog", ".", END]
    assert "\x1b" not in outcome.stdout


# ------------------------------------------------------------------------------------------------------- alignments


def test_pharaoh_has_a_line_for_each_line_and_words_by_default(folder: Path) -> None:
    printed = attention("text.en", "--target", "text.de", "--format", "pharaoh")
    lines = printed.split("\n")
    assert lines[1] == lines[3] == ""
    assert len(lines) == 4
    for line, source, target in ((lines[0], LINES[0], "a dog ."), (lines[2], LINES[2], "the old man hears")):
        links = [tuple(map(int, re.fullmatch(r"(\d+)-(\d+)", link).groups())) for link in line.split()]
        assert all(place < len(source.split()) and word < len(target.split()) for place, word in links)
    attention("text.en", "--target", "text.de", "-o", "text.align")
    assert Path("text.align").read_text(encoding="utf-8") == printed
    words = attention(SENTENCE, "--target", "dög", "--format", "pharaoh")
    pieces = attention(SENTENCE, "--target", "dög", "--format", "pharaoh", "--level", "pieces")
    assert len(words.split()) <= 1 < len(pieces.split())


@pytest.mark.parametrize("level", ["pieces", "words"])
def test_json_has_units_weights_and_alignment(level: str) -> None:
    rows = json.loads(attention("text.en", "--format", "json", "--level", level))
    assert [row["line"] for row in rows] == [1, 3]
    assert rows == [
        json.loads(line) for line in attention("text.en", "--format", "jsonl", "--level", level).split("\n")[:-1]
    ]
    translations = nmt("translate", "-m", "runs/tiny", "text.en").stdout.split("\n")
    aligned = attention("text.en", "--format", "pharaoh", "--level", level).split("\n")
    for row in rows:
        assert row["source"] == LINES[row["line"] - 1]
        assert row["translation"] == translations[row["line"] - 1]
        assert row["level"] == level
        weights = np.array(row["weights"])
        assert weights.shape == (len(row[f"target_{level}"]), len(row[f"source_{level}"]))
        assert weights.sum(axis=1) == pytest.approx(1.0, abs=1e-3)
        assert aligned[row["line"] - 1] == " ".join(f"{source}-{target}" for source, target in row["alignment"])


# --------------------------------------------------------------------------------------------------------- pictures


def test_pictures_by_suffix_and_the_same_bytes_each_time() -> None:
    for name, start in (("a.png", PNG), ("a.svg", b"<?xml")):
        attention(SENTENCE, "-o", name)
        first = Path(name).read_bytes()
        assert first.startswith(start)
        attention(SENTENCE, "-o", name, "--overwrite")
        assert Path(name).read_bytes() == first
    assert nmt("attention", SENTENCE, "-o", "quiet.png", "-q").stderr == ""


def test_a_folder_has_a_picture_for_each_line_that_is_not_blank() -> None:
    outcome = nmt("attention", "text.en", "-o", "out", "--format", "svg")
    assert sorted(path.name for path in Path("out").iterdir()) == ["line-0001.svg", "line-0003.svg"]
    assert "skipped blank line 2\n" in outcome.stderr
    assert "wrote 2 images into out\n" in outcome.stderr
    before = contents(Path("out"))
    assert_explained(nmt("attention", "text.en", "-o", "out", "--format", "svg"), "out contains images", "--overwrite")
    assert contents(Path("out")) == before
    attention("text.en", "-o", "out", "--format", "svg", "--overwrite")
    assert contents(Path("out")) == before


def test_a_picture_goes_to_standard_output_when_asked(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nmt", "attention", SENTENCE, "--format", "png", "--threads", "1"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(PNG)


# ------------------------------------------------------------------------------------------------------------- HTML


class Links(HTMLParser):
    """Collects everything that a browser would load, and checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loaded += [str(value) for name, value in attributes if name in ("src", "href", "srcset", "data")]
        self.loaded += [tag] if tag in ("script", "link", "iframe", "img", "object") else []
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_has_every_line_and_loads_nothing() -> None:
    attention("text.en", "-o", "page.html")
    text = Path("page.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert links.open == []
    assert links.loaded == []
    for reference in ("http", "//", "url(", "@import"):
        assert reference not in text
    assert re.findall(r'<section id="line-(\d+)">', text) == ["1", "3"]
    for line in filter(None, LINES):
        assert f'<p lang="en" dir="auto">{line}</p>' in text
    assert '<meta name="color-scheme" content="light dark">' in text
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    for name in ("--paper", "--ink", "--faint", "--line", "--weight"):
        assert f"{name}:" in light
        assert f"{name}:" in dark


# ----------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("news.en",), ("news.en: no such file",)),
        (("texts/news",), ("no such file",)),
        (("runs",), ("runs is a folder",)),
        ((SENTENCE, "--target", "nowhere.de"), ("nowhere.de: no such file",)),
        (("text.en", "--target", "a dog ."), ("3 lines", "--target has 1")),
        ((SENTENCE, "--target", "a", "--beam-size", "2"), ("--beam-size", "--target")),
        (("-", "--target", "-"), ("standard input",)),
        ((SENTENCE, "-o", "picture.gif"), ("picture.gif", ".png", "--format")),
        ((SENTENCE, "-o", "picture.png", "--format", "svg"), ("picture.png", "png", "svg")),
        (("text.en", "-o", "picture.png"), ("one line", "2", "folder", ".html")),
        ((" ", "-o", "picture.png"), ("one line", "none")),
        (("text.en", "-o", "runs", "--format", "json"), ("runs is a folder",)),
        (("text.en", "-o", "text.de", "--format", "pharaoh"), ("text.de exists already", "--overwrite")),
        (("text.en", "-o", "text.en", "--format", "json", "--overwrite"), ("text.en", "would replace the input file")),
        ((SENTENCE, "-o", "nowhere/a.png"), ("nowhere",)),
        ((SENTENCE, "--model", "nowhere"), ("nowhere",)),
    ],
)
def test_what_cannot_work_is_explained_and_touches_nothing(
    arguments: tuple[str, ...], parts: tuple[str, ...], folder: Path
) -> None:
    before = contents(folder)
    assert_explained(nmt("attention", *arguments), *parts)
    assert contents(folder) == before


def test_a_model_without_attention_is_an_error() -> None:
    save_tiny_model(Path("plain.safetensors"), attention={"score": "none"})
    assert_explained(nmt("attention", "-m", "plain.safetensors", SENTENCE), "no attention", "model.attention.score")


def test_a_text_of_blank_lines_is_no_error() -> None:
    outcome = nmt("attention", "-m", "runs/tiny", " ", "--format", "json")
    assert (outcome.code, outcome.stdout) == (0, "[]\n")
    assert "blank" in outcome.stderr


def test_a_sentence_longer_than_any_file_name_is_a_sentence() -> None:
    assert attention("the dog " * 600, "--format", "pharaoh").count("\n") == 1


# -------------------------------------------------------------------------------------------------------------- gold


def test_gold_links_give_the_alignment_error_rate_of_the_printed_alignment(folder: Path) -> None:
    printed = attention("text.en", "--target", "text.de", "--format", "pharaoh")
    (folder / "own.align").write_text(printed, "utf-8")
    found = json.loads(attention("text.en", "--target", "text.de", "--gold", "own.align", "--format", "json"))
    assert found["lines"] == 3
    assert found["attention"]["aer"] == 0
    assert found["attention"]["links"] == found["attention"]["gold_links"] == len(printed.split())
    (folder / "other.align").write_text("0-0 0-1\n\n0-0\n", "utf-8")
    shown = attention("text.en", "--target", "text.de", "--gold", "other.align").splitlines()
    assert [line.split("  ")[0] for line in shown[1:]] == ["attention", "best with one link"]
    bound = json.loads(attention("text.en", "--target", "text.de", "--gold", "other.align", "--format", "json"))
    assert bound["best_with_one_link"]["aer"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["text.en", "--gold", "gold"], "--gold requires --target"),
        (["text.en", "--target", "text.de", "--gold", "gold", "-o", "x.png"], "--gold excludes --output"),
        (["--gold", "gold", "--level", "words"], "--gold excludes --level"),
        (["--gold", "gold", "--format", "svg"], "choose text or json"),
        (["text.en", "--target", "text.de", "--gold", "gold"], "gold"),
        (["--gold", "gold"], "Use a source file and --target"),
    ],
)
def test_what_gold_links_cannot_be_used_with(arguments: list[str], message: str) -> None:
    assert_explained(nmt("attention", "--model", "runs/tiny", *arguments), message)
