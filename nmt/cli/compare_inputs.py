"""The texts that `nmt compare` works on: the test set, its translations, and the training text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.errors import UsageError
from nmt.log import logger, progress

if TYPE_CHECKING:
    from nmt.config import Config
    from nmt.config.schema import TestSetConfig
    from nmt.evaluation.compare.compare import TestText
    from nmt.inference.model_file import ModelFile


def find_test(
    config: Config | None, name: str | None, source: Path | None, reference: Path | None, target_language: str | None
) -> TestText:
    """Read the test set: the given files, or what the first model's configuration names.

    Raises:
        UsageError: It is not clear which test set is meant, or what is missing.
        DataError: A file cannot be read, or its two sides are of unequal length.
    """
    _check_usage(config, name, source, reference, target_language)
    from nmt.cli.init.corpus_files import language_of
    from nmt.config.schema import TestSetConfig
    from nmt.data.corpus import read_parallel
    from nmt.data.languages import with_detected_script
    from nmt.data.lines import read_lines
    from nmt.evaluation.compare.compare import TestText

    if reference is not None:
        test = TestSetConfig(name=reference.name, source=None if source is None else str(source), target=str(reference))
    else:
        assert config is not None
        test = _choose(config.data.test, name)
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
        raise UsageError("--source and --reference go together; give both")
    if config is None and reference is None:
        raise UsageError("no system is a model that names a test set; give one with --reference, and --source")
    if config is not None and reference is not None and source is None:
        raise UsageError("a model needs a text to translate; give --source with --reference")
    if name is not None and reference is not None:
        raise UsageError("--test chooses a test set of the first model, --reference gives another; leave one out")
    if name is not None and config is None:
        raise UsageError("--test chooses a test set of the first model, but there is no model")
    if target_language is not None and config is not None:
        raise UsageError("--target-language is for translations without a model; here it is that of the model")


def _choose(tests: Sequence[TestSetConfig], name: str | None) -> TestSetConfig:
    if not tests:
        raise UsageError("the first model's configuration names no test set; give one with --source and --reference")
    if name is None:
        if len(tests) > 1:
            raise UsageError(f"the first model has several test sets; choose one with --test: {_names(tests)}")
        return tests[0]
    found = next((test for test in tests if test.name == name), None)
    if found is None:
        raise UsageError(f"the first model has no test set {name}; it has: {_names(tests)}")
    return found


def _names(tests: Sequence[TestSetConfig]) -> str:
    return ", ".join(test.name for test in tests)


def collect_lines(
    systems: Sequence[ComparedSystem], test: TestText, decoding: dict[str, Any]
) -> dict[str, Sequence[str]]:
    """The lines of each system by its name. What can be wrong with files is found before the first translation.

    Raises:
        DataError: A file cannot be read, or has another number of lines than the test set.
    """
    from nmt.evaluation.compare.compare import check_lines

    found: dict[str, Sequence[str]] = {}
    for system in sorted(systems, key=lambda one: one.model is not None):
        found[system.name] = read_or_translate(system, test.sources or [], decoding)
        check_lines(system.name, found[system.name], test)
    return {system.name: found[system.name] for system in systems}


def training_lines(config: Config | None, given: Sequence[Path] | None) -> Iterator[str] | None:
    """The target side of the training text, line by line; None, after saying so, where there is none.

    Raises:
        DataError: A given file is not there.
    """
    from nmt.data.corpus import paths
    from nmt.data.streams import read_bytes

    if given:
        for path in given:
            next(iter(read_bytes(path)), None)
        return _lines_of_files(given)
    if config is None:
        logger.info("without training text (--train) words are not looked at by their frequency")
        return None
    missing = [file for corpus in config.data.train for file in paths(corpus) if not Path(file).is_file()]
    if missing:
        logger.warning(
            "%s, training text of the first model, is not there, so words are not looked at by their frequency; "
            "give the text with --train",
            missing[0],
        )
        return None
    return _lines_of_corpora(config)


def _lines_of_files(files: Sequence[Path]) -> Iterator[str]:
    from nmt.data.lines import read_lines

    for file in files:
        yield from read_lines(file, keep_broken=True)


def _lines_of_corpora(config: Config) -> Iterator[str]:
    from nmt.data.corpus import MalformedLine, read_training

    for corpus in config.data.train:
        for pair in read_training(corpus):
            if not isinstance(pair, MalformedLine):
                yield pair[1]


MODEL_SUFFIX = ".safetensors"
STANDARD_INPUT = "-"


class ComparedSystem(NamedTuple):
    """One of the systems."""

    name: str
    path: Path
    model: ModelFile | None
    """None if the file is a translation."""


def open_systems(paths: Sequence[Path], names: Sequence[str]) -> list[ComparedSystem]:
    """Find out what was given, and load the models.

    Args:
        paths: Folders of runs, model files and translations.
        names: What to call them; none: by their paths.

    Raises:
        UsageError: Something is not there, the names are not as many, or two models translate other languages.
        CheckpointError: A model file cannot be loaded.
    """
    if names and len(names) != len(paths):
        raise UsageError(
            f"--name is given {len(names)} times for {len(paths)} systems; give it once for each, or never"
        )
    for path in paths:
        if str(path) != STANDARD_INPUT and not path.exists():
            raise UsageError(f"{path}: there is no such run folder, model file or translation")
    if [str(path) for path in paths].count(STANDARD_INPUT) > 1:
        raise UsageError("standard input (-) can be read only once")
    called = _distinct(names or _short_names(paths))
    systems = [ComparedSystem(name, path, _open(path)) for name, path in zip(called, paths, strict=True)]
    _check_languages(systems)
    return systems


def _open(path: Path) -> ModelFile | None:
    from nmt.cli.loading import open_model

    return open_model(path) if _is_model(path) else None


def _is_model(path: Path) -> bool:
    """Whether this is a run or a model file: those begin with the length of a JSON object, in eight bytes."""
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
        if ours != (expected.source_language, expected.target_language):
            raise UsageError(
                f"{first.name} translates {expected.source_language} to {expected.target_language}, but {system.name} "
                f"{ours[0]} to {ours[1]}; a comparison needs the same languages"
            )


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, and as many before it as tell it from the others."""
    from nmt.inference.find_model import MODEL_NAME

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
    """The names, numbered where they are the same."""
    found: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in found:
            number += 1
            candidate = f"{name} ({number})"
        found.append(candidate)
    return found


def read_or_translate(system: ComparedSystem, sources: Sequence[str], decoding: dict[str, Any]) -> list[str]:
    """The lines of a system: those of its file, or its translation of the test set.

    Args:
        system: The system.
        sources: The test set, if the system is a model.
        decoding: Options of the command line.
    """
    from nmt.data.lines import read_lines

    if system.model is None:
        return list(read_lines(system.path, keep_broken=False))
    from nmt.cli.loading import make_translator

    translator = make_translator(system.model, **decoding)
    logger.info("translating %s lines with %s", f"{len(sources):,}", system.name)
    lines = []
    with progress(len(sources), f"translating with {system.name}", "lines") as bar:
        for translation in translator.translate(sources):
            lines.append(translation.text)
            bar.update(1)
    return lines
