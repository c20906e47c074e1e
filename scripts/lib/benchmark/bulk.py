"""`nmt preprocess` on corpora of millions of generated pairs: time, memory, disk, and a hash of the data."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmark.corpora import corpus_config
from benchmark.growth import fit
from benchmark.processes import MEGABYTE, with_toolkit
from benchmark.synthetic import LENGTH_DEVIATION, LONGEST, MEAN_LENGTH, SHORTEST, SYLLABLES
from nmt.data.disk import size_of
from nmt.data.preprocess.report import REPORT
from nmt.data.streams import CHUNK_BYTES
from nmt.errors import NMTError

WORDS = 300_000
"""Words of each language, drawn by Zipf's law."""
REPEATED = 0.05
"""Share of the pairs that repeat one of the first `CHUNK` pairs."""
CHUNK = 10_000
DIFFERENT = 2_000_000
"""Pairs that are generated. More pairs are these again, with a number at the end of each line."""
VALIDATION = 1_000
VOCABULARY = 8000
POLL_SECONDS = 0.2
PREPROCESSED = "preprocessed"


class Measured(NamedTuple):
    """A run of `nmt preprocess`."""

    seconds: float
    cpu_seconds: float
    """Processor time of all processes."""
    peak_bytes: int
    """Most memory of all processes together, without pages of files."""
    largest_bytes: int
    """Most memory of one process, without pages of files."""
    disk_bytes: int
    """Most bytes of all files that the command made, its temporary files included."""


def generated_pairs(count: int, *, seed: int) -> Iterator[tuple[str, str]]:
    """Yield pairs of made-up sentences with lengths like those of Multi30k. Some pairs repeat earlier ones."""
    generator = np.random.default_rng(seed)
    words = [[_word(generator, letters) for _ in range(WORDS)] for letters in ("aeiou", "aeiou\u00e4\u00f6\u00fc")]
    shares = np.cumsum(1.0 / np.arange(1, WORDS + 1))
    first: list[tuple[str, str]] = []
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        shape = (MEAN_LENGTH / LENGTH_DEVIATION) ** 2
        lengths = np.clip(np.round(generator.gamma(shape, MEAN_LENGTH / shape, size)), SHORTEST, LONGEST).astype(int)
        ends = np.cumsum(lengths).tolist()
        ids = [np.searchsorted(shares, generator.random(ends[-1]) * shares[-1]).tolist() for _ in words]
        sides = [
            [
                " ".join([known[word] for word in drawn[end - length : end]])
                for end, length in zip(ends, lengths, strict=True)
            ]
            for known, drawn in zip(words, ids, strict=True)
        ]
        pairs = list(zip(*sides, strict=True))
        if first:
            for place in np.flatnonzero(generator.random(size) < REPEATED).tolist():
                pairs[place] = first[int(generator.integers(len(first)))]
        first = first or pairs
        yield from pairs


def _word(generator: np.random.Generator, vowels: str) -> str:
    consonants = generator.integers(len(SYLLABLES), size=int(generator.integers(2, 6)))
    return "".join(SYLLABLES[number][0] + vowels[number % len(vowels)] for number in consonants)


def write_bulk(folder: Path, count: int, *, seed: int) -> Path:
    """Write generated pairs and a configuration to a folder, and return the path of the configuration."""
    made = generated_pairs(min(count, DIFFERENT) + VALIDATION, seed=seed)
    config = corpus_config(folder, vocabulary=VOCABULARY, threads=1, seed=seed).data
    for files, size in ((config.valid, VALIDATION), (config.train[0], count)):
        assert files.source is not None
        assert files.target is not None
        with open(files.source, "wb") as source, open(files.target, "wb") as target:
            for one, other in islice(made, min(size, DIFFERENT)):
                source.write(one.encode() + b"\n")
                target.write(other.encode() + b"\n")
        for name in (files.source, files.target):
            _repeat(name, size)
    path = folder / "bulk.yaml"
    content = {
        "name": "bulk",
        "data": {
            "source_language": "en",
            "target_language": "de",
            "train": [{"source": config.train[0].source, "target": config.train[0].target}],
            "valid": {"source": config.valid.source, "target": config.valid.target},
            "preprocessed_folder": str(folder / PREPROCESSED),
        },
        "tokenizer": {"vocabulary_size": VOCABULARY},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _repeat(path: str, count: int) -> None:
    """Make a file of `DIFFERENT` lines as long as `count`: the lines come again, with a number at their ends."""
    with open(path, "ab") as stream:
        for again, start in enumerate(range(DIFFERENT, count, DIFFERENT), start=1):
            with open(path, "rb") as lines:
                stream.writelines(
                    b"%b %d\n" % (line[:-1], again) for line in islice(lines, min(DIFFERENT, count - start))
                )


def run(config: Path, processes: int) -> tuple[Measured, Path]:
    """Run `nmt preprocess --force`; return the figures and the folder of the data.

    Raises:
        NMTError: It failed.
    """
    command = [sys.executable, "-m", "nmt", "preprocess", str(config), "--force", "--processes", str(processes)]
    began, peak, largest, disk = time.perf_counter(), 0, 0, 0
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdout=output, stderr=errors, env=with_toolkit())
        while True:
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
            if ended:
                break
            memory = [*map(_private_bytes, _tree(child.pid))]
            peak, largest = max(peak, sum(memory)), max(largest, *memory)
            disk = max(disk, size_of(config.with_name(PREPROCESSED)))
            time.sleep(POLL_SECONDS)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise NMTError(f"{' '.join(command)} failed:\n{errors.read().decode(errors='replace')}")
        seconds = time.perf_counter() - began
        output.seek(0)
        folder = Path(output.read().decode().strip())
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peak, largest, disk), folder


def _tree(process: int) -> Iterator[int]:
    """Yield a process and its descendants. Only Linux says which they are."""
    yield process
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            for child in Path(f"/proc/{process}/task/{thread}/children").read_text("ascii").split():
                yield from _tree(int(child))
    except OSError:
        return


def _private_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def _digest(folder: Path) -> str:
    """Return a checksum of the data. The report is left out, because it names the text with its folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.name != REPORT):
        digest.update(path.name.encode())
        with open(path, "rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()[:16]


def measure_bulk(sizes: Sequence[int], processes: Sequence[int], *, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Return tables: a row for each size and number of processes, and the lines through the sizes.

    The sizes of 1, 5 and 20 million need 0.2, 1 and 4 GB of text, and twice as much beside it while they are measured.
    """
    rows = []
    points: dict[int, dict[int, float]] = {number: {} for number in processes}
    for pairs in sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(f"bulk: making {pairs:,} pairs", file=sys.stderr)
            config = write_bulk(Path(folder), pairs, seed=seed)
            for number in processes:
                print(f"bulk: {pairs:,} pairs, {number} processes", file=sys.stderr)
                figures, made = run(config, number)
                points[number][pairs] = figures.cpu_seconds
                rows.append(
                    {
                        "pairs": pairs,
                        "processes": number,
                        "seconds": round(figures.seconds, 1),
                        "cpu_seconds": round(figures.cpu_seconds, 1),
                        "pairs_per_second": round(pairs / figures.seconds),
                        "pairs_per_cpu_second": round(pairs / figures.cpu_seconds),
                        "peak_memory_mb": round(figures.peak_bytes / MEGABYTE),
                        "largest_process_mb": round(figures.largest_bytes / MEGABYTE),
                        "disk_mb": round(figures.disk_bytes / MEGABYTE),
                        "data": _digest(made),
                    }
                )
                print(rows[-1], file=sys.stderr)
    result = {"Preprocessing": rows}
    if len(sizes) > 1:
        result["Growth"] = [_line(number, points[number]) for number in processes]
    return result


HUNDRED_MILLION = 100_000_000


def _line(processes: int, points: dict[int, float]) -> dict[str, Any]:
    line = fit(list(points), list(points.values()))
    return {
        "processes": processes,
        "constant_cpu_seconds": round(line.constant, 1),
        "cpu_seconds_per_million": round(line.slope * 1e6, 1),
        "r_squared": round(line.r_squared, 4),
        "cpu_hours_for_100_million": round((line.constant + line.slope * HUNDRED_MILLION) / 3600, 2),
    }
