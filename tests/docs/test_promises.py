"""Each promise of the documentation names tests that exist."""

from __future__ import annotations

import ast
import re

import pytest

from cli_tools import ROOT

PAGE = (ROOT / "docs" / "concepts" / "promises.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_a_test() -> None:
    tables = re.findall(r"^\| promise \| tests \|\n\| --- \| --- \|\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []
