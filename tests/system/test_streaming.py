"""A huge file takes no more memory than a short one."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path

import pytest

from cli_tools import environment
from nmt.data.lines import write_lines
from toy_experiments import toy_pairs
from toy_teachers import save_teacher

# Translates for a minute. That reading is bounded is tested in tests/inference/test_translator.py.
pytestmark = pytest.mark.slow

# Runs the command and prints the peak of its memory, in KiB (bytes on macOS).
MEASURE = """
import json, resource, sys
from nmt.cli import main
try:
    main()
except SystemExit as request:
    code = request.code
print(json.dumps([code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]), file=sys.stderr)
"""
LINES = (1_000, 10_000)
GROWTH = 24 * 1024
"""KiB; more than noise, less than a toolkit that keeps every line."""


def peak(source: Path) -> int:
    arguments = ("--model", "model.safetensors", "--beam-size", "1", "--threads", "1", "--quiet", str(source))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "translate", *arguments, "-o", str(source.with_suffix(".out"))],
        cwd=source.parent,
        env=environment(),
        capture_output=True,
        timeout=600,
        check=False,
    )
    code, memory = json.loads(done.stderr.decode().splitlines()[-1])
    assert code == 0, done.stderr
    return int(memory)


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of the peak memory depends on the system")
def test_memory_does_not_grow_with_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_teacher(Path("model.safetensors"))
    texts = [source for source, _ in toy_pairs(500, seed=4)]
    peaks = []
    for count in LINES:
        write_lines(tmp_path / f"{count}.en", islice(cycle(texts), count))
        peaks.append(peak(tmp_path / f"{count}.en"))
        assert (tmp_path / f"{count}.out").read_bytes().count(b"\n") == count
    assert peaks[1] - peaks[0] < GROWTH, peaks
