r"""No control character of a stranger reaches a terminal: text, names, values and files are shown with escapes."""

from __future__ import annotations

import ast
import io
import json
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from cli_tools import ROOT, Outcome, nmt, nmt_process, untouched_logging
from nmt import log
from nmt.config.dump import one_line
from nmt.errors import MAX_LINES, DataError, shorten_message
from nmt.terminal import UNSAFE, VisibleStream, on_one_line, visible
from tiny_translator import save_tiny_model
from toy_experiments import TOY_CONFIG

HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\u202egnp.exe\u2066\x08\r\x85\u2028"
"""Clears the screen, sets the title, colours, reorders text, goes back and starts the line again."""


# ------------------------------------------------------------------------------------------------------------- filter


@given(st.text())
def test_visible_text_has_no_unsafe_character_and_all_others(text: str) -> None:
    shown = visible(text)
    assert not UNSAFE.search(shown)
    assert visible(shown) == shown
    assert [one for one in shown if one in text] or not text or UNSAFE.sub("", text) == ""
    assert "\n" not in on_one_line(text)
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_visible_yaml_is_read_back(text: str) -> None:
    assert yaml.safe_load(visible(one_line({"key": text})))["key"] == text


@pytest.mark.parametrize(
    "text", ["", "plain", "zwnj \u200c zwj \u200d", "Iñtërnâtiônàlizætiøn ☃ 👩\u200d👧 עברית\u200f", "a\tb\nc"]
)
def test_ordinary_text_of_any_script_is_not_changed(text: str) -> None:
    assert visible(text) == text


def test_a_stream_is_filtered_and_its_bytes_are_not() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stream: Any = VisibleStream(raw)
    print(HOSTILE, file=stream, flush=True)
    stream.buffer.write(HOSTILE.encode())
    text, data = raw.buffer.getvalue().split(b"\n", 1)  # type: ignore[attr-defined]
    assert not UNSAFE.search(text.decode())
    assert data == HOSTILE.encode()


def test_log_lines_and_log_files_are_filtered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with untouched_logging():
        log.setup(level=logging.DEBUG, file=tmp_path / "log")
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            log.logger.error("%s", HOSTILE, exc_info=True)
        with log.progress(3, HOSTILE, "lines") as bar:
            bar.update(1)
    for text in (capsys.readouterr().err, (tmp_path / "log").read_text(encoding="utf-8")):
        assert "Traceback" in text
        assert not UNSAFE.search(text)


@given(st.text(max_size=5000) | st.integers(0, 400).map(lambda count: "line\n" * count + "x" * count * 10))
def test_messages_are_short_and_say_how_much_is_left_out(text: str) -> None:
    short = shorten_message(text)
    assert len(short.split("\n")) <= MAX_LINES + 1
    assert max(map(len, short.split("\n"))) < 1000
    assert shorten_message(short) == short
    assert short == text or "characters)" in short or "more lines)" in short
    error = DataError(text)
    assert str(error) == shorten_message(visible(text))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_only_the_terminal_module_makes_streams_and_consoles() -> None:
    """Text leaves through `print`, `typer.echo` and log lines. Nothing else may find a way around the filter."""
    allowed = {"nmt/terminal.py"}
    for path in sorted((ROOT / "nmt").rglob("*.py")):
        if (name := path.relative_to(ROOT).as_posix()) in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("Console", "sys.__stdout__.write", "sys.__stderr__.write"), name


# ------------------------------------------------------------------------------------------------------------ commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, configurations and texts of a stranger."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "runs" / "own").mkdir(parents=True)
    save_tiny_model(folder / "runs" / "own" / "best.safetensors")
    rewrite(folder, "provenance.safetensors", provenance=lambda found: {HOSTILE: {HOSTILE: [HOSTILE]}})
    for number, change in enumerate(
        [
            lambda config: config.update(name=HOSTILE),
            lambda config: config["data"].update(target_language=HOSTILE),
            lambda config: config["data"].update(test=[{"name": HOSTILE, "source": "a", "target": "b"}]),
            lambda config: config["data"]["valid"].update(source=HOSTILE),
            lambda config: config["model"].update({HOSTILE: 1}),
            lambda config: config["model"]["encoder"].update(cell=HOSTILE),
            lambda config: config["tokenizer"].update(user_symbols=[HOSTILE, HOSTILE]),
        ]
    ):
        rewrite(folder, f"config-{number}.safetensors", config=edit(change))
    rewrite(folder, "version.safetensors", format_version=lambda _: HOSTILE)
    save_file({}, folder / "empty.safetensors", {HOSTILE: HOSTILE, "format_version": "1"})
    text = f"the dog {HOSTILE.replace(chr(13), '')} runs .\n"
    for name in ("text.en", "text.de", HOSTILE.replace("\r", "") + ".en"):
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    (folder / "sweep.yaml").write_text(f"name: {json.dumps(HOSTILE)}\n", encoding="utf-8")
    quoted = json.dumps(HOSTILE)
    (folder / "key.yaml").write_text(f"{TOY_CONFIG}\n{quoted}: 1\n", encoding="utf-8")
    (folder / "value.yaml").write_text(TOY_CONFIG.replace("kind: bpe", f"kind: {quoted}"), encoding="utf-8")
    (folder / "name.yaml").write_text(TOY_CONFIG.replace("name: toy\n", f"name: {quoted}\n"), encoding="utf-8")
    (folder / "path.yaml").write_text(TOY_CONFIG.replace("train.en", quoted), encoding="utf-8")
    (folder / "symbol.yaml").write_text(
        TOY_CONFIG.replace("  kind: bpe", f"  user_symbols: [{quoted}]").replace("train.", "text."), encoding="utf-8"
    )
    for name in ("valid", "test"):
        for side in ("en", "de"):
            (folder / f"{name}.{side}").write_text(text, encoding="utf-8", newline="\n")
    (folder / "raw.yaml").write_bytes(f"name: {HOSTILE}\n".encode())
    (folder / "nbest.jsonl").write_text(json.dumps({"source": HOSTILE, HOSTILE: 1}) + "\n", encoding="utf-8")
    (folder / "weights.json").write_text(json.dumps({HOSTILE: 1}), encoding="utf-8")
    return folder


def edit(change: Callable[[Any], object]) -> Callable[[str], Any]:
    def changed(text: str) -> Any:
        content = json.loads(text)
        change(content)
        return content

    return changed


def rewrite(folder: Path, name: str, **changes: Callable[[str], Any]) -> None:
    with safe_open(folder / "runs" / "own" / "best.safetensors", framework="pt") as stream:
        weights = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
        metadata = {key: value for key, value in stream.metadata().items() if not key.endswith("_crc32")}
    for key, change in changes.items():
        value = change(metadata[key])
        metadata[key] = value if isinstance(value, str) else json.dumps(value)
    save_file(weights, folder / name, metadata)


def commands() -> Iterator[list[str]]:
    own = ["-m", "runs/own"]
    models = ["provenance", *(f"config-{number}" for number in range(7)), "version", "empty"]
    for model in models:
        file = f"{model}.safetensors"
        yield from (["info", file], ["info", file, "--json"], ["score", "-m", file, "text.en", "text.de"])
        yield ["evaluate", "-m", file, "--tests", file]
    for file in ("key", "value", "name", "path", "symbol", "raw", "sweep"):
        yield from (["config", "check", f"{file}.yaml"], ["config", "show", f"{file}.yaml"])
    yield from (["sweep", "sweep.yaml"], ["sweep", "name.yaml"], ["config", "check", "symbol.yaml", f"x={HOSTILE}"])
    yield ["config", "show", "symbol.yaml", "--origins"]
    yield ["config", "init", "--source", "text.en", "--target", "text.de"]
    files = ["--source", "text.en", "--reference", "text.de"]
    yield ["compare", "text.de", "text.de", *files, "--name", HOSTILE, "--name", "b", "--samples", "2", "--trials", "2"]
    yield ["evaluate", "--hypothesis", "text.de", "--reference", "text.de", "--target-language", HOSTILE]
    yield ["evaluate", *own, "--source", f"{HOSTILE.replace(chr(13), '')}.en", "--reference", "text.de"]
    yield ["rerank", *own, "nbest.jsonl", "--weights", "weights.json"]
    yield ["tune", "runs/own", *files, "--try", f"beam_size={HOSTILE}"]
    yield ["attention", *own, f"the dog {HOSTILE} runs ."]
    yield ["translate", HOSTILE]
    yield [HOSTILE]
    yield ["translate", f"--{HOSTILE}"]
    yield ["preprocess", "symbol.yaml"]
    yield ["plot", HOSTILE]


@pytest.mark.parametrize("command", list(commands()), ids=range(len(list(commands()))))
def test_no_command_writes_escapes_to_a_terminal(command: list[str], folder: Path) -> None:
    outcome: Outcome = nmt(*command, folder=folder)
    assert outcome.stdout + outcome.stderr
    for text in (outcome.stdout, outcome.stderr):
        assert not UNSAFE.search(text), text
        assert max(map(len, text.split("\n"))) < 5000 or "--json" in command


def test_the_session_is_filtered(folder: Path) -> None:
    lines = f"the dog {HOSTILE} runs .\n:target {HOSTILE}\n:{HOSTILE}\n:set beam_size {HOSTILE}\n:model {HOSTILE}\n"
    outcome = nmt("repl", "runs/own", folder=folder, stdin=lines.encode())
    assert not UNSAFE.search(outcome.stdout + outcome.stderr)


def test_translations_are_written_byte_for_byte(folder: Path) -> None:
    """A program that reads translations gets them as they are: `\\x1b` in, `\\x1b` out, here of a protected item."""
    line = "see https://example.org/\x1b[2J .\n"
    outcome = nmt_process("translate", "-m", "runs/own", "--format", "jsonl", folder=folder, stdin=line.encode())
    assert outcome.code == 0, outcome.stderr
    assert json.loads(outcome.stdout)["source"] == line.rstrip("\n")
    assert "\\u001b" in outcome.stdout
    printed = nmt_process("config", "check", "value.yaml", folder=folder)
    assert not UNSAFE.search(printed.stdout + printed.stderr)
