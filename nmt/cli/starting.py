"""A configuration to start from, made for given text files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.cli.options import refuse_existing
from nmt.cli.starting_files import TextFiles, find_tests, find_valid, hold_out, language_of
from nmt.config.dump import one_line
from nmt.config.schema import Pair
from nmt.errors import UsageError


@dataclass(frozen=True)
class StartingFiles:
    """The files that a configuration is made for, as far as they are given."""

    train: TextFiles | None
    valid: TextFiles | None
    test: TextFiles | None

    @classmethod
    def given(cls, **sides: tuple[Path | None, Path | None]) -> StartingFiles:
        """Pair the files given on the command line as `train`, `valid` and `test`.

        Raises:
            UsageError: one side is given without the other, or there is no training text for them.
        """
        pairs: dict[str, TextFiles | None] = {}
        for purpose, (source, target) in sides.items():
            if (source is None) != (target is None):
                prefix = "--" if purpose == "train" else f"--{purpose}-"
                raise UsageError(f"{prefix}source and {prefix}target go together; give both")
            pairs[purpose] = None if source is None or target is None else TextFiles(source, target)
        if pairs["train"] is None and (pairs["valid"] or pairs["test"]):
            raise UsageError("the training text is missing; give it with --source and --target")
        return cls(**pairs)


EXERCISE = TextFiles(Path("data/exercise/train.en"), Path("data/exercise/train.de"))
EXERCISE_PAIRS = 20_000


def start(
    given: StartingFiles,
    *,
    languages: tuple[str | None, str | None],
    held_out: int | None,
    output: Path | None,
    overwrite: bool,
) -> str:
    """Find what is not given, hold out text if that is wished, and return the configuration.

    Raises:
        UsageError: something needed is neither given nor found, or a file to be written is there.
        DataError: a file cannot be read, or two sides are of unequal length.
    """
    from nmt.data.corpus import inspect_pair

    if output is not None:
        refuse_existing(output, overwrite=overwrite)
    train = given.train or EXERCISE
    sides = zip((train.source, train.target), languages, ("source", "target"), strict=True)
    source_language, target_language = (language or language_of(path, side) for path, language, side in sides)
    if given.train is None:
        valid, tests, pairs = (
            EXERCISE.renamed("train", "valid"),
            [("test", EXERCISE.renamed("train", "test"))],
            EXERCISE_PAIRS,
        )
    else:
        pairs = inspect_pair(Pair(source=str(train.source), target=str(train.target)))[0].lines
        tests = [("test", given.test)] if given.test else find_tests(train)
        if held_out is not None:
            if given.valid or given.test:
                raise UsageError("--hold-out makes validation and test files; it does not go with given ones")
            train, valid, test = hold_out(train, held_out, overwrite=overwrite)
            tests = [("test", test)]
        else:
            valid = given.valid or find_valid(train) or _no_valid(train)
    return starting_yaml(
        source_language=source_language,
        target_language=target_language,
        train=train,
        valid=valid,
        tests=tests,
        pairs=pairs,
    )


def _no_valid(train: TextFiles) -> TextFiles:
    raise UsageError(
        f"no validation text found beside {train.source}: give it with --valid-source and --valid-target, or split the "
        "training text with --hold-out 1000"
    )


def write_new(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a small text file that was not there before, or may be replaced.

    Raises:
        UsageError: the file is there, and may not be replaced.
        DataError: the file cannot be written.
    """
    from nmt.data.lines import write_lines

    refuse_existing(path, overwrite=overwrite)
    write_lines(path, text.removesuffix("\n").split("\n"))


@dataclass(frozen=True)
class Size:
    """Options that suit a number of training pairs: less text, fewer pieces, more dropout (Sennrich & Zhang 2019)."""

    pairs: float
    vocabulary_size: int
    dropout: float
    batch_tokens: int


SIZES = (Size(50_000, 4000, 0.3, 2048), Size(500_000, 8000, 0.2, 4096), Size(float("inf"), 16000, 0.1, 8192))


def starting_yaml(
    *,
    source_language: str,
    target_language: str,
    train: TextFiles,
    valid: TextFiles,
    tests: Sequence[tuple[str, TextFiles]],
    pairs: int,
) -> str:
    """A commented configuration for these files, with options that suit `pairs` training pairs."""
    size = next(size for size in SIZES if pairs <= size.pairs)
    test_lines = "".join(f"    - name: {one_line(name)}\n{_sides(files, '      ')}" for name, files in tests)
    return f"""\
# An experiment: all that differs from the defaults. `nmt config show FILE --comments` explains every option.
#
#   nmt config check FILE     is everything right?
#   nmt train FILE            train; the run is called like this file
#   nmt translate < text      translate with the newest run
#   nmt evaluate              translate the test sets and score them

data:
  source_language: {one_line(source_language)}
  target_language: {one_line(target_language)}
  train: # one entry for each corpus; `weight: 2` shows its pairs twice
    -{_sides(train, "      ")[5:]}\
  valid: # chooses the best model and decides when to stop; never trained on
{_sides(valid, "    ")}\
  test: {"" if tests else "[] "}# measured by `nmt evaluate`, never looked at before
{test_lines}
tokenizer:
  vocabulary_size: {size.vocabulary_size} # pieces that words are cut into; fewer for less text

model:
  embedding_size: 256
  encoder:
    layers: 1
    hidden_size: 256 # in each direction
  decoder:
    layers: 1
    hidden_size: 512 # dot attention needs twice the encoder's
  attention:
    score: dot # or general, additive, none
  dropout: # more for less text
    embedding: {size.dropout}
    layers: {size.dropout}
    output: {size.dropout}

training:
  batch_tokens: {size.batch_tokens}
  max_epochs: 50
  optimizer:
    learning_rate: 1e-3
  validation:
    metric: bleu # the best model is the one with the highest BLEU
    patience: 10 # stop when that many validations brought nothing better

decoding:
  beam_size: 5
"""


def _sides(files: TextFiles, margin: str) -> str:
    return f"{margin}source: {one_line(str(files.source))}\n{margin}target: {one_line(str(files.target))}\n"
