"""What a killed process leaves is removed by the next one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.augmentation.folder import SyntheticFolder
from nmt.data import atomic_file
from nmt.training.run_folder import link


def abandoned_name(final: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary name of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: process.pid)
        return atomic_file.temporary_name(final)


def test_synthetic_text_begins_after_a_kill_before_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SyntheticFolder(tmp_path / "distilled")
    folder.path.mkdir()
    left = abandoned_name(folder.made, monkeypatch)
    left.write_text("{")
    folder.begin({"model": "a"}, {}, overwrite=False)
    assert folder.made.exists()
    assert not left.exists()


def test_a_link_of_a_killed_process_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = abandoned_name(tmp_path / "latest", monkeypatch)
    left.symlink_to("gone")
    (tmp_path / "run").mkdir()
    link(tmp_path / "latest", tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "run"]
