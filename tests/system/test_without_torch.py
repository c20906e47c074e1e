"""Everything that inference does works in an installation without torch; commands that train name the extra."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli_tools import environment, run_program
from tiny_translator import save_tiny_model

LINES = ["the red dog sees a cat .", "", "mail me at a.b@example.org or see the house .", "the old man and the dog ."]

# Runs commands, each with its standard input, in one process in which torch cannot be imported.
PROGRAM = """
import contextlib, io, json, sys, traceback
sys.modules["torch"] = None  # an import fails
from nmt.cli import app

def run(arguments, given):
    sys.stdin = io.TextIOWrapper(io.BytesIO(given.encode()), encoding="utf-8")
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code = 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            app(arguments, prog_name="nmt")
        except SystemExit as request:
            code = request.code or 0
        except Exception:
            code, _ = 99, traceback.print_exc()
    return [code, output.buffer.getvalue().decode(), errors.buffer.getvalue().decode()]

print(json.dumps([run(*each) for each in json.load(sys.stdin)]))
"""


def run_all(folder: Path, commands: list[str], stdin: str = "") -> list[tuple[int, str, str]]:
    """The exit code, the output and the messages of each command."""
    given = json.dumps([[command.split(), stdin] for command in commands])
    done = run_program(PROGRAM, folder, given)
    found: list[tuple[int, str, str]] = [tuple(each) for each in json.loads(done.stdout)]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without-torch")
    save_tiny_model(folder / "a.safetensors")
    save_tiny_model(folder / "b.safetensors", attention={"score": "additive"}, decoder={"hidden_size": 20})
    (folder / "text.en").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    (folder / "text.de").write_text("\n".join(LINES[::-1]) + "\n", encoding="utf-8")
    (folder / "terms.tsv").write_text("dog\thouse\n", encoding="utf-8")
    (folder / "full.en").write_text("\n".join(filter(None, LINES)) + "\n", encoding="utf-8")
    (folder / "full.de").write_text("\n".join(filter(None, LINES[::-1])) + "\n", encoding="utf-8")
    return folder


TRANSLATE = [
    "--beam-size 1",
    "--beam-size 4 --n-best 3 --format jsonl",
    "--beam-size 4 --n-best 2 --format tsv --alignment hard",
    "--beam-size 4 --n-best 2 --format moses --alignment hard",
    "--beam-size 4 --beam-groups 2 --diversity 0.5",
    "--sampling --top-k 5 --temperature 0.9 --n-best 3 --seed 3 --format jsonl",
    "--sampling --top-p 0.8 --mbr chrf --n-best 4",
    "--mbr bleu --beam-size 4 --n-best 4",
    "--protect --terminology terms.tsv",
    "--no-repeat-ngram 2 --repetition-penalty 1.2 --min-length 3 --coverage-penalty 0.2",
    "--model b.safetensors --ensemble-average log_probabilities",
    "--device cpu --precision bf16 --threads 2",
]


def test_every_way_to_translate_works(folder: Path) -> None:
    for command, (code, output, messages) in zip(
        TRANSLATE,
        run_all(folder, [f"translate text.en -m a.safetensors {options}" for options in TRANSLATE]),
        strict=True,
    ):
        assert code == 0, (command, messages)
        assert len(output.splitlines()) >= 3, command


COMMANDS = [
    "translate text.en -m a.safetensors --n-best 4 --beam-size 4 --format jsonl -o candidates.jsonl",
    "score text.en text.de -m a.safetensors",
    "score text.en text.de -m a.safetensors -m b.safetensors --format jsonl",
    "rerank candidates.jsonl -m b.safetensors",
    "evaluate -m a.safetensors --source full.en --reference full.de",
    "compare a.safetensors b.safetensors --source full.en --reference full.de --samples 20",
    "tune a.safetensors --source full.en --reference full.de --try beam_size=1,2",
    "attention full.en -m a.safetensors",
    "info a.safetensors",
    "doctor",
]


def test_every_command_of_inference_works(folder: Path) -> None:
    for command, (code, output, messages) in zip(COMMANDS, run_all(folder, COMMANDS), strict=True):
        assert code == 0, (command, messages)
        assert output.strip() or " -o " in command, (command, messages)


def test_the_repl_translates(folder: Path) -> None:
    [(code, output, messages)] = run_all(folder, ["repl -m a.safetensors"], stdin="the red dog .\n:quit\n")
    assert code == 0, messages
    assert output.strip()


def test_commands_that_train_name_the_extra(folder: Path) -> None:
    commands = [
        "translate text.en -m a.safetensors --device cuda",
        "average a.safetensors b.safetensors -o mean.safetensors",
    ]
    for code, _, messages in run_all(folder, commands):
        assert code == 2
        assert 'pip install "attention-nmt[train]"' in messages
        assert "Traceback" not in messages


API = """
import sys
sys.modules["torch"] = None
import nmt
model = nmt.load("a.safetensors", beam_size=3)
translation = model.translate("the red dog .")
assert translation.text
assert len(model.translate(["a dog", "a cat", "the house"])) == 3
assert model.score("the red dog .", translation.text).pieces
assert model.attention("the red dog .").words.weights.size
assert model.with_options(sampling=True, n_best=2).translate("the red dog .").hypotheses
assert nmt.load(["a.safetensors", "b.safetensors"]).translate("the red dog .").text
"""


def test_the_python_interface_works(folder: Path) -> None:
    done: Any = subprocess.run(
        [sys.executable, "-c", API], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
