"""The report stage: `report.json` with the facts of all stages, and its summary in the log."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import Config, TokenizerConfig
from nmt.data.lines import is_blank
from nmt.data.preprocess.encode_pass import EncodedCorpus, EncodeResult
from nmt.data.preprocess.filter_pass import FilteredCorpus, FilterResult
from nmt.data.preprocess.filters import Reason
from nmt.data.preprocess.overlap import HeldOutSet, Overlap
from nmt.data.preprocess.round_trip import count_round_trips
from nmt.data.special_tokens import UNK
from nmt.data.store import CHECKSUM
from nmt.data.streams import open_whole
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.data.tokenizer_training import TrainResult
from nmt.errors import DataError
from nmt.log import logger
from nmt.small_files import JSONError, is_sealed, parse_json, read_small_file, seal

REPORT = "report.json"
MAX_UNKNOWN = 0.01
"""Largest share of unknown pieces that is accepted."""
MAX_OVERLAP = 0.01
"""Largest share of a held-out set whose source or target may be in the training text without a warning."""
MAX_FILTERED = 0.05
"""Largest share of a corpus that may be left out for one reason without a warning."""
FILTER_OPTIONS: dict[Reason, str] = {
    "too long": "data.filters.max_words",
    "length ratio": "data.filters.max_length_ratio",
    "identical sides": "data.filters.drop_identical",
    "duplicate": "data.filters.drop_duplicates",
    "too many pieces": "data.filters.max_pieces",
}
"""The options that leave pairs out. The other reasons have no option."""
MAX_CHANGED = 0.01
"""Largest share of target lines that the subword model may change without a warning."""
MAX_POINTS = 4
"""Characters of a change whose code points are logged."""
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
    """Read the report of a folder of preprocessed data.

    Raises:
        DataError: The file is missing, damaged or of another version.
    """
    path = folder / REPORT
    try:
        content = read_small_file(path)
        report = parse_json(content)
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror or error}).") from error
    except JSONError as error:
        raise DataError(f"{path}: the file is damaged: {error}. Run `nmt preprocess --force`.") from error
    if is_sealed(content, CHECKSUM) is False:
        raise DataError(f"{path}: the file is damaged: its checksum is wrong. Run `nmt preprocess --force`.")
    # Reports of earlier versions have no checksum.
    if not isinstance(report, dict) or report.keys() - {CHECKSUM} != set(Report.__annotations__):
        raise DataError(f"{path}: was not written by this version. Run `nmt preprocess --force`.")
    return cast(Report, {key: value for key, value in report.items() if key != CHECKSUM})


def write_report(folder: Path, report: Report) -> None:
    """Write `report.json` with its checksum. The file appears when it is complete."""
    content = json.dumps({CHECKSUM: "0" * 8, **report}, ensure_ascii=False, indent=1) + "\n"
    with open_whole(folder / REPORT) as stream:
        stream.write(seal(content.encode(), CHECKSUM))


def make_report(
    config: Config,
    *,
    fingerprint: str,
    filtered: FilterResult,
    trained: TrainResult,
    encoded: EncodeResult,
    held_out: Sequence[dict[str, Any]],
) -> Report:
    """Make the report from the facts of all stages; `held_out` has the descriptions of `describe_held_out`."""
    return Report(
        fingerprint=fingerprint,
        languages=[config.data.source_language, config.data.target_language],
        pairs={
            "read": sum(corpus.read for corpus in filtered.corpora),
            "kept": sum(corpus.kept for corpus in encoded.corpora),
        },
        corpora=[_describe_corpus(*corpus) for corpus in zip(filtered.corpora, encoded.corpora, strict=True)],
        tokenizer=_describe_tokenizers(config.tokenizer, trained),
        lengths={name: _describe_lengths(side.length_counts) for name, side in encoded.sides.items()},
        unknown={name: side.unknown for name, side in encoded.sides.items()},
        held_out=list(held_out),
    )


def describe_held_out(held: HeldOutSet, overlap: Overlap, tokenizers: Tokenizers) -> dict[str, Any]:
    """Describe a validation or test set: its size, its unknown pieces, and how much of it is in the training text."""
    sources, targets = zip(*held.text.pairs, strict=True)
    return {
        "name": held.name,
        "digests": [file.digest for file in held.text.files],
        "pairs": len(held.text.pairs),
        "blank": sum(is_blank(source) or is_blank(target) for source, target in held.text.pairs),
        "unknown": {
            "source": _unknown(tokenizers.source, sources),
            "target": _unknown(tokenizers.target, targets),
        },
        "in_training": overlap._asdict(),
        "round_trips": count_round_trips(tokenizers.target, targets).describe(),
    }


def _describe_corpus(filtered: FilteredCorpus, encoded: EncodedCorpus) -> dict[str, Any]:
    """Describe a corpus: pairs read and kept, pairs that were filtered, with examples, and alignment links."""
    described: dict[str, Any] = {
        "files": list(filtered.files),
        "read": filtered.read,
        "kept": encoded.kept,
        "filtered": [
            {"reason": reason, "pairs": count, "examples": [example._asdict() for example in examples]}
            for reason, count, examples in encoded.filtered
        ],
        "round_trips": encoded.round_trips.describe(),
    }
    return described if encoded.links is None else {**described, "alignment": encoded.links._asdict()}


def _describe_tokenizers(options: TokenizerConfig, trained: TrainResult) -> dict[str, Any]:
    """Describe the subword models and the text that they were trained on."""
    source, target = trained.tokenizers.source, trained.tokenizers.target
    return {
        "requested_size": options.vocabulary_size if trained.text else None,
        "source_size": source.size,
        "target_size": target.size,
        "source_fingerprint": source.fingerprint,
        "target_fingerprint": target.fingerprint,
        "training_lines": [text.lines for text in trained.text],
        "training_lines_too_long": [text.too_long for text in trained.text],
    }


def _describe_lengths(counts: NDArray[np.int64]) -> dict[str, float]:
    """Describe the lengths of sentences in pieces, EOS not counted; `counts` has the sentences of each length."""
    total = int(counts.sum())
    shares = np.cumsum(counts) / total
    percentiles = {f"percentile_{part}": int(np.searchsorted(shares, part / 100)) for part in PERCENTILES}
    mean = float(np.dot(counts, np.arange(len(counts)))) / total
    return {"mean": round(mean, 2), **percentiles, "longest": len(counts) - 1}


def check_unknown(what: str, rates: dict[str, float]) -> None:
    """Check the shares of unknown pieces of a text, by side.

    Raises:
        DataError: A share is larger than MAX_UNKNOWN.
    """
    for side, rate in rates.items():
        if rate > MAX_UNKNOWN:
            raise DataError(
                f"{rate:.1%} of the {side} pieces of {what} are unknown to the subword model and would be lost. "
                "Set tokenizer.byte_fallback to true, or raise tokenizer.character_coverage."
            )


def log_report(report: Report) -> None:
    """Log a summary of the report."""
    pairs = report["pairs"]
    logger.info("Training pairs: %s read, %s kept.", f"{pairs['read']:,}", f"{pairs['kept']:,}")
    for corpus in report["corpora"]:
        logger.info("  %s: %s of %s kept", " + ".join(corpus["files"]), f"{corpus['kept']:,}", f"{corpus['read']:,}")
        for filtered in corpus["filtered"]:
            example = filtered["examples"][0]
            many = filtered["pairs"] > MAX_FILTERED * corpus["read"] and filtered["reason"] != "held out"
            option = FILTER_OPTIONS.get(filtered["reason"])
            logger.log(
                logging.WARNING if many else logging.INFO,
                "    %s left out: %s, such as line %d: %s | %s%s",
                f"{filtered['pairs']:,}",
                filtered["reason"],
                example["line"],
                example["source"],
                example["target"],
                f" (option {option})" if many and option else "",
            )
        if "alignment" in corpus:
            _log_links(corpus["alignment"])
        log_round_trips("  its targets", corpus.get("round_trips"))
    tokenizer = report["tokenizer"]
    logger.info("Vocabularies: %d source pieces, %d target pieces.", tokenizer["source_size"], tokenizer["target_size"])
    for side, lengths in report["lengths"].items():
        logger.info(
            "  %s sentences have %.1f pieces on average. 95%% have at most %d, the longest has %d",
            side,
            lengths["mean"],
            lengths["percentile_95"],
            lengths["longest"],
        )
    log_held_out(report)


def _log_links(counts: dict[str, int]) -> None:
    logger.info("    alignment: %s links in %s pairs", f"{counts['links']:,}", f"{counts['pairs_with_links']:,}")
    if counts["pairs_not_matched"]:
        logger.warning(
            "    the links of %s pairs are not used: the subword model separates words differently from the alignment",
            f"{counts['pairs_not_matched']:,}",
        )


def log_held_out(report: Report) -> None:
    """Log which validation and test sets overlap with the training text, or have blank lines or unknown pieces."""
    for held in report["held_out"]:
        name, counts = held["name"], held["in_training"]
        if counts["training_pairs"]:
            few = max(counts["sources"], counts["targets"]) <= MAX_OVERLAP * held["pairs"]
            logger.log(
                logging.INFO if few else logging.WARNING,
                "%s: %s of its %s sources, %s of its targets and %s whole pairs are in the training text. %s",
                name,
                f"{counts['sources']:,}",
                f"{held['pairs']:,}",
                f"{counts['targets']:,}",
                f"{counts['both']:,}",
                "The effect on scores is small." if few else "Scores on it will be too high.",
            )
        if held["blank"]:
            logger.warning("%s: one side is blank in %s of its %s pairs.", name, held["blank"], f"{held['pairs']:,}")
        log_round_trips(name, held.get("round_trips"))
        for side, rate in held["unknown"].items():
            if rate > MAX_UNKNOWN:
                logger.warning("%s: %.1f%% of its %s pieces are unknown to the subword model.", name, 100 * rate, side)


def log_round_trips(name: str, found: dict[str, Any] | None) -> None:
    """Log how many target lines of a part the subword model does not give back; a warning if there are many.

    Args:
        name: The name of the part.
        found: What `RoundTrips.describe` returned. Older reports have none.
    """
    if found is None or not found["changed"]:
        return
    changes = ", ".join(
        f"{_visible(change['before'])} becomes {_visible(change['after'])} ({change['lines']:,})"
        for change in found["changes"]
    )
    many = found["changed"] > MAX_CHANGED * found["lines"]
    logger.log(
        logging.WARNING if many else logging.INFO,
        "%s: the subword model does not restore %s of %s target lines. Most frequent changes: %s.%s",
        name,
        f"{found['changed']:,}",
        f"{found['lines']:,}",
        changes,
        " No translation can have this text. See tokenizer.normalization." if many else "",
    )


def _visible(text: str) -> str:
    """Return a text in quotes, with its code points if it has marks or invisible characters, or `nothing`."""
    if not text:
        return "nothing"
    points = " ".join(f"U+{ord(character):04X}" for character in text)
    if len(text) <= MAX_POINTS and (not text.isascii() or not text.isprintable() or text.isspace()):
        plain = text.isprintable() and not unicodedata.combining(text[0])
        return f"{text} ({points})" if plain else points
    return f'"{text}"'


def _unknown(model: SubwordModel, lines: Sequence[str]) -> float:
    """Return the share of unknown pieces."""
    pieces = unknown = 0
    for ids in model.encode(lines):
        pieces += len(ids)
        unknown += ids.count(UNK)
    return unknown / max(1, pieces)
