"""`nmt translate`: formats, alignments, files that go on after a kill, packed files, several processes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli_tools import COMMAND, assert_explained, environment, nmt, nmt_warm
from nmt.data.lines import read_lines
from tiny_translator import save_tiny_model

HOSTILE = [
    "the red dog",
    "",
    "\t",
    "a\u2028cat\x0bsees ||| a man",
    "<b>the</b> {0} house 1999",
    "\ufeffa \u200b",
    "🐕 dog",
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "m.safetensors")
    (tmp_path / "text.en").write_text("".join(f"{line}\n" for line in HOSTILE), encoding="utf-8", newline="")
    return tmp_path


def translate(*arguments: str) -> str:
    outcome = nmt("translate", "-m", "m.safetensors", "--device", "cpu", *arguments)
    assert outcome.code == 0, outcome
    return outcome.stdout


def rows(text: str) -> list[str]:
    assert text.endswith("\n")
    return text.removesuffix("\n").split("\n")


def test_n_best_lists_have_what_jsonl_has() -> None:
    options = ("text.en", "--beam-size", "4", "--n-best", "3", "--alignment", "hard")
    objects = [json.loads(row) for row in rows(translate(*options, "--format", "jsonl"))]
    assert [each["source"] for each in objects] == HOSTILE
    assert [each["translation"] for each in objects] == rows(translate("text.en", "--beam-size", "4"))
    expected = [
        (line, rank, *candidate)
        for line, each in enumerate(objects)
        for rank, candidate in enumerate(
            [(hyp["score"], hyp["log_probability"], hyp["text"]) for hyp in each["hypotheses"]] or [(0.0, 0.0, "")]
        )
    ]
    tsv = [row.split("\t") for row in rows(translate(*options, "--format", "tsv"))]
    assert [(int(line) - 1, int(rank) - 1, text) for line, rank, _, _, text, _ in tsv] == [
        (line, rank, text) for line, rank, _, _, text in expected
    ]
    assert [float(row[2]) for row in tsv] == pytest.approx([row[2] for row in expected], abs=1e-5)
    assert [float(row[3]) for row in tsv] == pytest.approx([row[3] for row in expected], abs=1e-5)
    moses = [row.split(" ||| ") for row in rows(translate(*options, "--format", "moses"))]
    assert [(int(line), text.replace("&#124;", "|")) for line, text, *_ in moses] == [(r[0], r[4]) for r in expected]
    for (_, _, features, score, links), row in zip(moses, tsv, strict=True):
        assert features.split()[::2] == ["logprob=", "length="]
        assert (features.split()[1], score, links) == (row[3], row[2], row[5])


def test_alignments_are_those_of_the_pieces() -> None:
    hard = [json.loads(row) for row in rows(translate("text.en", "--format", "jsonl", "--alignment", "hard"))]
    soft = [json.loads(row) for row in rows(translate("text.en", "--format", "jsonl", "--alignment", "soft"))]
    for first, second in zip(hard, soft, strict=True):
        assert first["source_pieces"] == second["source_pieces"]
        for one, other in zip(first["hypotheses"], second["hypotheses"], strict=True):
            weights = other["attention"]
            assert len(weights) == len(one["pieces"]) + 1
            assert {len(row) for row in weights} == {len(first["source_pieces"]) + 1}
            assert [sum(row) for row in weights] == pytest.approx([1] * len(weights), abs=1e-3)
            best = [(max(range(len(row)), key=row.__getitem__), place) for place, row in enumerate(weights[:-1])]
            assert sorted(map(list, best)) == sorted(
                one["alignment"] + [list(link) for link in best if link[0] == len(first["source_pieces"])]
            )


def test_flags_and_protection() -> None:
    plain = [json.loads(row) for row in rows(translate("text.en", "--format", "jsonl"))]
    assert {"missing_tag", "missing_placeholder", "missing_number"} <= set(plain[4]["flags"])
    kept = [json.loads(row) for row in rows(translate("text.en", "--format", "jsonl", "--protect"))]
    assert not {"missing_tag", "missing_placeholder"} & set(kept[4]["flags"])
    assert kept[4]["translation"].count("{0}") == 1
    assert [each["flags"] for each in kept[1:3]] == [[], []]


def test_a_line_of_20000_words_stays_one_line(folder: Path) -> None:
    (folder / "long.en").write_text("the dog runs . " * 5000 + "\na cat\n", encoding="utf-8")
    outcome = nmt("translate", "-m", "m.safetensors", "long.en", "--beam-size", "1", "--split-sentences")
    assert outcome.code == 0
    assert len(rows(outcome.stdout)) == 2


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_killed_run_goes_on_to_the_same_file(suffix: str, folder: Path) -> None:
    lines = [f"the dog number {number} sees a cat ." for number in range(150)]
    (folder / "big.en").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    options = ["-m", "m.safetensors", "big.en", "--beam-size", "1", "--threads", "1", "-o", f"out.de{suffix}"]
    output = folder / f"out.de{suffix}"
    with subprocess.Popen([*COMMAND, "translate", *options], cwd=folder, env=environment()) as process:
        deadline = time.monotonic() + 60
        while not output.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert nmt("translate", *options, "--quiet", "--resume").code == 0
    translated = list(read_lines(output, keep_broken=False))
    assert translated == rows(translate("big.en", "--beam-size", "1"))
    before = output.read_bytes()
    assert nmt("translate", *options, "--quiet", "--resume").code == 0  # nothing is left to do
    assert list(read_lines(output, keep_broken=False)) == translated
    assert suffix or output.read_bytes() == before


def test_processes_give_the_same_text(folder: Path) -> None:
    (folder / "more.en").write_text("".join(f"{line}\n" for line in HOSTILE * 30), encoding="utf-8", newline="")
    options = ("--format", "jsonl", "--protect", "--alignment", "hard")
    alone = [json.loads(row) for row in rows(translate("more.en", *options))]
    outcome = nmt_warm(
        "translate", "-m", "m.safetensors", "more.en", *options, "--processes", "2", "--progress", folder=folder
    )
    together = [json.loads(row) for row in rows(outcome.stdout)]
    for key in ("source", "translation", "flags"):
        assert [each[key] for each in together] == [each[key] for each in alone]
    assert "2 processes with one thread each" in outcome.stderr
    assert f"{len(alone)} of {len(alone)} lines translated" in outcome.stderr


def test_processes_answer_a_line_before_the_next_one(folder: Path) -> None:
    command = [*COMMAND, "translate", "-m", "m.safetensors", "--processes", "2", "--quiet"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in ("the dog runs .", "", "a cat ."):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().endswith(b"\n")
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["text.en", "--alignment", "hard"], ["--alignment", "--format jsonl"]),
        (["text.en", "--alignment", "soft", "--format", "tsv"], ["--alignment soft", "jsonl"]),
        (["text.en", "--resume"], ["--resume", "-o"]),
        (["text.en", "--resume", "-o", "x", "--overwrite"], ["--resume", "--overwrite"]),
        (["text.en", "--resume", "-o", "long.de"], ["long.de", "translations of 9 lines", "no record"]),
        (["text.en", "--resume", "-o", "long.de", "--format", "tsv"], ["long.de, line 1", "tsv"]),
        (["text.en", "--processes", "2", "--threads", "2"], ["--processes excludes --threads"]),
        (["text.en", "--processes", "2", "--device", "cuda"], ["--processes"]),
        (["text.en", "--processes", "2", "-m", "nowhere"], ["nowhere", "no such model"]),
        (
            ["text.en", "--alignment", "hard", "--format", "tsv", "-m", "blind.safetensors"],
            ["--alignment", "attention"],
        ),
    ],
)
def test_what_does_not_go_together_is_explained(arguments: list[str], says: list[str], folder: Path) -> None:
    (folder / "long.de").write_text("eine Zeile\n" * 9, encoding="utf-8")
    save_tiny_model(folder / "blind.safetensors", attention={"score": "none"})
    model = [] if "-m" in arguments else ["-m", "m.safetensors"]
    assert_explained(nmt("translate", "--quiet", *model, *arguments), *says)
    assert (folder / "long.de").read_text(encoding="utf-8") == "eine Zeile\n" * 9


def test_what_goes_wrong_in_a_process_is_said_once(folder: Path) -> None:
    outcome = nmt_warm(
        "translate", "-m", "m.safetensors", "text.en", "--processes", "2", "--alpha", "-1", folder=folder
    )
    assert_explained(outcome, "--alpha")
    (folder / "cut.safetensors").write_bytes((folder / "m.safetensors").read_bytes()[:3000])
    outcome = nmt_warm("translate", "-m", "cut.safetensors", "text.en", "--processes", "2", folder=folder)
    assert_explained(outcome, "cut.safetensors", "damaged")
