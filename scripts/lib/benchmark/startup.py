"""How long the program takes to start, and how much memory it has, beside what `import torch` alone takes."""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.clock import interleaved
from benchmark.decoding import model_file
from benchmark.options import Options
from benchmark.processes import MEGABYTE, python
from benchmark.shapes import shape_of
from benchmark.synthetic import made_up_lines, made_up_tokenizers
from nmt.inference.model_file import save_model

RUNS, QUICK_RUNS = 5, 1
IMPORT, HELP, TRANSLATE = 'python -c "import torch"', "nmt --help", "nmt translate, one line"


def measure_startup(options: Options) -> list[dict[str, Any]]:
    """Return a row of figures for each command: medians of several runs in turns.

    The model has the shape S and random weights; its translation is as long as the line.
    """
    print("start-up", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = folder / "model.safetensors"
        save_model_file(model, options)
        line = made_up_lines(1, seed=options.seed)[0] + "\n"
        commands: dict[str, tuple[list[str], str]] = {
            IMPORT: (["-c", "import torch"], ""),
            HELP: (["-m", "nmt", "--help"], ""),
            TRANSLATE: (["-m", "nmt", "translate", "--model", str(model)], line),
        }
        peaks: dict[str, list[int]] = {name: [] for name in commands}

        def seconds(name: str) -> float:
            arguments, stdin = commands[name]
            ran = python(*arguments, stdin=stdin, folder=folder)
            peaks[name].append(ran.peak_bytes)
            return ran.seconds

        tasks = {name: partial(seconds, name) for name in commands}
        if not options.quick:
            for task in tasks.values():
                task()  # warm-up: files come from the disk once
        found = interleaved(tasks, rounds=QUICK_RUNS if options.quick else RUNS)
    times = {name: statistics.median(values) for name, values in found.items()}
    memory = {name: statistics.median(values) / MEGABYTE for name, values in peaks.items()}
    return [
        {
            "command": name,
            "seconds": round(times[name], 3),
            "seconds_over_import": round(times[name] - times[IMPORT], 3),
            "peak_memory_mb": round(memory[name]),
            "peak_memory_over_import_mb": round(memory[name] - memory[IMPORT]),
        }
        for name in commands
    ]


def save_model_file(file: Path, options: Options) -> None:
    """Write a model of the shape S with random weights."""
    shape = shape_of("S", quick=options.quick)
    tokenizers = made_up_tokenizers(vocabulary=shape.vocabulary, seed=options.seed)
    model = model_file(shape._replace(vocabulary=tokenizers.source.size), seed=options.seed)
    save_model(
        file,
        weights=model.weights,
        config=model.config,
        tokenizers=tokenizers,
        provenance=model.provenance,
        shortlist=model.shortlist,
    )
