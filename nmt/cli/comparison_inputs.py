"""The texts that `nmt compare` works on: the test set, its translations, and the training text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.cli.systems import System, read_or_translate
from nmt.errors import UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.config import Config
    from nmt.config.schema import TestSet
    from nmt.evaluation.comparison.compare import TestText


def find_test(
    config: Config | None, name: str | None, source: Path | None, reference: Path | None, target_language: str | None
) -> TestText:
    """Read the test set: the given files, or what the first model's configuration names.

    Raises:
        UsageError: It is not clear which test set is meant, or what is missing.
        DataError: A file cannot be read, or its two sides are of unequal length.
    """
    _check_usage(config, name, source, reference, target_language)
    from nmt.cli.starting.files import language_of
    from nmt.config.schema import TestSet
    from nmt.data.text.corpus import read_parallel
    from nmt.data.text.lines import read_lines
    from nmt.evaluation.comparison.compare import TestText

    if reference is not None:
        test = TestSet(name=reference.name, source=None if source is None else str(source), target=str(reference))
    else:
        assert config is not None
        test = _choose(config.data.test, name)
    if config is None:
        assert reference is not None
        language = target_language or language_of(reference, "target", read_lines(reference, keep_broken=False))
    else:
        language = config.data.target_language
    if reference is not None and source is None:
        return TestText(test.name, None, list(read_lines(reference, keep_broken=False)), None, language)
    pairs = read_parallel(test)
    return TestText(
        name=test.name,
        sources=[one for one, _ in pairs],
        references=[other for _, other in pairs],
        source_language=None if config is None else config.data.source_language,
        target_language=language,
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


def _choose(tests: Sequence[TestSet], name: str | None) -> TestSet:
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


def _names(tests: Sequence[TestSet]) -> str:
    return ", ".join(test.name for test in tests)


def collect_lines(systems: Sequence[System], test: TestText, decoding: dict[str, Any]) -> dict[str, Sequence[str]]:
    """The lines of each system by its name. What can be wrong with files is found before the first translation.

    Raises:
        DataError: A file cannot be read, or has another number of lines than the test set.
    """
    from nmt.evaluation.comparison.compare import check_lines

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
    from nmt.data.text.corpus import paths
    from nmt.data.text.streams import read_bytes

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
    from nmt.data.text.lines import read_lines

    for file in files:
        yield from read_lines(file, keep_broken=True)


def _lines_of_corpora(config: Config) -> Iterator[str]:
    from nmt.data.text.corpus import Malformed, read_training

    for corpus in config.data.train:
        for pair in read_training(corpus):
            if not isinstance(pair, Malformed):
                yield pair[1]
