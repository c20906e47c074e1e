"""Files that say more about translations: how they start, what they must and must not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.errors import DataError

if TYPE_CHECKING:
    from nmt.inference.constraints import Request
    from nmt.inference.mbr import ConsensusTranslator
    from nmt.inference.translator import Translator


@dataclass(frozen=True)
class ConstraintFiles:
    """The files; None: not given."""

    prefixes: Path | None = None
    """A line for each line of the text."""
    required: Path | None = None
    """Likewise; words or phrases with tabs between them."""
    avoid: Path | None = None
    """A word or phrase a line."""
    terminology: Path | None = None

    def translator(self, translator: Translator | ConsensusTranslator) -> Translator | ConsensusTranslator:
        """Return a translator that heeds what is for all lines.

        Raises:
            DataError: A file cannot be read.
            UsageError: The translator cannot be steered.
        """
        if self.avoid is None and self.terminology is None:
            return translator
        from nmt.data.lines import read_lines
        from nmt.inference.constraints import read_terminology

        avoid = [] if self.avoid is None else [line.strip() for line in read_lines(self.avoid, keep_broken=False)]
        terminology = None if self.terminology is None else read_terminology(self.terminology)
        return translator.with_phrases(avoid=[phrase for phrase in avoid if phrase], terminology=terminology)

    def requests(self, lines: Iterable[str], before: int) -> Iterator[str | Request]:
        """Return lines, which `before` others have preceded, with what is wanted of each.

        Raises:
            DataError: A file is longer or shorter than the text.
        """
        if self.prefixes is None and self.required is None:
            yield from lines
            return
        from nmt.inference.constraints import Request

        columns = zip_longest(lines, _behind(self.prefixes, before), _behind(self.required, before))
        for number, (line, prefix, required) in enumerate(columns, before + 1):
            for path, found in ((self.prefixes, prefix), (self.required, required)):
                if path is not None and (line is None or found is None):
                    raise _unequal(path, number, text_ended=line is None)
            phrases = tuple(phrase.strip() for phrase in (required or "").split("\t"))
            yield Request(line, prefix=prefix or "", required=tuple(filter(None, phrases)))


def _unequal(path: Path, number: int, *, text_ended: bool) -> DataError:
    short = "the text" if text_ended else str(path)
    return DataError(f"{path}: it needs a line for each line of the text, but {short} has no line {number}")


def _behind(path: Path | None, before: int) -> Iterator[str]:
    """Return the lines of a file behind the first ones; none if there is no file."""
    if path is None:
        return iter(())
    from nmt.data.lines import read_lines

    return islice(read_lines(path, keep_broken=False), before, None)
