"""Monolingual text, read and sorted out before models translate it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from nmt.config import Config
from nmt.data.corpus import read_parallel
from nmt.data.lines import read_lines, write_lines
from nmt.data.preprocess.filters import make_filter


class Monolingual:
    """The lines of some files that can be used, and why the others cannot.

    Attributes:
        read: How many lines were read.
        left_out: How many of them were left out, by reason.
    """

    def __init__(self, files: Sequence[Path], *, config: Config, side: int, most: int | None) -> None:
        """Keep what is given.

        Args:
            files: The text.
            config: Its filters judge the lines; its validation and test sets must not be among them.
            side: Which side of the pairs this text will be: 0 the source, 1 the target.
            most: How many lines to give; None: all.
        """
        self._files = files
        self._side = side
        self._most = most
        data = config.data
        language = (data.source_language, data.target_language)[side]
        self._filter = make_filter(
            max_words=data.filters.max_words,
            max_ratio=data.filters.max_length_ratio,
            identical=False,
            source_language=language,
            target_language=language,
        )
        sets = [read_parallel(pair) for pair in (data.valid, *data.test)]
        self._held_out = {" ".join(pair[side].split()) for pairs in sets for pair in pairs}
        self.read = 0
        self.left_out: Counter[str] = Counter()

    def write(self, file: Path) -> None:
        """Write the lines that can be used.

        Raises:
            DataError: A file cannot be read or written.
        """
        write_lines(file, islice(self._lines(), self._most))

    def _lines(self) -> Iterator[str]:
        seen: set[int] = set()
        for file in self._files:
            for raw in read_lines(file, keep_broken=True):
                self.read += 1
                line = " ".join(raw.split())
                reason = self._reason(raw, line, seen)
                if reason is None:
                    yield line
                else:
                    self.left_out[reason] += 1

    def _reason(self, raw: str, line: str, seen: set[int]) -> str | None:
        """Say why a line is left out; `seen` has the hashes of those before it."""
        reason = self._filter.reject(raw, raw)
        if reason is not None:
            return reason
        if line in self._held_out:
            return "held out"
        key = hash(line)
        if key in seen:
            return "duplicate"
        seen.add(key)
        return None
