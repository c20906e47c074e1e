"""Writers of `nmt attention --steps`: text of at most 80 columns, JSON, and a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len, set_cell_size

from nmt.cli.attention_output import AttentionOutputFile
from nmt.cli.attention_writers import DECIMALS, write_texts
from nmt.inference.steps import LineSteps, SegmentSteps, Stage, Step, architecture_notes, equations
from nmt.plots.steps_page import make_formulas, steps_page
from nmt.plots.steps_texts import TEXTS, PageLanguage
from nmt.terminal import on_one_line, visible

if TYPE_CHECKING:
    from nmt.config.schema import Config

WIDTH = 80
TITLES = {
    "input": "input",
    "feed": "feed",
    "query": "query",
    "coverage": "coverage",
    "projected_query": "product",
    "scores": "scores",
    "window": "window",
    "weights": "softmax",
    "mean_weights": "mean",
    "context": "weighted sum",
    "state": "state",
    "concatenation": "concatenation",
    "gate": "gate",
    "combined": "product",
    "attentional": "tanh",
    "lexical": "lexical",
    "output": "output",
}
"""The title of each stage."""
SHOWN_NUMBERS = 9
SHOWN_KEY = 3
SHOWN_SOURCES = 8
"""Most source positions below the softmax: those with the largest weights."""
SHOWN_HEADS = 3
LABEL_WIDTH = 14

Lines = Iterable[LineSteps | None]


def write_steps(output: AttentionOutputFile, lines: Lines, *, config: Config, language: PageLanguage = "en") -> None:
    """Write the steps of each line as soon as they are available.

    Args:
        output: Place and format: text, json, jsonl or html.
        lines: The steps of each line; None for a blank line. A page shows one line.
        config: The configuration of the model.
        language: Language of the page.

    Raises:
        DataError: A file cannot be written.
    """
    notes = architecture_notes(config.model)
    shown = (line for line in lines if line is not None)
    if output.format == "text":
        write_texts(output, (f"{visible(text)}\n" for line in shown for text in _text(line, notes)))
        return
    if output.format == "html":
        score = config.model.attention.score
        formulas = make_formulas(score, equations(config.model).get("scores", ""))
        codes = {"source_language": config.data.source_language, "target_language": config.data.target_language}
        write_texts(
            output,
            (steps_page(_as_json(line, notes), formulas=formulas, language=language, **codes) for line in shown),
        )
        return
    rows = (json.dumps(_as_json(line, notes), ensure_ascii=False) for line in shown)
    write_texts(output, _list(rows) if output.format == "json" else (f"{row}\n" for row in rows))


def _list(rows: Iterable[str]) -> Iterator[str]:
    """Yield a JSON list in parts."""
    before = "[\n"
    for row in rows:
        yield before + row
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _as_json(line: LineSteps, notes: list[str]) -> dict[str, Any]:
    return {
        "line": line.line,
        "source": line.source,
        "translation": line.translation,
        "notes": notes,
        "segments": [
            {
                "source_pieces": segment.source,
                "source_words": [[word.start, word.stop] for word in segment.source_words],
                "keys": None if segment.keys is None else _rounded(segment.keys),
                "values": _rounded(segment.values),
                "steps": [_step_as_json(step) for step in segment.steps],
            }
            for segment in line.segments
        ],
    }


def _step_as_json(step: Step) -> dict[str, Any]:
    return {
        "input": step.input,
        "piece": step.piece,
        "probability": round(step.probability, DECIMALS),
        "stages": [
            {
                "name": stage.name,
                "equation": stage.equation,
                "shape": list(stage.values.shape),
                # The probabilities of the whole vocabulary are left out; `best` has the largest.
                "values": None if stage.name == "output" else _rounded(stage.values),
            }
            for stage in step.stages
        ],
        "best": [{"piece": one.text, "probability": round(one.probability, DECIMALS)} for one in step.best],
    }


def _rounded(values: Any) -> Any:
    """Return numbers as nested lists; an infinity, which JSON lacks, is None."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return round(values, DECIMALS) if np.isfinite(values) else None


def _text(line: LineSteps, notes: list[str]) -> Iterator[str]:
    yield f"line {line.line}: {line.source}"
    yield f"        {line.translation}"
    yield from (TEXTS["en"][note] for note in notes)
    for number, segment in enumerate(line.segments, 1):
        if len(line.segments) > 1:
            yield from ("", f"segment {number}")
        for position, step in enumerate(segment.steps, 1):
            yield ""
            yield f"step {position}: {_short(step.piece)} after {_short(step.input)}"
            for stage in step.stages:
                yield from _stage(stage, segment, step)
    yield ""


def _stage(stage: Stage, segment: SegmentSteps, step: Step) -> Iterator[str]:
    shape = "[" + ", ".join(map(str, stage.values.shape)) + "]"
    yield f"  {TITLES[stage.name]:<14}{stage.equation}  {shape}"
    if stage.name == "output":
        for one in step.best:
            yield f"    {_label(one.text)} {one.probability:6.3f} {'█' * round(40 * one.probability)}".rstrip()
    elif stage.name == "weights":
        yield from _sources(segment, step)
    elif stage.name not in ("scores", "mean_weights"):
        yield f"    {_numbers(stage.values.reshape(-1), SHOWN_NUMBERS)}"


def _sources(segment: SegmentSteps, step: Step) -> Iterator[str]:
    """Yield a table of source positions: the key with one head, then score and weight of each head."""
    arrays = {stage.name: stage.values for stage in step.stages}
    scores, weights = arrays["scores"], arrays["weights"]  # [N, S] each
    heads = min(len(scores), SHOWN_HEADS)
    largest = sorted(np.argsort(-weights.mean(axis=0), kind="stable")[:SHOWN_SOURCES].tolist())
    one_head = len(scores) == 1 and segment.keys is not None
    head = " " * (LABEL_WIDTH + 4) + (f"  {'key':<{7 * SHOWN_KEY + 3}}" if one_head else "")
    yield head + "   score weight" * heads
    for index in largest:
        row = f"    {_label(segment.source[index])}"
        if one_head and segment.keys is not None:
            row += f"  {_numbers(segment.keys[0, index], SHOWN_KEY):<{7 * SHOWN_KEY + 3}}"
        yield row + "".join(f"{scores[n, index]:8.2f} {weights[n, index]:6.3f}" for n in range(heads))
    for shown, total, what in (
        (len(largest), len(segment.source), "positions, with smaller weights"),
        (heads, len(scores), "heads"),
    ):
        if shown < total:
            yield f"    not shown: {total - shown} of {total} {what}"


def _numbers(values: Any, count: int) -> str:
    """Return the first numbers of a vector."""
    shown = "".join(f"{value:7.2f}" for value in values[:count].tolist())
    return shown + (" …" if len(values) > count else "")


def _short(text: str) -> str:
    text = on_one_line(text)
    return text if cell_len(text) <= LABEL_WIDTH else set_cell_size(text, LABEL_WIDTH - 1) + "…"


def _label(text: str) -> str:
    return set_cell_size(_short(text), LABEL_WIDTH)
