"""Translates many files in several ways, with workers and commands that are killed. All ways must write the same bytes.

The folder of the campaign has the texts, the translations, and `ways.json` with what each way has done. The same
command resumes a campaign that was stopped: ways that have ended are not repeated.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
WORDS = "the a red green house dog cat sees hears big small old man woman runs sleeps and or not ."
FILES = 40
SHARDS = 8
RAY_WORKER = b"ray::_translate"
POOL_WORKER = b"spawn_main"
SECONDS_BETWEEN_KILLS = 3.0
LINES_BETWEEN_KILLS = 10_000
"""The time between kills is at least about that of so many lines, so that the work ends."""
SECONDS_TO_END = 120.0
"""Longest time that processes of a killed command may take to end. Agents of Ray take a minute."""
BLANK = 0.02
"""Share of blank lines."""

Kill = Callable[[int], int]
"""Kills processes of a command, whose number it gets, and returns how many."""


class StoppedError(Exception):
    """The time of the campaign has ended."""


class Done(NamedTuple):
    """A command that ended."""

    code: int
    errors: str
    seconds: float
    cpu_seconds: float
    """Of the processes that somebody waited for. Children of a killed command are not among them."""
    kills: int
    left: int = 0
    """Number of processes that did not end with the command."""


@dataclass
class Way:
    """What a way of translating all files has done, over all its commands."""

    ended: bool = False
    commands: int = 0
    kills: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def write_texts(
    folder: Path, *, lines: int, files: int = FILES, seed: int = 1, text: Sequence[str] | None = None
) -> list[Path]:
    """Write lines into files of different lengths, some in a subfolder, and return their paths.

    Args:
        folder: The folder of the files.
        lines: Number of all lines.
        files: Number of files.
        seed: Of everything random.
        text: Lines to draw from, with repetition. None: words at random.
    """
    rng = random.Random(seed)
    cuts = sorted(rng.randint(0, lines) for _ in range(files - 1))
    paths = []
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, lines], strict=True)):
        path = folder / ("deep/er" if number % 4 == 0 else ".") / f"{number:02d}.en"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{_line(rng, text)}\n" for _ in range(start, end)), encoding="utf-8")
        paths.append(path)
    return paths


def _line(rng: random.Random, text: Sequence[str] | None) -> str:
    if text is None:
        return " ".join(rng.choices(WORDS.split(), k=rng.randint(0, 14)))
    return "" if rng.random() < BLANK else rng.choice(text)


def run(
    arguments: Sequence[str],
    folder: Path,
    kill: Kill | None = None,
    *,
    pause: Callable[[], float] | None = None,
    end: float = float("inf"),
) -> Done:
    """Run `nmt`, and call `kill` with its process from time to time.

    Args:
        arguments: The arguments of `nmt`.
        folder: The folder in which it runs.
        kill: Kills processes.
        pause: Returns the seconds to the next kill. None: always the same.
        end: The command is stopped at this time of the monotonic clock.

    Raises:
        StoppedError: The command was stopped.
    """
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    pause = pause or (lambda: SECONDS_BETWEEN_KILLS)
    kills, due = 0, begun + pause()
    family: set[tuple[int, bytes]] = set()
    command = [sys.executable, "-m", "nmt", *arguments]
    with subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        errors = b""
        try:
            while process.poll() is None:
                errors += process.stderr.read() or b""
                if time.monotonic() > end:
                    raise StoppedError
                if kill is not None and time.monotonic() > due:
                    family |= set(descendants(process.pid))
                    killed = kill(process.pid)
                    kills += killed
                    due = time.monotonic() + (pause() if killed else 0.05)
                time.sleep(0.02)
        except BaseException:
            process.terminate()
            raise
        errors += process.stderr.read() or b""
    seconds = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    left = _end_of(family)
    return Done(process.returncode, errors.decode(errors="replace"), seconds, cpu, kills, left)


def _end_of(family: set[tuple[int, bytes]]) -> int:
    """Wait until processes have ended. Kill those that have not after some time, and return their number."""
    late = time.monotonic() + SECONDS_TO_END
    while True:
        left = [member for member in family if _command_line(member[0]) == member[1]]
        if not left or time.monotonic() > late:
            break
        time.sleep(0.1)
    for process, _ in left:
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
    return len(left)


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
        if above == process != child and (command := _command_line(child)):
            yield child, command


def _command_line(process: int) -> bytes:
    """Return the command line of a process. It is empty if the process has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def kill_worker(rng: random.Random, name: bytes) -> Kill:
    """Return a function that kills one of the processes with `name` in their command, below the one that it gets."""

    def kill(process: int) -> int:
        workers = [child for child, command in descendants(process) if name in command]
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


def finished(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the number and the time of each file in an output folder that is recorded as finished."""
    from nmt.inference.output.file_record import RECORDS, read_record

    found = {}
    for record in (folder / RECORDS).rglob("*.json"):
        if read_record(record).content is not None:
            path = folder / record.relative_to(folder / RECORDS).with_suffix("")
            facts = path.stat()
            found[path] = (facts.st_ino, facts.st_mtime_ns)
    return found


class Bulk:
    """Translates the same files in several ways."""

    def __init__(
        self,
        work: Path,
        *,
        lines: int,
        seed: int,
        model: Path | None,
        text: Path | None,
        beam: int | None,
        minutes: float,
        show: Any,
    ) -> None:
        self._work = work
        self._lines = lines
        self._rng = random.Random(seed)
        self._pause = max(SECONDS_BETWEEN_KILLS, SECONDS_BETWEEN_KILLS * lines / LINES_BETWEEN_KILLS / 3)
        self._end = time.monotonic() + 60 * minutes
        self._show = show
        self._ways: dict[str, Way] = {}
        self._expected: dict[str, bytes] = {}
        work.mkdir(parents=True, exist_ok=True)
        model = self._tiny() if model is None else model.resolve()
        self._options = ["-m", str(model), "--quiet", *([] if beam is None else ["--beam-size", str(beam)])]
        self._facts = {"lines": lines, "seed": seed, "text": None if text is None else str(text.resolve())}
        self._facts["options"] = self._options
        self._begin(text)

    def _tiny(self) -> Path:
        from tiny_translator import save_tiny_model

        path = (self._work / "tiny.safetensors").resolve()
        if not path.exists():
            save_tiny_model(path)
        return path

    def _begin(self, text: Path | None) -> None:
        """Write the texts, or read what an earlier campaign has done."""
        record = self._work / "ways.json"
        if record.exists():
            known = json.loads(record.read_text("utf-8"))
            if known["of"] != self._facts:
                raise SystemExit(f"{self._work} has another campaign. Delete it, or name another folder with --keep.")
            self._ways = {name: Way(**way) for name, way in known["ways"].items()}
            return
        chosen = None if text is None else text.read_text("utf-8").splitlines()
        write_texts(self._work / "in", lines=self._lines, seed=self._facts["seed"], text=chosen)
        names = sorted(contents(self._work / "in"))
        (self._work / "text.en").write_bytes(b"".join((self._work / "in" / name).read_bytes() for name in names))
        self._save()

    def _save(self) -> None:
        known = {"of": self._facts, "ways": {name: asdict(way) for name, way in self._ways.items()}}
        changed = self._work / "ways.json.new"
        changed.write_text(json.dumps(known, indent=1), encoding="utf-8")
        changed.replace(self._work / "ways.json")

    def campaign(self, only: Sequence[str] | None = None) -> list[str]:
        """Translate in all ways that have not ended, and return the problems."""
        ways: dict[str, Callable[[Way], Path]] = {
            "one process": self._alone,
            "Ray, workers killed": self._ray,
            "shards of a text": self._text_shards,
            "processes": self._processes,
            "shards of the folder": self._folder_shards,
            "Ray, command killed": self._killed_ray,
        }
        unknown = set(only or ()) - ways.keys()
        if unknown:
            raise SystemExit(f"--only: {', '.join(sorted(unknown))} is not one of: {', '.join(ways)}.")
        for name, translate in ways.items():
            if only is not None and name not in (*only, "one process"):
                continue
            way = self._ways.setdefault(name, Way())
            try:
                if not way.ended:
                    self._compare(way, translate(way))
            except StoppedError:
                self._show(f"{name}: stopped. The same command resumes the campaign, with more --minutes.")
                return [*self._problems(), f"{name}: not ended"]
            finally:
                self._save()
            if name == "one process":
                self._expected = contents(self._work / "alone")
            self._report(name, way)
        return self._problems()

    def _problems(self) -> list[str]:
        return [f"{name}: {problem}" for name, way in self._ways.items() for problem in way.problems]

    def _report(self, name: str, way: Way) -> None:
        speed = f"{self._lines / way.seconds:9,.0f} lines/s"
        figures = f"{way.seconds:8.1f} s {way.cpu_seconds:8.1f} s of CPU time {speed}"
        end = "; ".join(way.problems) or "the same bytes"
        self._show(f"{name:22s} {figures}, {way.commands} commands, {way.kills} kills: {end}")

    def _compare(self, way: Way, output: Path) -> None:
        """Check what a way has written, and note that it has ended."""
        found = contents(output)
        if self._expected and found != self._expected:
            wrong = sorted(
                name for name in found.keys() | self._expected.keys() if found.get(name) != self._expected.get(name)
            )
            way.problems.append(f"other bytes in {len(wrong)} files, first {wrong[0]}")
        if sum(text.count(b"\n") for text in found.values()) != self._lines or len(found) != FILES:
            way.problems.append("lines are missing")
        way.ended = True

    def _run(self, way: Way, arguments: Sequence[str], output: Path, kill: Kill | None = None) -> Done:
        """Run a command of a way, and check that it writes no finished file again."""
        before = finished(output) if output.is_dir() else {}
        done = run(arguments, self._work, kill, pause=lambda: self._rng.uniform(0.1, 2.0) * self._pause, end=self._end)
        after = finished(output) if output.is_dir() else {}
        again = [path.name for path, facts in before.items() if after.get(path) != facts]
        if again:
            way.problems.append(f"written twice: {again}")
        if done.left:
            way.problems.append(f"{done.left} processes did not end")
        if done.code not in (0, -signal.SIGKILL) and (done.kills == 0 or done.errors.count("error:") != 1):
            way.problems.append(f"exit code {done.code}: {done.errors[-800:]}")
        way.commands += 1
        way.kills += done.kills
        way.seconds += done.seconds
        way.cpu_seconds += done.cpu_seconds
        return done

    def _run_until(self, way: Way, arguments: Sequence[str], output: Path, kills: Sequence[Kill]) -> None:
        """Run a command that is killed, and again with the next way of killing, until it ends."""
        for kill in [*kills, None]:
            if self._run(way, arguments, output, kill).code == 0:
                return
        way.problems.append("the last command failed")

    def _translate(self, output: str, *options: str) -> list[str]:
        return ["translate", "in", "-o", output, *options, *self._options]

    def _alone(self, way: Way) -> Path:
        output = self._work / "alone"
        self._run_until(way, self._translate("alone", "--threads", "1"), output, [])
        return output

    def _ray(self, way: Way) -> Path:
        """Lose workers, which Ray replaces. One command translates all files."""
        output, options = self._work / "ray", ("--ray", "local", "--processes", str(os.cpu_count() or 1))
        kill = kill_worker(self._rng, RAY_WORKER)
        if self._run(way, self._translate("ray", *options), output, kill).code != 0:
            way.problems.append("the command failed")
        again = run([word for word in self._translate("ray") if word != "--quiet"], self._work)
        if f"0 files translated, {FILES} finished before" not in again.errors:
            way.problems.append(f"second run: {again.errors[-800:]}")
        return output

    def _killed_ray(self, way: Way) -> Path:
        output, options = self._work / "ray-killed", ("--ray", "local", "--processes", str(os.cpu_count() or 1))
        self._run_until(way, self._translate("ray-killed", *options), output, [kill_itself] * 3)
        return output

    def _processes(self, way: Way) -> Path:
        """Kill a worker, whose loss ends the command, or the command."""
        output = self._work / "processes"
        worker = kill_worker(self._rng, POOL_WORKER)
        kills = [worker, kill_itself] * 3
        self._run_until(way, self._translate("processes", "--processes", str(os.cpu_count() or 1)), output, kills)
        return output

    def _folder_shards(self, way: Way) -> Path:
        output = self._work / "shards"
        for number in range(1, SHARDS + 1):
            shard = self._translate("shards", "--shard", f"{number}/{SHARDS}", "--threads", "1")
            self._run_until(way, shard, output, [kill_itself])
        return output

    def _text_shards(self, way: Way) -> Path:
        """Translate one text with the lines of all files, and cut the result into files of as many lines."""
        for number in range(1, SHARDS + 1):
            shard = ["translate", "text.en", "-o", "joined", "--shard", f"{number}/{SHARDS}", "--threads", "1"]
            self._run_until(way, [*shard, *self._options], self._work / "joined.shards", [kill_itself])
        self._run_until(way, ["merge", "joined"], self._work / "joined.shards", [])
        joined = self._work / "joined"
        lines = iter(joined.read_bytes().splitlines(keepends=True) if joined.exists() else [])
        for name in sorted(contents(self._work / "in")):
            path = self._work / "cut" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            count = (self._work / "in" / name).read_bytes().count(b"\n")
            path.write_bytes(b"".join(next(lines, b"") for _ in range(count)))
        return self._work / "cut"


def campaign(work: Path, *, only: Sequence[str] | None, **given: Any) -> list[str]:
    """Translate lines in several ways, in one folder; see `Bulk`. Return the problems."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return Bulk(work, **given).campaign(only)
