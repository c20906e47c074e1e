"""The runs of an experiment: each is trained and measured once, whatever interrupts them.

They are ordinary runs, in runs/NAME. What was measured on one is kept in a file of its own, with the options and the
text that it was made with; while those are the same, nothing is done again.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from experiments.side_by_side import train_side_by_side
from nmt.config import Config
from nmt.data.corpus import inspect_file, paths
from nmt.data.preprocess.preprocess import preprocess
from nmt.data.streams import open_whole
from nmt.errors import DataError, TrainingError, UsageError
from nmt.log import logger
from nmt.training import train
from nmt.training.run_folder import RunFolder, flatten

# What changes neither the model nor its translations; and the length limits, which training itself sets.
MAY_CHANGE = re.compile(
    r"name|data\.preprocessed_folder|decoding\.(max_source_pieces|max_length_ratio|batch_sentences|threads)|"
    r"training\.(threads|log_every|checkpoint_every_updates|keep_checkpoints|tensorboard|validation\.samples)"
)
SHOWN_OPTIONS = 5
INTERRUPTED = (130, 143)
"""Exit codes of a process that was asked to stop."""

Measured = dict[str, Any]
"""What was measured on a run; anything that JSON can hold."""
Measure = Callable[[Config, Path], Measured]
"""Measures the run in a folder."""


class Job(NamedTuple):
    """One run."""

    config: Config
    labels: dict[str, Any]
    """What tells it from the others in results, such as the seed."""

    @property
    def name(self) -> str:
        """The name of the run."""
        assert self.config.name is not None
        return self.config.name


def run_jobs(
    jobs: Sequence[Job],
    *,
    out: Path,
    measure: Measure,
    report: Callable[[], None],
    overwrite: bool,
    parallel: int = 1,
) -> None:
    """Train and measure the runs that are not finished, and `report` after each.

    A training that fails, because it diverges for example, does not keep the others from being done.

    Args:
        jobs: The runs, in order.
        out: Folder of the results.
        measure: Measures a run that is trained.
        report: Writes what there is so far; called when something is there.
        overwrite: Do everything again.
        parallel: So many trainings side by side, with one thread each; 1: one after another, with their own threads.

    Raises:
        UsageError: A run or a result of that name is there, and was made with other options.
        TrainingError: Trainings failed; all others are done.
        NMTError: As measuring says; Interrupted after a signal, with everything saved.
    """
    if not overwrite:
        for job in jobs:
            _check_same(job, out)
    waiting = [job for job in jobs if overwrite or read_result(job, out) is None]
    for job in jobs:
        if job not in waiting:
            logger.info("%s: done", job.name)
    if len(waiting) < len(jobs):
        report()
    failed = []
    trained = _side_by_side(waiting, overwrite, parallel) if parallel > 1 else _in_turn(waiting, overwrite)
    for job, folder in trained:
        if folder is None:
            failed.append(job.name)
            continue
        _write_result(job, out, measure(job.config, folder))
        report()
    if failed:
        raise TrainingError(
            f"{len(failed)} of {len(jobs)} runs failed: {', '.join(failed)}; the train.log of each says why, and the "
            "same command tries again"
        )


def read_result(job: Job, out: Path) -> Measured | None:
    """Return what was measured on a run, with its labels; None if it is not finished."""
    path = _result_path(job, out)
    if not path.exists():
        return None
    measured: Measured = _read_json(path)["measured"]
    return {**job.labels, "run": job.name, **measured}


def finished(jobs: Sequence[Job], out: Path) -> Iterator[Measured]:
    """Give what was measured on those of the runs that are finished and were made with the same options."""
    for job in jobs:
        path = _result_path(job, out)
        if path.exists() and not _differences(job, _read_json(path)):
            result = read_result(job, out)
            assert result is not None
            yield result


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, which appears when it is whole."""
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, which appears when it is whole."""
    with open_whole(path) as stream:
        stream.write(content)


def _in_turn(jobs: Sequence[Job], overwrite: bool) -> Iterator[tuple[Job, Path | None]]:
    """Train runs one after another; give each with its folder, or None if it failed."""
    for number, job in enumerate(jobs, 1):
        logger.info("run %d of %d, %s", number, len(jobs), job.name)
        try:
            yield job, _train(job.config, overwrite=overwrite)
        except TrainingError as error:
            logger.error("%s: %s", job.name, error)
            yield job, None


def _side_by_side(jobs: Sequence[Job], overwrite: bool, parallel: int) -> Iterator[tuple[Job, Path | None]]:
    """Do as `_in_turn`, with several at a time."""

    def one_by_one() -> Iterator[Config]:
        for number, job in enumerate(jobs, 1):
            preprocess(job.config)  # here, because most runs share it
            logger.info("run %d of %d, %s: see %s", number, len(jobs), job.name, RunFolder(job.name).log)
            yield _with_threads(job.config, 1)

    by_name = {job.name: job for job in jobs}
    train_one = partial(_train, overwrite=overwrite)
    for config, code in train_side_by_side(one_by_one(), train_one, parallel=parallel):
        assert config.name is not None
        became = "trained" if code == 0 else "saved" if code in INTERRUPTED else f"failed (exit code {code})"
        logger.info("%s: %s", config.name, became)
        yield by_name[config.name], RunFolder(config.name).path if code == 0 else None


def _with_threads(config: Config, threads: int) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update={"threads": threads})})


def _train(config: Config, *, overwrite: bool) -> Path:
    """Train a run, or go on with it, or find that it is trained."""
    assert config.name is not None
    going_on = bool(RunFolder(config.name).all_checkpoints()) and not overwrite
    # A run without a checkpoint was interrupted before its first one: nothing is lost by starting anew.
    folder = train(config, resume=going_on, overwrite=not going_on, init_from=None)
    logger.info("trained: %s", folder)
    return folder


def _check_same(job: Job, out: Path) -> None:
    """Make sure that what is there of a run was made with these options and this text.

    Raises:
        UsageError: It was not.
    """
    result, run = _result_path(job, out), RunFolder(job.name)
    if result.exists():
        where, differing = result, _differences(job, _read_json(result))
    elif run.all_checkpoints():
        where, differing = run.path, _other_options(job.config, yaml.safe_load(run.config.read_text("utf-8")))
    else:
        return
    if differing:
        shown = ", ".join(differing[:SHOWN_OPTIONS]) + (", ..." if len(differing) > SHOWN_OPTIONS else "")
        raise UsageError(
            f"{where} was made with other options or text: {shown}; put them back, or do everything again with "
            "--overwrite"
        )


def _differences(job: Job, result: dict[str, Any]) -> list[str]:
    """Name the options and files in which a result differs from a job."""
    digests = result["text"]
    return _other_options(job.config, result["config"]) + [
        file for file, digest in _digests(job.config).items() if digests.get(file) != digest
    ]


def _other_options(config: Config, before: dict[str, Any]) -> list[str]:
    """Name the options that differ; those that an older version did not have count at their defaults."""
    old, new = (flatten(one.model_dump(mode="json")) for one in (Config.model_validate(before), config))
    return [name for name in sorted(old | new) if old.get(name) != new.get(name) and not MAY_CHANGE.fullmatch(name)]


def _digests(config: Config) -> dict[str, str]:
    """Say what is in each text file of an experiment."""
    data = config.data
    files = [file for pair in (*data.train, data.valid, *data.test) for file in paths(pair)]
    files += [corpus.alignment for corpus in data.train if corpus.alignment is not None]
    return {file: _digest(file, *_version(file)) for file in files}


def _version(file: str) -> tuple[int, int]:
    """What changes when a file does; (0, 0) if it cannot be seen."""
    try:
        found = os.stat(file)
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


@functools.lru_cache
def _digest(file: str, size: int, modified: int) -> str:
    return inspect_file(file).digest[:16]


def _write_result(job: Job, out: Path, measured: Measured) -> None:
    content = {"measured": measured, "config": job.config.model_dump(mode="json"), "text": _digests(job.config)}
    write_json(_result_path(job, out), content)


def _result_path(job: Job, out: Path) -> Path:
    return out / f"{job.name}.json"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}). Remove it, and the run is measured again.") from error
    return content
