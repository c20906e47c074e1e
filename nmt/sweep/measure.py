"""What a sweep measures on a finished run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.config import Config
from nmt.config.file_names import path_in
from nmt.config.schema import PairConfig
from nmt.data.corpus import inspect_file, paths, read_parallel
from nmt.data.lines import write_lines
from nmt.errors import DataError, UsageError
from nmt.evaluation.attention_error import measure_attention, read_aligned
from nmt.evaluation.compare.buckets import LengthBucket, bucket_of, length_of, score_by_length
from nmt.evaluation.compare.significance import Counts, count
from nmt.inference.find_model import find_model
from nmt.inference.model_file import ModelFile, load_model
from nmt.inference.translator import Translator
from nmt.log import logger
from nmt.metrics.corpus import make_metric
from nmt.plots.run_records import find_metrics, read_records
from nmt.small_files import parse_json, read_json, regular_lines
from nmt.sweep.run import Measurements
from nmt.sweep.schema import Sweep
from nmt.training.run_folder import RunFolder

TEXT_METRICS = ("bleu", "chrf")
SPEED = "target_tokens_per_second"


def settings_of(sweep: Sweep) -> dict[str, Any]:
    """Return what decides how runs are measured, as JSON.

    Raises:
        DataError: The gold links cannot be read.
    """
    settings = sweep.model_dump(mode="json", include={"metrics", "score_on", "by_length"})
    settings["gold"] = None if sweep.gold is None else inspect_file(sweep.gold).digest[:16]
    return settings


def scored_set(sweep: Sweep, config: Config) -> PairConfig:
    """Return the set that runs are scored on.

    Raises:
        UsageError: The configuration has no test set.
    """
    if sweep.score_on == "validation":
        return config.data.valid
    if not config.data.test:
        raise UsageError("score_on: test requires a test set in the configuration (data.test)")
    return config.data.test[0]


def measure_run(config: Config, folder: Path, *, sweep: Sweep, output: Path) -> Measurements:
    """Measure the best model of a run.

    Args:
        config: The run.
        folder: Its folder.
        sweep: What to measure.
        output: Folder for translations of the scored set.

    Raises:
        DataError: The run has no validation, or a file cannot be read.
        NMTError: The run has no model, or the model cannot be loaded.
    """
    run, file = RunFolder(folder.name), load_model(find_model(folder))
    best = best_validation(run.metrics)
    state = read_json(run.last / "state.json", strict=False)["train_state"]
    speeds = read_records(find_metrics(str(folder))).train.get(SPEED)
    measured = {
        **{name: best.get(name) for name in (*TEXT_METRICS, "loss")},
        "validation_bleu": best.get("bleu"),
        "best_update": best["update"],
        "best_epoch": best["epoch"],
        "updates": state["update"],
        "training_seconds": state["seconds"],
        # The median of the log's records: pauses of a shared machine count little.
        "tokens_per_second": None if speeds is None else round(statistics.median(speeds.values)),
        "parameters": file.num_parameters,
        "hidden_size": config.model.decoder.hidden_size,
    }
    if sweep.score_on == "test" or sweep.by_length is not None:
        measured |= _translate_and_score(config, file, sweep, output)
    if sweep.gold is not None:
        measured |= _align(config, file, sweep, sweep.gold)
    return measured


def best_validation(metrics: Path) -> dict[str, Any]:
    """Return the record of the validation that chose the model of a run.

    Raises:
        DataError: The run has no validation with a score.
    """
    records = [parse_json(line) for line in regular_lines(metrics) if line.strip()]
    best = [record for record in records if record["kind"] == "valid" and record["best"]]
    if not best:
        raise DataError(f"{metrics} has no validation with a score.")
    return dict(best[-1])  # each of them was the best one until then


def _translate_and_score(config: Config, file: ModelFile, sweep: Sweep, output: Path) -> Measurements:
    """Translate the scored set, keep the translation in `output`, and score it."""
    pairs = read_parallel(scored_set(sweep, config))
    logger.info("%s: translating %s lines of the %s set", config.name, f"{len(pairs):,}", sweep.score_on)
    translator = Translator.from_models([file], decoding={"threads": config.training.threads})
    lines = [translation.text for translation in translator.translate([source for source, _ in pairs])]
    write_lines(path_in(output, f"{config.name}.{sweep.score_on}.{config.data.target_language}"), lines)
    return score_lines(config, pairs, lines, sweep)


def score_lines(config: Config, pairs: Sequence[tuple[str, str]], lines: Sequence[str], sweep: Sweep) -> Measurements:
    """Score translations: all together, and by the length of the source where the sweep wants that."""
    counts = {name: _count(name, config, pairs, lines) for name in TEXT_METRICS}
    measured: Measurements = {"sentences": len(pairs), "signature": counts["bleu"].score().signature}
    if sweep.score_on == "test":
        measured |= {name: counted.score().value for name, counted in counts.items()}
    if sweep.by_length is not None:
        lengths = [length_of(source, config.data.source_language) for source, _ in pairs]
        measured["by_length"] = by_length(lengths, counts["bleu"], sweep.by_length.bounds)
        if sweep.by_length.figure:
            measured["figure"] = by_length(lengths, counts["bleu"], sweep.by_length.figure)
    return measured


def _count(name: str, config: Config, pairs: Sequence[tuple[str, str]], lines: Sequence[str]) -> Counts:
    metric = make_metric(
        name,
        bleu_tokenizer=config.evaluation.bleu_tokenizer,
        lowercase=config.evaluation.lowercase,
        target_language=config.data.target_language,
    )
    return count(metric, lines, [target for _, target in pairs])


def by_length(lengths: Sequence[int], counts: Counts, bounds: Sequence[int]) -> list[dict[str, Any]]:
    """Return BLEU of each bucket of lengths; None for a bucket without sentences."""
    buckets = score_by_length(lengths, {"run": {"bleu": counts}}, bounds)
    return [_bucket(bucket, lengths, bounds, place) for place, bucket in enumerate(buckets)]


def _bucket(bucket: LengthBucket, lengths: Sequence[int], bounds: Sequence[int], place: int) -> dict[str, Any]:
    inside = [length for length in lengths if bucket_of(length, bounds) == place]
    return {
        "length": bucket.length,
        "sentences": bucket.sentences,
        "mean_length": statistics.mean(inside) if inside else None,
        "bleu": bucket.scores["run"]["bleu"],
    }


def _align(config: Config, file: ModelFile, sweep: Sweep, gold: str) -> Measurements:
    files = paths(scored_set(sweep, config))
    if len(files) != 2:
        raise UsageError("aer requires a scored set of two files")
    text = read_aligned(files[0], files[1], gold)
    score = measure_attention(file, text, decoding={"threads": config.training.threads})
    return {**score.as_dict(), "best_with_one_link": text.bound().as_dict()}
