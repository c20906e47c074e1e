"""`nmt plot`: learning curves from `metrics.jsonl`, of finished and of running trainings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_tools import COMMAND, assert_explained, contents, environment, nmt
from nmt.plots.run_records import find_metrics, read_records

PNG = b"\x89PNG\r\n"


def records(count: int, *, bleu: bool = True) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in range(1, count + 1):
        loss = 8.0 / step
        numbers = {"learning_rate": 0.001 / step, "gradient_norm": 1.0, "target_tokens_per_second": 900.0 + step}
        found.append({"kind": "train", "update": 50 * step, "epoch": 0, "loss": loss, "perplexity": 3.0, **numbers})
        scores = {"bleu": 2.0 * step, "chrf": 30.0} if bleu else {}
        found.append({"kind": "valid", "update": 50 * step, "epoch": 0, "loss": loss, **scores, "best": True})
    return found


def write_run(name: str, found: list[dict[str, Any]], *, end: str = "") -> Path:
    folder = Path("runs") / name
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record) + "\n" for record in found) + end
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_run("first", records(6))
    write_run("second", records(4, bleu=False))
    os.utime("runs/first/metrics.jsonl", (1, 1))
    return tmp_path


def test_one_run_by_name_by_path_by_file_or_the_newest() -> None:
    expected = Path("runs/first/curves.png")
    for name in ("first", "runs/first", "runs/first/metrics.jsonl"):
        outcome = nmt("plot", name, "--curve", "loss")
        assert (outcome.code, outcome.stdout) == (0, f"{expected}\n")
        assert expected.read_bytes().startswith(PNG)
    assert nmt("plot", "--curve", "loss").stdout == f"{Path('runs/second/curves.png')}\n"
    Path("runs/latest").symlink_to("first", target_is_directory=True)
    assert nmt("plot", "--curve", "loss").stdout == f"{expected}\n"


def test_several_runs_are_drawn_together_with_a_legend() -> None:
    outcome = nmt("plot", "first", "second", "-o", "both.svg")
    assert outcome.stdout == "both.svg\n"
    picture = Path("both.svg").read_text(encoding="utf-8")
    drawn = [label for label in ("first", "second", "training", "validation") if f"<!-- {label} -->" in picture]
    assert drawn == ["first", "second", "training", "validation"]
    for title in (
        "loss (nats per token)",
        "perplexity",
        "BLEU (validation)",
        "learning rate",
        "target tokens per second",
    ):
        assert f"<!-- {title} -->" in picture
    assert nmt("plot", "first", "second", "--curve", "bleu").stdout == "curves.png\n"
    assert_explained(nmt("plot", "first", "second"), "curves.png exists already", "--overwrite")
    assert nmt("plot", "first", "second", "--curve", "bleu", "--overwrite").code == 0


def test_only_what_is_there_or_asked_for_is_drawn() -> None:
    nmt("plot", "second", "-o", "usual.svg")
    assert "BLEU" not in Path("usual.svg").read_text(encoding="utf-8")
    nmt("plot", "first", "--curve", "chrf", "--curve", "gradient_norm", "-o", "asked.svg")
    picture = Path("asked.svg").read_text(encoding="utf-8")
    assert "chrF" in picture
    assert "gradient norm" in picture
    assert "perplexity" not in picture
    partly = nmt("plot", "second", "--curve", "bleu", "--curve", "loss", "-o", "partly.svg")
    assert partly.code == 0
    assert "warning: the metrics of the runs have no bleu" in partly.stderr
    assert_explained(nmt("plot", "second", "--curve", "bleu", "-o", "none.svg"), "have no bleu")
    assert not Path("none.svg").exists()


def test_the_same_metrics_make_the_same_picture() -> None:
    for suffix in ("png", "svg"):
        nmt("plot", "first", "-o", f"a.{suffix}", "--curve", "perplexity")
        nmt("plot", "first", "-o", f"b.{suffix}", "--curve", "perplexity")
        assert Path(f"a.{suffix}").read_bytes() == Path(f"b.{suffix}").read_bytes()


def test_a_half_written_last_line_is_left_out() -> None:
    write_run("growing", records(3), end='{"kind": "train", "upda')
    whole = read_records(find_metrics("growing"))
    assert whole.train["loss"].updates == [50, 100, 150]
    outcome = nmt("plot", "growing", "--curve", "loss")
    assert (outcome.code, outcome.stderr) == (0, "")


def test_broken_lines_and_missing_numbers_are_left_out() -> None:
    found = records(3)
    found[2]["loss"] = None
    run = write_run("odd", found)
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('[1, 2]\n{"kind": "note", "update": 4}\nnot json\n')
        stream.write('{"kind": "train", "update": 200, "loss": 1.5}\n')
    outcome = nmt("plot", "odd", "--curve", "loss")
    assert outcome.code == 0
    assert [f"line {number}" in outcome.stderr for number in (6, 7, 8, 9, 10)] == [False, True, True, True, False]
    series = read_records(run / "metrics.jsonl").train["loss"]
    assert series.updates == [50, 150, 200]
    assert series.values[-1] == 1.5


def test_warnings_of_training_are_marked_and_named_once() -> None:
    found = records(3)
    found[4:4] = [{"kind": "warning", "update": 100, "epoch": 0, "name": "overfitting", "text": "..."}]
    write_run("warned", [*found, {"kind": "warning", "update": 150, "epoch": 0, "name": "stalled", "text": "..."}])
    assert read_records(find_metrics("warned")).warnings == [(100, "overfitting"), (150, "stalled")]
    outcome = nmt("plot", "warned", "-o", "warned.svg")
    assert (outcome.code, outcome.stderr) == (0, "")
    picture = Path("warned.svg").read_text(encoding="utf-8")
    assert [picture.count(f"<!-- {label} -->") for label in ("warning", "overfitting", "stalled")] == [1, 1, 1]
    nmt("plot", "warned", "-o", "without.svg", "--curve", "speed")
    assert "<!-- warning -->" not in Path("without.svg").read_text(encoding="utf-8")


def test_one_record_is_enough() -> None:
    write_run("new", records(1)[:1])
    assert nmt("plot", "new").code == 0


def test_many_runs_and_odd_names() -> None:
    names = [f"run $x_{number}$ & <b>" for number in range(11)]
    for number, name in enumerate(names):
        write_run(name, records(number + 1))
    assert nmt("plot", *names, "-o", "many.png", "--curve", "bleu").code == 0


def test_runs_of_the_same_name_are_told_apart() -> None:
    other = Path("elsewhere/first")
    other.mkdir(parents=True)
    (other / "metrics.jsonl").write_text(json.dumps(records(1)[0]) + "\n", encoding="utf-8")
    nmt("plot", "first", "elsewhere/first", "-o", "two.svg")
    picture = Path("two.svg").read_text(encoding="utf-8")
    assert f"<!-- {Path('runs/first')} -->" in picture
    assert f"<!-- {other} -->" in picture


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("third",), ("Run 'third' does not exist", "first, second")),
        (("empty",), ("contains no metrics yet",)),
        (("silent",), ("has no metrics.jsonl yet",)),
        (("runs/first/notes.txt",), ("notes.txt' is not a run",)),
        (("first", "-o", "curves.pdf"), ("curves.pdf", ".png or .svg")),
        (("first", "-o", "nowhere/curves.png"), ("nowhere",)),
        (("first", "-o", "there.png"), ("there.png exists already", "--overwrite")),
        (("first", "--curve", "colour"), ("colour",)),
    ],
)
def test_what_cannot_be_plotted_is_explained(arguments: tuple[str, ...], parts: tuple[str, ...], folder: Path) -> None:
    write_run("empty", [])
    Path("runs/silent").mkdir()
    Path("runs/first/notes.txt").touch()
    Path("there.png").touch()
    before = contents(folder)
    assert_explained(nmt("plot", *arguments), *parts)
    assert contents(folder) == before


def test_no_runs_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path / "bare")
    assert_explained(nmt("plot"), "nmt train")
    assert_explained(nmt("plot", "x"), "Run 'x' does not exist")


def test_torch_is_not_needed(folder: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['nmt', 'plot', 'first']\nfrom nmt.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", ["plot", "attention"])
def test_help_imports_nothing_heavy(command: str) -> None:
    heavy = ["torch", "numpy", "matplotlib"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy})); sys.argv = ['nmt', '{command}', '--help']\n"
        "from nmt.cli import main\nmain()"
    )
    done = subprocess.run([COMMAND[0], "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"nmt {command}" in done.stdout.split("For example:")[1]
