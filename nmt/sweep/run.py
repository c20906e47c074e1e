"""Trains and measures the runs of a sweep, each once, after any number of interruptions.

They are ordinary runs, in runs/NAME. The measurements of a run are kept in a file of its own, with the options and the
text of the run. While these are the same, nothing is trained or measured again.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nmt.config import Config
from nmt.config.file_names import path_in
from nmt.config.yaml_document import read_values
from nmt.data.corpus import inspect_file, paths
from nmt.data.preprocess.preprocess import preprocess
from nmt.data.streams import write_json
from nmt.errors import DataError, TrainingError, UsageError
from nmt.log import logger
from nmt.small_files import read_json
from nmt.sweep.parallel import train_in_parallel
from nmt.sweep.plan import Run
from nmt.training.run_folder import RunFolder, flatten
from nmt.training.train import train_or_resume

# Options that change neither the model nor its translations, and the length limits, which training itself sets.
MAY_CHANGE = re.compile(
    r"name|data\.preprocessed_folder|decoding\.(max_source_pieces|max_length_ratio|batch_sentences|threads)|"
    r"training\.(threads|log_every|checkpoint_every_(updates|minutes)|keep_checkpoints|keep_best|tensorboard|track|validation\.samples)"
)
SHOWN_OPTIONS = 5
INTERRUPTED = (130, 143)
"""Exit codes of a process that was asked to stop."""

Measurements = dict[str, Any]
"""What was measured on a run; anything that JSON can hold."""
Measure = Callable[[Config, Path], Measurements]
"""Measures the run in a folder."""


def run_all(
    runs: Sequence[Run],
    *,
    output: Path,
    settings: Mapping[str, Any],
    measure: Measure,
    report: Callable[[], object],
    overwrite: bool,
    parallel: int = 1,
) -> None:
    """Train and measure the runs that are not finished, and `report` after each.

    A training that fails, because it diverges for example, does not stop the others.

    Args:
        runs: The runs, in order.
        output: Folder of the results.
        settings: How runs are measured. A result with other settings is measured again.
        measure: Measures a trained run.
        report: Writes a report of what is finished.
        overwrite: Train and measure everything again.
        parallel: Number of trainings at the same time, with one thread each; 1: one after another, with their own
            threads.

    Raises:
        UsageError: A run or a result of that name has other options.
        TrainingError: Some trainings failed; all others are finished.
        NMTError: A run cannot be measured. Interrupted after a signal, with everything saved.
    """
    if not overwrite:
        for run in runs:
            check_same(run, output)
    waiting = [run for run in runs if overwrite or read_result(run, output, settings) is None]
    for run in runs:
        if run not in waiting:
            logger.info("%s: finished", run.name)
    if len(waiting) < len(runs):
        report()
    failed = []
    for run, folder in train_all(waiting, overwrite=overwrite, parallel=parallel, total=len(waiting)):
        if folder is None:
            failed.append(run.name)
            continue
        write_result(run, output, settings, measure(run.config, folder))
        report()
    if failed:
        raise TrainingError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}. The train.log of each has the reason. The "
            "same command tries again"
        )


def read_result(run: Run, output: Path, settings: Mapping[str, Any]) -> Measurements | None:
    """Return the measurements of a run with its variant and seed; None if it is not finished."""
    path = _result_path(run, output)
    content = _read_json(path) if path.exists() else None
    if content is None or content.get("settings") != settings:
        return None
    return {"variant": run.variant, "seed": run.seed, "run": run.name, **content["measured"]}


def finished(runs: Sequence[Run], output: Path, settings: Mapping[str, Any]) -> Iterator[Measurements]:
    """Yield the measurements of the finished runs that have the same options and text."""
    for run in runs:
        result = read_result(run, output, settings)
        if result is not None and not _differences(run, _read_json(_result_path(run, output))):
            yield result


def train_all(
    runs: Iterable[Run], *, overwrite: bool, parallel: int, total: int | None = None
) -> Iterator[tuple[Run, Path | None]]:
    """Train runs, and yield each with its folder, or None if it failed.

    Args:
        runs: The runs; the next one is taken when a training ends.
        overwrite: Train existing runs again.
        parallel: Number of trainings at the same time, with one thread each; 1: one after another.
        total: Number of runs, for messages.

    Raises:
        Interrupted: After a signal, with everything saved.
    """
    count = "" if total is None else f" of {total}"
    return _in_parallel(runs, overwrite, parallel, count) if parallel > 1 else _in_turn(runs, overwrite, count)


def _in_turn(runs: Iterable[Run], overwrite: bool, count: str) -> Iterator[tuple[Run, Path | None]]:
    for number, run in enumerate(runs, 1):
        logger.info("run %d%s, %s", number, count, run.name)
        try:
            yield run, train_or_resume(run.config, overwrite=overwrite)
        except TrainingError as error:
            logger.error("%s: %s", run.name, error)
            yield run, None


def _in_parallel(runs: Iterable[Run], overwrite: bool, parallel: int, count: str) -> Iterator[tuple[Run, Path | None]]:
    by_name: dict[str, Run] = {}

    def one_by_one() -> Iterator[Config]:
        for number, run in enumerate(runs, 1):
            by_name[run.name] = run
            preprocess(run.config)  # in this process, because most runs share the text
            logger.info("run %d%s, %s: see %s", number, count, run.name, RunFolder(run.name).log)
            yield _with_threads(run.config, 1)

    train_one = partial(train_or_resume, overwrite=overwrite)
    for config, code in train_in_parallel(one_by_one(), train_one, parallel=parallel):
        assert config.name is not None
        state = "trained" if code == 0 else "saved" if code in INTERRUPTED else f"failed (exit code {code})"
        logger.info("%s: %s", config.name, state)
        yield by_name[config.name], RunFolder(config.name).path if code == 0 else None


def _with_threads(config: Config, threads: int) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update={"threads": threads})})


def check_same(run: Run, output: Path) -> None:
    """Check that an existing run and its result have these options and this text.

    Raises:
        UsageError: They have not.
    """
    result, folder = _result_path(run, output), RunFolder(run.name)
    if result.exists():
        where, differing = result, _differences(run, _read_json(result))
    elif folder.can_resume():
        where, differing = folder.path, _other_options(run.config, read_values(folder.config))
    else:
        return
    if differing:
        shown = ", ".join(differing[:SHOWN_OPTIONS]) + (", ..." if len(differing) > SHOWN_OPTIONS else "")
        raise UsageError(
            f"{where} has other options or text: {shown}. Restore them, choose another name for the sweep with "
            "--name, or train everything again with --overwrite"
        )


def _differences(run: Run, result: dict[str, Any]) -> list[str]:
    """Return the options and files in which a result differs from a run."""
    digests = result["text"]
    return _other_options(run.config, result["config"]) + [
        file for file, digest in _digests(run.config).items() if digests.get(file) != digest
    ]


def _other_options(config: Config, before: dict[str, Any]) -> list[str]:
    """Return the options that differ; an option that `before` lacks has its default."""
    old, new = (flatten(one.model_dump(mode="json")) for one in (Config.model_validate(before), config))
    return [name for name in sorted(old | new) if old.get(name) != new.get(name) and not MAY_CHANGE.fullmatch(name)]


def _digests(config: Config) -> dict[str, str]:
    """Return a digest of each text file of an experiment."""
    data = config.data
    files = [file for pair in (*data.train, data.valid, *data.test) for file in paths(pair)]
    files += [corpus.alignment for corpus in data.train if corpus.alignment is not None]
    return {file: _digest(file, *_version(file)) for file in files}


def _version(file: str) -> tuple[int, int]:
    """Return size and time of the last change; (0, 0) if the file cannot be seen."""
    try:
        found = os.stat(file)
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


@functools.lru_cache
def _digest(file: str, size: int, modified: int) -> str:
    return inspect_file(file).digest[:16]


def write_result(run: Run, output: Path, settings: Mapping[str, Any], measured: Measurements) -> None:
    """Keep the measurements of a run, with its options and the text."""
    content = {
        "measured": measured,
        "settings": settings,
        "config": run.config.model_dump(mode="json"),
        "text": _digests(run.config),
    }
    write_json(_result_path(run, output), content)


def _result_path(run: Run, output: Path) -> Path:
    return path_in(output, f"{run.name}.json")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
        if not isinstance(content, dict) or not {"measured", "config", "text"} <= content.keys():
            raise DataError("it is not a result")
    except DataError as error:
        raise DataError(f"{path} cannot be read ({error}). Remove it, and the run is measured again.") from error
    return content
