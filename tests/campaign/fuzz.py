"""Changes files by their structure, and runs the commands that read them: every ending must be clear."""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign.forks import HANG_SECONDS, MEMORY, Ended, Limits, run
from campaign.operations import NAMES, WRITING
from campaign.scenarios import copy_folder
from campaign.shrink import revert, shrink
from campaign.targets import Target, make_folder

MAX_ERROR = 20_000
"""Characters of the longest error."""
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
HARMLESS = ("/dev/", "/proc/", *(os.path.expanduser(f"~/{name}/matplotlib/") for name in (".cache", ".config")))
"""Places that are no user's files: devices, and the caches of matplotlib."""
OUTSIDE = "outside.txt"
HANGS_SHRUNK = 8
"""Tests for the smallest input that hangs. Each of them takes 10 seconds."""
BACKSTOP = 4 << 30
"""Address space above that of the start."""


@dataclass
class Case:
    """A changed file, and how the command ended.

    Attributes:
        verdict: How the command ended, in a word.
        problems: What is wrong with the ending.
    """

    target: Target
    number: int
    data: bytes
    what: str
    file: Path
    verdict: str = ""
    problems: list[str] = field(default_factory=list)
    ended: Ended | None = None


class Fuzzer:
    """Runs commands on changed files in a folder of its own."""

    def __init__(self, work: Path, *, seed: int, targets: Sequence[Target], template: Path) -> None:
        """Make the folder of the commands.

        Args:
            work: A new folder.
            seed: The seed of all choices.
            targets: The files that are changed.
            template: Folder of whole files. It is made if it does not exist.
        """
        self._seed = seed
        self._targets = targets
        self._scratch = work / "scratch"
        self._template = template
        self._folder = work / "a" / "b" / "folder"
        self._scratch.mkdir(parents=True)
        if not template.exists():
            make_folder(template, self._scratch)
        self._clean()

    def _clean(self) -> None:
        copy_folder(self._template, self._folder)
        self._before = self._signature()

    def _signature(self) -> list[tuple[str, int, int]]:
        return sorted(
            (str(path), status.st_mtime_ns, status.st_size)
            for path in self._folder.rglob("*")
            for status in [path.lstat()]
        )

    def case(self, number: int) -> Case:
        """Make a case, which depends on the seed and its number only."""
        rng = random.Random(f"{self._seed} {number}")
        target = rng.choices(self._targets, [target.weight for target in self._targets])[0]
        files = sorted(path for path in self._folder.glob(target.file) if path.is_file())
        file = rng.choice(files)
        data, what = target.mutate(rng, file.read_bytes())
        return Case(target, number, data, f"{file.relative_to(self._folder)}: {what}", file)

    def run(self, case: Case) -> Case:
        """Run the command on the changed file, and judge how it ended."""
        original = case.file.read_bytes()
        (self._scratch / OUTSIDE).write_bytes(b"")
        before = self._names()
        case.file.write_bytes(case.data)
        case.ended = run(
            case.target.command,
            self._folder,
            scratch=self._scratch,
            limits=Limits(seconds=HANG_SECONDS, bytes=BACKSTOP),
            before=lambda: _report_outside(self._folder, self._scratch / OUTSIDE),
        )
        case.problems = self._judge(case, case.ended, changed=case.data != original)
        case.verdict = case.problems[0].partition(":")[0] if case.problems else _ending(case.ended)
        written = self._names() - before
        if case.target.command[0] in ("train", "average", "preprocess", "sweep", "evaluate") or case.problems:
            self._clean()
        else:
            case.file.write_bytes(original)
            for name in written:
                path = self._folder / name
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            for name in ("half.jsonl", "half.tsv"):
                shutil.copy2(self._template / name, self._folder / name)
        return case

    def _names(self) -> set[str]:
        return set(os.listdir(self._folder))

    def _judge(self, case: Case, ended: Ended, *, changed: bool) -> list[str]:
        problems = []
        errors = ended.errors
        if ended.hung:
            problems.append(f"hang: over {HANG_SECONDS:.0f} s of CPU time")
        elif ended.code < 0:
            problems.append(f"crash: signal {-ended.code}")
        if "Traceback (most recent call last)" in errors:
            problems.append(f"traceback: {errors.strip()[-600:]}")
        if "This is a bug" in errors:
            problems.append(f"unexpected: {errors.strip()[:300]}")
        if ended.megabytes << 20 > MEMORY:
            problems.append(f"memory: {ended.megabytes} MB")
        if ended.code > 0 and not errors.strip():
            problems.append("silent: an exit code without an error")
        if len(errors) > MAX_ERROR:
            problems.append(f"long error: {len(errors)} characters")
        if found := UNSAFE.search(errors):
            problems.append(f"escape: {found[0]!r} in an error")
        if outside := (self._scratch / OUTSIDE).read_text("utf-8", errors="backslashreplace"):
            problems.append(f"outside: {outside[:300]}")
        if ended.code == 0 and case.target.strict and changed:
            problems.append("accepted: a damaged file was accepted")
        output = case.target.one_line_each
        if ended.code == 0 and output is not None:
            lines = case.data.count(b"\n") + (not case.data.endswith(b"\n") and bool(case.data))
            written = (self._folder / output).read_bytes().count(b"\n")
            if lines != written:
                problems.append(f"lines: {lines} lines in, {written} lines out")
        return problems

    def reduce(self, case: Case, tests: int) -> bytes:
        """Return the smallest input with the same verdict that is found."""

        def fails(data: bytes) -> bool:
            other = self.run(Case(case.target, case.number, data, case.what, case.file))
            return other.verdict == case.verdict

        original = (self._template / case.file.relative_to(self._folder)).read_bytes()
        binary = case.file.suffix in (".safetensors", ".ids", ".lengths", ".offsets", ".model", ".zip", ".gz")
        return revert(original, case.data, fails, tests=tests) if binary else shrink(case.data, fails, tests=tests)


def _ending(ended: Ended) -> str:
    return "clear error" if ended.code else "right result"


def _report_outside(folder: Path, report: Path) -> None:
    """Report each change of a file outside of a folder, in this process and its children."""
    handle = os.open(report, os.O_WRONLY | os.O_APPEND)
    inside = (os.path.realpath(folder) + os.sep, str(report.parent) + os.sep, *HARMLESS)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & WRITING:
                return
        elif event not in NAMES:
            return
        elif event in ("os.remove", "os.rmdir") and arguments[1] != -1:
            return  # relative to an open folder, inside of a folder that is removed
        for name in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
            if isinstance(name, (str, bytes, os.PathLike)):
                path = os.path.realpath(os.fsdecode(name))
                if not (path + os.sep).startswith(inside):
                    os.write(handle, f"{event} {path}\n".encode("utf-8", "backslashreplace"))

    sys.addaudithook(hook)


def campaign(
    fuzzer: Fuzzer,
    *,
    start: int,
    count: int,
    minutes: float,
    keep: Path,
    shrinking: int = 60,
    show: Callable[[str], object] = print,
) -> list[Case]:
    """Run cases until a time, print the first failure of each kind, and return the failures."""
    failures: list[Case] = []
    counts: dict[str, Counter[str]] = {}
    seen: Counter[str] = Counter()
    began = time.monotonic()
    slowest = (0.0, -1)
    largest = (0, -1)
    for number in range(start, start + count):
        if time.monotonic() > began + 60 * minutes:
            show(f"stopped after {minutes} minutes")
            break
        case = fuzzer.run(fuzzer.case(number))
        assert case.ended is not None
        counts.setdefault(case.target.name, Counter())[case.verdict] += 1
        slowest, largest = max(slowest, (case.ended.seconds, number)), max(largest, (case.ended.megabytes, number))
        if not case.problems:
            continue
        failures.append(case)
        kind = f"{case.target.name} {_kind(case.problems[0])}"
        seen[kind] += 1
        if seen[kind] > 1:
            continue
        show(f"\nFAILED {case.target.name}, number {number}: {case.what[:300]}")
        for text in case.problems:
            show(f"    {text[:1500]}")
        show(f"    $ nmt {' '.join(case.target.command)}")
        small = fuzzer.reduce(case, HANGS_SHRUNK if case.ended.hung else shrinking)
        keep.mkdir(parents=True, exist_ok=True)
        kept = keep / f"{number}-{case.file.name}"
        kept.write_bytes(small)
        show(f"    smallest input: {kept}, {len(small)} of {len(case.data)} bytes: {small[:200]!r}")
    total = sum(counts.values(), Counter())
    for name, one in sorted(counts.items()):
        show(f"{name:32s} {dict(one)}")
    if len(failures) > len(seen):
        show(f"kinds of failures: {dict(seen)}")
    show(
        f"{sum(total.values())} cases: {dict(total)}, slowest {slowest[0]:.1f} s of CPU time (number {slowest[1]}), "
        f"largest {largest[0]} MB (number {largest[1]}), {time.monotonic() - began:.0f} s"
    )
    return failures


def _kind(problem: str) -> str:
    """Return a problem without the parts that differ between inputs."""
    last = problem.strip().splitlines()[-1] if problem.startswith("traceback") else problem
    return re.sub(r"[\d'\"].*", "", f"{problem.partition(':')[0]} {last}")[:80]
