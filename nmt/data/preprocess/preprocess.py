"""`nmt preprocess`: from text files to filtered, segmented, memory-mapped training pairs.

The pipeline: inspect, filter, train the tokenizer, encode, report. Each stage returns its facts, and the report is
written once from all of them. Each pass opens each of its files once:

1. Inspect: all files. The validation and test sets stay in memory. If the data is up to date, this is the only pass.
2. Filter: the training corpora (or, if only the test sets are new, to count the overlap with them).
3. Encode: the alignments of the corpora, and the filtered text.

The text is cut into shards, a function of the text alone. Several processes work on them, and memory does not grow with
the corpus. Finished shards are in a work folder (`nmt.data.preprocess.work_folder`), where an interrupted call is
resumed. The results do not depend on the number of processes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nmt.config.file_names import path_in
from nmt.config.schema import Config
from nmt.cores import available_threads
from nmt.data.alignments import inspect_alignment
from nmt.data.atomic_file import remove_abandoned
from nmt.data.atomic_folder import atomic_folder, remove_folder
from nmt.data.corpus import FileFacts, inspect_pair, load_parallel, paths
from nmt.data.disk import free_bytes, show_bytes, size_of
from nmt.data.folder_lock import lock_folder
from nmt.data.preprocess import shards
from nmt.data.preprocess.encode_pass import encode, join_shards
from nmt.data.preprocess.filter_pass import FilterResult, count_overlap, filter_corpora
from nmt.data.preprocess.overlap import HeldOutSet
from nmt.data.preprocess.report import (
    Report,
    check_unknown,
    describe_held_out,
    log_held_out,
    log_report,
    make_report,
    read_report,
    write_report,
)
from nmt.data.preprocess.work_folder import (
    WORK_FORMAT,
    count_shards,
    finished_facts,
    make_part,
    open_work,
    other_work,
    work_folder,
    write_facts,
)
from nmt.data.shortlist_table import ShortlistTable, shortlist_of
from nmt.data.store import Store, damaged_files
from nmt.data.suspicions import log_suspicions
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.data.tokenizer_training import TrainResult, UsedLines, train_tokenizers
from nmt.errors import DataError, UsageError
from nmt.log import logger, progress
from nmt.processes import ProcessLostError

FORMAT = 2
"""Version of the preprocessed data. Every change of layout, filters, normalisation or segmentation raises it.

Data of an earlier version is made again. Only a resumed run uses its own data further.
"""
SPACE, PAIR_SPACE = 2, 64
"""Bytes that preprocessing usually needs at most for each byte of text and for each pair, with its temporary files."""
PACKED, UNPACKING = (".gz", ".bz2", ".xz", ".zst", ".zip"), 4
"""Suffixes of compressed text, and how much larger the text usually is."""
SOURCE_MODEL, TARGET_MODEL = "source.model", "target.model"
TOKENIZERS = "tokenizers"
"""The folder of the trained subword models in the work folder."""


@dataclass(frozen=True)
class PreprocessedData:
    """The preprocessed data of an experiment.

    Attributes:
        folder: Its folder on disk.
        tokenizers: The subword models of both sides.
        train: The training pairs.
        valid: The validation pairs as unchanged text: (source, target).
        fingerprint: Hash of the text and of the options of preprocessing.
        report: The facts of all stages; see `nmt.data.preprocess.report.Report`.
        shortlist: The likely translations of each piece; None if the configuration has no shortlist.
    """

    folder: Path
    tokenizers: Tokenizers
    train: Store
    valid: list[tuple[str, str]]
    fingerprint: str
    report: Report
    shortlist: ShortlistTable | None


@dataclass(frozen=True)
class InspectResult:
    """The facts of the inspect stage.

    Attributes:
        train: For each corpus, the facts about its files.
        alignments: For each corpus, the facts about its alignment; None if it has none.
        held_out: The validation set, and the test sets after it.
    """

    train: tuple[tuple[FileFacts, ...], ...]
    alignments: tuple[FileFacts | None, ...]
    held_out: tuple[HeldOutSet, ...]

    @property
    def lines(self) -> int:
        """Lines of all training corpora."""
        return sum(files[0].lines for files in self.train)


class _Opened(NamedTuple):
    """A complete folder of preprocessed data."""

    store: Store
    tokenizers: Tokenizers
    report: Report


def preprocess(
    config: Config,
    *,
    force: bool = False,
    tokenizers: Tokenizers | None = None,
    wait: bool = True,
    resumed: str | None = None,
    processes: int | None = None,
) -> PreprocessedData:
    """Preprocess the text of an experiment, or reuse the folder of an earlier call with the same text and options.

    The result is a subfolder of `data.preprocessed_folder` named by a fingerprint of the text and the options.

    Args:
        config: The whole configuration.
        force: Preprocess again even if the folder is up to date.
        tokenizers: The subword models of a model that training starts from. Default: train new ones.
        wait: If another process makes the same folder, wait for it and use its results instead of raising an error.
        resumed: The fingerprint of the data of a resumed run. If the text and the options are still the same, its
            folder is used even if an earlier version of preprocessing made it.
        processes: Number of processes. It affects only speed. Default: `training.threads`, or one for each core.

    Raises:
        ConfigError: A user symbol or tag cannot be used.
        DataError: Text cannot be read or used. No unfinished folder remains, except of a full disk.
        ProcessLostError: A process was killed, or memory ran out. The finished shards remain.
        UsageError: Another process makes the same folder.
    """
    inspected = inspect(config)
    # A shard is not divided: a small corpus needs no more than one process.
    processes = min(processes or _threads(config), 1 + inspected.lines // shards.SHARD_RECORDS)
    if tokenizers is not None:
        tokenizers = tokenizers.with_direction(right_to_left=False)  # both directions share the preprocessed data
    fingerprint = _choose_version(config, inspected, tokenizers, resumed)
    folder = _folder(config, fingerprint)
    with _explain_disk_errors(folder):
        opened = None if force else _open_current(folder, fingerprint)
        made = False
        if opened is None:
            with lock_folder(folder, wait=wait):
                # Another process may have made the folder in the meantime.
                opened = None if force else _open_current(folder, fingerprint, warn=True)
                if opened is None:
                    log_suspicions(config)
                    _check_space(config, folder, inspected.lines)
                    with _work(folder, _work_key(fingerprint, inspected), force=force) as work:
                        _build(config, folder, work, fingerprint, inspected, tokenizers, processes=processes)
                    opened, made = _open(folder), True
        if made:
            log_report(opened.report)
            for work in other_work(folder):
                logger.info(
                    "%s: unfinished preprocessing of other text or options takes %s. Delete the folder if you do not "
                    "need it.",
                    *(work, show_bytes(size_of(work))),
                )
        else:
            _update_held_out(config, folder, opened, inspected.held_out, processes=processes)
            _remove_leftovers(folder)
            logger.info("The data in %s is up to date.", folder)
            log_held_out(opened.report)
    return PreprocessedData(
        folder=folder,
        tokenizers=opened.tokenizers.with_direction(right_to_left=config.data.right_to_left),
        train=opened.store,
        valid=inspected.held_out[0].text.pairs,
        fingerprint=fingerprint,
        report=opened.report,
        shortlist=shortlist_of(folder, opened.store, opened.tokenizers, config.data.shortlist),
    )


def open_preprocessed(config: Config, fingerprint: str) -> tuple[Store, Tokenizers]:
    """Open training pairs and subword models that were preprocessed earlier, without reading the text.

    Raises:
        DataError, OSError: Files are missing or damaged.
    """
    folder = _folder(config, fingerprint)
    return Store(folder), read_models(folder)


def inspect(config: Config) -> InspectResult:
    """Count and hash all files of an experiment, and read its validation and test sets.

    Raises:
        DataError: A file cannot be read, or the files of parallel text are of unequal length.
    """
    train = tuple(inspect_pair(corpus) for corpus in config.data.train)
    held_out = [HeldOutSet("validation set", load_parallel(config.data.valid))]
    held_out += [HeldOutSet(f"test set {test.name}", load_parallel(test)) for test in config.data.test]
    alignments = [
        None if corpus.alignment is None else inspect_alignment(corpus.alignment, corpus, files[0].lines)
        for corpus, files in zip(config.data.train, train, strict=True)
    ]
    return InspectResult(train, tuple(alignments), tuple(held_out))


def _folder(config: Config, fingerprint: str) -> Path:
    languages = f"{config.data.source_language}-{config.data.target_language}"
    return path_in(Path(config.data.preprocessed_folder), f"{languages}-{fingerprint[:12]}")


def _choose_version(config: Config, inspected: InspectResult, given: Tokenizers | None, resumed: str | None) -> str:
    """Return the fingerprint of the data to use, and log whether data of an earlier version is used or made again."""
    current = _fingerprint(config, inspected, given, version=FORMAT)
    if resumed is None and _folder(config, current).exists():
        return current
    for version in reversed(range(1, FORMAT)):
        earlier = _fingerprint(config, inspected, given, version=version)
        folder = _folder(config, earlier)
        if resumed == earlier and folder.exists():
            logger.info("The run keeps the data in %s, which an earlier version of preprocessing made.", folder)
            return earlier
        if resumed == earlier:
            logger.warning(
                "An earlier version of preprocessing made the data of this run, and %s is missing. The data is made "
                "again and may differ.",
                folder,
            )
        elif resumed is None and folder.exists():
            logger.info(
                "An earlier version of preprocessing made the data in %s. The data is made again in %s. Runs that "
                "used the earlier folder still need it to be resumed.",
                *(folder, _folder(config, current)),
            )
            break
    return current


def _fingerprint(config: Config, inspected: InspectResult, given: Tokenizers | None, *, version: int) -> str:
    """Hash all that the preprocessed data depends on.

    Test sets are part of it if their lines are removed from the training text. Otherwise only the report has them.

    Options with their default values are left out, so that an option of a later version changes no fingerprint of an
    earlier one. The normalisation is always included, because its default differs between versions.
    """
    data, tokenizer = config.data, config.tokenizer
    options = tokenizer.model_dump(mode="json", exclude={"sampling", "normalization"}, exclude_defaults=True)
    subwords: object = {**options, "normalization": tokenizer.normalization}
    if given is not None:
        subwords = [given.source.fingerprint, given.target.fingerprint]
    facts = {
        "format": version,
        "languages": [data.source_language, data.target_language],
        "train": [
            [[file.digest for file in files], corpus.tag] + ([] if links is None else [links.digest])
            for files, corpus, links in zip(inspected.train, data.train, inspected.alignments, strict=True)
        ],
        "valid": [file.digest for file in inspected.held_out[0].text.files],
        "filters": data.filters.model_dump(mode="json", exclude_defaults=True),
        "tokenizer": subwords,
    }
    if data.filters.drop_held_out:
        facts["test"] = [file.digest for held in inspected.held_out[1:] for file in held.text.files]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _open(folder: Path) -> _Opened:
    return _Opened(Store(folder), read_models(folder), read_report(folder))


def _open_current(folder: Path, fingerprint: str, *, warn: bool = False) -> _Opened | None:
    """Open a folder if it is complete and has this fingerprint. With `warn`, log that it is damaged."""
    if not folder.exists():
        return None
    try:
        opened = _open(folder)
        if opened.report["fingerprint"] == fingerprint and _is_intact(folder, opened):
            return opened
    except (DataError, OSError):
        pass
    if warn:
        logger.warning("The preprocessed data in %s is damaged. It is made again.", folder)
    return None


def _is_intact(folder: Path, opened: _Opened) -> bool:
    """Return whether all files have the checksums that were recorded when the folder was made. Reads each file once."""
    facts = opened.report["tokenizer"]
    models = (opened.tokenizers.source.fingerprint, opened.tokenizers.target.fingerprint)
    return not damaged_files(folder) and models == (facts["source_fingerprint"], facts["target_fingerprint"])


def _update_held_out(
    config: Config, folder: Path, opened: _Opened, held_out: tuple[HeldOutSet, ...], *, processes: int
) -> None:
    """Describe the held-out sets in the report again if they are not those of the configuration."""
    report = opened.report
    described = [(entry["name"], entry["digests"]) for entry in report["held_out"]]
    if described != [(held.name, [file.digest for file in held.text.files]) for held in held_out]:
        overlaps = count_overlap(held_out, config.data, processes=processes)
        report["held_out"] = [
            describe_held_out(held, overlap, opened.tokenizers)
            for held, overlap in zip(held_out, overlaps, strict=True)
        ]
        write_report(folder, report)


def _work_key(fingerprint: str, inspected: InspectResult) -> str:
    """Hash all that unfinished work depends on: the overlap with test sets is counted although the data has none."""
    held_out = [(held.name, [file.digest for file in held.text.files]) for held in inspected.held_out]
    facts = [fingerprint, held_out, WORK_FORMAT, shards.SHARD_RECORDS, shards.SHARD_BYTES]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@contextmanager
def _work(folder: Path, key: str, *, force: bool) -> Iterator[Path]:
    """Yield the work folder for a folder of preprocessed data, and remove it at the end.

    It remains if the work was interrupted from outside and more than one shard is finished.
    """
    work = work_folder(folder)
    if open_work(work, key, force=force):
        logger.info("Continuing the interrupted preprocessing in %s.", work)
    try:
        yield work
    except (KeyboardInterrupt, OSError, ProcessLostError):
        if count_shards(work) > 1:
            logger.info("The finished parts are kept in %s. The same command continues after them.", work)
        else:
            remove_folder(work)
        raise
    except BaseException:
        remove_folder(work)
        raise
    remove_folder(work)


def _remove_leftovers(folder: Path) -> None:
    """Remove what a process left that was killed after it had made the folder."""
    remove_abandoned(folder.parent)
    work = work_folder(folder)
    if work.exists():
        with suppress(OSError, UsageError), lock_folder(folder):  # unless another process makes the folder again
            remove_folder(work)


def _build(
    config: Config,
    folder: Path,
    work: Path,
    fingerprint: str,
    inspected: InspectResult,
    given: Tokenizers | None,
    *,
    processes: int,
) -> None:
    """Run the stages after inspection in a work folder, and make the folder of the data."""
    with progress(inspected.lines, "Filtering", "pairs") as bar:
        filtered = filter_corpora(config.data, work, inspected.held_out, bar=bar, processes=processes)
    if given is None:
        trained = _train(config, filtered, work)
    else:
        trained = TrainResult(given, ())
        _check_tags(config, given.source)
    tokenizers = trained.tokenizers
    held_out = [
        describe_held_out(held, overlap, tokenizers)
        for held, overlap in zip(inspected.held_out, filtered.overlap, strict=True)
    ]
    check_unknown("the validation set", held_out[0]["unknown"])
    threads = _threads(config) if processes == 1 else 1
    with progress(filtered.count_kept(), "Segmenting", "pairs") as bar:
        encoded = encode(
            config, filtered, tokenizers, work, threads=threads, bar=bar, processes=processes, delete_text=True
        )
    check_unknown("the training text", {name: side.unknown for name, side in encoded.sides.items()})
    report = make_report(
        config, fingerprint=fingerprint, filtered=filtered, trained=trained, encoded=encoded, held_out=held_out
    )
    with atomic_folder(folder) as temporary:
        join_shards(config, encoded, tokenizers, temporary)
        _write_models(temporary, tokenizers)
        write_report(temporary, report)


def _train(config: Config, filtered: FilterResult, work: Path) -> TrainResult:
    """Train the subword models, or take those that were trained before an interruption."""
    folder = work / TOKENIZERS
    facts = finished_facts(folder)
    if facts is not None:
        return TrainResult(read_models(folder), tuple(UsedLines(*text) for text in facts["text"]))
    logger.info("Training the subword model on the text of %s pairs.", f"{filtered.count_kept():,}")
    tags = [corpus.tag for corpus in config.data.train]
    trained = train_tokenizers(config.tokenizer, tags=tags, sample=filtered.sample_lines)
    with make_part(folder) as part:
        _write_models(part, trained.tokenizers)
        write_facts(part, {"text": [[text.lines, text.too_long] for text in trained.text]})
    return trained


def _check_space(config: Config, folder: Path, pairs: int) -> None:
    """Warn if the disk may become full."""
    files = [file for corpus in config.data.train for file in paths(corpus)]
    text = sum(os.path.getsize(file) * (UNPACKING if Path(file).suffix in PACKED else 1) for file in files)
    needed = SPACE * text + PAIR_SPACE * pairs
    free = free_bytes(folder)
    if free is not None and free < needed:
        logger.warning(
            "%s: the disk has %s free. Preprocessing this text may need %s. Free some space, or set "
            "data.preprocessed_folder to a larger disk.",
            *(folder.parent, show_bytes(free), show_bytes(needed)),
        )


def _check_tags(config: Config, model: SubwordModel) -> None:
    for corpus in config.data.train:
        if corpus.tag is not None and corpus.tag not in model.pieces(model.encode([corpus.tag])[0]):
            logger.warning(
                "The tag %s is not a symbol of the given subword model. It is segmented like other text.", corpus.tag
            )


def _write_models(folder: Path, tokenizers: Tokenizers) -> None:
    (folder / SOURCE_MODEL).write_bytes(tokenizers.source.model_bytes)
    if tokenizers.target.fingerprint != tokenizers.source.fingerprint:
        (folder / TARGET_MODEL).write_bytes(tokenizers.target.model_bytes)


def read_models(folder: Path) -> Tokenizers:
    """Read the subword models of a folder of preprocessed data.

    Raises:
        DataError: A model is damaged.
        OSError: A file is missing.
    """
    source = SubwordModel((folder / SOURCE_MODEL).read_bytes())
    target = folder / TARGET_MODEL
    return Tokenizers(source=source, target=SubwordModel(target.read_bytes()) if target.exists() else source)


def _threads(config: Config) -> int:
    return config.training.threads or available_threads()


@contextmanager
def _explain_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            unfinished = "".join(
                f" {work} has {show_bytes(size_of(work))} of unfinished preprocessing of other text or options. Delete "
                "the folder if you do not need it."
                for work in other_work(folder)
            )
            raise DataError(
                f"{folder}: the disk is full. Preprocessing needs about twice the size of the text. Free some "
                f"space, or set data.preprocessed_folder to a larger disk.{unfinished}"
            ) from error
        raise DataError(f"{error.filename or folder}: {error.strerror or error}.") from error
