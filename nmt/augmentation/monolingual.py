"""Monolingual text, filtered before models translate it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from nmt.config import Config
from nmt.data.corpus import read_parallel
from nmt.data.languages import LINES_TO_DETECT
from nmt.data.lines import read_lines, write_lines
from nmt.data.preprocess.filters import make_filter
from nmt.data.words import comparable


class Monolingual:
    """The usable lines of monolingual files.

    Attributes:
        read: Number of lines read.
        dropped: Number of lines dropped, by reason.
    """

    def __init__(self, files: Sequence[Path], *, config: Config, side: int, max_lines: int | None) -> None:
        """Prepare the filter. The first lines decide whether lengths are counted in words or characters.

        Args:
            files: The text.
            config: Its filters judge the lines. Lines of its validation and test sets are dropped.
            side: Which side of the new pairs this text will be: 0 the source, 1 the target.
            max_lines: How many lines to keep at most; None: all.

        Raises:
            DataError: A file cannot be read.
        """
        self._files = files
        self._max_lines = max_lines
        data = config.data
        language = (data.source_language, data.target_language)[side]
        first = list(islice(self._read(), LINES_TO_DETECT))
        self._filter = make_filter(
            max_words=data.filters.max_words,
            max_ratio=data.filters.max_length_ratio,
            identical=False,
            source_language=language,
            target_language=language,
            source_lines=first,
            target_lines=first,
        )
        sets = [read_parallel(pair) for pair in (data.valid, *data.test)]
        self._held_out = {comparable(pair[side]) for pairs in sets for pair in pairs}
        self.read = 0
        self.dropped: Counter[str] = Counter()

    def write(self, file: Path) -> None:
        """Write the usable lines.

        Raises:
            DataError: A file cannot be read or written.
        """
        write_lines(file, islice(self._lines(), self._max_lines))

    def _lines(self) -> Iterator[str]:
        seen: set[int] = set()
        for raw in self._read():
            self.read += 1
            reason = self._reason(raw, seen)
            if reason is None:
                yield " ".join(raw.split())
            else:
                self.dropped[reason] += 1

    def _read(self) -> Iterator[str]:
        for file in self._files:
            yield from read_lines(file, keep_broken=True)

    def _reason(self, raw: str, seen: set[int]) -> str | None:
        """Return why a line is dropped; `seen` holds the hashes of earlier lines."""
        reason = self._filter.reject(raw, raw)
        if reason is not None:
            return reason
        text = comparable(raw)
        if text in self._held_out:
            return "held out"
        key = hash(text)
        if key in seen:
            return "duplicate"
        seen.add(key)
        return None
