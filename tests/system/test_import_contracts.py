"""The import contracts of pyproject.toml, which `scripts/test` checks, cover every package of this repository."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from importlinter.api import read_configuration

ROOT = Path(__file__).parents[2]
IMPORT = re.compile(r"^[ \t]*from (nmt(?:\.\w+)*) import (\([^)]*\)|[^\n;(]+)", re.MULTILINE)
"""An import by a line of its own, in a program that a test has as a text too."""


def test_the_package_must_not_import_any_package_of_the_scripts() -> None:
    (forbidden,) = (
        contract["forbidden_modules"]
        for contract in read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
        if contract["type"] == "forbidden" and contract["source_modules"] == ["nmt"]
    )
    folder = ROOT / "scripts" / "lib"
    names = {path.parent.name for path in folder.glob("*/*.py")} | {path.stem for path in folder.glob("*.py")}
    assert names <= set(forbidden)


def test_every_name_that_tests_and_scripts_import_from_the_package_exists() -> None:
    """An import inside a function fails only when the function runs, which few runs of the tests may do."""
    imports = {
        (module, name): path.relative_to(ROOT)
        for folder in ("tests", "scripts", "nmt")
        for path in (ROOT / folder).rglob("*.py")
        for module, names in IMPORT.findall(path.read_text(encoding="utf-8"))
        for name in re.findall(r"(\w+)(?: as \w+)?", re.sub("#.*", "", names))
    }
    assert len(imports) > 500
    missing = []
    for (module, name), path in sorted(imports.items()):
        if not hasattr(importlib.import_module(module), name):
            try:
                importlib.import_module(f"{module}.{name}")
            except ModuleNotFoundError:
                missing.append(f"{path}: from {module} import {name}")
    assert not missing
