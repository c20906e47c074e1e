"""The rows as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from papers.results import Row


def markdown(rows: Sequence[Row], *, short: int, long: int) -> str:
    """The table, a line for each row, and what its columns mean."""
    heads = ["preset", "parameters", "target tokens/s", "minutes", "validation BLEU", "test BLEU"]
    heads += [f"up to {short} words", f"over {long} words"]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    for row in rows:
        cells = [row.preset, f"{row.parameters:,}", _number(row.tokens_per_second, 0), _number(row.minutes, 1)]
        cells += [_number(value, 1) for value in (row.validation, row.test, row.short, row.long)]
        lines.append(f"| {' | '.join(cells)} |")
    if rows:
        every, few, many = rows[0].sentences
        lines += [
            "",
            f"Test set: {every:,} sentences, {few:,} of them with up to {short} words in the source, {many:,} with "
            f"more than {long}; BLEU of each group is that of a test set of its own. Validation with the beam of "
            "`training.validation`, the test with that of `decoding`. Tokens/s: the median of the log's lines. "
            "Minutes: validations included.",
        ]
    return "\n".join(lines) + "\n"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:,.{digits}f}"
