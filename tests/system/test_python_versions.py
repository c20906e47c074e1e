"""The code has no construct that the oldest supported version of Python refuses."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FOLDERS = ("nmt", "scripts/lib")
ROOT = Path(__file__).parents[2]
OLDEST = (3, 10)


def name_of(base: ast.expr) -> str:
    return ast.unparse(base).partition("[")[0].rpartition(".")[2]


def generic_named_tuples(tree: ast.AST) -> list[str]:
    """Return the names of generic NamedTuples, which Python 3.10 refuses when the module is imported."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return [each.name for each in classes if {"NamedTuple", "Generic"} <= {name_of(base) for base in each.bases}]


def test_finds_generic_named_tuples() -> None:
    code = "class A(NamedTuple, Generic[T]): ...\nclass B(typing.NamedTuple): ...\nclass C(Generic[T]): ..."
    assert generic_named_tuples(ast.parse(code)) == ["A"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_can_be_imported_by_the_oldest_python(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=OLDEST)
        assert not generic_named_tuples(tree), file
