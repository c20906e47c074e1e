"""The figures as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.training_parts import PARTS


def tables(result: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of the whole report."""
    machine = result["machine"]
    yield f"{machine['device']}, {machine['threads']} threads, torch {machine['torch']}, {machine['rounds']} rounds"
    yield from section("Matrix products, GFLOP/s", [{"when": row["when"], **row["gflops"]} for row in result["peaks"]])
    if "training" in result:
        yield from _training(result["training"])
    for part, title in (
        ("decoding", "Decoding; translations as long as their sources"),
        ("decoding_parts", "Decoding in one thread, and the share of its parts in processor time"),
        ("startup", "Start-up"),
        ("preprocessing", "Preprocessing"),
        ("safety", "Checksums and locks"),
        ("scaling", "Training in several processes"),
        ("workers", "nmt translate of a folder in several processes"),
    ):
        if part in result:
            yield from section(title, result[part])
    for table in [*result.get("peers", []), *result.get("gpu", [])]:
        yield from section(table["title"], table["rows"])
    if "growth" in result:
        yield from _growth(result["growth"])
    if result["skipped"]:
        yield from ("", "Not measured:", *(f"  {what}" for what in result["skipped"]))


def _training(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    columns = ("target_tokens_per_second", "over_textbook", "share_of_peak")
    memory = ("peak_memory_mb", "peak_memory_over_import_mb")
    yield from section("Training", [{key: row[key] for key in ("shape", "variant", *columns, *memory)} for row in rows])
    parts = [
        {"shape": row["shape"], "variant": row["variant"], **{p: row["milliseconds_per_update"][p] for p in PARTS}}
        for row in rows
    ]
    yield from section("Milliseconds of an update, by part (measured apart)", parts)


def _growth(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", "Growth: time = a + b * size")
    for row in rows:
        yield ""
        yield row["what"]
        yield "  " + "  ".join(f"{size:,}: {_time(seconds)}" for size, seconds in row["points"])
        yield (
            f"  a = {_time(row['constant_seconds'])}, b = {_time(row['seconds_per_unit'])} "
            f"for each of the {row['unit']}, R2 = {row['r_squared']}"
        )


def _time(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if abs(seconds) * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def section(title: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Give a table with a column for each key."""
    yield from ("", title)
    if not rows:
        return
    names = list(rows[0])
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    cells[0] = [name.replace("_", " ") for name in names]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    numeric = [all(isinstance(row[name], int | float | None) for row in rows) for name in names]
    for row in cells:
        aligned = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        yield "  " + "  ".join(aligned).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,}"
