"""The built package: wheel and source distribution are complete, and the wheel works without the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from nmt.cli import app
from nmt.data.lines import write_lines
from toy_experiments import toy_pairs

ROOT = Path(__file__).parents[2]
FOLDERS = ("configs", "docs", "nmt", "scripts", "tests")
GENERATED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache")
RECIPES = sorted(path.name for path in (ROOT / "configs" / "recipes").glob("*.yaml"))
SMALL_MODEL = (
    "tokenizer.vocabulary_size=60",
    "tokenizer.byte_fallback=false",
    "model.embedding_size=8",
    "model.encoder.hidden_size=8",
    "model.decoder.hidden_size=8",
    "training.max_updates=4",
    "training.batch_tokens=256",
    "training.validation.every_updates=2",
    "training.threads=1",
    "training.tensorboard=false",
    "decoding.threads=1",
)


class Distributions(NamedTuple):
    source: Path
    wheel: Path


class Installation:
    """The wheel in an environment of its own, with the dependencies of this environment."""

    def __init__(self, *, python: Path, folder: Path) -> None:
        self._bin = python.parent
        self.folder = folder

    def run(self, program: str, *arguments: str, stdin: str = "") -> str:
        """Run a program of the environment in an otherwise empty folder; return its standard output."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NMT_MODEL")}
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self.folder,
            env={**kept, "OMP_NUM_THREADS": "1"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stderr}"
        return done.stdout

    def run_commands(self, *commands: Sequence[str]) -> str:
        """Run several commands of `nmt` in one process of the environment; return their standard output."""
        return self.run("python", "-c", PROGRAM, json.dumps(commands))


PROGRAM = """
import json, sys
from nmt.cli import main

for words in json.loads(sys.argv[1]):
    sys.argv = ["nmt", *words]
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            raise
"""


def call(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout, as building writes into it."""
    copy = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy / path.name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=GENERATED)
    return copy


@pytest.fixture(scope="module")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The source distribution, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(checkout), folder=folder)
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distributions(source, wheel)


@pytest.fixture(scope="module")
def installed(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    environment = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", str(environment), folder=environment)
    python = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    # Comes after the environment's own packages, so the wheel is what `import nmt` finds.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    install = ("--python", str(python), "install", "--no-deps", "--no-index", "--quiet", str(built.wheel))
    call(sys.executable, "-m", "pip", *install, folder=environment)
    return Installation(python=python, folder=tmp_path_factory.mktemp("empty"))


def files_below(folder: Path, pattern: str) -> set[str]:
    found = (path for path in folder.rglob(pattern) if "__pycache__" not in path.parts)
    return {path.relative_to(folder.parent).as_posix() for path in found if path.is_file()}


def test_the_wheel_has_every_module_and_recipe_and_nothing_else(built: Distributions) -> None:
    names = {name for name in zipfile.ZipFile(built.wheel).namelist() if ".dist-info/" not in name}
    kinds = ("*.py", "*.html", "*.css", "*.js", "*.md", "*.wat", "*.wasm")
    expected = {name for kind in kinds for name in files_below(ROOT / "nmt", kind)}
    expected |= {f"nmt/recipes/{name}" for name in RECIPES} | {"nmt/py.typed"}
    assert names == expected


def test_the_source_distribution_has_what_tests_and_documentation_need(built: Distributions) -> None:
    with tarfile.open(built.source) as archive:
        members = archive.getmembers()
        assert all(member.isfile() or member.isdir() for member in members)
        names = {member.name.partition("/")[2] for member in members}
    for folder in FOLDERS:
        patterns = ("*.py", "*.html", "*.css", "*.js") if folder == "nmt" else ("*",)
        assert {name for pattern in patterns for name in files_below(ROOT / folder, pattern)} <= names
    assert {f"nmt/recipes/{name}" for name in RECIPES} <= names
    assert {"constraints.txt", "CHANGELOG.md", "LICENSE", "README.md"} <= names


def test_the_wheel_is_what_python_imports(installed: Installation) -> None:
    lines = "import nmt, importlib.metadata as m; print(nmt.__file__); print(m.version('attention-nmt'))"
    place, version = installed.run("python", "-c", lines).split()
    assert not place.startswith(str(ROOT))
    assert installed.run("nmt", "--version") == f"nmt {version}\n"


def test_every_command_explains_itself(installed: Installation) -> None:
    names = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    overview = installed.run("nmt", "--help")
    assert all(name in overview for name in names)
    helps = installed.run_commands(*([name, "--help"] for name in names))
    assert [name for name in names if f"nmt {name}" not in helps] == []


def test_from_two_files_to_a_translation(installed: Installation) -> None:
    for language, lines in zip(("en", "de"), zip(*toy_pairs(120, seed=1), strict=True), strict=True):
        write_lines(installed.folder / f"all.{language}", lines)
    files = ("--source", "all.en", "--target", "all.de", "--hold-out", "10")
    commands = []
    for recipe in RECIPES:
        name = recipe.removesuffix(".yaml")
        commands += [["config", "init", *files, "--recipe", name, "-o", recipe, "--overwrite"]]
        commands += [["config", "check", recipe]]
        files = ("--source", "all.train.en", "--target", "all.train.de")
    installed.run_commands(*commands)
    installed.run("nmt", "train", RECIPES[0], "name=small", *SMALL_MODEL)
    translation = installed.run("nmt", "translate", "--beam-size", "1", stdin="the dog sees a house\n\nthe house\n")
    assert translation.count("\n") == 3
    assert translation.split("\n")[1] == ""
    installed.run_commands(
        ["attention", "the dog sees a house", "-o", "page.html"],
        ["plot", "--curve", "loss"],
    )
    assert "the dog sees a house" in (installed.folder / "page.html").read_text(encoding="utf-8")
