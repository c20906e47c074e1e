"""Creates a configuration for given text files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.cli.init.choices import choices, count, filters, percent
from nmt.cli.init.corpus_files import CorpusFiles, SingleFile, TextFiles, find_tests, find_valid, hold_out, language_of
from nmt.cli.init.yaml_text import changed, recipe_entries, render
from nmt.cli.options import require_new_file
from nmt.config.conflicts import LANGUAGE
from nmt.config.dump import one_line
from nmt.config.inheritance import recipe_file, recipe_names
from nmt.data.languages import find_language
from nmt.data.lines import write_lines
from nmt.data.preprocess.corpus_stats import CorpusStats, corpus_stats, length_in_words
from nmt.data.sample import take_sample
from nmt.data.suspicions import find_suspicions
from nmt.data.writing_systems import language_of_scripts
from nmt.errors import DataError, UsageError
from nmt.log import logger


@dataclass(frozen=True)
class InitFiles:
    """The given text files. None means that a file was not given."""

    train: CorpusFiles | None
    valid: TextFiles | None
    test: TextFiles | None

    @classmethod
    def given(cls, corpus: SingleFile | None = None, **sides: tuple[Path | None, Path | None]) -> InitFiles:
        """Pair the files of the command line for `train`, `valid` and `test`.

        Args:
            corpus: the training text in one file, if it is one.
            sides: source and target of `train`, `valid` and `test`.

        Raises:
            UsageError: one side is given without the other, or the training text is missing.
        """
        pairs: dict[str, TextFiles | None] = {}
        for purpose, (source, target) in sides.items():
            if (source is None) != (target is None):
                prefix = "--" if purpose == "train" else f"--{purpose}-"
                given, missing = ("source", "target") if target is None else ("target", "source")
                raise UsageError(f"{prefix}{given} requires {prefix}{missing}.")
            if source is not None and source == target:
                raise UsageError(f"{source} is the file of both sides. Use a different file for each side.")
            pairs[purpose] = None if source is None or target is None else TextFiles(source, target)
        train = corpus or pairs["train"]
        if train is None and (pairs["valid"] or pairs["test"]):
            raise UsageError("validation and test files require the training text. Use --source and --target.")
        return cls(train, pairs["valid"], pairs["test"])


EXERCISE = TextFiles(Path("data/exercise/train.en"), Path("data/exercise/train.de"))
FEW_PAIRS = 5_000
"""Minimum number of pairs of the recipe for the smallest corpora."""
RECIPES = ((70_000, "low-resource"), (1_000_000, "medium"))
"""Maximum number of pairs of each recipe for a GPU: the middle between the ranges in their headings."""
CPU_RECIPES = ((15_000, "low-resource-cpu"), (70_000, "small-cpu"))
"""Maximum number of pairs of the recipes for a machine without GPU. Larger corpora have the same recipes as above."""
LONG = 100
"""Number of words above which lines are probably paragraphs."""
BROKEN = 0.5
"""Fraction of pairs with encoding errors above which a file is refused, because its encoding is not UTF-8."""
HELD_OUT = 1_000
HELD_OUT_SHARE = 20
"""Without validation text, 1,000 pairs, or 1 in 20 of a smaller text, are held out for validation and for testing."""


def write_config(
    given: InitFiles,
    *,
    languages: tuple[str | None, str | None],
    held_out: int | None,
    recipe: str | None,
    output: Path | None,
    overwrite: bool,
) -> str:
    """Inspect the text, find files that were not given, or split the text, and return the configuration.

    Raises:
        UsageError: a required file was neither given nor found, or an output file exists already.
        DataError: a file cannot be read, or two sides have unequal lengths.
    """
    _check_output(output, overwrite=overwrite)
    for language, side in zip(languages, ("source", "target"), strict=True):
        if language is not None and not LANGUAGE.match(language):
            raise UsageError(f"--{side}-language {language}: expected a language code, such as en, pt-BR or zh.")
    if recipe is not None and recipe_file(recipe) is None:
        raise UsageError(f"--recipe {recipe}: expected one of {', '.join(recipe_names())}")
    if given.train is None:
        return _exercise(recipe)
    if held_out is not None and (given.valid or given.test):
        raise UsageError("--hold-out excludes --valid-source and --test-source: it creates validation and test files.")
    for files in (given.valid, given.test):
        if files is not None:
            files.read()
    text = _inspect(given.train, languages)
    _warn(text)
    experiment = _split(given, text, held_out, overwrite=overwrite)
    return starting_yaml(experiment, text=text, recipe=recipe or _fitting_here(text.pairs))


def _check_output(output: Path | None, *, overwrite: bool) -> None:
    """Check that the configuration can be written, before any text is split."""
    if output is None:
        return
    require_new_file(output, overwrite=overwrite)
    if output.is_dir():
        raise UsageError(f"-o {output} is a folder. Name a file.")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: no such folder: {output.parent}.")


def _exercise(recipe: str | None) -> str:
    """Return the configuration for the exercise corpus, which need not exist yet."""
    valid, test = (EXERCISE.renamed("train", part) for part in ("valid", "test"))
    text = _inspect(EXERCISE, ("en", "de")) if EXERCISE.exist() else None
    return starting_yaml(
        ExperimentFiles(languages=("en", "de"), train=EXERCISE, valid=valid, tests=[("test", test)]),
        text=text,
        recipe=recipe or "low-resource-cpu",
    )


def _inspect(train: CorpusFiles, languages: tuple[str | None, str | None]) -> CorpusStats:
    """Return statistics of the training text."""
    sample = take_sample(train.pair)
    if not sample.total:
        raise DataError(f"{' and '.join(sample.files)} {'are' if len(sample.files) > 1 else 'is'} empty.")
    if isinstance(train, SingleFile):
        source, target = train.languages
    else:
        source, target = (
            language or language_of(path, side, lines, other=other)
            for path, other, language, side, lines in zip(
                (train.source, train.target),
                (train.target, train.source),
                languages,
                ("source", "target"),
                sample.sides(),
                strict=True,
            )
        )
    for file, message in find_suspicions(train.pair, source, target):
        logger.warning("%s: %s", file, message)
    text = corpus_stats(sample, source_language=source, target_language=target)
    if "wrong encoding" in text.filtered and text.filtered["wrong encoding"] > BROKEN:
        train.read_through()
    return text


def fitting(pairs: int, *, gpu: bool) -> str:
    """Return the name of the recipe for a number of training pairs, with or without a GPU."""
    recipes = RECIPES if gpu else (*CPU_RECIPES, *RECIPES)
    return next((name for limit, name in recipes if pairs <= limit), "large")


def _fitting_here(pairs: int) -> str:
    """Return the name of the recipe for a number of training pairs and this machine."""
    large, small = fitting(pairs, gpu=True), fitting(pairs, gpu=False)
    if small == large:
        return large
    gpu = _has_gpu()
    recipe, here, other, there = (large, "a", small, "no") if gpu else (small, "no", large, "a")
    logger.info("recipe %s for a machine with %s GPU (with %s GPU, use --recipe %s)", recipe, here, there, other)
    return recipe


def _has_gpu() -> bool:
    """Return whether torch finds a CUDA device."""
    from nmt.inference.hardware import may_have_cuda

    if not may_have_cuda():
        return False
    from nmt.device import choose_device  # imports torch

    return choose_device("auto").type == "cuda"


def _split(given: InitFiles, text: CorpusStats, held_out: int | None, *, overwrite: bool) -> ExperimentFiles:
    """Return the files of the experiment: given ones, files beside the training text, or new parts of it."""
    train = given.train
    assert train is not None
    languages = (text.source.language, text.target.language)
    if held_out is not None:
        train, valid, test = hold_out(train, held_out, overwrite=overwrite)
        return ExperimentFiles(languages, train, valid, [("test", test)], in_training=isinstance(train, SingleFile))
    tests: list[tuple[str, CorpusFiles]] = [("test", given.test)] if given.test else find_tests(train)
    valid_files = given.valid or find_valid(train)
    for files in (valid_files, *(test for _, test in tests)):
        if files is not None:
            files.read()
    if valid_files is not None:
        return ExperimentFiles(languages=languages, train=train, valid=valid_files, tests=tests)
    held_out = min(HELD_OUT, max(1, text.pairs // HELD_OUT_SHARE))
    if text.pairs <= 2 * held_out:
        raise UsageError(
            f"no validation text was given or found beside {train.source}, which is too short to be split. Use "
            "--valid-source and --valid-target."
        )
    # --overwrite applies to the configuration only, because the user did not request a split.
    rest, valid, test = hold_out(train, held_out, overwrite=False)
    logger.info(
        "no validation text was given or found beside %s: split off %s pairs for validation (%s, %s) and the same "
        "number for testing (%s, %s)",
        *(train.source, f"{held_out:,}", valid.source, valid.target, test.source, test.target),
    )
    tests.append(("held_out", test))
    return ExperimentFiles(languages, rest, valid, tests, in_training=isinstance(rest, SingleFile))


def _warn(text: CorpusStats) -> None:
    """Warn about properties of a text that lower the quality of translations."""
    if text.pairs < FEW_PAIRS:
        logger.warning(
            "%s pairs are too few for useful translations. The recipes are for %s pairs and more. Add text, or start "
            "from a model trained on other text (nmt train --init-from).",
            *(f"{text.pairs:,}", f"{FEW_PAIRS:,}"),
        )
    for reason, fraction in [*text.filtered.items(), ("duplicate", text.duplicates)]:
        if fraction > 0.1:
            logger.warning("%s of the pairs will be filtered out: %s", f"{fraction:.0%}", reason)
    longest = max(length_in_words(text.source), length_in_words(text.target))
    if longest > LONG:
        logger.warning(
            "1%% of the lines have about %s words or more. Models translate single sentences better.", longest
        )
    files = text.files if len(text.files) == 2 else [f"{text.files[0]} ({side})" for side in ("source", "target")]
    for file, side in zip(files, (text.source, text.target), strict=True):
        guess, declared = language_of_scripts(side.scripts), find_language(side.language)
        seen = find_language(guess or side.language)
        if (seen.unit, seen.bleu_tokenizer) != (declared.unit, declared.bleu_tokenizer):
            logger.warning(
                "%s looks like %s, but its language is %s, which affects word counts and BLEU. Use --source-language "
                "or --target-language.",
                *(file, guess, side.language),
            )


@dataclass(frozen=True)
class ExperimentFiles:
    """The text files of an experiment.

    Attributes:
        languages: language codes of source and target.
        train: the training text.
        valid: the validation text.
        tests: name and files of each test set.
        in_training: whether the training file has the held-out pairs too.
    """

    languages: tuple[str, str]
    train: CorpusFiles
    valid: CorpusFiles
    tests: Sequence[tuple[str, CorpusFiles]]
    in_training: bool = False


def starting_yaml(files: ExperimentFiles, *, text: CorpusStats | None, recipe: str) -> str:
    """Return the configuration: a recipe, with the options that depend on the text, if there are statistics of it."""
    file = recipe_file(recipe)
    assert file is not None
    options = recipe_entries(file)
    if text is not None:
        validation = len(files.valid.read()) if files.valid.exist() else None
        options = changed(options, choices(text, options, validation=validation))
    facts = "" if text is None else _facts(text)
    return f"""\
# An experiment, made from the recipe {recipe} (docs/guide/recipes.md).
# `nmt config show FILE --comments` explains every option.
#
#   nmt config check FILE     check this file
#   nmt train FILE            train a model; the run has the name of this file
#   nmt translate < text      translate with the newest run
#   nmt evaluate              translate the test sets and compute scores
{facts}
{_data(files, text)}
{render(options)}"""


def _facts(text: CorpusStats) -> str:
    """Return the statistics of the text as comments."""
    parts = "" if text.sampled == text.pairs else f" ({text.sampled:,} of them in a sample)"
    files = " and ".join("".join(each if each.isprintable() else "?" for each in file) for file in text.files)
    lines = [f"Statistics of {files}:", f"  {text.pairs:,} pairs{parts}"]
    for side in (text.source, text.target):
        scripts = ", ".join(f"{script} {percent(share)}" for script, share in list(side.scripts.items())[:3])
        half = count(side.lengths.median, side)
        lines.append(f"  {side.language}: {count(side.words, side)}, median length {half}, letters: {scripts}")
    left_out = ", ".join(f"{percent(share)} {reason}" for reason, share in text.filtered.items())
    lines.append(f"  filtered out: {left_out or 'nothing'}, duplicates: {percent(text.duplicates)}")
    return "".join(f"# {line}\n" for line in ["", *lines]).replace("# \n", "#\n")


def _data(files: ExperimentFiles, text: CorpusStats | None) -> str:
    test_lines = "".join(f"    - name: {one_line(name)}\n{_sides(test, '      ')}" for name, test in files.tests)
    filter_lines = "" if text is None else render(filters(text, drop_held_out=files.in_training))
    return f"""\
data:
  source_language: {one_line(files.languages[0])}
  target_language: {one_line(files.languages[1])}
  train: # one entry per corpus; with `weight: 2` its pairs occur twice per epoch
    -{_sides(files.train, "      ")[5:]}\
  valid: # selects the best model, not used for training
{_sides(files.valid, "    ")}\
  test: {"" if files.tests else "[] "}# used by `nmt evaluate` only
{test_lines}{filter_lines}"""


def write_new(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a configuration to a new file, or replace an existing one if that is allowed.

    Raises:
        UsageError: the file exists and `overwrite` is false.
        DataError: the file cannot be written.
    """
    require_new_file(path, overwrite=overwrite)
    write_lines(path, text.removesuffix("\n").split("\n"))


def _sides(files: CorpusFiles, margin: str) -> str:
    entry = files.pair.model_dump(exclude_defaults=True)
    return "".join(f"{margin}{key}: {one_line(value)}\n" for key, value in entry.items())
