"""`nmt preprocess`: from text files to filtered, segmented, memory-mapped training pairs."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nmt.config.schema import Config
from nmt.data.alignments import inspect_alignment
from nmt.data.atomic_folder import atomic_folder
from nmt.data.corpus import Contents, inspect_pair, read_parallel
from nmt.data.preprocess.encode_pass import encode, learn
from nmt.data.preprocess.filter_pass import filter_corpora, look_for
from nmt.data.preprocess.overlap import OverlapCheck
from nmt.data.preprocess.report import (
    Report,
    check_unknown,
    describe_corpora,
    describe_held_out,
    describe_lengths,
    describe_tokenizer,
    log_held_out,
    log_report,
    read_report,
    write_report,
)
from nmt.data.shortlist_table import ShortlistTable, shortlist_of
from nmt.data.store import Store
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.errors import DataError
from nmt.log import logger, progress

FORMAT = 1  # of the prepared folder; another number makes old folders be built again
SOURCE_MODEL, TARGET_MODEL = "source.model", "target.model"


@dataclass(frozen=True)
class PreprocessedData:
    """Everything that training needs to know about the data.

    Attributes:
        folder: Where it is on disk.
        tokenizers: The subword models of both sides.
        train: The training pairs.
        valid: The validation pairs, as raw text: (source, target).
        fingerprint: Of the text and of the options that it was prepared with.
        report: What preprocessing found; see `nmt.data.preprocess.report.Report`.
        shortlist: The likely translations of each piece; None where the configuration wants none.
    """

    folder: Path
    tokenizers: Tokenizers
    train: Store
    valid: list[tuple[str, str]]
    fingerprint: str
    report: Report
    shortlist: ShortlistTable | None


def preprocess(config: Config, *, force: bool = False, tokenizers: Tokenizers | None = None) -> PreprocessedData:
    """Reads, checks, filters and segments the text of an experiment, or finds that all this has been done.

    The result is a subfolder of `data.preprocessed_folder` named by a fingerprint of the text and the options.

    Args:
        config: The whole configuration.
        force: Do it again even so.
        tokenizers: The subword models of a model that training starts from; by default new ones are trained.

    Raises:
        ConfigError: A user symbol or tag cannot be used.
        DataError: Text cannot be read, or does not fit; nothing is left of an unfinished folder.
    """
    inputs = _Inputs(
        train=[inspect_pair(corpus) for corpus in config.data.train],
        valid=inspect_pair(config.data.valid),
        test=[inspect_pair(test) for test in config.data.test],
        alignments=[],
    )
    for corpus, files in zip(config.data.train, inputs.train, strict=True):
        inputs.alignments.append(inspect_alignment(corpus, files[0].lines))
    if tokenizers is not None:
        tokenizers = tokenizers.with_direction(right_to_left=False)  # what is prepared serves both directions
    fingerprint = _fingerprint(config, inputs, tokenizers)
    folder = _folder(config, fingerprint)
    held_out = _held_out(config, inputs)
    lines = sum(files[0].lines for files in inputs.train)
    with _disk_errors_explained(folder):
        if force or not _is_current(folder, fingerprint):
            with atomic_folder(folder) as temporary:
                report = _build(config, temporary, fingerprint, held_out, lines, tokenizers)
            log_report(report)
        else:
            report = _refreshed(config, folder, held_out)
            logger.info("The data in %s is up to date.", folder)
            log_held_out(report)
    store, tokenizers = Store(folder), _read_models(folder)
    return PreprocessedData(
        folder=folder,
        tokenizers=tokenizers.with_direction(right_to_left=config.data.right_to_left),
        train=store,
        valid=held_out[0].pairs,
        fingerprint=fingerprint,
        report=report,
        shortlist=shortlist_of(folder, store, tokenizers, config.data.shortlist),
    )


def open_preprocessed(config: Config, fingerprint: str) -> tuple[Store, Tokenizers]:
    """Opens the training pairs and subword models that were prepared earlier, whatever has become of the text.

    Raises:
        DataError, OSError: They are not there, or damaged.
    """
    folder = _folder(config, fingerprint)
    return Store(folder), _read_models(folder)


def _folder(config: Config, fingerprint: str) -> Path:
    languages = f"{config.data.source_language}-{config.data.target_language}"
    return Path(config.data.preprocessed_folder) / f"{languages}-{fingerprint[:12]}"


class _Inputs(NamedTuple):
    """What is in the files."""

    train: list[tuple[Contents, ...]]
    valid: tuple[Contents, ...]
    test: list[tuple[Contents, ...]]
    alignments: list[Contents | None]


def _fingerprint(config: Config, inputs: _Inputs, given: Tokenizers | None) -> str:
    """Hashes all that the prepared data depends on. Test sets are not among it: only the report mentions them."""
    data, tokenizer = config.data, config.tokenizer
    subwords: object = tokenizer.model_dump(mode="json", exclude={"sampling"})
    if given is not None:
        subwords = [given.source.fingerprint, given.target.fingerprint]
    facts = {
        "format": FORMAT,
        "languages": [data.source_language, data.target_language],
        "train": [
            [[file.digest for file in files], corpus.tag] + ([] if links is None else [links.digest])
            for files, corpus, links in zip(inputs.train, data.train, inputs.alignments, strict=True)
        ],
        "valid": [file.digest for file in inputs.valid],
        "filters": data.filters.model_dump(mode="json"),
        "tokenizer": subwords,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _held_out(config: Config, inputs: _Inputs) -> list[OverlapCheck]:
    """The validation set, then the test sets."""
    sets = [OverlapCheck("validation set", read_parallel(config.data.valid), inputs.valid)]
    for test, contents in zip(config.data.test, inputs.test, strict=True):
        sets.append(OverlapCheck(f"test set {test.name}", read_parallel(test), contents))
    return sets


def _is_current(folder: Path, fingerprint: str) -> bool:
    """Whether a folder holds the prepared data, whole."""
    if not folder.exists():
        return False
    try:
        if read_report(folder)["fingerprint"] == fingerprint:
            Store(folder)
            _read_models(folder)
            return True
    except (DataError, OSError):
        pass
    logger.warning("The prepared data in %s is damaged; preparing it again.", folder)
    return False


def _refreshed(config: Config, folder: Path, held_out: list[OverlapCheck]) -> Report:
    """The report of a prepared folder, with what it says about the test sets brought up to date."""
    report = read_report(folder)
    if [(entry["name"], entry["digests"]) for entry in report["held_out"]] != [
        (held.name, held.digests) for held in held_out
    ]:
        look_for(held_out, config.data.train)
        report["held_out"] = [describe_held_out(held, _read_models(folder)) for held in held_out]
        write_report(folder, report)
    return report


def _build(
    config: Config,
    folder: Path,
    fingerprint: str,
    held_out: list[OverlapCheck],
    lines: int,
    given: Tokenizers | None,
) -> Report:
    """Prepares the data in an empty folder."""
    work = folder / "work"
    work.mkdir()
    with progress(lines, "Filtering", "pairs") as bar:
        selection = filter_corpora(config.data, work, held_out, bar)
    if given is None:
        logger.info("Training the subword model on the text of %s pairs.", f"{selection.count_kept():,}")
        tokenizers, text = learn(config, selection)
    else:
        tokenizers, text = given, []
        _check_tags(config, given.source)
    descriptions = [describe_held_out(held, tokenizers) for held in held_out]
    check_unknown("the validation set", descriptions[0]["unknown"])
    with progress(selection.count_kept(), "Segmenting", "pairs") as bar:
        encoded = encode(config, selection, tokenizers, folder, threads=_threads(config), bar=bar)
    check_unknown("the training text", encoded.unknown)
    store = Store(folder)
    report = Report(
        fingerprint=fingerprint,
        languages=[config.data.source_language, config.data.target_language],
        pairs={"read": sum(corpus.read for corpus in selection.corpora), "kept": len(store)},
        corpora=describe_corpora(selection.corpora, store.bounds, encoded.alignments),
        tokenizer=describe_tokenizer(config.tokenizer, tokenizers, text),
        lengths=describe_lengths(store),
        unknown=encoded.unknown,
        held_out=descriptions,
    )
    (folder / SOURCE_MODEL).write_bytes(tokenizers.source.model_bytes)
    if tokenizers.target.fingerprint != tokenizers.source.fingerprint:
        (folder / TARGET_MODEL).write_bytes(tokenizers.target.model_bytes)
    write_report(folder, report)
    shutil.rmtree(work)
    return report


def _check_tags(config: Config, model: SubwordModel) -> None:
    for corpus in config.data.train:
        if corpus.tag is not None and corpus.tag not in model.pieces(model.encode([corpus.tag])[0]):
            logger.warning("The tag %s is not a symbol of the given subword model, and will be cut up.", corpus.tag)


def _read_models(folder: Path) -> Tokenizers:
    """The subword models of a prepared folder.

    Raises:
        DataError: A model is damaged.
        OSError: A file is missing.
    """
    source = SubwordModel((folder / SOURCE_MODEL).read_bytes())
    target = folder / TARGET_MODEL
    return Tokenizers(source=source, target=SubwordModel(target.read_bytes()) if target.exists() else source)


def _threads(config: Config) -> int:
    if config.training.threads is not None:
        return config.training.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _disk_errors_explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"{folder}: the disk is full. Prepared data takes up to three times the space of the text: make room, "
                "or set data.preprocessed_folder to a larger disk."
            ) from error
        raise DataError(f"{error.filename or folder}: {error.strerror or error}.") from error
