"""The results of the experiment with long sentences: a table in Markdown, the same as JSON, and the figure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.length_figure import Line, Point, draw
from experiments.markdown import number, table
from experiments.runs import Measured, write_bytes, write_json
from experiments.systems import SYSTEMS

Rows = list[dict[str, Any]]


def write_report(results: Sequence[Measured], out: Path, *, corpus: str) -> None:
    """Write `corpus`.md, .json, .png and .svg into `out`.

    Args:
        results: What was measured on the runs that are finished; at least one.
        out: The folder.
        corpus: What the files are called.
    """
    systems = [_summary(system.name, system.title, results) for system in SYSTEMS]
    systems = [system for system in systems if system["runs"]]
    write_json(out / f"{corpus}.json", {"corpus": corpus, "systems": systems})
    write_bytes(out / f"{corpus}.md", "".join(markdown(systems)).encode())
    lines = [Line(system["title"], _points(system["figure"])) for system in systems]
    seeds = max(len(system["runs"]) for system in systems)
    for format in ("png", "svg"):
        write_bytes(out / f"{corpus}.{format}", draw(lines, seeds=seeds, format=format))


def _summary(name: str, title: str, results: Sequence[Measured]) -> dict[str, Any]:
    """Put the runs of a system together: the mean over seeds, and the lowest and highest, of each number."""
    runs = [result for result in results if result["system"] == name]
    if not runs:
        return {"runs": []}
    return {
        "system": name,
        "title": title,
        "parameters": runs[0]["parameters"],
        "hidden_size": runs[0]["hidden_size"],
        "tokens_per_second": _spread([run["tokens_per_second"] for run in runs]),
        "training_seconds": _spread([run["training_seconds"] for run in runs]),
        "validation_bleu": _spread([run["validation_bleu"] for run in runs]),
        "bleu": _spread([run["bleu"] for run in runs]),
        "table": _spread_buckets([run["table"] for run in runs]),
        "figure": _spread_buckets([run["figure"] for run in runs]),
        "runs": runs,
    }


def _spread_buckets(runs: Sequence[Rows]) -> Rows:
    return [{**rows[0], "bleu": _spread([row["bleu"] for row in rows])} for rows in zip(*runs, strict=True)]


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    """Return mean, lowest and highest; None where there is nothing to measure."""
    known = [value for value in values if value is not None]
    return {"mean": statistics.mean(known), "min": min(known), "max": max(known)} if known else None


def _points(buckets: Rows) -> list[Point]:
    return [
        Point(row["mean_length"], row["length"], row["sentences"], **row["bleu"])
        for row in buckets
        if row["bleu"] is not None
    ]


def markdown(systems: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table of means over seeds, with lowest and highest, and the table of all runs."""
    first = systems[0]
    names = [row["length"] for row in first["table"]]
    counts = ", ".join(f"{row['length']}: {row['sentences']:,}" for row in first["table"])
    scores = ["BLEU", *(f"{name} words" for name in names), f"{names[-1]} less {names[0]}"]
    means = table(
        ["system", "parameters", "hidden size", "tokens/s", "minutes", *scores],
        [_mean_row(system) for system in systems],
        texts=1,
    )
    every = table(
        ["system", "seed", "parameters", "tokens/s", "minutes", "validation BLEU", *scores],
        [_run_row(system["title"], run) for system in systems for run in system["runs"]],
        texts=1,
    )
    return [
        "Mean over seeds (lowest to highest). Tokens are target pieces of training, padding not counted.\n\n",
        means,
        f"\nSentences of the test set by words of the source: {counts}.\n",
        f"Signature of BLEU: `{first['runs'][0]['signature']}`.\n\nEach run:\n\n",
        every,
    ]


def _mean_row(system: dict[str, Any]) -> list[str]:
    cells = [_range(one, 1) for one in (system["bleu"], *(row["bleu"] for row in system["table"]))]
    falls = [_fall(run["table"]) for run in system["runs"]]
    speed, seconds = system["tokens_per_second"], system["training_seconds"]
    return [
        system["title"],
        f"{system['parameters']:,}",
        str(system["hidden_size"]),
        number(speed and speed["mean"], 0),
        number(seconds["mean"] / 60, 1),
        *cells,
        _range(_spread(falls), 1),
    ]


def _run_row(title: str, run: Measured) -> list[str]:
    return [
        title,
        str(run["seed"]),
        f"{run['parameters']:,}",
        number(run["tokens_per_second"], 0),
        number(run["training_seconds"] / 60, 1),
        number(run["validation_bleu"], 1),
        *(number(one, 1) for one in (run["bleu"], *(row["bleu"] for row in run["table"]), _fall(run["table"]))),
    ]


def _fall(buckets: Rows) -> float | None:
    """Return the BLEU of the longest sentences less that of the shortest."""
    shortest, longest = buckets[0]["bleu"], buckets[-1]["bleu"]
    return None if shortest is None or longest is None else longest - shortest


def _range(spread: dict[str, float] | None, decimals: int) -> str:
    if spread is None:
        return "-"
    show: Callable[[str], str] = lambda name: number(spread[name], decimals)  # noqa: E731
    return show("mean") if spread["min"] == spread["max"] else f"{show('mean')} ({show('min')} to {show('max')})"
