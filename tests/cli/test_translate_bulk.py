"""`nmt translate` of folders and shards, and `nmt merge`: the bytes of one process, each file once."""

from __future__ import annotations

import gzip
import json
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cli_tools import Outcome, assert_explained, contents, nmt
from nmt.inference.output.record import OutputRecord
from nmt.inference.output.shards import Shard
from tiny_translator import WORDS, save_tiny_model

OPTIONS = ["-m", "m.safetensors", "--beam-size", "2", "--threads", "1", "--device", "cpu"]
POOLED = ["-m", "m.safetensors", "--beam-size", "2", "--processes", "2"]
PO = """msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "the red <b>dog</b> sleeps ."
msgstr ""
"""


def sentences(start: int, count: int) -> str:
    words = WORDS.split()
    return "".join(" ".join(words[: 1 + (7 * n) % 17]) + f" {n}\n" for n in range(start, start + count))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "m.safetensors")
    (tmp_path / "text.en").write_text(sentences(0, 50).removesuffix("\n"), encoding="utf-8")
    return tmp_path


@pytest.fixture
def news(folder: Path) -> Path:
    """A folder with texts of several kinds, in a tree."""
    (folder / "news" / "a" / "b").mkdir(parents=True)
    (folder / "news" / "1.en").write_text(sentences(0, 20), encoding="utf-8")
    (folder / "news" / "empty.en").write_bytes(b"")
    (folder / "news" / "a" / "2.en.gz").write_bytes(gzip.compress(sentences(20, 15).encode()))
    (folder / "news" / "a" / "b" / "3.po").write_text(PO, encoding="utf-8")
    (folder / "news" / ".hidden").write_text("the dog\n", encoding="utf-8")
    (folder / "news" / "picture.png").write_bytes(b"\x89PNG\0\0")
    return folder / "news"


def translate(*arguments: str, options: list[str] = OPTIONS) -> Outcome:
    outcome = nmt("translate", *arguments, *options)
    assert outcome.code == 0, outcome
    return outcome


def outputs(folder: Path) -> dict[str, bytes]:
    """The unpacked content of each file that is not hidden."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            content = path.read_bytes()
            found[str(name)] = gzip.decompress(content) if path.suffix == ".gz" else content
    return found


def stop_after(lines: int, patch: pytest.MonkeyPatch) -> None:
    """Interrupt a translation after some lines of a file."""
    from nmt.inference.output import record as record_module

    add = OutputRecord._add

    def stop(points: Any, point: Any) -> None:
        add(points, point)
        if point.lines == lines:
            raise KeyboardInterrupt

    patch.setattr(record_module, "FLUSH_SECONDS", 0.0)
    patch.setattr(record_module, "SHARE_OF_TIME", 0.0)
    patch.setattr(OutputRecord, "_add", staticmethod(stop))


# ------------------------------------------------------------------------------------------------------------- shards


@pytest.mark.parametrize(("lines", "total"), [(0, 3), (1, 4), (10, 3), (50, 7), (7, 7)])
def test_blocks_are_consecutive_and_cover_all_lines(lines: int, total: int) -> None:
    text = [*range(lines)]
    blocks = [text[slice(*Shard(number, total).block(lines))] for number in range(1, total + 1)]
    assert list(chain.from_iterable(blocks)) == text
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1


def test_each_file_is_in_one_shard() -> None:
    sizes = [5, 900, 0, 30, 30, 30, 0, 500, 1, 2]
    shards = [Shard(number, 3).files(sizes) for number in (1, 2, 3)]
    assert sorted(chain.from_iterable(shards)) == [*range(len(sizes))]
    assert max(sum(sizes[index] for index in shard) for shard in shards) == 900


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("format", ["text", "tsv"])
def test_shards_are_joined_to_the_output_of_one_process(format: str, suffix: str, folder: Path) -> None:
    (folder / "prefixes").write_text("the\n" * 50, encoding="utf-8")
    options = ["text.en", "--format", format, "--prefixes", "prefixes"]
    translate(*options, "-o", f"whole{suffix}")
    for number in (2, 1, 4, 3):
        translate(*options, "-o", f"out{suffix}", "--shard", f"{number}/4")
    assert nmt("merge", f"out{suffix}").code == 0
    found = outputs(folder)
    joined, whole = (found[f"{name}{suffix}"].splitlines() for name in ("out", "whole"))
    if format == "tsv":  # the last digit of a score depends on the batch
        joined, whole = ([row.split(b"\t")[::4] for row in rows] for rows in (joined, whole))
    assert joined == whole
    assert_explained(nmt("merge", f"out{suffix}"), "exists already")
    assert nmt("merge", f"out{suffix}", "--overwrite").code == 0


def test_more_shards_than_lines(folder: Path) -> None:
    (folder / "short.en").write_text("the dog\na cat\n", encoding="utf-8")
    translate("short.en", "-o", "whole")
    for number in range(1, 6):
        translate("short.en", "-o", "out", "--shard", f"{number}/5")
    assert nmt("merge", "out").code == 0
    assert (folder / "out").read_bytes() == (folder / "whole").read_bytes()


def test_an_interrupted_shard_is_resumed_and_a_finished_one_skipped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate("text.en", "-o", "whole")
    translate("text.en", "-o", "out", "--shard", "1/2")
    with monkeypatch.context() as patch:
        stop_after(9, patch)
        assert nmt("translate", "text.en", "-o", "out", "--shard", "2/2", *OPTIONS).code == 130
    assert_explained(nmt("merge", "out"), "00002-of-00002: not finished")
    assert not (folder / "out").exists()
    part = folder / "out.shards" / "00001-of-00002"
    written = part.stat().st_mtime_ns
    assert "0 files translated, 1 finished before" in translate("text.en", "-o", "out", "--shard", "1/2").stderr
    assert part.stat().st_mtime_ns == written
    assert "resuming after line 9" in translate("text.en", "-o", "out", "--shard", "2/2").stderr
    assert nmt("merge", "out").code == 0
    assert (folder / "out").read_bytes() == (folder / "whole").read_bytes()


def test_a_kill_before_the_record_of_the_end_loses_nothing(folder: Path) -> None:
    translate("text.en", "-o", "out", "--shard", "1/1")
    part = (folder / "out.shards" / "00001-of-00001").read_bytes()
    record = folder / "out.shards" / ".translated" / "00001-of-00001.json"
    record.write_text(json.dumps({**json.loads(record.read_text("utf-8")), "content": None}), encoding="utf-8")
    assert_explained(nmt("merge", "out"), "not finished")
    translate("text.en", "-o", "out", "--shard", "1/1")
    assert (folder / "out.shards" / "00001-of-00001").read_bytes() == part
    assert nmt("merge", "out").code == 0


@pytest.fixture
def shards(folder: Path) -> Path:
    for number in (1, 2, 3):
        translate("text.en", "-o", "out", "--shard", f"{number}/3")
    return folder / "out.shards"


def test_a_missing_and_a_changed_part_are_named(shards: Path) -> None:
    (shards / "00002-of-00003").unlink()
    (shards / "00003-of-00003").write_bytes(b"")
    before = contents(shards.parent)
    outcome = nmt("merge", "out")
    assert_explained(outcome, "00002-of-00003: missing", "00003-of-00003: changed after")
    assert "00001" not in outcome.stderr
    assert contents(shards.parent) == before


@pytest.mark.parametrize("change", ["model", "option", "text", "division", "record"])
def test_parts_of_another_translation_are_refused(change: str, shards: Path, folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    arguments = ["../text.en", "-o", "out", "--shard", "2/3", "-m", "../m.safetensors", "--beam-size", "2"]
    says = {"model": "of another --model", "option": "of another --alpha", "text": "of another text"}
    if change == "model":
        save_tiny_model(folder / "m.safetensors", embedding_size=12)
    elif change == "option":
        arguments += ["--alpha", "0.3"]
    elif change == "text":
        (folder / "text.en").write_text(sentences(0, 49), encoding="utf-8")
    elif change == "division":
        arguments[4] = "2/4"
    assert nmt("translate", *arguments, "--threads", "1", "--device", "cpu", folder=other).code == 0
    shutil.copytree(other / "out.shards", shards, dirs_exist_ok=True)
    if change == "record":
        (shards / ".translated" / "00002-of-00003.json").write_bytes(b"[" * 999)
    assert_explained(
        nmt("merge", "out"), says.get(change, "divisions into 3 and 4" if change == "division" else "JSON")
    )
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["text.en", "-o", "out", "--shard", "0/3"], "'0/3'"),
        (["text.en", "-o", "out", "--shard", "4/3"], "'4/3'"),
        (["text.en", "-o", "out", "--shard", "3"], "'3'"),
        (["text.en", "--shard", "1/3"], "requires -o"),
        (["-", "-o", "out", "--shard", "1/3"], "Standard input"),
        (["absent.en", "-o", "out", "--shard", "1/3"], "absent.en"),
    ],
)
def test_wrong_shards_are_explained(arguments: list[str], says: str) -> None:
    assert_explained(nmt("translate", *arguments, *OPTIONS), says, codes=(2,))


def test_nothing_to_join() -> None:
    assert_explained(nmt("merge", "out"), "out.shards: no such folder")


# ------------------------------------------------------------------------------------------------------------ folders


@pytest.mark.parametrize("options", [OPTIONS, POOLED])
@pytest.mark.usefixtures("warm_workers")
def test_a_folder_becomes_the_same_tree(options: list[str], news: Path, folder: Path) -> None:
    for name in ("1.en", "empty.en", "a/2.en.gz", "a/b/3.po"):
        (folder / "alone" / name).parent.mkdir(parents=True, exist_ok=True)
        translate(f"news/{name}", "-o", f"alone/{name}")
    outcome = translate("news", "-o", "out", options=options)
    assert "4 files translated" in outcome.stderr
    assert "picture.png: skipped" in outcome.stderr
    assert outputs(folder / "out") == outputs(folder / "alone")
    before = contents(folder / "out")
    assert "0 files translated, 4 finished before" in translate("news/", "-o", "out", options=options).stderr
    assert contents(folder / "out") == before


@pytest.mark.parametrize("options", [OPTIONS, POOLED])
@pytest.mark.usefixtures("warm_workers")
def test_an_interrupted_folder_is_resumed(
    options: list[str], news: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate("news", "-o", "whole", options=options)
    with monkeypatch.context() as patch:
        stop_after(14, patch)
        assert nmt("translate", "news", "-o", "out", *options).code == 130
    (news / "new.en").write_text("a cat\n", encoding="utf-8")
    outcome = translate("news", "-o", "out", options=options)
    assert "resuming after line 14" in outcome.stderr
    found = outputs(folder / "out")
    assert found.pop("new.en").count(b"\n") == 1
    assert found == outputs(folder / "whole")


def test_shards_of_a_folder(news: Path, folder: Path) -> None:
    translate("news", "-o", "whole")
    translated = [translate("news", "-o", "out", "--shard", f"{number}/3").stderr for number in (1, 2, 3)]
    assert all("0 finished before" in text for text in translated)
    assert outputs(folder / "out") == outputs(folder / "whole")
    assert "0 files translated, 4 finished" in translate("news", "-o", "out").stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["news/**/*.en*"], {"1.en", "empty.en", "a/2.en.gz"}),
        (["news/1.en", "news/a/2.en.gz"], {"1.en", "a/2.en.gz"}),
        (["news/a", "text.en"], {"news/a/2.en.gz", "news/a/b/3.po", "text.en"}),
    ],
)
@pytest.mark.usefixtures("news")
def test_patterns_and_lists_of_files(arguments: list[str], names: set[str], folder: Path) -> None:
    translate(*arguments, "-o", "out")
    assert set(outputs(folder / "out")) == names


@pytest.mark.usefixtures("warm_workers")
def test_a_file_that_cannot_be_read_does_not_stop_the_others(news: Path, folder: Path) -> None:
    (news / "0.en.gz").write_bytes(gzip.compress(sentences(0, 9).encode())[:-9])
    (news / "bad.xlf").write_text("<xliff><file>", encoding="utf-8")
    for options in (OPTIONS, POOLED):
        outcome = nmt("translate", "news", "-o", "out", *options)
        assert_explained(outcome, "0.en.gz", "bad.xlf", "2 of 6 files could not be translated")
    assert {"1.en", "empty.en", "a/2.en.gz", "a/b/3.po"} <= set(outputs(folder / "out"))


@pytest.mark.parametrize("change", ["text", "model", "option", "foreign"])
def test_files_of_another_translation_are_not_replaced(change: str, news: Path, folder: Path) -> None:
    options = OPTIONS
    if change == "foreign":
        (folder / "out").mkdir()
        (folder / "out" / "1.en").write_text("notes\n", encoding="utf-8")
    else:
        translate("news", "-o", "out")
    if change == "text":
        (news / "1.en").write_text("a cat\n", encoding="utf-8")
    elif change == "model":
        save_tiny_model(folder / "m.safetensors", embedding_size=12)
    elif change == "option":
        options = [*OPTIONS, "--beam-size", "3"]
    before = contents(folder)
    outcome = nmt("translate", "news", "-o", "out", *options)
    assert_explained(outcome, "1.en", "--overwrite", codes=(2,))
    assert contents(folder) == before
    translate("news", "-o", "out", "--overwrite", options=options)
    if change != "foreign":
        translate("news", "-o", "fresh", options=options)
        assert outputs(folder / "out") == outputs(folder / "fresh")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["news"], "requires -o"),
        (["news", "-o", "news"], "inside of the input folder"),
        (["news", "-o", "news/out"], "inside of the input folder"),
        (["news/*.en", "-o", "news"], "would replace the input file"),
        (["news", "-o", "text.en"], "not a folder"),
        (["absent*", "-o", "out"], "no file matches"),
        (["news", "-", "-o", "out"], "Standard input"),
        (["news", "-o", "out", "--format", "jsonl"], "3.po"),
        (["news/1.en", "text.en", "-o", "out", "--prefixes", "text.en"], "--prefixes requires a single text"),
    ],
)
def test_wrong_folders_are_explained(arguments: list[str], says: str, news: Path, folder: Path) -> None:
    before = contents(folder)
    assert_explained(nmt("translate", *arguments, *OPTIONS), says, codes=(2,))
    assert contents(folder) == before
