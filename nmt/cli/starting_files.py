"""The text files that a configuration is made for: found by their names, or split off from one text."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from nmt.config.checks import LANGUAGE
from nmt.config.schema import Pair
from nmt.errors import UsageError
from nmt.log import logger

PACKED = (".gz", ".bz2", ".xz", ".zst")
VALID_NAMES = ("valid", "val", "dev", "validation", "tune")
"""What files of validation text are called, instead of `train`."""


@dataclass(frozen=True)
class TextFiles:
    """The two sides of a parallel text."""

    source: Path
    target: Path

    def renamed(self, old: str, new: str) -> TextFiles:
        """The files whose names have `new` in place of `old`."""
        return TextFiles(*(side.with_name(side.name.replace(old, new, 1)) for side in (self.source, self.target)))

    def exist(self) -> bool:
        """Whether both files are there."""
        return self.source.is_file() and self.target.is_file()


def language_of(path: Path, side: str) -> str:
    """The language code that a file's name ends in.

    Raises:
        UsageError: it ends in something else.
    """
    name = path.with_suffix("") if path.suffix.lower() in PACKED else path
    code = name.suffix.removeprefix(".")
    if not LANGUAGE.match(code) or code == "txt":
        raise UsageError(
            f"{path}: the name does not end in a language code; give it with --{side}-language, such as en"
        )
    return code


def find_valid(train: TextFiles) -> TextFiles | None:
    """The validation files beside the training files, by their names."""
    candidates = (train.renamed("train", name) for name in VALID_NAMES) if "train" in train.source.name else ()
    return next((files for files in candidates if files != train and files.exist()), None)


def find_tests(train: TextFiles) -> list[tuple[str, TextFiles]]:
    """Names and files of the test sets beside the training files, by their names."""
    before, word, after = train.source.name.partition("train")
    found = []
    for path in sorted(train.source.parent.glob("*")) if word else ():
        if path.name.startswith(f"{before}test") and path.name.endswith(after):
            name = path.name[len(before) : len(path.name) - len(after)]
            files = train.renamed("train", name)
            if files.exist():
                found.append((name.strip("._-"), files))
    return found


def hold_out(train: TextFiles, count: int, *, overwrite: bool) -> tuple[TextFiles, TextFiles, TextFiles]:
    """Split a text in three: `count` pairs each, taken evenly from all over it, for validation and test; the rest.

    Returns:
        The files for training, validation and test, beside the given ones: `text.en` gives `text.train.en` and so on.

    Raises:
        UsageError: such files are there already, or the text is too short.
        DataError: a file cannot be read or written, or the two are of unequal length.
    """
    from nmt.data.corpus import inspect_pair
    from nmt.data.lines import read_lines, write_lines

    total = inspect_pair(Pair(source=str(train.source), target=str(train.target)))[0].lines
    if total <= 2 * count:
        raise UsageError(f"{train.source} has {total:,} lines, too few to hold out {count:,} twice; hold out fewer")
    if total < 10 * count:
        logger.warning("only %s of %s pairs are left to learn from", f"{total - 2 * count:,}", f"{total:,}")
    parts = ("train", "valid", "test")
    files = {part: TextFiles(*(_with_part(side, part) for side in (train.source, train.target))) for part in parts}
    for path in (side for part in files.values() for side in (part.source, part.target)):
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already; move it away, or replace it with --overwrite")
    for side in (train.source, train.target):
        deque(read_lines(side, keep_broken=False), maxlen=0)  # what cannot be read is found before anything is written
    stride = total // count
    rows = {"valid": range(0, stride * count, stride), "test": range(stride // 2, stride * count, stride)}
    for part, outcome in files.items():
        for text, path in ((train.source, outcome.source), (train.target, outcome.target)):
            lines = enumerate(read_lines(text, keep_broken=False))
            if part == "train":
                write_lines(path, (line for row, line in lines if row not in rows["valid"] and row not in rows["test"]))
            else:
                write_lines(path, (line for row, line in lines if row in rows[part]))
    return files["train"], files["valid"], files["test"]


def _with_part(path: Path, part: str) -> Path:
    """`corpus.en.gz` as `corpus.train.en.gz`."""
    endings = path.suffixes[-2:] if path.suffix.lower() in PACKED else path.suffixes[-1:]
    stem = path.name[: len(path.name) - sum(map(len, endings))]
    return path.with_name(f"{stem}.{part}{''.join(endings)}")
