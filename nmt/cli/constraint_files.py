"""Files with constraints of translations: prefixes, required and avoided phrases, terminology."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.data.lines import ALL_LINES, LineRange, read_lines
from nmt.errors import DataError, UsageError

if TYPE_CHECKING:
    from nmt.inference.constraints import Terminology
    from nmt.inference.streaming import SourceLine


@dataclass(frozen=True)
class ConstraintFiles:
    """Paths of the constraint files. None means that a file was not given.

    Attributes:
        prefixes: the prefix of each line's translation.
        required: the required phrases of each line, separated by tabs.
        avoid: phrases that no translation may contain, one per line.
        terminology: source term, tab and target term on each line.
    """

    prefixes: Path | None = None
    required: Path | None = None
    avoid: Path | None = None
    terminology: Path | None = None

    def require_one_text(self) -> None:
        """Check that no file has constraints of the lines of one text.

        Raises:
            UsageError: there is such a file.
        """
        for option, path in (("--prefixes", self.prefixes), ("--required", self.required)):
            if path is not None:
                raise UsageError(f"{option} requires a single text: its lines belong to the lines of one file.")

    def read_avoided(self) -> list[str]:
        """Return the avoided phrases.

        Raises:
            DataError: the file cannot be read.
        """
        phrases = (line.strip() for line in _read(self.avoid))
        return [phrase for phrase in phrases if phrase]

    def read_terminology(self) -> Terminology | None:
        """Return the terminology.

        Raises:
            DataError: the file cannot be read, or is malformed.
        """
        if self.terminology is None:
            return None
        from nmt.inference.constraints import read_terminology

        return read_terminology(self.terminology)

    def digests(self) -> dict[str, str | None]:
        """Return a digest of each file that holds for all lines, by option. That of a pipe, read once, is unknown.

        Raises:
            DataError: a file cannot be read.
        """
        return {
            option: None if path is None else _digest(path) if path.is_file() else "unknown"
            for option, path in (("--avoid", self.avoid), ("--terminology", self.terminology))
        }

    def attach(self, lines: Iterable[SourceLine], block: LineRange = ALL_LINES) -> Iterator[SourceLine]:
        """Yield the lines of a text with their own constraints.

        Args:
            lines: all lines of a block of the text, numbered.
            block: the block.

        Raises:
            DataError: a constraint file is longer or shorter than the text.
        """
        if self.prefixes is None and self.required is None:
            yield from lines
            return
        columns = zip_longest(lines, islice(_read(self.prefixes), *block), islice(_read(self.required), *block))
        for number, (line, prefix, required) in enumerate(columns, block.first + 1):
            for path, value in ((self.prefixes, prefix), (self.required, required)):
                if path is not None and (line is None or value is None):
                    raise _unequal(path, number, text_ended=line is None)
            phrases = tuple(phrase.strip() for phrase in (required or "").split("\t"))
            yield replace(line, prefix=prefix or "", required=tuple(filter(None, phrases)))


def _unequal(path: Path, number: int, *, text_ended: bool) -> DataError:
    short = "the text" if text_ended else str(path)
    return DataError(f"{path} must have one line for each line of the text, but {short} has no line {number}.")


def _digest(path: Path) -> str:
    import hashlib  # loads OpenSSL, which few translations need

    digest = hashlib.sha256()
    for line in _read(path):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _read(path: Path | None) -> Iterator[str]:
    """Yield the lines of a file, or nothing without a file."""
    return iter(()) if path is None else read_lines(path, keep_broken=False)
