"""The tables as files: Markdown to read, JSON to compute with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from decoding.bench import Bench
from decoding.choosing import Chosen, Scored
from decoding.rows import BASELINE, Row
from decoding.test_set import DRAWN, Tested
from decoding.text import VALIDATION
from experiments.markdown import number, table
from experiments.runs import write_bytes, write_json

SHOWN_OPTIONS = ("length_normalization", "alpha", "coverage_penalty", "beam_size", "temperature", "ensemble_average")


def write_validation(
    rows: Mapping[Row, Scored], bench: Bench, left_out: Mapping[Row, str], *, folder: Path, metric: str
) -> Path:
    """Write the table of the validation set, as JSON and as Markdown, and return the path of the latter."""
    records = [_validation_record(row, scored, bench) for row, scored in rows.items()]
    shown = {"bleu": "BLEU", "chrf": "chrF"}[metric]
    note = (
        f"Options of tuned rows are chosen for {shown}. The scores are those of lines that did not choose: each half "
        "of the lines (odd, even) is translated with what the other half chose. `chosen` and the BLEU of the same "
        "lines belong to the choice of all lines."
    )
    columns = ["", "chosen", "BLEU", "chrF", "BLEU of the same lines", "sentences/s", "words/s"]
    cells = [
        [
            record["title"],
            record["chosen"],
            number(record["bleu"], 2),
            number(record["chrf"], 2),
            number(record["same_lines"]["bleu"] if record["same_lines"] else None, 2),
            number(record["sentences_per_second"], 1),
            number(record["words_per_second"], 0),
        ]
        for record in records
    ]
    return _write(folder / VALIDATION, bench, records, table(columns, cells, texts=2), note, left_out)


def write_test(rows: Sequence[Tested], bench: Bench, left_out: Mapping[Row, str], *, folder: Path) -> Path:
    """Write the table of a test set, as JSON and as Markdown, and return the path of the latter."""
    records = [_test_record(one, bench) for one in rows]
    note = (
        "With the options chosen on the validation set. S: sacreBLEU on raw, cased text; L: lowercased, normalised, "
        f"Moses-tokenised. p: paired bootstrap against {BASELINE}, {DRAWN:,} samples."
    )
    columns = ["", "chosen", "BLEU (S)", "p", "BLEU (L)", "p", "chrF", "sentences/s", "words/s"]
    cells = [
        [
            record["title"],
            record["chosen"],
            number(record["bleu"], 2),
            number(record["p"], 3),
            number(record["bleu_tokenised"], 2),
            number(record["p_tokenised"], 3),
            number(record["chrf"], 2),
            number(record["sentences_per_second"], 1),
            number(record["words_per_second"], 0),
        ]
        for record in records
    ]
    return _write(folder / bench.text.name, bench, records, table(columns, cells, texts=2), note, left_out)


def _write(
    path: Path, bench: Bench, records: Sequence[Any], cells: str, note: str, left_out: Mapping[Row, str]
) -> Path:
    """Write both files; `path` has no suffix yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text, models = bench.text, bench.models
    facts = {
        "text": text.name,
        "digest": text.digest,
        "sentences": len(text.sources),
        "words": text.words,
        "models": [str(member.path) for member in models.members],
        "judges": dict(zip(bench.features[1:], (str(member.path) for _, member in models.judges), strict=True)),
    }
    missing = {row.name: needed for row, needed in left_out.items()}
    write_json(path.with_name(f"{path.name}.json"), {**facts, "rows": list(records), "left_out": missing})
    heading = f"{text.name}, {'-'.join(models.direction)}: {len(text.sources):,} sentences, {text.words:,} words."
    remarks = [f"Left out: {name}, which needs {needed}." for name, needed in missing.items()]
    lines = [heading, "", cells, note, *remarks]
    markdown = path.with_name(f"{path.name}.md")
    write_bytes(markdown, ("\n".join(lines) + "\n").encode())
    return markdown


def _validation_record(row: Row, scored: Scored, bench: Bench) -> dict[str, Any]:
    return {
        **_common(row, scored.chosen, bench, scored.seconds),
        **scored.scores,
        "same_lines": scored.same_lines,
    }


def _test_record(one: Tested, bench: Bench) -> dict[str, Any]:
    return {
        **_common(one.row, one.chosen, bench, one.seconds),
        "bleu": one.raw,
        "p": one.p_raw,
        "bleu_tokenised": one.tokenised,
        "p_tokenised": one.p_tokenised,
        "chrf": one.chrf,
    }


def _common(row: Row, chosen: Chosen, bench: Bench, seconds: float) -> dict[str, Any]:
    seconds = max(seconds, 1e-9)
    return {
        "row": row.name,
        "title": row.title,
        "models": bench.models.digests(ensemble=row.ensemble, judges=row.reranked),
        "decoding": chosen.method.decoding.model_dump(mode="json"),
        "weights": chosen.weights,
        "chosen": _shown(row, chosen),
        "sentences_per_second": len(bench.text.sources) / seconds,
        "words_per_second": bench.text.words / seconds,
    }


def _shown(row: Row, chosen: Chosen) -> str:
    """Return what was chosen, in short."""
    if chosen.weights is not None:
        return ", ".join(f"{name} {weight:.2f}" for name, weight in chosen.weights.items())
    tuned = {choice.option for choice in row.plan}
    values = chosen.method.decoding.model_dump()
    named = [f"{name} {_value(values[name])}" for name in SHOWN_OPTIONS if name in tuned and values[name] is not None]
    return ", ".join(named) or "-"


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
