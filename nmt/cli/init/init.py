"""A configuration to start from, made for given text files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nmt.cli.init.choices import choices, count, filters, percent
from nmt.cli.init.corpus_files import TextFiles, find_tests, find_valid, hold_out, language_of
from nmt.cli.init.yaml_text import changed, recipe_entries, render
from nmt.cli.options import require_new_file
from nmt.config.conflicts import LANGUAGE
from nmt.config.dump import one_line
from nmt.config.inheritance import recipe_file, recipe_names
from nmt.config.schema import PairConfig
from nmt.data.languages import find_language
from nmt.data.preprocess.corpus_stats import CorpusStats, corpus_stats, length_in_words
from nmt.data.sample import take_sample
from nmt.data.writing_systems import language_of_scripts
from nmt.errors import DataError, UsageError
from nmt.log import logger


@dataclass(frozen=True)
class InitFiles:
    """The files that a configuration is made for, as far as they are given."""

    train: TextFiles | None
    valid: TextFiles | None
    test: TextFiles | None

    @classmethod
    def given(cls, **sides: tuple[Path | None, Path | None]) -> InitFiles:
        """Pair the files given on the command line as `train`, `valid` and `test`.

        Raises:
            UsageError: one side is given without the other, or there is no training text for them.
        """
        pairs: dict[str, TextFiles | None] = {}
        for purpose, (source, target) in sides.items():
            if (source is None) != (target is None):
                prefix = "--" if purpose == "train" else f"--{purpose}-"
                raise UsageError(f"{prefix}source and {prefix}target go together; give both")
            if source is not None and source == target:
                raise UsageError(f"{source} is given as both sides; name the file of each")
            pairs[purpose] = None if source is None or target is None else TextFiles(source, target)
        if pairs["train"] is None and (pairs["valid"] or pairs["test"]):
            raise UsageError("the training text is missing; give it with --source and --target")
        return cls(**pairs)


EXERCISE = TextFiles(Path("data/exercise/train.en"), Path("data/exercise/train.de"))
FEW_PAIRS = 5_000
"""With fewer pairs even the recipe for little text has little to work with."""
RECIPES = ((70_000, "low-resource"), (1_000_000, "medium"))
"""How many pairs each recipe is for at most. Between the ranges that their headings name, the middle decides."""
CPU_RECIPES = ((15_000, "low-resource-cpu"), (70_000, "small-cpu"))
"""The same of those for a machine without GPU; for more pairs they are the same."""
LONG = 100
"""More words than sentences have."""
BROKEN = 0.5
"""Share of pairs in another encoding: so many are no accident, and there is no use in leaving them out."""
HELD_OUT = 1_000
HELD_OUT_SHARE = 20
"""Where no validation text is found, 1,000 pairs become it, or one in 20 of a smaller text; and as many the test."""


def write_config(
    given: InitFiles,
    *,
    languages: tuple[str | None, str | None],
    held_out: int | None,
    recipe: str | None,
    output: Path | None,
    overwrite: bool,
) -> str:
    """Look at the text, find what is not given, hold out text if there is none, and return the configuration.

    Raises:
        UsageError: something needed is neither given nor found, or a file to be written is there.
        DataError: a file cannot be read, or two sides are of unequal length.
    """
    _check_output(output, overwrite=overwrite)
    for language, side in zip(languages, ("source", "target"), strict=True):
        if language is not None and not LANGUAGE.match(language):
            raise UsageError(f"--{side}-language: {language!r} is no language code; write one such as en, pt-BR or zh")
    if recipe is not None and recipe_file(recipe) is None:
        raise UsageError(f"there is no recipe {recipe}; recipes are: {', '.join(recipe_names())}")
    if given.train is None:
        return _exercise(recipe)
    if held_out is not None and (given.valid or given.test):
        raise UsageError("--hold-out makes validation and test files; it does not go with given ones")
    for files in (given.valid, given.test):
        if files is not None:
            files.read()
    text = _look(given.train, languages)
    _warn(text)
    experiment = _split(given, text, held_out, overwrite=overwrite)
    return starting_yaml(experiment, text=text, recipe=recipe or _fitting_here(text.pairs))


def _check_output(output: Path | None, *, overwrite: bool) -> None:
    """Find what keeps the configuration from being written before any text is split."""
    if output is None:
        return
    require_new_file(output, overwrite=overwrite)
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name the file to be written")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: there is no folder {output.parent}")


def _exercise(recipe: str | None) -> str:
    """The configuration for the exercise corpus, which need not be there yet."""
    valid, test = (EXERCISE.renamed("train", part) for part in ("valid", "test"))
    text = _look(EXERCISE, ("en", "de")) if EXERCISE.exist() else None
    return starting_yaml(
        ExperimentFiles(languages=("en", "de"), train=EXERCISE, valid=valid, tests=[("test", test)]),
        text=text,
        recipe=recipe or "low-resource-cpu",
    )


def _look(train: TextFiles, languages: tuple[str | None, str | None]) -> CorpusStats:
    """See what the training text is like."""
    sample = take_sample(PairConfig(source=str(train.source), target=str(train.target)))
    if not sample.total:
        raise DataError(f"{train.source} and {train.target} have no lines")
    source, target = (
        language or language_of(path, side, lines)
        for path, language, side, lines in zip(
            (train.source, train.target), languages, ("source", "target"), sample.sides(), strict=True
        )
    )
    text = corpus_stats(sample, source_language=source, target_language=target)
    if "wrong encoding" in text.filtered and text.filtered["wrong encoding"] > BROKEN:
        train.read_through()
    return text


def fitting(pairs: int, *, gpu: bool) -> str:
    """The name of the recipe for so many training pairs, on a machine with a GPU or without."""
    recipes = RECIPES if gpu else (*CPU_RECIPES, *RECIPES)
    return next((name for most, name in recipes if pairs <= most), "large")


def _fitting_here(pairs: int) -> str:
    """The name of the recipe for so many training pairs and this machine."""
    large, small = fitting(pairs, gpu=True), fitting(pairs, gpu=False)
    if small == large:
        return large
    from nmt.device import choose_device  # takes seconds: it imports torch

    gpu = choose_device("auto").type == "cuda"
    found, here, others, there = (large, "a GPU", small, "none") if gpu else (small, "no GPU", large, "one")
    logger.info("there is %s here: the recipe %s; for a machine with %s: --recipe %s", here, found, there, others)
    return found


def _split(given: InitFiles, text: CorpusStats, held_out: int | None, *, overwrite: bool) -> ExperimentFiles:
    """The files of the experiment: given ones, those beside the training text, or new ones that are split from it."""
    train = given.train
    assert train is not None
    languages = (text.source.language, text.target.language)
    if held_out is not None:
        train, valid, test = hold_out(train, held_out, overwrite=overwrite)
        return ExperimentFiles(languages=languages, train=train, valid=valid, tests=[("test", test)])
    tests = [("test", given.test)] if given.test else find_tests(train)
    found = given.valid or find_valid(train)
    for files in (found, *(test for _, test in tests)):
        if files is not None:
            files.read()
    if found is not None:
        return ExperimentFiles(languages=languages, train=train, valid=found, tests=tests)
    held_out = min(HELD_OUT, max(1, text.pairs // HELD_OUT_SHARE))
    if text.pairs <= 2 * held_out:
        raise UsageError(
            f"no validation text was given, nor found beside {train.source}, which is too short to set some aside: "
            "give it with --valid-source and --valid-target (--hold-out needs more lines)"
        )
    # --overwrite is for the configuration: files that were not asked for replace nothing.
    rest, valid, test = hold_out(train, held_out, overwrite=False)
    logger.info(
        "no validation text was given, nor found beside %s: %s pairs are set aside in %s and %s, and as many for a "
        "test in %s and %s",
        *(train.source, f"{held_out:,}", valid.source, valid.target, test.source, test.target),
    )
    return ExperimentFiles(languages=languages, train=rest, valid=valid, tests=[*tests, ("held_out", test)])


def _warn(text: CorpusStats) -> None:
    """Say what about a text is likely to spoil the result."""
    if text.pairs < FEW_PAIRS:
        logger.warning(
            "%s pairs are too few to learn a translation from; the recipes are made for %s and more. Look for more "
            "text, or start from a model that has learnt from other text (nmt train --init-from)",
            *(f"{text.pairs:,}", f"{FEW_PAIRS:,}"),
        )
    for reason, share in [*text.filtered.items(), ("duplicate", text.duplicates)]:
        if share > 0.1:
            logger.warning("%s of the pairs will be left out in training: %s", f"{share:.0%}", reason)
    longest = max(length_in_words(text.source), length_in_words(text.target))
    if longest > LONG:
        logger.warning(
            "one line in 100 has some %s words or more: translations are better of single sentences", longest
        )
    for file, side in zip(text.files, (text.source, text.target), strict=True):
        guess, declared = language_of_scripts(side.scripts), find_language(side.language)
        seen = find_language(guess or side.language)
        if (seen.unit, seen.bleu_tokenizer) != (declared.unit, declared.bleu_tokenizer):
            logger.warning(
                "%s looks like %s and is said to be %s; words, lengths and BLEU depend on it. Give its language with "
                "--source-language or --target-language",
                *(file, guess, side.language),
            )


@dataclass(frozen=True)
class ExperimentFiles:
    """The text of an experiment; each test set has a name."""

    languages: tuple[str, str]
    train: TextFiles
    valid: TextFiles
    tests: list[tuple[str, TextFiles]]


def starting_yaml(files: ExperimentFiles, *, text: CorpusStats | None, recipe: str) -> str:
    """A configuration for these files: a recipe, and what the text decides, if it has been looked at."""
    file = recipe_file(recipe)
    assert file is not None
    options = recipe_entries(file)
    if text is not None:
        options = changed(options, choices(text, options))
    seen = "" if text is None else _seen(text)
    return f"""\
# An experiment, from the recipe {recipe} (docs/recipes.md).
# `nmt config show FILE --comments` explains every option.
#
#   nmt config check FILE     is everything right?
#   nmt train FILE            train; the run is called like this file
#   nmt translate < text      translate with the newest run
#   nmt evaluate              translate the test sets and score them
{seen}
{_data(files, text)}
{render(options)}"""


def _seen(text: CorpusStats) -> str:
    """What the text is like, as comments."""
    parts = "" if text.sampled == text.pairs else f" ({text.sampled:,} of them looked at)"
    files = " and ".join("".join(each if each.isprintable() else "?" for each in file) for file in text.files)
    lines = [f"What was seen in {files}:", f"  {text.pairs:,} pairs{parts}"]
    for side in (text.source, text.target):
        scripts = ", ".join(f"{script} {percent(share)}" for script, share in list(side.scripts.items())[:3])
        half = count(side.lengths.median, side)
        lines.append(
            f"  {side.language}: {count(side.words, side)}, half of the lines up to {half}; letters: {scripts}"
        )
    left_out = ", ".join(f"{percent(share)} {reason}" for reason, share in text.filtered.items())
    lines.append(f"  left out in training: {left_out or 'nothing'}; {percent(text.duplicates)} repeated")
    return "".join(f"# {line}\n" for line in ["", *lines]).replace("# \n", "#\n")


def _data(files: ExperimentFiles, text: CorpusStats | None) -> str:
    test_lines = "".join(f"    - name: {one_line(name)}\n{_sides(test, '      ')}" for name, test in files.tests)
    filter_lines = "" if text is None else render(filters(text))
    return f"""\
data:
  source_language: {one_line(files.languages[0])}
  target_language: {one_line(files.languages[1])}
  train: # one entry for each corpus; `weight: 2` shows its pairs twice
    -{_sides(files.train, "      ")[5:]}\
  valid: # chooses the best model; never trained on
{_sides(files.valid, "    ")}\
  test: {"" if files.tests else "[] "}# measured by `nmt evaluate`, never looked at before
{test_lines}{filter_lines}"""


def write_new(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a small text file that was not there before, or may be replaced.

    Raises:
        UsageError: the file is there, and may not be replaced.
        DataError: the file cannot be written.
    """
    from nmt.data.lines import write_lines

    require_new_file(path, overwrite=overwrite)
    write_lines(path, text.removesuffix("\n").split("\n"))


def _sides(files: TextFiles, margin: str) -> str:
    return f"{margin}source: {one_line(str(files.source))}\n{margin}target: {one_line(str(files.target))}\n"
