"""What the README tells people to type: run word for word, in order, in a folder of its own.

Only the size of the experiment is changed (a tiny network, three updates), never a command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli_tools import nmt

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)

# Blocks that are not run, by their first line, with the reason.
NOT_RUN = {
    "scripts/quickstart": "trains for minutes, and installs packages; it is the same commands on the exercise corpus",
    "scripts/test": "it is what runs this test",
    "source .venv/bin/activate": "only puts nmt on the path, which this test does in another way",
}
RUN = [(kind, text) for kind, text in BLOCKS if text.splitlines()[0] not in NOT_RUN]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with my.en, my.de and new.en, and the command nmt in its bin."""
    place = tmp_path_factory.mktemp("read me")
    nouns = [("dog", "Hund"), ("man", "Mann"), ("tree", "Baum"), ("table", "Tisch"), ("fish", "Fisch")]
    numbers = [f"{number:04d}" for number in range(1200)]
    pairs = [(f"The {en} {n} is old.", f"Der {de} {n} ist alt.") for n in numbers for en, de in nouns]
    for name, side in (("my.en", 0), ("my.de", 1)):
        (place / name).write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")
    (place / "new.en").write_text("The dog is old.\n\nThe fish is a fish.\n", encoding="utf-8")
    (place / "bin").mkdir()
    (place / "bin" / "nmt").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nmt "$@"\n', encoding="utf-8")
    (place / "bin" / "nmt").chmod(0o755)
    return place


def environment(workspace: Path) -> dict[str, str]:
    path = os.pathsep.join([str(workspace / "bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "NMT_MODEL": "", "OMP_NUM_THREADS": "1"}


def shrink(workspace: Path) -> None:
    """Make the experiment of my.yaml so small that it takes seconds."""
    config = yaml.safe_load((workspace / "my.yaml").read_text(encoding="utf-8"))
    for pair in [config["data"]["valid"], *config["data"]["test"]]:
        for side in ("source", "target"):
            file = workspace / pair[side]
            file.write_text("".join(file.read_text("utf-8").splitlines(keepends=True)[:5]), encoding="utf-8")
    config["tokenizer"] = {"vocabulary_size": 400}
    config["model"] = {"embedding_size": 16}
    config["training"] = {"max_updates": 3, "tensorboard": False, "threads": 1}
    config["decoding"] = {"max_length_constant": 5, "threads": 1}
    (workspace / "my.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


@pytest.fixture(scope="module")
def results(workspace: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """What became of each block, by its first line. They build on each other; the first failure ends it."""
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    for kind, text in RUN:
        command = ["bash", "-euo", "pipefail", "-c", text] if kind == "bash" else [sys.executable, "-c", text]
        result = subprocess.run(
            command,
            cwd=workspace,
            env=environment(workspace),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        done[text.splitlines()[0]] = result
        if result.returncode:
            break
        if "config init" in text:
            shrink(workspace)
    return done


@pytest.mark.parametrize("first_line", [text.splitlines()[0] for _, text in RUN])
def test_block_runs_as_it_stands(results: dict[str, subprocess.CompletedProcess[str]], first_line: str) -> None:
    assert first_line in results, "an earlier block failed"
    result = results[first_line]
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


def test_translations_have_as_many_lines_as_the_text(
    results: dict[str, subprocess.CompletedProcess[str]], workspace: Path
) -> None:
    assert results
    lines = (workspace / "new.de").read_text(encoding="utf-8").split("\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == ""


def test_blocks_that_are_not_run_are_all_in_the_readme() -> None:
    assert NOT_RUN.keys() <= {text.splitlines()[0] for _, text in BLOCKS}
    assert all(reason for reason in NOT_RUN.values())
    printed = len(re.findall(r"^```text$", README, flags=re.MULTILINE))  # what commands print; not to be run
    fences = len(re.findall(r"^```", README, flags=re.MULTILINE))
    assert fences == 2 * (len(BLOCKS) + printed), "a block of an unknown kind"


def test_every_command_and_option_of_the_readme_exists() -> None:
    mentioned = re.findall(r"`nmt ([a-z]+)([^`]*)`", README) + re.findall(
        r"^nmt ([a-z]+)(.*)$", README, flags=re.MULTILINE
    )
    assert len(mentioned) >= 5
    options: dict[str, set[str]] = {}
    for name, rest in mentioned:
        words = rest.split()
        group = f"{name} {words[0]}" if name == "config" and words and words[0].isalpha() else name
        options.setdefault(group, set()).update(word for word in words if word.startswith("-"))
    for group, flags in options.items():
        help_text = shown_help(*group.split())
        assert flags <= set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", help_text)), group


def shown_help(*command: str) -> str:
    return nmt(*command, "--help", variables={"COLUMNS": "200", "TERM": "dumb"}).stdout


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []


def test_it_is_short() -> None:
    assert len(README.split()) < 1000
