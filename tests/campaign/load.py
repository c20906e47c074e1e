"""Many threads, many processes and long streams: the translations are those of one quiet process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from campaign.scenarios import PARENT, Scenario, make_template
from cli_tools import environment
from toy_experiments import toy_pairs

THREADS, PROCESSES = 16, 8
GROWTH = 100
"""Megabytes by which the memory may grow between the first tenth of a stream and its end."""
GREEDY = ("-m", "parent.safetensors", "--beam-size", "1")


def make_folder(work: Path) -> Path:
    """Make a folder with a small model."""
    scratch = work / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    folder = work / "load"
    make_template(Scenario("load", (), prepare=(PARENT,)), folder, work / "cache", scratch)
    return folder


def check_threads(folder: Path, lines: Sequence[str]) -> list[str]:
    """Translate, score and align with one model in 16 threads at once, and compare with one thread."""
    import nmt

    model = nmt.load(folder / "parent.safetensors", device="cpu", threads=1, beam_size=2)
    few = lines[: 4 * THREADS]
    expected = [translation.text for translation in model.translate(list(few))]
    scores = [round(score.log_probability, 4) for score in model.score(list(few), expected)]
    problems: list[str] = []

    def work(number: int) -> None:
        mine = [*few[number:], *few[:number]]
        texts = [translation.text for translation in model.translate(mine)]
        if texts != [*expected[number:], *expected[:number]]:
            problems.append(f"thread {number}: other translations than one thread")
        found = [round(score.log_probability, 4) for score in model.score(list(few), expected)]
        if any(abs(old - new) > 0.001 for old, new in zip(scores, found, strict=True)):
            problems.append(f"thread {number}: other scores than one thread")
        model.attention(few[number], expected[number])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    return problems


def check_processes(folder: Path, lines: Sequence[str]) -> list[str]:
    """Translate a file with 8 processes, and compare with one."""
    (folder / "many.en").write_text("".join(line + "\n" for line in lines), "utf-8")
    for processes in (1, PROCESSES):
        options = ("--processes", str(processes)) if processes > 1 else ("--threads", "1")
        done = _nmt(folder, "translate", "many.en", *GREEDY, *options, "-o", f"many-{processes}.de")
        if done.returncode != 0:
            return [f"{processes} processes: {done.stderr.decode()[-500:]}"]
    if (folder / "many-1.de").read_bytes() != (folder / f"many-{PROCESSES}.de").read_bytes():
        return [f"{PROCESSES} processes: other translations than one process"]
    return []


def _nmt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nmt", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, check=False)


def check_pipe(folder: Path, count: int, show: Any) -> list[str]:
    """Send many lines through a pipe: one line out for each line in, the same as before for the same line."""
    texts = [source for source, _ in toy_pairs(500, seed=6)]
    process = subprocess.Popen(
        [sys.executable, "-m", "nmt", "translate", *GREEDY, "--threads", "1", "--batch-size", "256"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def send() -> None:
        assert process.stdin is not None
        for number in range(count):
            process.stdin.write(f"{texts[number % len(texts)]}\n".encode())
        process.stdin.close()

    threading.Thread(target=send, daemon=True).start()
    assert process.stdout is not None
    known: dict[int, bytes] = {}
    problems, lines, first = [], 0, 0
    for lines, line in enumerate(process.stdout, 1):
        if known.setdefault((lines - 1) % len(texts), line) != line and len(problems) < 3:
            problems.append(f"line {lines} has another translation than line {(lines - 1) % len(texts) + 1}")
        if lines == max(1, count // 10):
            first = _megabytes(process.pid)
        if lines == count:
            last = _megabytes(process.pid)
            show(f"{count:,} lines: {first} MB after a tenth of them, {last} MB at the end")
            if last > first + GROWTH:
                problems.append(f"memory grew from {first} to {last} MB")
    code = process.wait()
    if code != 0 or lines != count:
        problems.append(f"{count} lines in, {lines} lines out, exit code {code}")
    return problems


def _megabytes(process: int) -> int:
    """Return the memory that a process has now, or 0 if it has ended."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE") >> 20


def campaign(work: Path, *, lines: int, show: Any = print) -> list[str]:
    """Run all checks, and return what is wrong."""
    folder = make_folder(work)
    texts = [source for source, _ in toy_pairs(400, seed=5)]
    problems = []
    for name, found in (
        (f"{THREADS} threads", check_threads(folder, texts)),
        (f"{PROCESSES} processes", check_processes(folder, texts)),
        ("a pipe", check_pipe(folder, lines, show)),
    ):
        show(f"{name}: {'; '.join(found) or 'the same as one quiet process'}")
        problems += found
    return problems
