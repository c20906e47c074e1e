"""What preprocessing tells about the data: `report.json`, and a summary for people."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import TokenizerConfig
from nmt.data.lines import is_blank
from nmt.data.preprocess.filter_pass import FilteredCorpus
from nmt.data.preprocess.overlap import OverlapCheck
from nmt.data.special_tokens import UNK
from nmt.data.store import SIDES, Store
from nmt.data.streams import open_whole
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.data.tokenizer_training import TrainingText
from nmt.errors import DataError
from nmt.log import logger

REPORT = "report.json"
MAX_UNKNOWN = 0.01
FEW_KNOWN = 0.01
"""Share of a held-out set that may stand in the training text on either side without a warning."""
PERCENTILES = (50, 95, 99)


class Report(TypedDict):
    """The contents of `report.json`."""

    fingerprint: str
    languages: list[str]
    pairs: dict[str, int]
    corpora: list[dict[str, Any]]
    tokenizer: dict[str, Any]
    lengths: dict[str, dict[str, float]]
    unknown: dict[str, float]
    held_out: list[dict[str, Any]]


def read_report(folder: Path) -> Report:
    """The report of a prepared folder.

    Raises:
        DataError: There is none, or it is damaged.
    """
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / REPORT}: cannot be read ({error}).") from error
    if not isinstance(report, dict) or set(report) != set(Report.__annotations__):
        raise DataError(f"{folder / REPORT}: is not a report of this version.")
    return cast(Report, report)


def write_report(folder: Path, report: Report) -> None:
    """Writes `report.json`."""
    with open_whole(folder / REPORT) as stream:
        stream.write((json.dumps(report, ensure_ascii=False, indent=1) + "\n").encode())


def describe_corpora(
    corpora: Sequence[FilteredCorpus], bounds: Sequence[int], alignments: Sequence[dict[str, int] | None]
) -> list[dict[str, Any]]:
    """What became of each corpus: pairs read and kept, what was left out, with examples, and its alignment, if any."""
    return [
        {
            "files": list(corpus.files),
            "read": corpus.read,
            "kept": bounds[number + 1] - bounds[number],
            "left_out": [
                {"reason": reason, "pairs": count, "examples": [example._asdict() for example in examples]}
                for reason, count, examples in corpus.tally
            ],
        }
        | ({} if found is None else {"alignment": found})
        for number, (corpus, found) in enumerate(zip(corpora, alignments, strict=True))
    ]


def describe_tokenizer(
    options: TokenizerConfig, tokenizers: Tokenizers, text: Sequence[TrainingText]
) -> dict[str, Any]:
    """The subword models, and what they were trained on (nothing, if they were given)."""
    return {
        "requested_size": options.vocabulary_size if text else None,
        "source_size": tokenizers.source.size,
        "target_size": tokenizers.target.size,
        "source_fingerprint": tokenizers.source.fingerprint,
        "target_fingerprint": tokenizers.target.fingerprint,
        "training_lines": [seen.lines for seen in text],
        "lines_too_long_to_train_on": [seen.too_long for seen in text],
    }


def describe_lengths(store: Store) -> dict[str, dict[str, float]]:
    """Pieces of a sentence, EOS aside: mean, percentiles and longest."""
    return dict(zip(SIDES, map(_spread, (store.source_lengths, store.target_lengths)), strict=True))


def describe_held_out(held: OverlapCheck, tokenizers: Tokenizers) -> dict[str, Any]:
    """A validation or test set: its size, unknown pieces, and how much of it is in the training text."""
    return {
        "name": held.name,
        "digests": held.digests,
        "pairs": len(held.pairs),
        "blank": sum(is_blank(source) or is_blank(target) for source, target in held.pairs),
        "unknown": {
            "source": _unknown(tokenizers.source, [source for source, _ in held.pairs]),
            "target": _unknown(tokenizers.target, [target for _, target in held.pairs]),
        },
        "in_training": held.counts(),
    }


def check_unknown(what: str, rates: dict[str, float]) -> None:
    """Makes sure that next to nothing is unknown.

    Raises:
        DataError: More than one piece in a hundred is unknown.
    """
    for side, rate in rates.items():
        if rate > MAX_UNKNOWN:
            raise DataError(
                f"{rate:.1%} of the {side} pieces of {what} are unknown to the subword model, and would be lost. "
                "Set tokenizer.byte_fallback to true, or raise tokenizer.character_coverage."
            )


def log_report(report: Report) -> None:
    """Tells people what matters in the report."""
    pairs = report["pairs"]
    logger.info("Training pairs: %s read, %s kept.", f"{pairs['read']:,}", f"{pairs['kept']:,}")
    for corpus in report["corpora"]:
        logger.info("  %s: %s of %s kept", " + ".join(corpus["files"]), f"{corpus['kept']:,}", f"{corpus['read']:,}")
        for left_out in corpus["left_out"]:
            example = left_out["examples"][0]
            logger.info(
                "    %s left out: %s, such as line %d: %s | %s",
                f"{left_out['pairs']:,}",
                left_out["reason"],
                example["line"],
                example["source"],
                example["target"],
            )
        if "alignment" in corpus:
            _log_alignment(corpus["alignment"])
    tokenizer = report["tokenizer"]
    logger.info("Subword pieces: %d source, %d target.", tokenizer["source_size"], tokenizer["target_size"])
    for side, spread in report["lengths"].items():
        logger.info(
            "  %s sentences have %.1f pieces on average, 95%% at most %d, the longest %d",
            side,
            spread["mean"],
            spread["percentile_95"],
            spread["longest"],
        )
    log_held_out(report)


def _log_alignment(found: dict[str, int]) -> None:
    logger.info("    alignment: %s links in %s pairs", f"{found['links']:,}", f"{found['pairs_with_links']:,}")
    if found["pairs_not_matched"]:
        logger.warning(
            "    the links of %s pairs are not used: the subword model sees other words than those between spaces",
            f"{found['pairs_not_matched']:,}",
        )


def log_held_out(report: Report) -> None:
    """Tells of validation and test sets that the training text overlaps, or that have blank or unknown text."""
    for held in report["held_out"]:
        name, counts = held["name"], held["in_training"]
        if counts["training_pairs"]:
            few = max(counts["sources"], counts["targets"]) <= FEW_KNOWN * held["pairs"]
            logger.log(
                logging.INFO if few else logging.WARNING,
                "%s: the training text has %s of its %s sources, %s of its targets and %s whole pairs; scores on it %s",
                name,
                f"{counts['sources']:,}",
                f"{held['pairs']:,}",
                f"{counts['targets']:,}",
                f"{counts['both']:,}",
                "hardly change by so few." if few else "will look too good.",
            )
        if held["blank"]:
            logger.warning("%s: %s of its %s pairs have a blank side.", name, held["blank"], f"{held['pairs']:,}")
        for side, rate in held["unknown"].items():
            if rate > MAX_UNKNOWN:
                logger.warning("%s: %.1f%% of its %s pieces are unknown.", name, 100 * rate, side)


def _spread(lengths: NDArray[np.int32]) -> dict[str, float]:
    counts = np.bincount(lengths)
    shares = np.cumsum(counts) / len(lengths)
    percentiles = {f"percentile_{part}": int(np.searchsorted(shares, part / 100)) for part in PERCENTILES}
    mean = float(np.dot(counts, np.arange(len(counts)))) / len(lengths)
    return {"mean": round(mean, 2), **percentiles, "longest": len(counts) - 1}


def _unknown(model: SubwordModel, lines: list[str]) -> float:
    pieces = unknown = 0
    for ids in model.encode(lines):
        pieces += len(ids)
        unknown += ids.count(UNK)
    return unknown / max(1, pieces)
