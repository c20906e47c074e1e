"""The help of all commands: complete, readable at 80 columns, and quick to appear."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_tools import all_commands, assert_explained, environment, nmt
from nmt.config.introspection import flag, options_of
from nmt.config.schema import DecodingConfig

COMMANDS = all_commands()
WIDTH = 80


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The help of each command at 80 columns."""
    return {name: nmt(*name.split(), "--help", variables={"COLUMNS": str(WIDTH)}).stdout for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str, pages: dict[str, str]) -> None:
    outcome = nmt(*name.split(), "-h", variables={"COLUMNS": str(WIDTH)})
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout == pages[name]
    if name not in ("config", "export"):
        examples = re.split(r"For\s+example:", outcome.stdout)[1]
        assert re.search(rf"^  (.*\| )?nmt {name}", examples, flags=re.MULTILINE)


def paragraphs(page: str) -> Iterator[tuple[int, list[str]]]:
    """The column and lines of each paragraph of a page and of the help of each option, without examples and names."""
    lines: list[str] = []
    column = 0
    for line in [*page.splitlines(), ""]:
        named = re.match(r"  \S.*?  +(?=\S)", line)
        indent = len(line) - len(line.lstrip())
        if not line or named or (lines and indent != column):
            if lines:
                yield column, lines
            lines = []
        if named:
            column, lines = named.end(), [line[named.end() :]]
        elif line and not re.fullmatch(r"[A-Z][a-z]+:", line) and (indent == 0 or indent > 4):
            column = indent
            lines.append(line[column:])


def broken_early(page: str) -> list[str]:
    """The lines that end although the next word of the paragraph would fit."""
    return [
        line
        for column, lines in paragraphs(page)
        for line, following in itertools.pairwise(lines)
        if column + len(line) + 1 + len(following.split()[0]) <= WIDTH - 2
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_paragraphs_break_only_where_the_next_word_does_not_fit(name: str, pages: dict[str, str]) -> None:
    assert max(map(len, pages[name].splitlines())) <= WIDTH
    assert len(list(paragraphs(pages[name]))) > 3
    assert broken_early(pages[name]) == []


def test_a_paragraph_that_is_broken_in_mid_sentence_is_found() -> None:
    page = "One line\nand another.\n\nOptions:\n  -a, --all   All of\n              them.\n  --b         Some.\n"
    assert list(paragraphs(page)) == [(0, ["One line", "and another."]), (14, ["All of", "them."]), (14, ["Some."])]
    assert broken_early(page) == ["One line", "All of"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_has_help_in_sentences(name: str) -> None:
    for parameter in COMMANDS[name].params:
        text = parameter.help or ""
        assert text.endswith("."), (parameter.name, text)
        assert ";" not in text, (parameter.name, text)
        assert text.count("Default: ") <= 1, (parameter.name, text)


def test_every_decoding_option_states_its_default() -> None:
    command = COMMANDS["translate"]
    helps = {parameter.name: parameter.help for parameter in command.params}
    for name in DecodingConfig.model_fields:
        assert helps[name].count("Default: ") == 1, name


def test_every_option_of_the_schema_without_a_default_says_what_happens() -> None:
    for name, option in options_of(DecodingConfig).items():
        assert ("Default: " in option.summary) == (option.default is None), name


def test_a_command_has_no_option_of_the_schema_of_its_own() -> None:
    """Help, limits and choices of a decoding option are the same in every command that has it."""
    generated: dict[str, set[Any]] = {}
    for command in COMMANDS.values():
        for parameter in command.params:
            if parameter.name in DecodingConfig.model_fields and flag(parameter.name) in parameter.opts:
                text = parameter.help.partition("Default: ")[0]
                generated.setdefault(parameter.name, set()).add((text, parameter.metavar))
    assert set(generated) == set(DecodingConfig.model_fields)
    assert {name for name, kinds in generated.items() if len(kinds) > 1} == set()


# ------------------------------------------------------------------------------------------------------ wrong values


@pytest.mark.parametrize(
    ("key", "value", "found", "expected"),
    [
        ("top_p", "1.5", "1.5", "a number above 0 and below 1"),
        ("beam_size", "0", "0", "a whole number of at least 1"),
        ("beam_size", "2.5", "2.5", "a whole number of at least 1"),
        ("beam_size", "five", '"five"', "a whole number of at least 1"),
        ("beam_size", "4294967296", "4294967296", "a whole number of at least 1"),
        ("temperature", "0", "0", "a number above 0"),
        ("temperature", ".inf", "inf", "a number above 0"),
        ("repetition_penalty", "0.5", "0.5", "a number of at least 1"),
        ("precision", "fp16", '"fp16"', "one of auto, bf16, fp32, int8"),
    ],
)
def test_a_wrong_value_is_refused_in_the_same_words_everywhere(
    key: str, value: str, found: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = f"found {found}, expected {expected}"
    (tmp_path / "a.yaml").write_text(f"decoding:\n  {key}: {value}\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("name: b\n", encoding="utf-8")
    assert_explained(nmt("translate", flag(key), value), f"error: {flag(key)}: {words}", codes=(2,))
    assert_explained(nmt("config", "check", "a.yaml"), f"a.yaml:2: decoding.{key}: {words}", codes=(2,))
    override = f"decoding.{key}={value}"
    assert_explained(nmt("train", "b.yaml", override), f"override '{override}': decoding.{key}: {words}", codes=(2,))


# ----------------------------------------------------------------------------------------------------------- imports


def imported(code: str, names: list[str]) -> list[str]:
    """Which of the modules `names` some code imports."""
    code = f"import sys\n{code}\nprint([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    return [name for name in names if f"'{name}'" in done.stdout.splitlines()[-1]]


def test_the_list_of_commands_imports_no_command() -> None:
    code = "from nmt.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass"
    names = ["torch", "numpy", "sentencepiece", "sacrebleu", "pydantic", "yaml", "tqdm", "nmt.cli.commands.train"]
    assert imported(code, [*names, "nmt.config.schema", "rich"]) == []


def test_no_help_imports_torch() -> None:
    modules = "\n".join(f"import {command.callback.__module__}" for command in COMMANDS.values() if command.callback)
    assert imported(modules, ["torch", "numpy", "sentencepiece"]) == []
