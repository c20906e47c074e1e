"""The environment that scripts/quickstart and scripts/test share: made once, mended when broken, offline later.

A stand-in for Python notes what it is asked to do instead of doing it, so that nothing is installed here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.cli.environment import set_up_threads

ROOT = Path(__file__).parents[2]
STAND_IN = """#!/bin/sh
printf '%s\\n' "$*" >>"{folder}/log"
case "$*" in
    "-m venv"*) mkdir -p "$4/bin" && ln -s "{folder}/python" "$4/bin/python" && rm -f "{folder}/damaged" ;;
    "-m pip --version") ;;
    "-m pip install"*) test ! -e "{folder}/no network" ;;
    "-c import numpy"*) test ! -e "{folder}/damaged" ;;
    *) exec "{python}" "$@" ;;
esac
"""

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the stand-in lives."""
    place = tmp_path / "stand in"
    place.mkdir()
    (place / "python").write_text(STAND_IN.format(folder=place, python=sys.executable), encoding="utf-8")
    (place / "python").chmod(0o755)
    return place


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the setup reads, in a path with spaces."""
    place = tmp_path / "a check out"
    shutil.copytree(ROOT / "scripts", place / "scripts")
    for name in ("pyproject.toml", "constraints.txt", "requirements.lock"):
        shutil.copy(ROOT / name, place / name)
    return place


@pytest.fixture
def prepare(checkout: Path, folder: Path, tmp_path: Path) -> Script:
    """Prepare the environment as a script would, from another folder."""

    def run(*arguments: str, python: str | None = None) -> subprocess.CompletedProcess[str]:
        line = f'set -euo pipefail; . "$1/scripts/lib/setup.sh"; prepare_environment {" ".join(arguments)}'
        return subprocess.run(
            ["bash", "-c", line, "bash", str(checkout)],
            cwd=tmp_path,
            env={**os.environ, "PYTHON": python or str(folder / "python")},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return run


def asked(folder: Path) -> list[str]:
    """What the stand-in was asked to do since the last look, besides plain Python."""
    log = folder / "log"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if line.startswith(("-m venv", "-m pip install"))]


def test_installs_once_with_the_constraints(prepare: Script, folder: Path, checkout: Path) -> None:
    done = prepare()
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    first = asked(folder)
    assert [line.split()[1] for line in first] == ["venv", "pip", "pip"]
    assert "--require-hashes --no-deps -r " in first[1]
    assert f"-c {checkout}/constraints.txt" in first[2]
    assert first[-1].endswith("-e .")
    assert prepare().returncode == 0
    assert asked(folder) == [], "a ready environment must need no network"


def test_tests_need_more_than_the_quickstart_and_what_they_need_is_enough_for_it(prepare: Script, folder: Path) -> None:
    prepare()
    asked(folder)
    assert prepare("dev").returncode == 0
    more = asked(folder)
    assert more[-1].endswith("-e .[dev]")
    assert not any("venv" in line.split()[:2] for line in more), "the environment was made anew"
    prepare()
    prepare("dev")
    assert asked(folder) == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "requirements.lock"])
def test_installs_again_when_the_requirements_change(prepare: Script, folder: Path, checkout: Path, name: str) -> None:
    prepare()
    asked(folder)
    with (checkout / name).open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    assert prepare().returncode == 0
    assert len(asked(folder)) == 2


def test_installs_again_when_the_checkout_has_moved(prepare: Script, folder: Path, checkout: Path) -> None:
    prepare()
    asked(folder)
    moved = checkout.with_name("moved")
    checkout.rename(moved)
    checkout.symlink_to(moved)
    assert prepare().returncode == 0
    assert len(asked(folder)) == 2


def test_a_failed_installation_says_so_and_is_done_again(prepare: Script, folder: Path) -> None:
    (folder / "no network").touch()
    done = prepare()
    assert done.returncode == 1
    assert "error: The packages could not be installed" in done.stderr
    (folder / "no network").unlink()
    asked(folder)
    assert prepare().returncode == 0
    assert asked(folder), "a failed installation was taken for a complete one"


def test_damaged_packages_make_it_anew(prepare: Script, folder: Path) -> None:
    prepare()
    asked(folder)
    (folder / "damaged").touch()
    assert prepare("dev").returncode == 0
    assert "-m venv" in " ".join(asked(folder))


@pytest.mark.parametrize("damage", ["python", "everything", "dangling"])
def test_a_broken_environment_is_made_anew(prepare: Script, folder: Path, checkout: Path, damage: str) -> None:
    prepare()
    asked(folder)
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    if damage == "everything":
        shutil.rmtree(checkout / ".venv")
        (checkout / ".venv").write_text("not even a folder", encoding="utf-8")
    elif damage == "dangling":
        python.symlink_to("/nowhere/python3")
    assert prepare().returncode == 0
    assert [line.split()[1] for line in asked(folder)] == ["venv", "pip", "pip"]


def test_an_unsuitable_python_is_refused_by_name(prepare: Script, checkout: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.6"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    done = prepare(python=str(old))
    assert done.returncode == 1
    assert f"PYTHON={old} is not a working Python 3.10, 3.11, 3.12 or 3.13" in done.stderr
    assert not (checkout / ".venv").exists()


def test_no_python_at_all_says_which_are_needed(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "grep", "rm"):
        (tools / name).symlink_to(shutil.which(name) or "")
    line = '. "$1/scripts/lib/setup.sh"; prepare_environment'
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    done = subprocess.run(
        [str(tools / "bash"), "-euc", line, "bash", str(checkout)],
        env={**environment, "PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.10, 3.11, 3.12 or 3.13 is required" in done.stderr
    assert "PYTHON=" in done.stderr


def test_a_python_without_venv_says_what_to_install(prepare: Script, checkout: Path, folder: Path) -> None:
    stand_in = (folder / "python").read_text(encoding="utf-8")
    (folder / "python").write_text(stand_in.replace('mkdir -p "$4/bin"', "echo ensurepip is not available; false"))
    done = prepare()
    assert done.returncode == 1
    assert "ensurepip is not available" in done.stderr
    assert "apt install python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("name", ["quickstart", "test", "fetch_data", "benchmark"])
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(ROOT / "scripts" / name, os.X_OK)


def test_shell_scripts_have_no_mistake_that_bash_can_see() -> None:
    files = [path for path in (ROOT / "scripts").rglob("*") if path.is_file() and b"bash" in path.read_bytes()[:60]]
    files += [ROOT / "scripts" / "lib" / "setup.sh", ROOT / ".ci" / "run"]
    assert len(files) >= 4
    for file in files:
        subprocess.run(["bash", "-n", str(file)], check=True)


def test_scripts_set_the_threads_of_torch_as_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "GOMP_SPINCOUNT"
    monkeypatch.setenv(name, "")
    monkeypatch.delenv(name)
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\nenv\n", encoding="utf-8")
    python.chmod(0o755)
    command = f'. "{ROOT}/scripts/lib/setup.sh"; venv="{tmp_path}"; run_module module'
    variables = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.splitlines()
    set_up_threads()
    assert f"{name}={os.environ[name]}" in variables
