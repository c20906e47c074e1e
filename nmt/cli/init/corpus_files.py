"""Text files of an experiment: found by their names, or split off from the training text."""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.config.conflicts import LANGUAGE
from nmt.config.schema import SINGLE_FILES, PairConfig
from nmt.data.corpus import MalformedLine, inspect_pair, read_parallel, read_training
from nmt.data.languages import is_known_language
from nmt.data.lines import read_lines, write_lines
from nmt.data.preprocess.filters import is_broken
from nmt.data.sources import read_records
from nmt.data.words import comparable
from nmt.data.writing_systems import characters_of, language_of_scripts, scripts_of
from nmt.errors import UsageError
from nmt.log import logger

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
VALID_NAMES = ("valid", "val", "dev", "validation", "tune")
"""Names of validation files, in place of `train`."""
NO_LANGUAGES = ("txt", "text", "src", "tgt", "trg", "tok", "detok", "tc", "lc", "true", "bpe", "raw", "norm", "clean")
"""Suffixes that are not language codes. Another suffix may come before them, as in `corpus.en.txt`."""
NAMED = re.compile(r"([A-Za-z]{2,3})(?:[-_](?:[A-Za-z]{4}|[A-Za-z]{2}|[0-9]{3}))*")
"""A code with script or region, in a name where other words are possible too."""


@dataclass(frozen=True)
class TextFiles:
    """The two files of a parallel text."""

    source: Path
    target: Path

    def renamed(self, old: str, new: str) -> TextFiles:
        """Return the files whose names have `new` in place of `old`."""
        return TextFiles(*(side.with_name(side.name.replace(old, new, 1)) for side in (self.source, self.target)))

    def are_called(self, word: str) -> bool:
        """Whether both file names contain a word."""
        return word in self.source.name and word in self.target.name

    @property
    def pair(self) -> PairConfig:
        """The text as an entry of a configuration."""
        return PairConfig(source=str(self.source), target=str(self.target))

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield all pairs.

        Raises:
            DataError: a file cannot be read, or is not UTF-8.
        """
        sources, targets = (read_lines(side, keep_broken=False) for side in (self.source, self.target))
        return zip(sources, targets, strict=True)

    def read(self) -> list[tuple[str, str]]:
        """Return all pairs of a small text.

        Raises:
            DataError: a file cannot be read, is not UTF-8 or is empty, or the files have unequal lengths.
        """
        return read_parallel(self.pair)

    def read_through(self) -> None:
        """Check that all of a text can be read.

        Raises:
            DataError: a file cannot be read, or is not UTF-8.
        """
        for side in (self.source, self.target):
            deque(read_lines(side, keep_broken=False), maxlen=0)

    def exist(self) -> bool:
        """Whether both files exist."""
        return self.source.is_file() and self.target.is_file()

    def compressed_or_not(self) -> TextFiles:
        """Return the files that exist under these names, compressed or not."""
        return TextFiles(*(_compressed_or_not(side) for side in (self.source, self.target)))


@dataclass(frozen=True)
class SingleFile:
    """A parallel text in one file, such as TMX.

    Attributes:
        source: the file, which has both sides.
        pair: the file as an entry of a configuration.
        languages: language codes of both sides, which name the held-out files.
    """

    source: Path
    pair: PairConfig
    languages: tuple[str, str]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield all records. A record that is not a pair, or is not UTF-8, has blank sides."""
        for record in read_training(self.pair):
            if isinstance(record, MalformedLine) or any(map(is_broken, record)):
                yield "", ""
            else:
                yield record

    def renamed(self, old: str, new: str) -> SingleFile:
        """Return the file whose name has `new` in place of `old`."""
        return self._at(self.source.with_name(self.source.name.replace(old, new, 1)))

    def are_called(self, word: str) -> bool:
        """Whether the file name contains a word."""
        return word in self.source.name

    def exist(self) -> bool:
        """Whether the file exists."""
        return self.source.is_file()

    def compressed_or_not(self) -> SingleFile:
        """Return the file that exists under this name, compressed or not."""
        return self._at(_compressed_or_not(self.source))

    def _at(self, path: Path) -> SingleFile:
        kind = next(key for key in SINGLE_FILES if getattr(self.pair, key) is not None)
        return SingleFile(path, self.pair.model_copy(update={kind: str(path)}), self.languages)

    def read(self) -> list[tuple[str, str]]:
        """Return all pairs of a small text; see `read_parallel`.

        Raises:
            DataError: the file cannot be read, or a record is not a pair.
        """
        return read_parallel(self.pair)

    def read_through(self) -> None:
        """Check that all of a text can be read; see `TextFiles.read_through`."""
        if "csv" in self.pair.model_fields_set or "jsonl" in self.pair.model_fields_set:
            deque(read_records(self.pair, keep_broken=False), maxlen=0)


CorpusFiles = TextFiles | SingleFile


def without_compression(path: Path) -> Path:
    """Return a path without the suffix of a compressed file."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path


def _compressed_or_not(path: Path) -> Path:
    """Return the file that exists under this name, compressed or not, or the path itself."""
    plain = without_compression(path)
    names = (path, plain, *(plain.with_name(plain.name + ending) for ending in COMPRESSED))
    return next((each for each in names if each.is_file()), path)


def language_of(path: Path, side: str, lines: Iterable[str], *, other: Path | None = None) -> str:
    """Return the language code in the name of a file, or the language of the script of its lines.

    Args:
        path: the file. Names such as `train.en`, `corpus.en.txt`, `train.ko.tok` and `dzo_Tibt` have a code.
        side: `source` or `target`.
        lines: the text.
        other: the file of the other side. A code where the two names differ is found too, as in `text_en.txt` and
            `text_yo.txt`, or in `ba/1.txt` and `ru/1.txt`.

    Raises:
        UsageError: the name has no language code, and several languages have the script.
    """
    plain = without_compression(path)
    suffix = plain.suffix.removeprefix(".")
    if LANGUAGE.match(suffix) and suffix.lower() not in NO_LANGUAGES:
        return suffix
    while plain.suffix.removeprefix(".").lower() in NO_LANGUAGES:
        plain = plain.with_suffix("")
    candidates = [plain.suffix.removeprefix("."), plain.name] + ([] if other is None else _differing(plain, other))
    for code in candidates:
        match = NAMED.fullmatch(code)
        if match is not None and is_known_language(match[1]):
            logger.info("assuming that %s is %s, because of its name", path, code)
            return code.lower() if code.isupper() else code
    scripts = scripts_of(characters_of(lines))
    guess = language_of_scripts(scripts)
    if guess is None:
        raise UsageError(f"{path}: the name has no language code. Use --{side}-language CODE, such as en.")
    logger.info("assuming that %s is %s, because it is in %s script", path, guess, next(iter(scripts)))
    return guess


def _differing(path: Path, other: Path) -> list[str]:
    """Return the parts of a name that differ from the name of the other side, from the last to the first."""
    parts, others = (re.split("[-_.]", each.name) for each in (path, other))
    if path.name == without_compression(other).stem or path.name == other.name:
        return [path.parent.name]
    pairs = list(zip(parts, others, strict=False))
    return [part for part, theirs in reversed(pairs) if part != theirs]


def find_valid(train: CorpusFiles) -> CorpusFiles | None:
    """Return the validation files beside the training files, found by their names, or None."""
    if not train.are_called("train"):
        return None
    candidates = (train.renamed("train", name).compressed_or_not() for name in VALID_NAMES)
    return next((files for files in candidates if files.exist()), None)


def find_tests(train: CorpusFiles) -> list[tuple[str, CorpusFiles]]:
    """Return names and files of the test sets beside the training files, found by their names."""
    if not train.are_called("train"):
        return []
    before, _, after = without_compression(train.source).name.partition("train")
    tests: dict[str, CorpusFiles] = {}
    for path in sorted(map(without_compression, train.source.parent.glob("*"))):
        if path.name.startswith(f"{before}test") and path.name.endswith(after):
            name = path.name[len(before) : len(path.name) - len(after)]
            files = train.renamed("train", name).compressed_or_not()
            if files.exist():
                tests[name.strip("._-")] = files
    return list(tests.items())


def hold_out(train: CorpusFiles, count: int, *, overwrite: bool) -> tuple[CorpusFiles, TextFiles, TextFiles]:
    """Split a text into training, validation and test files.

    Validation and test get `count` pairs each, spread evenly over the text, without blank sides. Their sources and
    targets occur only once in the text. In a text with too few such pairs, other pairs are held out too, and training
    pairs with the same source or target are removed. Equivalent spellings are equal.

    A text in one file stays the training text. Only the held-out pairs are copied, and the configuration needs
    `data.filters.drop_held_out`.

    Returns:
        The files for training, validation and test, beside the given ones: `text.train.en` and so on for `text.en`.

    Raises:
        UsageError: such files exist already, or the text is too short.
        DataError: a file cannot be read or written, or the files have unequal lengths.
    """
    inspect_pair(train.pair)  # of equal length

    # The text is read completely before a file is written, so that an error leaves no files.
    eligible = _eligible(train, count)
    total = int(np.count_nonzero(eligible))
    if total <= 2 * count:
        raise UsageError(f"{train.source} has {total:,} pairs, too few for --hold-out {count:,}. Use a smaller number.")
    files = _part_files(train)
    for path in (side for part in files.values() for side in (part.source, part.target)):
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already. {_advice(files)}")
    part_of = _split(train, eligible, count)
    remaining = int(np.count_nonzero(part_of == TRAIN))
    if remaining < 8 * count:
        logger.warning("only %s of %s pairs remain for training", f"{remaining:,}", f"{len(part_of):,}")
    removed = int(np.count_nonzero(part_of == REMOVED))
    if removed:
        logger.warning(
            "%s training pairs were removed, because their source or target is in the validation or test text",
            f"{removed:,}",
        )
    for part, outcome in files.items():
        for column, path in enumerate((outcome.source, outcome.target)):
            write_lines(
                path,
                (
                    pair[column]
                    for pair, number in zip(train.pairs(), part_of, strict=True)
                    if number == PART_NUMBERS[part]
                ),
            )
    return files.get("train", train), files["valid"], files["test"]


def _part_files(train: CorpusFiles) -> dict[str, TextFiles]:
    """Return the new files by part. A text in one file has none for training."""
    if isinstance(train, TextFiles):
        sides = (train.source, train.target)
        return {part: TextFiles(*(_with_part(side, part) for side in sides)) for part in PART_NUMBERS}
    stem = without_compression(train.source).with_suffix("")
    return {
        part: TextFiles(*(stem.with_name(f"{stem.name}.{part}.{language}") for language in train.languages))
        for part in PART_NUMBERS
        if part != "train"
    }


TRAIN, VALID, TEST, REMOVED = range(4)
"""Parts of a text in `_split`."""
PART_NUMBERS = {"train": TRAIN, "valid": VALID, "test": TEST}


def _split(train: CorpusFiles, eligible: NDArray[np.bool_], count: int) -> NDArray[np.int8]:
    """Return the part of each pair: TRAIN, VALID, TEST, or REMOVED if one of its sides is in VALID or TEST."""
    numbers = np.flatnonzero(eligible)
    stride = len(numbers) // count
    part_of = np.full(len(eligible), TRAIN, dtype=np.int8)
    part_of[numbers[: stride * count : stride]] = VALID
    part_of[numbers[stride // 2 : stride * count : stride]] = TEST
    held_out = [_plain(pair) for pair, part in zip(train.pairs(), part_of, strict=True) if part != TRAIN]
    sources, targets = {source for source, _ in held_out}, {target for _, target in held_out}
    for number, pair in enumerate(train.pairs()):
        source, target = _plain(pair)
        if part_of[number] == TRAIN and (source in sources or target in targets):
            part_of[number] = REMOVED
    return part_of


def _eligible(train: CorpusFiles, count: int) -> NDArray[np.bool_]:
    """Return which pairs of a text can be held out.

    These are the pairs without a blank side whose source and target occur only once in the text. If there are not
    enough for `count` validation and `count` test pairs, they are all pairs without a blank side.
    """
    filled, hashes = array("b"), (array("q"), array("q"))
    for pair in train.pairs():
        filled.append(all(map(str.strip, pair)))
        for column, text in zip(hashes, _plain(pair), strict=True):
            column.append(hash(text))
    whole: NDArray[np.bool_] = np.array(filled, dtype=np.bool_)
    once = whole.copy()
    for column in hashes:
        _, where, repeats = np.unique(np.array(column, dtype=np.int64), return_inverse=True, return_counts=True)
        once &= repeats[where] == 1
    return once if np.count_nonzero(once) > 2 * count else whole


def _plain(pair: tuple[str, str]) -> tuple[str, str]:
    """Return a pair in the form in which lines are compared."""
    return comparable(pair[0]), comparable(pair[1])


def _advice(files: dict[str, TextFiles]) -> str:
    """Return a hint for parts that exist already."""
    train = files.get("train")
    whole = all(part.exist() for part in files.values())
    if train is None or not whole:
        return "Move it, or replace it with --hold-out N --overwrite."
    return (
        f"If the text was split before, use --source {train.source} --target {train.target}. Otherwise move it, or "
        "replace it with --hold-out N --overwrite."
    )


def _with_part(path: Path, part: str) -> Path:
    """Return the name of a part, such as `corpus.train.en.gz` for `corpus.en.gz`."""
    endings = path.suffixes[-2:] if path.suffix.lower() in COMPRESSED else path.suffixes[-1:]
    stem = path.name[: len(path.name) - sum(map(len, endings))]
    return path.with_name(f"{stem}.{part}{''.join(endings)}")
