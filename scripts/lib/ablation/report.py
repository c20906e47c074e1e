"""The table of an ablation: means and standard deviations over seeds, and differences to the recipe itself."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ablation.variants import BASE, Variant
from experiments.markdown import number, table
from experiments.runs import Measured, write_bytes, write_json

SCORES = ("bleu", "chrf")
DECIMALS = 2
ABOUT = """\
Validation set, best model of each run, decoded as in training (`training.validation`). Mean ± standard deviation over
seeds; a change is the mean of the differences to the {base} with the same seed, ± their standard deviation. Minutes:
training and validation of one run{parallel}.

"""


def write_report(
    results: Sequence[Measured], variants: Sequence[Variant], out: Path, *, recipe: str, parallel: int
) -> None:
    """Write `ablation.md` and `ablation.json` into `out`.

    Args:
        results: What was measured on the runs that are finished.
        variants: All variants, in the order of the table.
        out: The folder.
        recipe: The file of the recipe.
        parallel: How many runs shared the machine.
    """
    named = {variant.name: variant for variant in variants}
    rows = [summary(name, results) for name in (BASE, *named)]
    rows = [row for row in rows if row["runs"]]
    write_json(out / "ablation.json", {"recipe": recipe, "parallel": parallel, "variants": rows})
    write_bytes(out / "ablation.md", markdown(rows, named, recipe=recipe, parallel=parallel).encode())


def summary(name: str, results: Iterable[Measured]) -> dict[str, Any]:
    """Put the runs of a variant together.

    Returns:
        `mean` and `deviation` (None for a single seed) of each score and of its `change`, and what else was measured.
    """
    results = list(results)
    runs = [one for one in results if one["variant"] == name]
    base = {one["seed"]: one for one in results if one["variant"] == BASE}
    row: dict[str, Any] = {"variant": name, "runs": runs}
    if not runs:
        return row
    for score in SCORES:
        row[score] = spread([one[score] for one in runs])
        pairs = [(one[score], base[one["seed"]][score]) for one in runs if one["seed"] in base and name != BASE]
        row[f"{score}_change"] = spread([a - b for a, b in pairs if a is not None and b is not None])
    row["parameters"] = runs[0]["parameters"]
    row["minutes"] = statistics.mean(one["training_seconds"] for one in runs) / 60
    row["best_epoch"] = statistics.mean(one["best_epoch"] for one in runs)
    return row


def spread(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Return mean, standard deviation and count; None where nothing was measured."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return {"mean": statistics.mean(known), "deviation": deviation, "count": len(known)}


def markdown(rows: Sequence[dict[str, Any]], variants: dict[str, Variant], *, recipe: str, parallel: int) -> str:
    """Return the table, and what each of its variants changes."""
    columns = ["variant", "seeds", "BLEU", "change", "chrF", "change", "parameters", "minutes", "epochs to the best"]
    shared = f", {parallel} of them side by side" if parallel > 1 else ""
    cells = [_cells(row) for row in rows]
    notes = "".join(_note(variants[row["variant"]]) for row in rows if row["variant"] != BASE)
    about = ABOUT.format(base=BASE, parallel=shared)
    return f"Recipe: `{recipe}`\n\n{about}{table(columns, cells, texts=1)}" + (f"\n{notes}" if notes else "")


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["variant"],
        str(len(row["runs"])),
        _range(row["bleu"]),
        _range(row["bleu_change"], signed=True),
        _range(row["chrf"]),
        _range(row["chrf_change"], signed=True),
        f"{row['parameters']:,}",
        number(row["minutes"], 1),
        number(row["best_epoch"], 0),
    ]


def _range(found: dict[str, Any] | None, *, signed: bool = False) -> str:
    if found is None:
        return "-"
    mean = f"{found['mean']:{'+' if signed else ''}.{DECIMALS}f}"
    return mean if found["deviation"] is None else f"{mean} ± {found['deviation']:.{DECIMALS}f}"


def _note(variant: Variant) -> str:
    options = ", ".join(f"`{option}`" for option in variant.options)
    return f"- {variant.name}: {options}. {variant.why}\n"
