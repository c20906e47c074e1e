"""A short run of the kill campaign, and its tools."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from campaign.forks import Kill, Limits, run
from campaign.operations import Operation
from campaign.states import corrupt_files, differences, read_state
from cli_tools import ROOT, environment

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the campaign reads /proc"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def campaign(*arguments: str, keep: Path) -> str:
    """Run the program of the campaign, which must find nothing, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaign", *arguments, "--keep", str(keep)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_short_campaign_finds_nothing(tmp_path: Path) -> None:
    said = campaign("short", keep=tmp_path)
    assert said.count("'trials': 2") == 2
    assert said.count("6 cases: {") == 3
    assert "FAILED" not in said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "scratch").mkdir()
    return tmp_path / "work"


def test_operations_are_recorded_and_a_missing_sync_is_found(folder: Path) -> None:
    def write() -> None:
        for name, synced in (("a", True), ("b", False)):
            with open(f".building-h-1-ab-{name}", "wb") as stream:
                stream.write(b"x")
                stream.flush()
                if synced:
                    os.fsync(stream.fileno())
            os.rename(f".building-h-1-ab-{name}", name)

    ended = run(write, folder, scratch=folder.parent / "scratch", record=True)
    assert ended.code == 0, ended.errors
    assert [operation for operation in ended.operations if operation.path.endswith("a")] == [
        Operation("create", ".building-a"),
        Operation("fsync", ".building-a"),
        Operation("rename", ".building-a"),
    ]
    assert any("renamed before it was synced: b" in text for text in ended.undisciplined)
    assert not any("renamed before it was synced: a" in text for text in ended.undisciplined)
    assert any("its folder was not synced" in text for text in ended.undisciplined)


def test_a_process_that_hangs_is_ended_and_its_memory_is_bounded(folder: Path) -> None:
    def hang() -> None:
        while True:
            pass

    scratch = folder.parent / "scratch"
    assert run(hang, folder, scratch=scratch, limits=Limits(seconds=0.2)).hung
    grown = run(lambda: bytearray(300 << 20), folder, scratch=scratch, limits=Limits(bytes=200 << 20))
    assert "MemoryError" in grown.errors


def test_a_full_disk_stays_full_and_files_can_be_deleted(folder: Path) -> None:
    def write() -> None:
        for number in range(4):
            try:
                with open(f"{number}", "wb") as stream:
                    os.fsync(stream.fileno())
                print(number)
            except OSError as error:
                print(error.strerror)
        os.unlink("0")

    ended = run(write, folder, scratch=folder.parent / "scratch", kill=Kill(operation=4, fault="ENOSPC"))
    assert ended.output.split("\n")[:3] == ["0", "No space left on device", "No space left on device"], ended
    assert sorted(path.name for path in folder.iterdir()) == ["1"]


def test_half_a_file_under_its_final_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "config.yaml").write_bytes(b"")
    (tmp_path / "out.de").write_bytes(b"eins\nzwei\ndr")
    assert corrupt_files(tmp_path, {"out.de": b"eins\nzwei\ndrei\n"}) == [
        "runs/a: without source.model",
        "runs/a/config.yaml: not a configuration",
    ]
    assert corrupt_files(tmp_path, {"out.de": b"eins\ndrei\n"})[0].startswith("out.de: ")


def test_states_do_not_depend_on_the_clock(tmp_path: Path) -> None:
    states = []
    for seconds in (1.5, 2.5):
        (tmp_path / "metrics.jsonl").write_text(f'{{"update": 3, "seconds": {seconds}}}\n', "utf-8")
        states.append(read_state(tmp_path))
    assert differences(*states) == []
    (tmp_path / "metrics.jsonl").write_text('{"update": 4}\n', "utf-8")
    assert differences(states[0], read_state(tmp_path)) == [
        "metrics.jsonl: [0].update '3' in the undisturbed folder, '4' now"
    ]
