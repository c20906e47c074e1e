"""Imports that are postponed: a module runs when one of its names is used, and is then the module itself."""

from __future__ import annotations

import importlib
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from nmt.cli.environment import postpone_import

SOURCE = """
import sys
import time

sys.postponed_runs.append(1)
time.sleep(0.05)
first = 1
second = first + 1


class Kind:
    pass
"""


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a slow module that counts in `sys.postponed_runs` how often it ran."""
    monkeypatch.setattr(sys, "postponed_runs", [], raising=False)
    (tmp_path / "postponed_module.py").write_text(SOURCE, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "postponed_module", raising=False)
    return "postponed_module"


def runs() -> int:
    return len(vars(sys)["postponed_runs"])


def imported(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_a_postponed_module_runs_when_a_name_is_used(name: str) -> None:
    postpone_import(name)
    module = imported(name)
    assert runs() == 0
    assert module.__name__ == name
    assert module.__spec__ is not None
    assert runs() == 0
    assert module.second == 2
    assert runs() == 1
    assert imported(name) is module
    assert module.first == 1
    assert runs() == 1
    assert pickle.loads(pickle.dumps(module.Kind)) is module.Kind


def test_names_can_be_imported_from_a_postponed_module(name: str) -> None:
    postpone_import(name)
    namespace: dict[str, object] = {}
    exec(f"from {name} import first, Kind", namespace)
    assert namespace["first"] == 1
    assert runs() == 1


def test_a_missing_name_is_the_error_of_any_module(name: str) -> None:
    postpone_import(name)
    module = imported(name)
    for _ in range(2):
        with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'third'"):
            module.third  # noqa: B018


def test_threads_that_use_a_postponed_module_together_see_all_of_it(name: str) -> None:
    postpone_import(name)
    module = imported(name)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: module.second, range(8))) == [2] * 8
    assert runs() == 1


def test_a_module_that_is_imported_stays_as_it_is(name: str) -> None:
    module = imported(name)
    postpone_import(name)
    assert imported(name) is module
    assert runs() == 1
    postpone_import("a_module_that_does_not_exist")
