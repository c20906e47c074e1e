"""`nmt translate` of documents, with a small model of random weights."""

from __future__ import annotations

import gzip
from pathlib import Path

import polib
import pytest

from cli_tools import assert_explained, nmt
from nmt.inference.model_file import save_model
from tiny_translator import tiny_config, tiny_network, tiny_tokenizers

PO = """msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "the red dog sleeps ."
msgstr ""

#, fuzzy
msgid "a cat sees <b>%d</b> houses ."
msgstr "eine Katze"
"""
XLIFF = """<xliff version="1.2"><file source-language="en" target-language="de"><body><trans-unit id="1">
<source>the <g id="1">red</g> dog sleeps<x id="2"/> .</source></trans-unit></body></file></xliff>
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run called tiny."""
    monkeypatch.chdir(tmp_path)
    config = tiny_config()
    save_model(
        tmp_path / "runs" / "tiny" / "best.safetensors",
        weights=dict(tiny_network(config).named_parameters()),
        config=config,
        tokenizers=tiny_tokenizers(),
        provenance={},
    )
    return tmp_path


def test_a_document_gets_the_translations_of_its_texts(folder: Path) -> None:
    (folder / "m.po").write_text(PO, encoding="utf-8")
    (folder / "text.en").write_text("the red dog sleeps .\n", encoding="utf-8")
    plain = nmt("translate", "text.en", "--protect").stdout.strip()
    outcome = nmt("translate", "m.po", "-o", "out.po")
    assert outcome.code == 0, outcome.stderr
    assert "translated 1 of 2 units" in outcome.stderr
    assert "1 units are unfinished: --fill unfinished" in outcome.stderr
    assert (folder / "out.po").read_text("utf-8") == PO.replace('.""\nmsgstr ""', "").replace(
        'sleeps ."\nmsgstr ""', f'sleeps ."\nmsgstr "{polib.escape(plain)}"'
    )
    assert nmt("translate", "m.po").stdout == (folder / "out.po").read_text("utf-8")


def test_inline_elements_and_placeholders_survive(folder: Path) -> None:
    (folder / "m.po").write_text(PO, encoding="utf-8")
    entry = polib.pofile(nmt("translate", "m.po", "--fill", "unfinished").stdout)[1]
    assert [entry.msgstr.count(part) for part in ("<b>", "%d", "</b>", "<")] == [1, 1, 1, 2]
    (folder / "a.xlf").write_text(XLIFF, encoding="utf-8")
    target = nmt("translate", "a.xlf").stdout.partition("<target>")[2].partition("</target>")[0]
    assert [target.count(part) for part in ('<g id="1">', "</g>", '<x id="2"/>', "<")] == [1, 1, 1, 3]


def test_without_protection_units_with_inline_elements_are_left(folder: Path) -> None:
    (folder / "a.xlf").write_text(XLIFF, encoding="utf-8")
    outcome = nmt("translate", "a.xlf", "--no-protect")
    assert outcome.stdout == XLIFF
    assert "line 2: left as it is: the inline elements do not fit" in outcome.stderr


def test_compressed_documents(folder: Path) -> None:
    (folder / "m.po").write_text(PO, encoding="utf-8")
    (folder / "m.po.gz").write_bytes(gzip.compress(PO.encode()))
    assert nmt("translate", "m.po.gz", "-o", "out.po.gz").code == 0
    assert gzip.decompress((folder / "out.po.gz").read_bytes()).decode() == nmt("translate", "m.po").stdout


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "jsonl"),
        ("--resume",),
        ("--processes", "2"),
        ("--n-best", "2"),
        ("--prefixes", "text.en"),
        ("--required", "text.en"),
        ("--alignment", "hard"),
    ],
)
def test_options_for_text_are_refused_by_name(folder: Path, options: tuple[str, ...]) -> None:
    (folder / "m.po").write_text(PO, encoding="utf-8")
    outcome = nmt("translate", "m.po", "-o", "out.po", *options)
    assert_explained(outcome, options[0], "m.po", "document (PO)", codes=(2,))
    assert not (folder / "out.po").exists()


def test_only_po_and_xliff_can_be_marked_for_review(folder: Path) -> None:
    for name, content in (("m.po", PO), ("a.xlf", XLIFF)):
        (folder / name).write_text(content, encoding="utf-8")
        plain, marked = (nmt("translate", name, *options) for options in ((), ("--for-review",)))
        assert (plain.code, marked.code) == (0, 0)
        assert plain.stdout != marked.stdout
        assert ("fuzzy" if name == "m.po" else "needs-review-translation") in marked.stdout
    (folder / "a.tmx").write_text("<tmx/>", encoding="utf-8")
    outcome = nmt("translate", "a.tmx", "--for-review")
    assert_explained(outcome, "--for-review requires PO or XLIFF", "a.tmx", codes=(2,))


@pytest.mark.parametrize("option", ["--fill", "--source-language", "--target-language", "--encoding"])
def test_options_for_documents_are_refused_for_text(folder: Path, option: str) -> None:
    (folder / "text.en").write_text("a\n", encoding="utf-8")
    assert_explained(nmt("translate", "text.en", option, "all"), option, ".po", "text.en", codes=(2,))


def test_broken_documents_leave_no_output(folder: Path) -> None:
    (folder / "a.xlf").write_text(XLIFF.replace("</file>", ""), encoding="utf-8")
    assert_explained(nmt("translate", "a.xlf", "-o", "out.xlf"), "a.xlf, line 2", "broken XML", codes=(1,))
    (folder / "a.xlf").write_text(XLIFF.replace('"de"', '"fr"'), encoding="utf-8")
    assert_explained(nmt("translate", "a.xlf", "-o", "out.xlf"), "'fr'", "--target-language fr", codes=(1,))
    assert not (folder / "out.xlf").exists()
    assert nmt("translate", "a.xlf", "-o", "out.xlf", "--target-language", "fr").code == 0
