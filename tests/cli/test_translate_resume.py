"""`nmt translate --resume`: the same bytes wherever it stopped, and nothing else is continued."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_tools import Outcome, assert_explained, contents, nmt
from nmt.inference.model_file import save_model
from nmt.inference.output import record as record_module
from nmt.inference.output.record import OutputRecord
from tiny_translator import WORDS, save_tiny_model, tiny_config, tiny_network, tiny_tokenizers

LINES = [" ".join(WORDS.split()[: 1 + (7 * number) % 17]) + f" {number}" for number in range(36)]
OPTIONS = ["--beam-size", "2", "--threads", "1", "--device", "cpu", "--quiet"]
RECORD = ".out.resume"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(record_module, "FLUSH_SECONDS", 0.0)  # a point after each line
    monkeypatch.setattr(record_module, "SHARE_OF_TIME", 0.0)
    save_tiny_model(tmp_path / "m.safetensors")
    save_tiny_model(tmp_path / "other.safetensors", embedding_size=12)
    write("text.en", LINES)
    write("prefixes", ["the"] * len(LINES))
    write("avoid", ["cat"])
    return tmp_path


def write(name: str, lines: list[str]) -> None:
    Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def translate(*arguments: str, model: str = "m.safetensors", text: str = "text.en") -> Outcome:
    return nmt("translate", "-m", model, text, "-o", "out", *OPTIONS, *arguments)


def interrupted(monkeypatch: pytest.MonkeyPatch, lines: int, *arguments: str) -> None:
    """Stop a translation after some lines, as a kill would."""
    add = OutputRecord._add

    def stop(points: Any, point: Any) -> None:
        add(points, point)
        if point.lines == lines:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(OutputRecord, "_add", staticmethod(stop))
        assert translate(*arguments).code == 130


@pytest.mark.parametrize(
    ("options", "cut"),
    [
        (["--format", "jsonl"], 0),
        (["--format", "jsonl", "--precision", "int8"], 0),
        (["--format", "tsv", "--n-best", "2"], 40),
        ([], 3),
    ],
)
def test_the_bytes_do_not_depend_on_the_resume_point(
    options: list[str], cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert translate(*options).code == 0
    whole = Path("out").read_bytes()
    assert not Path(RECORD).exists()
    for lines in (13, 35):
        Path("out").unlink()
        interrupted(monkeypatch, lines, *options)
        content = Path("out").read_bytes()
        assert whole.startswith(content)
        assert len(content) < len(whole)
        Path("out").write_bytes(content[: len(content) - cut])  # what a crash of the machine may lose
        assert translate(*options, "--resume").code == 0
        assert Path("out").read_bytes() == whole
        assert not Path(RECORD).exists()
    assert translate(*options, "--resume").code == 0  # nothing is left to do
    assert Path("out").read_bytes() == whole


def test_a_packed_output_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["-m", "m.safetensors", "text.en", *OPTIONS]
    assert nmt("translate", *options, "-o", "whole").code == 0
    add = OutputRecord._add

    def stop(points: Any, point: Any) -> None:
        add(points, point)
        if point.lines == 20:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(OutputRecord, "_add", staticmethod(stop))
        assert nmt("translate", *options, "-o", "out.gz").code == 130
    assert nmt("translate", *options, "-o", "out.gz", "--resume").code == 0
    assert gzip.decompress(Path("out.gz").read_bytes()) == Path("whole").read_bytes()


@pytest.mark.usefixtures("warm_workers")
def test_several_processes_continue_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["-m", "m.safetensors", "text.en", "--beam-size", "2", "--format", "jsonl", "--quiet", "--processes", "2"]
    assert nmt("translate", *options, "-o", "whole").code == 0
    add = OutputRecord._add

    def stop(points: Any, point: Any) -> None:
        add(points, point)
        if point.lines == 13:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(OutputRecord, "_add", staticmethod(stop))
        assert nmt("translate", *options, "-o", "out").code == 130
    assert nmt("translate", *options, "-o", "out", "--resume").code == 0
    assert Path("out").read_bytes() == Path("whole").read_bytes()


def change_line() -> None:
    write("text.en", [LINES[0], "a dog", *LINES[2:]])


def insert_line() -> None:
    write("text.en", ["a dog", *LINES])


def shorten() -> None:
    write("text.en", LINES[:7])
    write("prefixes", ["the"] * 7)


def edit_output() -> None:
    content = Path("out").read_bytes()
    Path("out").write_bytes(content[:4] + b"x" + content[5:])


def edit_prefixes() -> None:
    write("prefixes", ["a", *["the"] * (len(LINES) - 1)])


def edit_avoided() -> None:
    write("avoid", ["dog"])


def damage_record() -> None:
    Path(RECORD).write_text("[" * 9000 + "\n", encoding="utf-8")


def delete_record() -> None:
    Path(RECORD).unlink()


def other_model() -> None:
    Path("other.safetensors").replace("m.safetensors")


def nothing() -> None:
    """Change nothing."""


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (change_line, [], "another text"),
        (insert_line, [], "another text"),
        (shorten, [], "another text"),
        (edit_output, [], "changed"),
        (edit_prefixes, [], "other constraints"),
        (edit_avoided, [], "--avoid"),
        (damage_record, [], "damaged"),
        (delete_record, [], "no record"),
        (other_model, [], "--model"),
        (nothing, ["--format", "jsonl"], "--format"),
        (nothing, ["--beam-size", "3"], "--beam-size"),
        (nothing, ["--mbr", "chrf"], "--mbr"),
        (nothing, ["--alpha", "0.3", "--length-normalization", "gnmt"], "--alpha, --length-normalization"),
    ],
)
def test_another_output_is_not_continued(
    change: Callable[[], None], options: list[str], says: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constraints = ["--prefixes", "prefixes", "--avoid", "avoid"]
    interrupted(monkeypatch, 11, *constraints)
    change()
    before = contents(folder)
    assert_explained(translate(*constraints, *options, "--resume"), "out", says)
    assert contents(folder) == before


def test_what_no_translation_wrote_is_left_alone(folder: Path) -> None:
    Path("out").write_bytes(b"notes\nwithout an end")
    before = contents(folder)
    for options in ([], ["--format", "jsonl"], ["--format", "tsv"]):
        assert_explained(translate(*options, "--resume"), "out")
        assert contents(folder) == before


def test_constraints_from_a_pipe_are_used() -> None:
    reading, writing = os.pipe()
    os.write(writing, Path("avoid").read_bytes())
    os.close(writing)
    outputs = []
    for options in ([], ["--avoid", "avoid"], ["--avoid", f"/dev/fd/{reading}"]):
        assert translate(*options, "--overwrite").code == 0
        outputs.append(Path("out").read_bytes())
    os.close(reading)
    assert outputs[0] != outputs[1] == outputs[2]


def test_a_name_may_be_as_long_as_the_system_allows() -> None:
    name = "o" * 255
    assert nmt("translate", "-m", "m.safetensors", "text.en", "-o", name, *OPTIONS).code == 0
    assert nmt("translate", "-m", "m.safetensors", "text.en", "-o", name, *OPTIONS, "--resume").code == 0
    assert len(Path(name).read_text(encoding="utf-8").splitlines()) == len(LINES)


def test_computation_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, 11)
    assert translate("--resume", "--batch-size", "3").code == 0
    assert len(Path("out").read_text(encoding="utf-8").splitlines()) == len(LINES)


def test_undefined_samples_are_an_error(tmp_path: Path) -> None:
    config = tiny_config()
    weights = {name: value.detach() * float("nan") for name, value in tiny_network(config).named_parameters()}
    save_model(tmp_path / "nan", weights=weights, config=config, tokenizers=tiny_tokenizers(), provenance={})
    for options in (["--sampling"], []):
        assert_explained(nmt("translate", "-m", "nan", "text.en", "--quiet", *options), "undefined")


def test_the_record_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, 5)
    header, *points = map(json.loads, Path(RECORD).read_text(encoding="utf-8").splitlines())
    assert header["format"] == 1
    assert [point["lines"] for point in points] == [1, 2, 3, 4, 5]
    assert points[-1]["size"] == len(Path("out").read_bytes())
