"""A test set translated with what was chosen on the validation set, and never anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from decoding.bench import Bench, Method, Output
from decoding.choosing import Chosen, apply
from decoding.models import Models
from decoding.rows import BASELINE, Row
from decoding.store import read_json
from decoding.text import VALIDATION
from nmt.config.schema import DecodingConfig
from nmt.errors import UsageError
from nmt.evaluation.compare.significance import Counts, count, run_tests
from nmt.evaluation.protocols import score_raw, score_tokenised, tokenise
from nmt.log import logger, progress
from nmt.metrics.corpus import make_bleu

DRAWN = 1000
"""Test sets drawn by the bootstrap."""
TRIALS = 1
"""Of the test that goes with it, and is not reported."""


class Tested(NamedTuple):
    """A row of a test set's table."""

    row: Row
    chosen: Chosen
    raw: float
    """BLEU by protocol S."""
    tokenised: float
    """BLEU by protocol L."""
    chrf: float
    p_raw: float | None
    """Of the paired bootstrap against the baseline, by protocol S; None: it is the baseline."""
    p_tokenised: float | None
    seconds: float


def read_chosen(folder: Path, rows: Sequence[Row], models: Models) -> dict[Row, Chosen]:
    """Read what was chosen for each row on the validation set.

    Raises:
        UsageError: A row was not made with these models, or not at all.
        DataError: The file of results cannot be read.
    """
    path = folder / f"{VALIDATION}.json"
    if not path.exists():
        raise UsageError(f"{path} is not there; make the table of the validation set first, without --test")
    records = {record["row"]: record for record in read_json(path)["rows"]}
    return {row: _chosen(row, records.get(row.name), models, path) for row in rows}


def _chosen(row: Row, record: Mapping[str, Any] | None, models: Models, path: Path) -> Chosen:
    if record is None:
        raise UsageError(f"{path} has no row {row.name}; make it first, without --test")
    if record["models"] != models.digests(ensemble=row.ensemble, judges=row.reranked):
        raise UsageError(f"{path}: {row.name} was chosen with other models; make it with these first, without --test")
    method = Method(DecodingConfig.model_validate(record["decoding"]), row.ensemble, row.mbr, judged=row.reranked)
    return Chosen(method, record["weights"])


def score_test(rows: Sequence[Row], chosen: Mapping[Row, Chosen], bench: Bench) -> list[Tested]:
    """Translate a test set and score it by both protocols, with the significance of what differs from the baseline.

    Raises:
        NMTError: Something does not fit into memory, or a tokenizer is not installed.
    """
    outputs = {}
    for number, row in enumerate(rows, 1):
        logger.info("row %d of %d: %s", number, len(rows), row.title)
        outputs[row] = apply(chosen[row], bench)
    language = bench.text.config.data.target_language
    raw = {row: output.counts["bleu"] for row, output in outputs.items()}
    tokenised = {row: _tokenised(output.lines, bench, language) for row, output in outputs.items()}
    p_raw, p_tokenised = _p_values(raw), _p_values(tokenised)
    return [
        _row(row, chosen[row], output, bench, p_raw.get(row), p_tokenised.get(row)) for row, output in outputs.items()
    ]


def _row(
    row: Row, chosen: Chosen, output: Output, bench: Bench, p_raw: float | None, p_tokenised: float | None
) -> Tested:
    references, language = bench.text.references, bench.text.config.data.target_language
    return Tested(
        row,
        chosen,
        raw=score_raw(output.lines, references).bleu,
        tokenised=score_tokenised(output.lines, references, language=language).bleu,
        chrf=output.counts["chrf"].score().value,
        p_raw=p_raw,
        p_tokenised=p_tokenised,
        seconds=output.seconds,
    )


def _tokenised(lines: Sequence[str], bench: Bench, language: str) -> Counts:
    """Count what protocol L scores."""
    metric = make_bleu("none", lowercase=False, smooth_method="none")
    prepared = [tokenise(side, language=language) for side in (lines, bench.text.references)]
    return count(metric, *prepared)


def _p_values(counts: Mapping[Row, Counts]) -> dict[Row, float]:
    """Return p of each row but the baseline."""
    (baseline,) = [row for row in counts if row.name == BASELINE]
    others = [row for row in counts if row is not baseline]
    if not others:
        return {}
    with progress(2, "significance", "tests") as bar:
        systems = [counts[baseline], *(counts[row] for row in others)]
        tests = run_tests(systems, samples=DRAWN, trials=TRIALS, bar=bar)
    return {row: found.bootstrap_p for row, found in zip(others, tests.differences, strict=True)}
