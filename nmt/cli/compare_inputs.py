"""Inputs of `nmt compare`: the test set, the translations of each system, and the training text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.cli.loading import config_with_data, open_model
from nmt.config.schema import Config, DataConfig, TestSetConfig
from nmt.data.corpus import MalformedLine, load_parallel, paths, read_parallel, read_training
from nmt.data.languages import are_same_pair, with_detected_script
from nmt.data.lines import read_lines
from nmt.data.streams import read_bytes
from nmt.errors import UsageError
from nmt.evaluation.compare.compare import TestText, check_lines
from nmt.inference.find_model import MODEL_NAME, MODEL_SUFFIX
from nmt.log import logger, progress

if TYPE_CHECKING:
    from nmt.inference.model_file import ModelFile


def find_test(
    model: ModelFile | None,
    name: str | None,
    source: Path | None,
    reference: Path | None,
    target_language: str | None,
) -> TestText:
    """Read the test set: the given files, or a test set of the run of the first model.

    Raises:
        UsageError: the options do not select one test set.
        DataError: a file cannot be read, or its two sides are of unequal length.
    """
    config = None if model is None else model.config
    _check_usage(config, name, source, reference, target_language)
    from nmt.cli.init.corpus_files import language_of  # imports numpy

    if reference is not None:
        test = TestSetConfig(name=reference.name, source=None if source is None else str(source), target=str(reference))
    else:
        assert model is not None
        test = _select(config_with_data(model, "the test set").data.test, name)
    if config is None:
        assert reference is not None
        language = target_language or language_of(reference, "target", read_lines(reference, keep_broken=False))
    else:
        language = config.data.target_language
    if reference is not None and source is None:
        references = list(read_lines(reference, keep_broken=False))
        return TestText(test.name, None, references, None, with_detected_script(language, references))
    pairs = read_parallel(test)
    return TestText(
        name=test.name,
        sources=[one for one, _ in pairs],
        references=[other for _, other in pairs],
        source_language=None if config is None else config.data.source_language,
        target_language=with_detected_script(language, (other for _, other in pairs)),
    )


def _check_usage(
    config: Config | None, name: str | None, source: Path | None, reference: Path | None, target_language: str | None
) -> None:
    if source is not None and reference is None:
        raise UsageError("--source requires --reference.")
    if config is None and reference is None:
        raise UsageError("no system is a model with a test set. Use --reference, and --source for the source text.")
    if config is not None and reference is not None and source is None:
        raise UsageError("--reference requires --source: a model needs a text to translate.")
    if name is not None and reference is not None:
        raise UsageError("--test excludes --reference.")
    if name is not None and config is None:
        raise UsageError("--test requires a model among the systems.")
    if target_language is not None and config is not None:
        raise UsageError("--target-language requires systems without a model: a model has its own target language.")


def _select(tests: Sequence[TestSetConfig], name: str | None) -> TestSetConfig:
    if not tests:
        raise UsageError("the configuration of the first model has no test set. Use --source and --reference.")
    if name is None:
        if len(tests) > 1:
            raise UsageError(f"the first model has several test sets. Select one with --test: {_names(tests)}.")
        return tests[0]
    selected = next((test for test in tests if test.name == name), None)
    if selected is None:
        raise UsageError(f"--test {name}: the test sets of the first model are {_names(tests)}.")
    return selected


def _names(tests: Sequence[TestSetConfig]) -> str:
    return ", ".join(test.name for test in tests)


def collect_lines(
    systems: Sequence[ComparedSystem], test: TestText, decoding: dict[str, Any]
) -> dict[str, Sequence[str]]:
    """Return the lines of each system by its name. All files are read and checked before the first translation.

    Raises:
        DataError: a file cannot be read, or does not have as many lines as the test set.
    """
    lines: dict[str, Sequence[str]] = {}
    for system in sorted(systems, key=lambda one: one.model is not None):
        lines[system.name] = read_or_translate(system, test.sources or [], decoding)
        check_lines(system.name, lines[system.name], test)
    return {system.name: lines[system.name] for system in systems}


def training_lines(data: DataConfig | None, given: Sequence[Path] | None) -> Iterator[str] | None:
    """Return the target side of the training text line by line, or None, with a log line, without training text.

    Args:
        data: the data section of the run of the first model, if there is one.
        given: files to use instead.

    Raises:
        DataError: a given file does not exist.
    """
    if given:
        for path in given:
            next(iter(read_bytes(path)), None)
        return _lines_of_files(given)
    if data is None:
        logger.info("no scores by word frequency: they require training text (--train)")
        return None
    missing = [file for corpus in data.train for file in paths(corpus) if not Path(file).is_file()]
    if missing:
        logger.warning(
            "no scores by word frequency: the training text %s of the first model does not exist. Use --train FILE.",
            missing[0],
        )
        return None
    return _lines_of_corpora(data)


def _lines_of_files(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        yield from read_lines(file, keep_broken=True)


def _lines_of_corpora(data: DataConfig) -> Iterator[str]:
    """Yield the target side of the training text, without held-out pairs if these are not trained on."""
    from nmt.data.preprocess.overlap import HeldOutSet, OverlapCounter, comparable_pair

    held_out = [
        OverlapCounter(HeldOutSet("", load_parallel(pair)))
        for pair in (data.valid, *data.test)
        if data.filters.drop_held_out and all(map(os.path.isfile, paths(pair)))
    ]
    for corpus in data.train:
        for pair in read_training(corpus):
            if isinstance(pair, MalformedLine) or any(held.find([comparable_pair(pair)]) for held in held_out):
                continue
            yield pair[1]


STANDARD_INPUT = "-"


class ComparedSystem(NamedTuple):
    """A system: a model, or a file with its translations.

    Attributes:
        name: name in the report.
        path: path of the model or the translations.
        model: the model, or None for a file with translations.
    """

    name: str
    path: Path
    model: ModelFile | None


def open_systems(paths: Sequence[Path], names: Sequence[str]) -> list[ComparedSystem]:
    """Load the models among the systems.

    Args:
        paths: run folders, model files and files with translations.
        names: names of the systems. Without names, the systems are named after their paths.

    Raises:
        UsageError: a path does not exist, there are not as many names as systems, or two models have other languages.
        CheckpointError: a model file cannot be loaded.
    """
    if names and len(names) != len(paths):
        raise UsageError(
            f"--name is given {len(names)} times for {len(paths)} systems. Repeat it once for each system."
        )
    for path in paths:
        if str(path) != STANDARD_INPUT and not path.exists():
            raise UsageError(f"{path}: no such run folder, model file or file with translations.")
    if [str(path) for path in paths].count(STANDARD_INPUT) > 1:
        raise UsageError("standard input (-) can be used for one system only.")
    unique = _distinct(names or _short_names(paths))
    systems = [ComparedSystem(name, path, _open(path)) for name, path in zip(unique, paths, strict=True)]
    _check_languages(systems)
    return systems


def _open(path: Path) -> ModelFile | None:
    return open_model(path) if _is_model(path) else None


def _is_model(path: Path) -> bool:
    """Whether a path is a run folder or a model file, which begins with the length of a JSON object in eight bytes."""
    if path.is_dir() or path.suffix == MODEL_SUFFIX:
        return True
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        head = stream.read(9)
    return head[5:] == b"\0\0\0{"


def _check_languages(systems: Sequence[ComparedSystem]) -> None:
    models = [(system, system.model.config.data) for system in systems if system.model is not None]
    for system, data in models[1:]:
        first, expected = models[0]
        ours = (data.source_language, data.target_language)
        if not are_same_pair(ours, (expected.source_language, expected.target_language)):
            raise UsageError(
                f"{first.name} translates {expected.source_language} to {expected.target_language}, but {system.name} "
                f"translates {ours[0]} to {ours[1]}. Compare systems for the same languages."
            )


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest end of each path that no other path has."""
    parts = []
    for path in paths:
        named = path if path.name not in ("", "..") else path.absolute().resolve()
        parts.append((named.parent if named.name == MODEL_NAME and named.parent.name else named).parts)
    names = []
    for mine in parts:
        others = [other for other in parts if other != mine]
        depth = next(
            (depth for depth in range(1, len(mine)) if all(other[-depth:] != mine[-depth:] for other in others)),
            len(mine),
        )
        names.append("/".join(mine[-depth:]))
    return names


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names, with numbers after the first of equal names."""
    distinct: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in distinct:
            number += 1
            candidate = f"{name} ({number})"
        distinct.append(candidate)
    return distinct


def read_or_translate(system: ComparedSystem, sources: Sequence[str], decoding: dict[str, Any]) -> list[str]:
    """Return the lines of a system: the lines of its file, or its translation of the test set.

    Args:
        system: the system.
        sources: source side of the test set, for models.
        decoding: decoding options. None means the value stored in the model.
    """
    if system.model is None:
        return list(read_lines(system.path, keep_broken=False))
    from nmt.inference.translator import Translator

    translator = Translator.from_models([system.model], decoding=decoding)
    logger.info("translating %s lines with %s", f"{len(sources):,}", system.name)
    lines = []
    with progress(len(sources), f"translating with {system.name}", "lines") as bar:
        for translation in translator.translate(sources):
            lines.append(translation.text)
            bar.update(1)
    return lines
