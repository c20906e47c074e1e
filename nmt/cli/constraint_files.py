"""Files with constraints of translations: prefixes, required and avoided phrases, terminology."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.data.lines import read_lines
from nmt.errors import DataError

if TYPE_CHECKING:
    from nmt.inference.constraints import Request
    from nmt.inference.mbr import ConsensusTranslator
    from nmt.inference.translator import Translator


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

    def translator(self, translator: Translator | ConsensusTranslator) -> Translator | ConsensusTranslator:
        """Return a translator with the constraints that hold for all lines.

        Raises:
            DataError: a file cannot be read.
            UsageError: the translator does not support constraints.
        """
        if self.avoid is None and self.terminology is None:
            return translator
        from nmt.inference.constraints import read_terminology

        avoid = [] if self.avoid is None else [line.strip() for line in read_lines(self.avoid, keep_broken=False)]
        terminology = None if self.terminology is None else read_terminology(self.terminology)
        return translator.with_phrases(avoid=[phrase for phrase in avoid if phrase], terminology=terminology)

    def requests(self, lines: Iterable[str], before: int) -> Iterator[str | Request]:
        """Yield lines with their own constraints.

        Args:
            lines: lines of the text.
            before: number of lines of the text before them.

        Raises:
            DataError: a constraint file is longer or shorter than the text.
        """
        if self.prefixes is None and self.required is None:
            yield from lines
            return
        from nmt.inference.constraints import Request

        columns = zip_longest(lines, _lines_from(self.prefixes, before), _lines_from(self.required, before))
        for number, (line, prefix, required) in enumerate(columns, before + 1):
            for path, value in ((self.prefixes, prefix), (self.required, required)):
                if path is not None and (line is None or value is None):
                    raise _unequal(path, number, text_ended=line is None)
            phrases = tuple(phrase.strip() for phrase in (required or "").split("\t"))
            yield Request(line, prefix=prefix or "", required=tuple(filter(None, phrases)))


def _unequal(path: Path, number: int, *, text_ended: bool) -> DataError:
    short = "the text" if text_ended else str(path)
    return DataError(f"{path} must have one line for each line of the text, but {short} has no line {number}.")


def _lines_from(path: Path | None, start: int) -> Iterator[str]:
    """Yield the lines of a file after the first `start` lines, or nothing without a file."""
    return iter(()) if path is None else islice(read_lines(path, keep_broken=False), start, None)
