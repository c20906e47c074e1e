"""Every command in the documentation is one that there is, with the options it has and a configuration that holds.

The blocks run in bash, which expands what is to be expanded, with stand-ins that note how they were called; then the
real commands read those arguments, and no more. The README's blocks are run for good: test_scripts_readme.py.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli_tools import ROOT
from nmt.cli import app
from nmt.config import load_config

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "configs").rglob("*.md"))]
SCRIPTS = {path.name: path.read_text("utf-8") for path in (ROOT / "scripts").iterdir() if path.is_file()}
STAND_IN = """\
#!/bin/sh
printf '%s\\0' "${0##*/}" "$@" > "$(mktemp "$CALLS/XXXXXXXX")"
"""
MODULES = {
    name: module
    for name, text in SCRIPTS.items()
    for module in re.findall(r"^run_(?:module|trainings) ([a-z_.]+) \"\$@\"$", text.splitlines()[-1])
}
"""What each script runs; the others are shell scripts."""
FILES = ("my.yaml", "my.en", "my.de", "new.en", "short.en", "long.en", "valid.jsonl", "data/multi30k/train.en")


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """All commands of all pages: the program and its arguments."""
    place = tmp_path_factory.mktemp("commands")
    (place / "scripts").mkdir()
    for program in ("nmt", *(f"scripts/{name}" for name in SCRIPTS)):
        (place / program).write_text(STAND_IN, "utf-8")
        (place / program).chmod(0o755)
    make_files(place)
    notes = place / "calls"
    notes.mkdir()
    for page in PAGES:
        for block in re.findall(r"^```bash\n(.*?)^```$", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL):
            subprocess.run(
                ["bash", "-c", block],
                cwd=place,
                env={**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}", "CALLS": str(notes)},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=60,
                check=False,
            )
    return [call.read_text("utf-8").removesuffix("\0").split("\0") for call in sorted(notes.iterdir())]


@pytest.fixture
def text_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with what the commands of the documentation read, as far as they look for it at once."""
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path)


def make_files(place: Path) -> None:
    (place / "configs").symlink_to(ROOT / "configs")
    for name in FILES:
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", "utf-8")


def read_arguments(program: str, arguments: list[str]) -> None:
    """Let a command read its arguments.

    Raises:
        Exception: What it makes of arguments that it does not take.
    """
    if program != "nmt":
        module = importlib.import_module(MODULES[program])
        main = importlib.import_module(f"{MODULES[program]}.__main__") if hasattr(module, "__path__") else module
        main.parse(arguments)
        return
    command: Any = typer.main.get_command(app)
    context = command.make_context("nmt", list(arguments))
    while hasattr(command, "resolve_command"):
        name, command, arguments = command.resolve_command(context, arguments)
        context = command.make_context(name, list(arguments), parent=context)


def test_the_pages_have_commands(calls: list[list[str]]) -> None:
    assert len(calls) > 60
    assert {"nmt", "benchmark", "fetch_data"} <= {program for program, *_ in calls}


@pytest.mark.usefixtures("text_files")
def test_every_command_is_understood(calls: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    refused = []
    for program, *arguments in calls:
        try:
            if program not in ("nmt", *MODULES):
                assert not [one for one in arguments if one.startswith("-")]
                continue
            read_arguments(program, arguments)
        except (Exception, SystemExit) as error:
            refused.append((program, arguments, repr(error), capsys.readouterr().err))
    assert not refused, "\n".join(map(str, refused))


def test_every_training_has_a_configuration_that_holds(calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    trainings = [arguments[1:] for program, *arguments in calls if program == "nmt" and arguments[0] == "train"]
    shipped = [given for given in trainings if given[0].startswith("configs/")]
    assert len(shipped) > 8
    for file, *overrides in shipped:
        load_config(Path(file), overrides, check_files=False)
