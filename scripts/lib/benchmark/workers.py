"""How fast `nmt translate` of a folder is in one process, in several, and on Ray on this machine, in turns."""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmark.clock import interleaved
from benchmark.options import Options
from benchmark.processes import Ran, python
from benchmark.startup import save_model_file
from benchmark.synthetic import made_up_lines
from nmt.cores import available_threads
from nmt.data.lines import write_lines
from nmt.errors import NMTError

FILES = 4
LINES, QUICK_LINES = 12_000, 8
"""Lines of all files. Every command is also run with one line in each file, which is its start."""


def measure_workers(options: Options, skipped: list[str]) -> list[dict[str, Any]]:
    """Return a row for each way: time and processor time of the whole command, and lines a second after its start.

    The model has the shape S and random weights, so that translations are as long as their lines. Search is greedy.
    """
    print("translation in several processes", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = folder / "model.safetensors"
        save_model_file(model, options)
        count = QUICK_LINES if options.quick else LINES
        _write(folder / "one", FILES, options)
        _write(folder / "all", count, options)
        tasks = {
            (name, text): partial(_translate, folder, text, arguments, str(model))
            for name, arguments in _ways(skipped).items()
            for text in ("one", "all")
        }
        found: dict[tuple[str, str], list[Ran]] = {key: [] for key in tasks}

        def seconds(key: tuple[str, str]) -> float:
            ran = tasks[key]()
            found[key].append(ran)
            print(
                f"  {key[0]}, {key[1]}: {ran.seconds:.1f} s, {ran.cpu_seconds:.1f} s of processor time", file=sys.stderr
            )
            return ran.seconds

        interleaved({key: partial(seconds, key) for key in tasks}, rounds=options.rounds)
    return _rows(found, count)


def _ways(skipped: list[str]) -> dict[str, list[str]]:
    cores = str(available_threads())
    ways = {
        "one process, 1 thread": ["--threads", "1"],
        "one process": [],
        f"--processes {cores}": ["--processes", cores],
        f"--ray local --processes {cores}": ["--ray", "local", "--processes", cores],
    }
    if find_spec("ray") is None:
        skipped.append("translation on Ray: it is not installed")
        ways.popitem()
    return ways


def _write(folder: Path, count: int, options: Options) -> None:
    lines = made_up_lines(count, seed=options.seed)
    folder.mkdir()
    for number in range(FILES):
        write_lines(folder / f"{number}.en", lines[number::FILES])


def _translate(folder: Path, text: str, arguments: list[str], model: str) -> Ran:
    """Translate a folder, and check that the output is that of the first command."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        output = Path(temporary) / "out"
        command = ["-m", "nmt", "translate", text, "-o", str(output), "--model", model, "--beam-size", "1", "--quiet"]
        ran = python(*command, *arguments, folder=folder)
        written = {path.name: path.read_bytes() for path in output.glob("*.en")}
        first = folder / f"{text}.first"
        first.mkdir(exist_ok=True)
        for name, content in written.items():
            if not (first / name).exists():
                (first / name).write_bytes(content)
        if written != {path.name: path.read_bytes() for path in first.iterdir()}:
            raise NMTError(f"nmt translate {' '.join(arguments)} wrote other translations.")
    return ran


def _rows(found: dict[tuple[str, str], list[Ran]], count: int) -> list[dict[str, Any]]:
    def median(name: str, text: str, what: str) -> float:
        return statistics.median(getattr(ran, what) for ran in found[name, text])

    speeds, rows = dict[str, float](), []
    for name in dict.fromkeys(name for name, _ in found):
        start, seconds = median(name, "one", "seconds"), median(name, "all", "seconds")
        speeds[name] = (count - FILES) / max(seconds - start, 1e-3)
        rows.append(
            {
                "way": name,
                "lines": count,
                "start_seconds": round(start, 2),
                "seconds": round(seconds, 2),
                "cpu_seconds": round(median(name, "all", "cpu_seconds"), 2),
                "lines_per_second_after_start": round(speeds[name]),
                "over_first": round(speeds[name] / next(iter(speeds.values())), 2),
            }
        )
    return rows
