"""The text files that a configuration is made for: found by their names, or split off from one text."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt.config.conflicts import LANGUAGE
from nmt.config.schema import PairConfig
from nmt.data.corpus import inspect_pair, read_parallel
from nmt.data.lines import read_lines, write_lines
from nmt.data.writing_systems import characters_of, language_of_scripts, scripts_of
from nmt.errors import UsageError
from nmt.log import logger

PACKED = (".gz", ".bz2", ".xz", ".zst")
VALID_NAMES = ("valid", "val", "dev", "validation", "tune")
"""What files of validation text are called, instead of `train`."""
NO_LANGUAGES = ("txt", "src", "tgt", "trg")
"""Endings that look like language codes and are none."""


@dataclass(frozen=True)
class TextFiles:
    """The two sides of a parallel text."""

    source: Path
    target: Path

    def renamed(self, old: str, new: str) -> TextFiles:
        """The files whose names have `new` in place of `old`."""
        return TextFiles(*(side.with_name(side.name.replace(old, new, 1)) for side in (self.source, self.target)))

    def are_called(self, word: str) -> bool:
        """Whether both names have this word in them."""
        return word in self.source.name and word in self.target.name

    def read(self) -> list[tuple[str, str]]:
        """All pairs of a small text, to see that it can be used.

        Raises:
            DataError: a file cannot be read or is no UTF-8, the two are of unequal length, or there is no line.
        """
        return read_parallel(PairConfig(source=str(self.source), target=str(self.target)))

    def read_through(self) -> None:
        """Read a text of any size, to see that all of it can be read.

        Raises:
            DataError: a file cannot be read, or is not UTF-8.
        """
        for side in (self.source, self.target):
            deque(read_lines(side, keep_broken=False), maxlen=0)

    def exist(self) -> bool:
        """Whether both files are there."""
        return self.source.is_file() and self.target.is_file()

    def packed_or_not(self) -> TextFiles:
        """The files of these names that are there, whether they are packed or not."""
        return TextFiles(*(_packed_or_not(side) for side in (self.source, self.target)))


def _unpacked(path: Path) -> Path:
    """A path without the ending of packed files."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def _packed_or_not(path: Path) -> Path:
    """The file of this name that is there, whether it is packed or not; the path itself if there is none."""
    plain = _unpacked(path)
    names = (path, plain, *(plain.with_name(plain.name + ending) for ending in PACKED))
    return next((each for each in names if each.is_file()), path)


def language_of(path: Path, side: str, lines: Iterable[str]) -> str:
    """The language code that a file's name ends in, or the language whose script its lines are written in.

    Raises:
        UsageError: the name ends in something else, and the script is that of many languages.
    """
    code = _unpacked(path).suffix.removeprefix(".")
    if LANGUAGE.match(code) and code.lower() not in NO_LANGUAGES:
        return code
    scripts = scripts_of(characters_of(lines))
    guess = language_of_scripts(scripts)
    if guess is None:
        raise UsageError(
            f"{path}: the name does not end in a language code; give it with --{side}-language, such as en"
        )
    logger.info("%s is taken to be %s, as it is written in %s", path, guess, next(iter(scripts)))
    return guess


def find_valid(train: TextFiles) -> TextFiles | None:
    """The validation files beside the training files, by their names."""
    if not train.are_called("train"):
        return None
    candidates = (train.renamed("train", name).packed_or_not() for name in VALID_NAMES)
    return next((files for files in candidates if files.exist()), None)


def find_tests(train: TextFiles) -> list[tuple[str, TextFiles]]:
    """Names and files of the test sets beside the training files, by their names."""
    if not train.are_called("train"):
        return []
    before, _, after = _unpacked(train.source).name.partition("train")
    found: dict[str, TextFiles] = {}
    for path in sorted(map(_unpacked, train.source.parent.glob("*"))):
        if path.name.startswith(f"{before}test") and path.name.endswith(after):
            name = path.name[len(before) : len(path.name) - len(after)]
            files = train.renamed("train", name).packed_or_not()
            if files.exist():
                found[name.strip("._-")] = files
    return list(found.items())


def hold_out(train: TextFiles, count: int, *, overwrite: bool) -> tuple[TextFiles, TextFiles, TextFiles]:
    """Split a text in three: `count` pairs each, taken evenly from all over it, for validation and test; the rest.

    What is held out does not stand in the rest a second time, and is blank on neither side.

    Returns:
        The files for training, validation and test, beside the given ones: `text.en` gives `text.train.en` and so on.

    Raises:
        UsageError: such files are there already, or the text is too short.
        DataError: a file cannot be read or written, or the two are of unequal length.
    """
    inspect_pair(PairConfig(source=str(train.source), target=str(train.target)))  # of equal length

    def pairs() -> Iterator[tuple[int | None, tuple[str, str]]]:
        """All pairs, those that may be held out with a number."""
        sides = (read_lines(side, keep_broken=False) for side in (train.source, train.target))
        numbers = itertools.count()
        for pair in zip(*sides, strict=True):
            yield next(numbers) if all(map(str.strip, pair)) else None, pair

    # What cannot be read is found here, before anything is written.
    total = sum(number is not None for number, _ in pairs())
    if total <= 2 * count:
        raise UsageError(f"{train.source} has {total:,} pairs, too few to hold out {count:,} twice; hold out fewer")
    if total < 10 * count:
        logger.warning("only %s of %s pairs are left to learn from", f"{total - 2 * count:,}", f"{total:,}")
    parts = ("train", "valid", "test")
    files = {part: TextFiles(*(_with_part(side, part) for side in (train.source, train.target))) for part in parts}
    for path in (side for part in files.values() for side in (part.source, part.target)):
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already; {_way_out(files)}")
    stride = total // count
    numbers = {"valid": range(0, stride * count, stride), "test": range(stride // 2, stride * count, stride)}

    def part_of(number: int | None) -> str:
        return next((part for part, chosen in numbers.items() if number in chosen), "train")

    held_out = {_plain(pair) for number, pair in pairs() if part_of(number) != "train"}
    for part, outcome in files.items():
        for column, path in enumerate((outcome.source, outcome.target)):
            chosen = (pair for number, pair in pairs() if part_of(number) == part)
            write_lines(path, (pair[column] for pair in chosen if part != "train" or _plain(pair) not in held_out))
    return files["train"], files["valid"], files["test"]


def _plain(pair: tuple[str, str]) -> tuple[str, str]:
    """A pair without regard to spaces."""
    return " ".join(pair[0].split()), " ".join(pair[1].split())


def _way_out(files: dict[str, TextFiles]) -> str:
    """What to do about parts that are there already."""
    train = files["train"]
    again = f"if the text was split before, give --source {train.source} --target {train.target}; if not, "
    whole = all(part.exist() for part in files.values())
    return f"{again if whole else ''}move it away, or replace it with --hold-out N --overwrite"


def _with_part(path: Path, part: str) -> Path:
    """`corpus.en.gz` as `corpus.train.en.gz`."""
    endings = path.suffixes[-2:] if path.suffix.lower() in PACKED else path.suffixes[-1:]
    stem = path.name[: len(path.name) - sum(map(len, endings))]
    return path.with_name(f"{stem}.{part}{''.join(endings)}")
