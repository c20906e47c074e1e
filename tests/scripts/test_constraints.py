"""constraints.txt pins every package that the scripts install, at versions that exist for every supported Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


CONSTRAINTS = [Requirement(line) for line in lines((ROOT / "constraints.txt").read_text("utf-8"))]
PINS = {canonicalize_name(pin.name): pin for pin in CONSTRAINTS}


def wanted() -> dict[str, list[Requirement]]:
    """The requirements of the package itself ("") and of each extra, as pyproject.toml has them."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    project = re.search(r"^dependencies = \[\n(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL)
    extras = re.search(r"^\[project\.optional-dependencies\]\n(.*?)^\[", text, flags=re.MULTILINE | re.DOTALL)
    assert project is not None
    assert extras is not None
    found = {"": re.findall(r'^ +"(.*)",$', project[1], flags=re.MULTILINE)}
    for name, value in re.findall(r"^(\w+) = \[(.*?)\]$", extras[1], flags=re.MULTILINE | re.DOTALL):
        found[name] = re.findall(r'"([^"]+)"', value)
    return {extra: [Requirement(line) for line in several] for extra, several in found.items()}


def needed(python: str) -> Iterator[str]:
    """The name of every package that an installation with all extras has, as far as packages are installed here."""
    own = canonicalize_name("attention-nmt")
    waiting = [requirement for several in wanted().values() for requirement in several]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), requirement.extras or {""}
        if name == own or (name, *sorted(extras)) in seen:
            continue
        seen.add((name, *sorted(extras)))
        yield name
        for line in installed_requirements(name):
            further = Requirement(line)
            environments = [
                {"python_version": python, "python_full_version": f"{python}.5", "extra": e} for e in extras
            ]
            if further.marker is None or any(map(further.marker.evaluate, environments)):
                waiting.append(further)


def find(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None  # an extra that is not installed, or a package of another Python


def installed_requirements(name: str) -> list[str]:
    found = find(name)
    return [] if found is None else found.requires or []


def test_the_package_is_read_as_it_is_written() -> None:
    assert {"", "all", "dev", "ja", "ko", "tensorboard", "train"} <= wanted().keys()
    basic = {requirement.name for requirement in wanted()[""]}
    assert {"numpy", "safetensors"} <= basic
    assert not basic & {"torch", "matplotlib"}
    assert {requirement.name for requirement in wanted()["train"]} == {"torch"}


@pytest.mark.parametrize("python", PYTHONS)
def test_every_package_is_pinned(python: str) -> None:
    assert set(needed(python)) - PINS.keys() == set()


def test_pins_are_exact_sorted_and_once() -> None:
    names = [pin.name.lower() for pin in CONSTRAINTS]
    assert len(PINS) == len(CONSTRAINTS)
    assert all(len(pin.specifier) == 1 and str(pin.specifier).startswith("==") for pin in CONSTRAINTS), names


def test_pins_meet_the_lower_bounds() -> None:
    for several in wanted().values():
        for requirement in several:
            pin = PINS.get(canonicalize_name(requirement.name))
            if pin is not None:
                (version,) = (specifier.version for specifier in pin.specifier)
                assert requirement.specifier.contains(version), f"{requirement} but {pin}"


def test_pinned_versions_run_on_every_python() -> None:
    for name, pin in PINS.items():
        found = find(name)
        supported = None if found is None else found.metadata["Requires-Python"]
        if pin.marker is None and supported:
            assert all(SpecifierSet(supported).contains(f"{python}.5") for python in PYTHONS), f"{name} {supported}"


def test_the_lock_has_the_same_versions_with_checksums() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    entries = re.findall(r"^([^#\s].*?)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, flags=re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[^#\s]+==", text, flags=re.MULTILINE))
    locked = {canonicalize_name(Requirement(entry).name): Requirement(entry) for entry, _ in entries}
    for name, requirement in locked.items():
        if name in PINS:
            assert requirement.specifier == PINS[name].specifier
    own = {canonicalize_name("attention-nmt"), "torch"}
    users = {canonicalize_name(one.name) for one in wanted()[""] + wanted()["plots"] + wanted()["zst"]}
    assert users <= {canonicalize_name(Requirement(line).name) for line in before(text, "# Only for scripts/test")}
    assert {canonicalize_name(one.name) for one in wanted()["dev"]} - own <= locked.keys()


def before(text: str, line: str) -> list[str]:
    """The packages of the lock before a line."""
    return re.findall(r"^[^#\s][^\\]*", text.partition(line)[0], flags=re.MULTILINE)
