"""The dependencies in pyproject.toml are exactly the packages that an installation without extras imports."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli_tools import run_program
from tiny_translator import save_tiny_model

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = packages_distributions()

# Translates in this process, then prints the top-level packages that were imported from a folder of packages.
PROGRAM = """
import json, sys, sysconfig
before = set(sys.modules)  # what hooks of the environment imported
from nmt.cli import app
try:
    app(["translate", "text.en", "-m", "model.safetensors", "-o", "text.de"], prog_name="nmt")
except SystemExit as request:
    assert not request.code, request.code
folders = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items() if name not in before}
print(json.dumps(sorted({name.partition(".")[0] for name, file in files.items() if file.startswith(folders)})))
"""


def declared(section: str) -> dict[str, list[Requirement]]:
    """The requirements of the base, whose key is "dependencies", or of each extra, as pyproject.toml has them."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    start = text.index(section)
    lists = re.findall(r"^(\w+) = \[(.*?)\]$", text[start : text.index("\n[", start)], flags=re.MULTILINE | re.DOTALL)
    return {name: [Requirement(each) for each in re.findall(r'"([^"]+)"', value)] for name, value in lists}


OPTIONAL = {name: each for name, each in declared("[project.optional-dependencies]").items() if name != "dev"}
BASE = {canonicalize_name(each.name) for each in declared("dependencies = [")["dependencies"]}


def with_their_own(names: set[str]) -> set[str]:
    """These distributions and all that they require, without extras."""
    waiting, found = list(names), set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        requirements = map(Requirement, distribution(name).requires or [])
        waiting += [each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def imports(tree: ast.AST) -> Iterator[str]:
    """The top-level name of every import, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def imported_by_nmt() -> set[str]:
    """The distributions that any module of the package imports."""
    names = {name for path in (ROOT / "nmt").rglob("*.py") for name in imports(ast.parse(path.read_text("utf-8")))}
    third_party = names - set(sys.stdlib_module_names) - {"nmt"}
    missing = third_party - set(DISTRIBUTIONS)
    known = {canonicalize_name(each.name) for several in OPTIONAL.values() for each in several}
    assert {canonicalize_name(name) for name in missing} - {"compression"} <= known  # which Python 3.14 has
    return {canonicalize_name(each) for name in third_party - missing for each in DISTRIBUTIONS[name]}


def test_every_dependency_is_imported_and_every_import_is_declared() -> None:
    found = imported_by_nmt()
    assert found >= BASE
    optional = {canonicalize_name(each.name) for several in OPTIONAL.values() for each in several}
    assert found <= with_their_own(BASE) | with_their_own({name for name in optional if _installed(name)})


def _installed(name: str) -> bool:
    return any(canonicalize_name(each) == name for several in DISTRIBUTIONS.values() for each in several)


def test_a_translation_imports_only_dependencies_of_the_base(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model.safetensors")
    (tmp_path / "text.en").write_text("the red dog .\n", encoding="utf-8")
    done = run_program(PROGRAM, tmp_path)
    names = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"numpy", "sentencepiece"} <= names
    own = {canonicalize_name(each) for name in names if name in DISTRIBUTIONS for each in DISTRIBUTIONS[name]}
    own -= {"attention-nmt", "nmt"}
    assert own <= with_their_own(BASE), own - with_their_own(BASE)
