"""What all commands share: help, exit codes, streams, signals, and what is not imported."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nmt as package
from bad_configurations import CASES, GOOD
from cli_tools import COMMAND, assert_explained, contents, environment, nmt, nmt_process, untouched_logging
from nmt import log
from nmt.errors import Interrupted


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("train.en", "train.de", "valid.en", "valid.de"):
        Path(name).write_text("a line\n", encoding="utf-8")
    Path("good.yaml").write_text(GOOD, encoding="utf-8")
    return tmp_path


# ------------------------------------------------------------------------------------------------------------- help


def test_version() -> None:
    assert nmt("--version").stdout == f"nmt {package.__version__}\n"


def test_configurations_are_checked_without_torch(folder: Path) -> None:
    code = (
        "import sys; from nmt.config import load_config; load_config('good.yaml'); "
        "print([name for name in ('torch', 'numpy', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("nmt tr", {"train", "translate"}),
        ("nmt train good.yaml training.optimizer.le", {"training.optimizer.learning_rate="}),
    ],
)
def test_shells_can_complete_commands_and_options(words: str, offered: set[str], folder: Path) -> None:
    variables = {"_NMT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    outcome = nmt_process(folder=folder, variables=variables)
    assert set(outcome.stdout.split()) == offered


def test_quiet_and_verbose_may_stand_before_and_after_the_command(folder: Path) -> None:
    odd = ("config", "check", "good.yaml", "training.validation.patience=1")
    assert nmt(*odd).stderr.startswith("warning: ")
    assert nmt("--quiet", *odd).stderr.startswith("warning: ")
    assert "Traceback" not in nmt("config", "check", "nowhere.yaml", "-q").stderr
    assert "Traceback" in nmt("--verbose", "config", "check", "nowhere.yaml").stderr
    assert "Traceback" in nmt("config", "check", "nowhere.yaml", "-v").stderr


def test_no_command_is_the_help(folder: Path) -> None:
    outcome = nmt()
    assert "Usage" in outcome.stdout + outcome.stderr


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["config", "check"], "wrong level"),
        (["config", "show"], "no for a boolean"),
        (["preprocess"], "missing file"),
        (["train"], "duplicate key"),
        (["train", "--overwrite"], "tab"),
        (["train", "--resume"], "n-best over beam"),
    ],
)
def test_a_bad_configuration_stops_a_command(command: list[str], name: str, folder: Path) -> None:
    case = CASES[name]
    assert isinstance(case.text, str)
    (folder / "bad.yaml").write_text(case.text, encoding="utf-8")
    before = contents(folder)
    outcome = nmt(*command, "bad.yaml")
    assert_explained(outcome, f"error: bad.yaml:{case.line}: ", case.key, case.says, case.hint, codes=(2,))
    assert contents(folder) == before


@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"], ["preprocess"], ["train"]], ids=" ".join)
@pytest.mark.parametrize("file", ["nowhere.yaml", ".", "train.en", "latin.yaml", "empty.yaml"])
def test_a_configuration_that_cannot_be_read(command: list[str], file: str, folder: Path) -> None:
    (folder / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    (folder / "empty.yaml").touch()
    before = contents(folder)
    assert_explained(nmt(*command, file), "error: ", file, "hint: ", codes=(2,))
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "good.yaml", "--resume", "--overwrite"], ["--resume", "--overwrite"]),
        (["train", "good.yaml", "--resume", "--init-from", "x"], ["--resume", "--init-from"]),
        (["train", "good.yaml", "--init-from", "nowhere"], ["nowhere"]),
        (["train", "good.yaml", "--init-from", "train.en"], ["train.en", "not a model file"]),
        (["train", "good.yaml", "--resume"], ["runs", "good"]),
        (["train", "good.yaml", "max_epochs=3"], ["override 'max_epochs=3'", "training.max_epochs"]),
        (["train"], ["Missing argument"]),
        (["train", "good.yaml", "--epochs", "3"], ["No such option"]),
        (["preprocess", "uneven.yaml"], ["train.en has 1 line", "long.de has 2"]),
        (["trian", "good.yaml"], ["No such command", "train"]),
        (["config", "chek", "good.yaml"], ["No such command", "check"]),
        (["--quite"], ["No such option", "--quiet"]),
    ],
)
def test_a_command_that_cannot_work_says_why(arguments: list[str], says: list[str], folder: Path) -> None:
    (folder / "long.de").write_text("eine Zeile\nnoch eine\n", encoding="utf-8")
    (folder / "uneven.yaml").write_text(GOOD.replace("train.de", "long.de"), encoding="utf-8")
    before = contents(folder)
    assert_explained(nmt(*arguments), *says)
    assert contents(folder) == before


def test_an_existing_run_is_not_touched(folder: Path) -> None:
    (folder / "runs" / "good").mkdir(parents=True)
    (folder / "runs" / "good" / "config.yaml").write_text(GOOD, encoding="utf-8")
    before = contents(folder)
    assert_explained(nmt("train", "good.yaml"), "exists already", "--resume", "--overwrite", codes=(2,))
    assert contents(folder) == before


# ------------------------------------------------------------------------------------- streams, signals, exit codes


def test_output_is_utf8_whatever_the_locale_says(folder: Path) -> None:
    (folder / "größe 한국어.yaml").write_text(GOOD.replace("train.en", "größe.en"), encoding="utf-8")
    (folder / "größe.en").write_text("a line\n", encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    good = nmt_process("config", "check", "größe 한국어.yaml", folder=folder, variables=ascii_only)
    assert good.code == 0, good
    assert "größe.en" in good.stdout
    assert "größe 한국어" in good.stdout
    bad = nmt_process("config", "check", "größe 한국어.yaml", "größe=ß", folder=folder, variables=ascii_only)
    assert_explained(bad, "größe=ß", codes=(2,))


def test_a_closed_pipe_ends_without_complaint(folder: Path) -> None:
    command = f"{shlex.join(COMMAND)} config schema | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env=environment(), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 128 + signal.SIGPIPE)
    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "config", "schema"],
            env=environment(),
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_waiting_command(number: signal.Signals, code: int, folder: Path) -> None:
    (folder / "hook.py").write_text(
        "import sys, time\n"
        "import nmt.config\n"
        "def wait(*arguments, **options):\n"
        "    print('waiting', file=sys.stderr, flush=True)\n"
        "    time.sleep(60)\n"
        "nmt.config.load_with_origins = wait\n"
        "from nmt.cli import main\n"
        "main()\n",
        encoding="utf-8",
    )
    command = [sys.executable, "hook.py", "config", "check", "good.yaml"]
    with subprocess.Popen(command, env=environment(), cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting\n"
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Interrupted("stopped at update 7; --resume goes on", signal_number=2), 130, "stopped at update 7"),
        (MemoryError(), 1, "not enough memory"),
        (Interrupted("stopped", signal_number=15), 143, "stopped"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "/some/file"), 1, "error: /some/file: Permission denied"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: int, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("nmt.cli.commands.config.load_with_origins", fail)
    monkeypatch.setattr("nmt.cli.program._ignore_output", lambda: None)
    outcome = nmt("config", "check", "good.yaml")
    assert outcome.code == code
    assert text in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_what_should_not_happen_asks_for_a_report(verbose: bool, folder: Path) -> None:
    (folder / "hook.py").write_text(
        "import nmt.config\n"
        "def fail(*arguments, **options):\n"
        "    raise KeyError('odd')\n"
        "nmt.config.load_with_origins = fail\n"
        "from nmt.cli import main\n"
        "main()\n",
        encoding="utf-8",
    )
    command = [sys.executable, "hook.py", "config", "check", "good.yaml", *(["--verbose"] if verbose else [])]
    done = subprocess.run(command, env=environment(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: unexpected KeyError: 'odd'" in done.stderr
    assert "report it" in done.stderr
    assert ("Traceback" in done.stderr) is verbose


# -------------------------------------------------------------------------------------------------------------- log


@pytest.fixture
def _quiet_logger() -> Iterator[None]:
    with untouched_logging():
        yield


@pytest.mark.usefixtures("_quiet_logger")
@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
def test_log_lines_go_to_standard_error_and_a_file(
    level: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.log").write_text("before\n", encoding="utf-8")
    log.setup(level=level, file=tmp_path / "train.log")
    log.logger.debug("details %d", 1)
    log.logger.info("größe %d", 2)
    log.logger.warning("careful")
    shown = capsys.readouterr()
    assert shown.out == ""
    expected = ["details 1"] * (level <= logging.DEBUG) + ["größe 2"] * (level <= logging.INFO) + ["warning: careful"]
    assert shown.err.splitlines() == expected
    lines = (tmp_path / "train.log").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before"
    assert any(line.endswith("INFO größe 2") for line in lines)
    log.add_file(tmp_path / "other.log")
    log.logger.info("elsewhere")
    assert "elsewhere" in (tmp_path / "other.log").read_text(encoding="utf-8")
    assert "elsewhere" not in (tmp_path / "train.log").read_text(encoding="utf-8")
    log.setup(level=level)
    capsys.readouterr()
    log.logger.warning("only once")
    assert capsys.readouterr().err == "warning: only once\n"
    assert "only once" not in (tmp_path / "train.log").read_text(encoding="utf-8")


@pytest.mark.usefixtures("_quiet_logger")
def test_progress_shows_nothing_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(level=logging.INFO)
    with log.progress(10, "training", "lines") as bar:
        bar.update(5)
        log.logger.info("half")
    assert capsys.readouterr().err == "half\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_progress_is_a_bar_on_a_terminal_that_log_lines_do_not_break(level: str) -> None:
    import fcntl
    import pty
    import termios

    code = (
        f"import logging; from nmt import log; log.setup(level=logging.{level})\n"
        "with log.progress(10, 'training', 'lines') as bar:\n"
        "    bar.update(5); log.logger.warning('half'); bar.update(5)\n"
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen([sys.executable, "-c", code], env=environment({"TERM": "xterm"}), stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
        assert process.wait(timeout=30) == 0
    os.close(ours)
    assert (b"training" in shown) is (level == "INFO")
    assert any(line.endswith(b"warning: half") for line in shown.replace(b"\r", b"\n").split(b"\n"))
