"""The import contracts of pyproject.toml, which `scripts/test` checks, cover every package of this repository."""

from __future__ import annotations

from pathlib import Path

from importlinter.api import read_configuration

ROOT = Path(__file__).parents[2]


def test_the_package_must_not_import_any_package_of_the_scripts() -> None:
    (forbidden,) = (
        contract["forbidden_modules"]
        for contract in read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
        if contract["type"] == "forbidden" and contract["source_modules"] == ["nmt"]
    )
    folder = ROOT / "scripts" / "lib"
    names = {path.parent.name for path in folder.glob("*/*.py")} | {path.stem for path in folder.glob("*.py")}
    assert names <= set(forbidden)
