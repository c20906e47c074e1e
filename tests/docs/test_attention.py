"""docs/concepts/attention.md names code, options and commands that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from cli_tools import ROOT
from nmt.config.introspection import find
from nmt.config.schema import AttentionConfig

PAGE = ROOT / "docs" / "concepts" / "attention.md"
TEXT = PAGE.read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"(?<!!)\[`([^`\]]+)`\]\(([^)]+)\)", TEXT)))
SHOWN = re.sub(r"<!--.*?-->", "", TEXT, flags=re.DOTALL)


def definitions(file: Path) -> set[str]:
    """The classes and functions of a module, and the methods as Class.method."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("symbol", "path"), LINKS)
def test_code_that_is_named_is_there(symbol: str, path: str) -> None:
    assert symbol in definitions(PAGE.parent / path)


def test_enough_code_is_named() -> None:
    assert len(LINKS) > 15
    assert all(path.endswith(".py") for _, path in LINKS)


def test_every_score_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", SHOWN, flags=re.MULTILINE)
    assert {*rows, "none"} == set(get_args(AttentionConfig.model_fields["score"].annotation))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:model|training)\.[a-z_.]+)`", TEXT))))
def test_options_that_are_named_exist(path: str) -> None:
    assert find(tuple(path.split("."))) is not None


def test_pictures_that_are_shown_are_there_and_small() -> None:
    pictures = [PAGE.parent / path for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", SHOWN)]
    assert all(picture.is_file() for picture in pictures)
    assert sum(picture.stat().st_size for picture in pictures) < 300_000


def test_scripts_and_configurations_that_are_named_are_there() -> None:
    named = set(re.findall(r"(?<![\w/])((?:scripts|configs)/[a-z0-9_./-]+)", SHOWN))
    assert {"scripts/fetch_data", "configs/sweeps/long-exercise.yaml"} <= named
    assert all((ROOT / path).is_file() for path in named)
