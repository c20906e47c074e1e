"""`nmt repl`: through a pipe, and at a terminal."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nmt as package
from cli_tools import COMMAND, assert_explained, environment, nmt, nmt_process
from nmt.cli.repl_session import Session
from nmt.errors import NMTError, UsageError
from nmt.plots.terminal import LEGEND
from tiny_translator import save_tiny_model

SENTENCE = "the red dog sleeps ."


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMT_MODEL", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name, model in (("blind", {"attention": {"score": "none"}}), ("tiny", {})):
        (tmp_path / "runs" / name).mkdir(parents=True)
        save_tiny_model(tmp_path / "runs" / name / "best.safetensors", **model)
    return tmp_path


def session(**changes: object) -> Session:
    options = {"weights": None, "alternatives": 3, "attention": "words", "decoding": {"device": "cpu", "threads": 1}}
    return Session([Path("runs/tiny")], **{**options, **changes})  # type: ignore[arg-type]


def test_a_pipe_gets_answers_and_an_exit_code(folder: Path) -> None:
    model = package.load("runs/tiny", device="cpu", n_best=3)
    translation = model.translate(SENTENCE)
    done = nmt_process("repl", "-m", "runs/tiny", folder=folder, stdin=f"{SENTENCE}\n\n  \n:quit\nmore\n".encode())
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.split("\n")
    assert lines[0] == translation.text
    alternatives = translation.hypotheses if len(translation.hypotheses) > 1 else []
    for line, candidate in zip(lines[1:], alternatives, strict=False):
        assert line.endswith(f"  {candidate.text}")
        assert float(line.split()[0]) == pytest.approx(candidate.score, abs=1e-3)
    assert lines.count(LEGEND) == 1
    assert not any(line.startswith(">") for line in lines)

    wrong = nmt("repl", "-m", "runs/tiny", folder=folder, stdin=f":bim\n{SENTENCE}\n".encode())
    assert wrong.code == 1
    assert wrong.stderr == "error: :bim: unknown command. :help lists all commands.\n"
    assert wrong.stdout.split("\n")[0] == translation.text


def test_a_reader_that_waits_gets_its_answer(folder: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "repl", "-m", "runs/tiny", "--attention", "off", "--alternatives", "1"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        model = package.load("runs/tiny", device="cpu")
        for sentence in (SENTENCE, "a cat runs .", "the old man hears a dog ."):
            process.stdin.write(f"{sentence}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().decode() == f"{model.translate(sentence).text}\n"
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_commands_change_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    here = session()
    here.answer(":attention off")
    here.answer(":beam 6")
    here.answer(":alternatives 6")
    here.answer(SENTENCE)
    expected = package.load("runs/tiny", device="cpu", beam_size=6, n_best=6).translate(SENTENCE)
    assert len(expected.hypotheses) > 1
    shown = capsys.readouterr().out.split("\n")
    assert shown[0] == expected.text
    assert [line.split(maxsplit=1)[1] for line in shown[1:-1]] == [candidate.text for candidate in expected.hypotheses]
    here.answer(":beam 1")
    here.answer(SENTENCE)
    greedy = package.load("runs/tiny", device="cpu", beam_size=1).translate(SENTENCE)
    assert capsys.readouterr().out == f"{greedy.text}\n"
    here.answer(":set length-normalization none")
    here.answer(":set alpha null")
    here.answer(":opt")
    options = capsys.readouterr().out
    assert "length_normalization   none" in options
    assert "beam_size              1" in options
    here.answer(":help")
    assert ":alternatives N" in capsys.readouterr().out
    with pytest.raises(EOFError):
        here.answer(":q")


def test_a_given_translation_is_scored_and_seen(capsys: pytest.CaptureFixture[str]) -> None:
    here = session()
    with pytest.raises(UsageError, match="requires a sentence"):
        here.answer(":target a cat .")
    here.answer(SENTENCE)
    capsys.readouterr()
    here.answer(":target a cat .")
    shown = capsys.readouterr().out
    score = package.load("runs/tiny", device="cpu").score(SENTENCE, "a cat .")
    assert score is not None
    assert shown.startswith(f"log-probability {score.log_probability:.4f}, mean {score.mean:.4f}")
    assert LEGEND in shown


def test_other_models(capsys: pytest.CaptureFixture[str]) -> None:
    here = session()
    here.answer(":model runs/blind")
    assert capsys.readouterr().out == f"{Path('runs/blind/best.safetensors')}: en to de\n"
    here.answer(SENTENCE)
    assert LEGEND not in capsys.readouterr().out
    here.answer(":model runs/tiny 'runs/tiny'")
    capsys.readouterr()
    here.answer(SENTENCE)
    shown = capsys.readouterr().out
    assert shown.split("\n")[0] == package.load("runs/tiny", device="cpu").translate(SENTENCE).text
    assert LEGEND not in shown


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (":", "unknown command"),
        (":nothing", ":nothing: unknown command"),
        (":a 3", ":a: unknown command"),
        (":beam", "whole number"),
        (":beam 0", "whole number"),
        (":beam two", "whole number"),
        (":alternatives -1", "whole number"),
        (":attention loud", "words, pieces, off"),
        (":set", "name of an option"),
        (":set beem_size 4", "Did you mean beam_size"),
        (":set beam_size many", "--beam-size"),
        (":set alpha [", "not a valid value"),
        (":model nowhere", "nowhere"),
        (":model 'open", "quotation mark"),
    ],
)
def test_mistakes_change_nothing(line: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    here = session()
    here.answer(SENTENCE)
    before = capsys.readouterr().out
    with pytest.raises(NMTError, match=part):
        here.answer(line)
    assert capsys.readouterr().out == ""
    here.answer(SENTENCE)
    assert capsys.readouterr().out == before


def test_hostile_lines_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    here = session(attention="pieces")
    for line in ("\ud800 x", "\x00\x01", "漢字 😀", "[bold]the dog[/bold]", "</s>", "the dog " * 80):
        here.answer(line)
    assert "not shown for long translations" in capsys.readouterr().out


def test_no_model_is_told() -> None:
    assert_explained(nmt("repl", "-m", "nowhere"), "nowhere", codes=(2,))
    assert_explained(nmt("repl", "-m", "runs/tiny", "--beam-size", "-1"), "--beam-size", codes=(2,))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_at_a_terminal_control_c_drops_a_line_and_control_d_ends(folder: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "repl", "-m", "runs/tiny"],
        cwd=folder,
        env=environment({"TERM": "dumb"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, seen = "", 0

    def came(part: str, *, seconds: float) -> bool:
        """Whether a text appears, behind what was waited for before."""
        nonlocal shown, seen
        end = time.monotonic() + seconds
        while part not in shown[seen:] and time.monotonic() < end:
            if select.select([ours], [], [], 0.5)[0]:
                shown += os.read(ours, 4096).decode(errors="replace").replace("\r", "")
        if part not in shown[seen:]:
            return False
        seen = shown.index(part, seen) + len(part)
        return True

    def interrupted() -> bool:
        # Python misses a signal that comes just while readline looks at a key, until there is another key or signal.
        for _ in range(30):
            process.send_signal(signal.SIGINT)
            if came("\n> ", seconds=2):
                return True
        return False

    try:
        assert came("Ctrl-D ends", seconds=60), shown
        assert came("\n> ", seconds=60), shown
        os.write(ours, b"half a li")
        assert came("half a li", seconds=60), shown
        assert interrupted(), shown
        os.write(ours, f"{SENTENCE}\n".encode())
        assert came(package.load("runs/tiny", device="cpu").translate(SENTENCE).text, seconds=60), shown
        assert came("≥ 0.05", seconds=60), shown
        assert came("\n> ", seconds=60), shown
        os.write(ours, b"\x04")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
