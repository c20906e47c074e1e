"""Translates many files in several ways, with workers that are killed at random. All ways must write the same bytes."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
WORDS = "the a red green house dog cat sees hears big small old man woman runs sleeps and or not ."
FILES = 40
SHARDS = 8
RAY_WORKER = b"ray::_translate"
SECONDS_BETWEEN_KILLS = 3.0


class Done(NamedTuple):
    """A command that ended."""

    code: int
    errors: str
    seconds: float
    cpu_seconds: float
    kills: int


def write_texts(folder: Path, *, lines: int, files: int = FILES, seed: int = 1) -> list[Path]:
    """Write generated lines into files of different lengths, some in a subfolder, and return their paths."""
    rng = random.Random(seed)
    cuts = sorted(rng.randint(0, lines) for _ in range(files - 1))
    paths = []
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, lines], strict=True)):
        path = folder / ("deep/er" if number % 4 == 0 else ".") / f"{number:02d}.en"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{_line(rng)}\n" for _ in range(start, end)), encoding="utf-8")
        paths.append(path)
    return paths


def _line(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS.split(), k=rng.randint(0, 14)))


def run(arguments: Sequence[str], folder: Path, kill: Callable[[int], int] | None = None) -> Done:
    """Run `nmt`, and call `kill` with its process every few seconds. `kill` returns the number of killed processes."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    kills, due = 0, begun + SECONDS_BETWEEN_KILLS
    with subprocess.Popen(
        [sys.executable, "-m", "nmt", *arguments], cwd=folder, env=variables, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        errors = b""
        while process.poll() is None:
            errors += process.stderr.read() or b""
            if kill is not None and time.monotonic() > due:
                killed = kill(process.pid)
                kills += killed
                due = time.monotonic() + (SECONDS_BETWEEN_KILLS if killed else 0.05)
            time.sleep(0.02)
        errors += process.stderr.read() or b""
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Done(process.returncode, errors.decode(errors="replace"), time.monotonic() - begun, cpu, kills)


def descendants(process: int) -> Iterator[tuple[int, bytes]]:
    """Yield the processes below a process, with their command lines."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    for child in parents:
        above: int | None = child
        while above is not None and above != process:
            above = parents.get(above)
        if above == process != child:
            try:
                yield child, Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue


def kill_ray_worker(rng: random.Random) -> Callable[[int], int]:
    """Return a function that kills one of the workers of a Ray cluster, below the process that started it."""

    def kill(process: int) -> int:
        workers = [child for child, command in descendants(process) if command.startswith(RAY_WORKER)]
        if not workers:
            return 0
        os.kill(rng.choice(workers), signal.SIGKILL)
        return 1

    return kill


def kill_itself(process: int) -> int:
    """Kill the command."""
    os.kill(process, signal.SIGKILL)
    return 1


def contents(folder: Path) -> dict[str, bytes]:
    """Return each output file that is not hidden."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def run_killed(arguments: Sequence[str], folder: Path, *, kills: int) -> list[Done]:
    """Run a command that is killed some times and started again, until it ends."""
    done = []
    for number in range(kills + 1):
        done.append(run(arguments, folder, kill_itself if number < kills else None))
        if done[-1].code == 0:
            break
    return done


def campaign(work: Path, *, model: Path | None, lines: int, seed: int, show: Any) -> list[str]:
    """Translate `lines` lines in one process, on Ray with killed workers, and in killed shards; return the problems."""
    if model is None:
        from tiny_translator import save_tiny_model

        model = work / "tiny.safetensors"
        save_tiny_model(model)
    write_texts(work / "in", lines=lines, seed=seed)
    options = ["-m", str(model.resolve()), "--quiet"]
    problems: list[str] = []

    def check(name: str, done: Sequence[Done], output: Path) -> None:
        problems.extend(f"{name}: {one.errors[-800:]}" for one in done[-1:] if one.code != 0)
        if contents(output) != expected:
            problems.append(f"{name}: other bytes")
        seconds, cpu = sum(one.seconds for one in done), sum(one.cpu_seconds for one in done)
        kills = sum(one.kills for one in done)
        show(f"{name:24s} {seconds:8.1f} s {cpu:8.1f} s of CPU time {lines / seconds:9,.0f} lines/s, {kills} kills")

    alone = run(["translate", "in", "-o", "alone", "--threads", "1", *options], work)
    expected = contents(work / "alone")
    if sum(text.count(b"\n") for text in expected.values()) != lines or len(expected) != FILES:
        problems.append("one process: lines are missing")
    check("one process", [alone], work / "alone")
    processors = str(os.cpu_count() or 1)
    ray = ["translate", "in", "-o", "ray", "--ray", "local", "--processes", processors, *options]
    check("Ray, workers killed", [run(ray, work, kill_ray_worker(random.Random(seed)))], work / "ray")
    again = run(["translate", "in", "-o", "ray", *options[:2]], work)
    if f"0 files translated, {FILES} finished before" not in again.errors:
        problems.append(f"Ray, second run: {again.errors[-800:]}")
    killed = [*ray[:3], "ray-again", *ray[4:]]
    check("Ray, command killed", run_killed(killed, work, kills=3), work / "ray-again")
    processes = ["translate", "in", "-o", "processes", "--processes", processors, *options]
    check("processes, command killed", run_killed(processes, work, kills=3), work / "processes")
    _check_shards(work, options, check)
    return problems


def _check_shards(work: Path, options: Sequence[str], check: Callable[[str, Sequence[Done], Path], None]) -> None:
    """Translate shards of the folder, and of one text with all lines. Each shard is killed once."""
    done: list[Done] = []
    for number in range(1, SHARDS + 1):
        shard = ["--shard", f"{number}/{SHARDS}", "--threads", "1", *options]
        done += run_killed(["translate", "in", "-o", "shards", *shard], work, kills=1)
    check("shards of the folder", done, work / "shards")
    names = sorted(contents(work / "in"))
    (work / "text.en").write_bytes(b"".join((work / "in" / name).read_bytes() for name in names))
    done = []
    for number in range(1, SHARDS + 1):
        shard = ["--shard", f"{number}/{SHARDS}", "--threads", "1", *options]
        done += run_killed(["translate", "text.en", "-o", "joined", *shard], work, kills=1)
    done.append(run(["merge", "joined"], work))
    joined = (work / "joined").read_bytes() if (work / "joined").exists() else b""
    place = 0
    for name in names:  # the files of the folder again, by their numbers of lines
        count = (work / "in" / name).read_bytes().count(b"\n")
        end = place
        for _ in range(count):
            end = joined.find(b"\n", end) + 1
        path = work / "cut" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(joined[place:end])
        place = end
    check("shards of a text", done, work / "cut")
