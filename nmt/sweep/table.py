"""The report of a sweep: means and standard deviations over seeds, and differences to the baseline."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nmt.data.streams import write_json, write_whole
from nmt.sweep.markdown import number, table
from nmt.sweep.plan import Plan
from nmt.sweep.run import Measurements
from nmt.sweep.schema import Sweep, Variant

TITLES = {"bleu": "BLEU", "chrf": "chrF", "loss": "loss", "aer": "AER %"}
SHARES = ("aer", "precision", "recall")
"""Measured between 0 and 1, shown in percent."""
DECIMALS = {"loss": 3, "aer": 1, "precision": 1, "recall": 1}

Summary = dict[str, Any]
"""A variant: `mean`, `deviation` and `count` of each number, its `change`, and the runs."""


def write_report(results: Sequence[Measurements], plan: Plan, output: Path, *, parallel: int) -> str:
    """Write sweep.md and sweep.json, and the figure if the sweep has one, and return the Markdown.

    Args:
        results: The measurements of the finished runs; at least one.
        plan: The sweep.
        output: The folder.
        parallel: Number of runs that shared the machine.
    """
    rows = [summary(variant.name, results, plan.sweep) for variant in plan.variants]
    rows = [row for row in rows if row["runs"]]
    text = markdown(rows, plan, parallel=parallel)
    content = {"sweep": plan.name, "score_on": plan.sweep.score_on, "parallel": parallel, "variants": rows}
    write_json(output / "sweep.json", content)
    write_whole(output / "sweep.md", text.encode())
    if plan.sweep.by_length is not None and plan.sweep.by_length.figure:
        _draw(rows, plan, output)
    return text


def summary(name: str, results: Iterable[Measurements], sweep: Sweep) -> Summary:
    """Combine the runs of a variant.

    Returns:
        `mean`, `deviation` (None for a single seed), `min`, `max` and `count` of each number. A change is the
        difference to the baseline with the same seed.
    """
    results = list(results)
    runs = [one for one in results if one["variant"] == name]
    base = {one["seed"]: one for one in results if one["variant"] == sweep.baseline}
    row: Summary = {"variant": name, "runs": runs}
    if not runs:
        return row
    for score in _columns(sweep):
        row[score] = spread([one[score] for one in runs])
        pairs = [(one[score], base[one["seed"]][score]) for one in runs if one["seed"] in base]
        changes = [a - b for a, b in pairs if a is not None and b is not None]
        row[f"{score}_change"] = spread(changes) if name != sweep.baseline else None
    for total in ("parameters", "hidden_size"):
        row[total] = runs[0][total]
    row["tokens_per_second"] = spread([one["tokens_per_second"] for one in runs])
    row["minutes"] = statistics.mean(one["training_seconds"] for one in runs) / 60
    row["best_epoch"] = statistics.mean(one["best_epoch"] for one in runs)
    for buckets in ("by_length", "figure"):
        if buckets in runs[0]:
            row[buckets] = _spread_buckets([one[buckets] for one in runs])
    if "by_length" in row:
        row["fall"] = spread([_fall(one["by_length"]) for one in runs])
    return row


def _columns(sweep: Sweep) -> list[str]:
    return [*sweep.metrics, *(["precision", "recall"] if "aer" in sweep.metrics else [])]


def spread(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Return mean, standard deviation, extremes and count; None if nothing was measured."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    deviation = statistics.stdev(known) if len(known) > 1 else None
    mean = statistics.mean(known)
    return {"mean": mean, "deviation": deviation, "min": min(known), "max": max(known), "count": len(known)}


def _spread_buckets(runs: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [{**rows[0], "bleu": spread([row["bleu"] for row in rows])} for rows in zip(*runs, strict=True)]


def _fall(buckets: Sequence[dict[str, Any]]) -> float | None:
    """Return the BLEU of the longest sentences minus that of the shortest."""
    shortest, longest = buckets[0]["bleu"], buckets[-1]["bleu"]
    return None if shortest is None or longest is None else longest - shortest


def markdown(rows: Sequence[Summary], plan: Plan, *, parallel: int) -> str:
    """Return the tables and notes."""
    sweep = plan.sweep
    parts = [_about(sweep, parallel), _scores(rows, sweep)]
    if sweep.by_length is not None:
        parts += [_about_lengths(rows), _lengths(rows)]
    kept = {row["variant"] for row in rows}
    notes = "".join(_note(variant) for variant in plan.variants if variant.name in kept)
    return f"# {plan.name}\n\n" + "\n".join(filter(None, [*parts, notes]))


def _about(sweep: Sweep, parallel: int) -> str:
    scored = "Validation set, best model of each run, decoded as in training (`training.validation`)."
    if sweep.score_on == "test":
        scored = "First test set, best model of each run, decoded with the options of `decoding`."
    change = f" A change is the difference to `{sweep.baseline}` with the same seed." if sweep.baseline else ""
    shared = f", {parallel} runs at the same time" if parallel > 1 else ""
    return (
        f"{scored} Mean ± standard deviation over seeds.{change} Minutes: training and validation of one run{shared}. "
        "Tokens: target pieces in a second of training.\n"
    )


def _scores(rows: Sequence[Summary], sweep: Sweep) -> str:
    columns = ["variant", "seeds"]
    for score in _columns(sweep):
        columns.append(TITLES.get(score, f"{score} %"))
        if sweep.baseline is not None and score in sweep.metrics:
            columns.append("change")
    columns += ["parameters", "minutes", "tokens/s", "epochs to the best"]
    cells = [_cells(row, sweep) for row in rows]
    if "aer" in sweep.metrics:
        cells.append(_bound(rows[0]["runs"][0]["best_with_one_link"], sweep, len(columns)))
    return table(columns, cells, texts=1)


def _cells(row: Summary, sweep: Sweep) -> list[str]:
    cells = [row["variant"], str(len(row["runs"]))]
    for score in _columns(sweep):
        cells.append(_range(row[score], score))
        if sweep.baseline is not None and score in sweep.metrics:
            cells.append(_range(row[f"{score}_change"], score, signed=True))
    speed = row["tokens_per_second"]
    return [
        *cells,
        f"{row['parameters']:,}",
        number(row["minutes"], 1),
        number(speed and speed["mean"], 0),
        number(row["best_epoch"], 0),
    ]


def _bound(bound: dict[str, float], sweep: Sweep, columns: int) -> list[str]:
    """Return the row of the best alignment with one link for each target word."""
    cells = ["best with one link a word", ""]
    for score in _columns(sweep):
        cells.append(number(100 * bound[score], 1) if score in SHARES else "")
        if sweep.baseline is not None and score in sweep.metrics:
            cells.append("")
    return cells + [""] * (columns - len(cells))


def _range(found: dict[str, Any] | None, score: str, *, signed: bool = False) -> str:
    if found is None:
        return "-"
    factor, decimals = (100 if score in SHARES else 1), DECIMALS.get(score, 2)
    mean = f"{factor * found['mean']:{'+' if signed else ''},.{decimals}f}"
    return mean if found["deviation"] is None else f"{mean} ± {factor * found['deviation']:.{decimals}f}"


def _about_lengths(rows: Sequence[Summary]) -> str:
    first = rows[0]
    counts = ", ".join(f"{bucket['length']}: {bucket['sentences']:,}" for bucket in first["by_length"])
    return (
        "BLEU by words of the source; each bucket is scored as a test set. Sentences by words of the source: "
        f"{counts}. Signature: `{first['runs'][0]['signature']}`.\n"
    )


def _lengths(rows: Sequence[Summary]) -> str:
    names = [bucket["length"] for bucket in rows[0]["by_length"]]
    columns = ["variant", *(f"{name} words" for name in names), f"{names[-1]} minus {names[0]}"]
    cells = [
        [row["variant"], *(_range(bucket["bleu"], "bleu") for bucket in row["by_length"]), _range(row["fall"], "bleu")]
        for row in rows
    ]
    return table(columns, cells, texts=1)


def _note(variant: Variant) -> str:
    """Return the description and the options of a variant as an item of a list."""
    options = ", ".join(f"`{option}`" for option in variant.options)
    parts = [f"{options}." if options else "", variant.description]
    text = " ".join(filter(None, parts))
    return f"- {variant.name}: {text}\n" if text else ""


def _draw(rows: Sequence[Summary], plan: Plan, output: Path) -> None:
    from nmt.sweep.figure import LengthCurve, Point, draw

    described = {variant.name: variant.description for variant in plan.variants}
    lines = []
    for row in rows:
        known = [bucket for bucket in row["figure"] if bucket["bleu"] is not None]
        points = [
            Point(
                words=bucket["mean_length"],
                length=bucket["length"],
                sentences=bucket["sentences"],
                **{name: bucket["bleu"][name] for name in ("mean", "min", "max")},
            )
            for bucket in known
        ]
        lines.append(LengthCurve(described[row["variant"]].rstrip(".") or row["variant"], points))
    seeds = max(len(row["runs"]) for row in rows)
    for format in ("png", "svg"):
        write_whole(output / f"by-length.{format}", draw(lines, seeds=seeds, format=format))
