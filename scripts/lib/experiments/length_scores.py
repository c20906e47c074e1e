"""What is measured on a run: BLEU of the whole test set, and of its sentences by the length of the source."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.runs import Measured
from nmt.config import Config
from nmt.data.corpus import read_parallel
from nmt.data.lines import write_lines
from nmt.evaluation.compare.buckets import LengthBucket, bucket_of, length_of, score_by_length
from nmt.evaluation.compare.significance import count
from nmt.inference.find_model import find_model
from nmt.inference.model_file import load_model
from nmt.inference.translator import Translator
from nmt.log import logger
from nmt.metrics.corpus import make_metric
from nmt.plots.run_records import find_metrics, read_records
from nmt.training.checkpoint import load_checkpoint
from nmt.training.run_folder import RunFolder

TABLE_BOUNDS = (10, 20, 30)
"""Where the table's buckets of lengths begin, in words, after the one that begins at 0."""
FIGURE_BOUNDS = (10, 20, 30, 40, 50)
SPEED = "target_tokens_per_second"


def measure_lengths(config: Config, folder: Path, *, out: Path) -> Measured:
    """Translate the first test set with the run in `folder`, keep the translation in `out`, and score it."""
    file = load_model(find_model(folder))
    test = config.data.test[0]
    pairs = read_parallel(test)
    logger.info("translating %s, %s lines", test.name, f"{len(pairs):,}")
    translator = Translator.from_models([file], decoding={"threads": config.training.threads})
    lines = [translation.text for translation in translator.translate([source for source, _ in pairs])]
    write_lines(out / f"{config.name}.{test.name}.{config.data.target_language}", lines)
    speeds = read_records(find_metrics(str(folder))).train.get(SPEED)
    state = load_checkpoint(RunFolder(folder.name).all_checkpoints()[-1]).state["train_state"]
    return {
        "parameters": sum(weight.numel() for weight in file.weights.values()),
        "hidden_size": config.model.decoder.hidden_size,
        # The median over the lines of the log: pauses of a shared machine count little.
        "tokens_per_second": round(statistics.median(speeds.values)) if speeds is not None else None,
        "training_seconds": state["seconds"],
        "updates": state["update"],
        "best_update": state["best_update"],
        "validation_bleu": file.provenance["validation"].get("bleu"),
        "test": test.name,
        **score_lengths(config, pairs, lines),
    }


def score_lengths(config: Config, pairs: Sequence[tuple[str, str]], lines: Sequence[str]) -> dict[str, Any]:
    """Score translations by BLEU: all together, in the buckets of the table, and in those of the figure."""
    metric = make_metric(
        "bleu",
        bleu_tokenizer=config.evaluation.bleu_tokenizer,
        lowercase=config.evaluation.lowercase,
        target_language=config.data.target_language,
    )
    counts = count(metric, lines, [target for _, target in pairs])
    lengths = [length_of(source, config.data.source_language) for source, _ in pairs]

    def by_length(bounds: Sequence[int]) -> list[dict[str, Any]]:
        buckets = score_by_length(lengths, {"run": {"bleu": counts}}, bounds)
        return [_row(bucket, _mean_length(lengths, bounds, place)) for place, bucket in enumerate(buckets)]

    overall = counts.score()
    return {
        "bleu": overall.value,
        "signature": overall.signature,
        "sentences": len(pairs),
        "table": by_length(TABLE_BOUNDS),
        "figure": by_length(FIGURE_BOUNDS),
    }


def _row(bucket: LengthBucket, mean_length: float | None) -> dict[str, Any]:
    return {
        "length": bucket.length,
        "sentences": bucket.sentences,
        "mean_length": mean_length,
        "bleu": bucket.scores["run"]["bleu"],
    }


def _mean_length(lengths: Sequence[int], bounds: Sequence[int], place: int) -> float | None:
    """Return the mean length of the sentences in a bucket; None where there are none."""
    inside = [length for length in lengths if bucket_of(length, bounds) == place]
    return statistics.mean(inside) if inside else None
