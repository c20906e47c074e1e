"""Shards of a text: blocks of its lines that several machines translate, and the parts of the output that they write.

Shard I of N of OUTPUT is the file OUTPUT.shards/I-of-N, with five digits each. Its record says which text, model and
options it is of; see `file_record`.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.data.lines import LineRange
from nmt.data.streams import PACKED, open_whole, read_bytes
from nmt.errors import DataError, NMTError, UsageError
from nmt.inference.output.file_record import RECORDS, RecordedFile, read_content, read_record, record_path

SUFFIX = ".shards"
PART = re.compile(r"([0-9]{5,})-of-([0-9]{5,})(\.[a-z0-9]+)?")
MAX_SHARDS = 1_000_000
SHOWN_PROBLEMS = 20


class Shard(NamedTuple):
    """One of several blocks of lines of a text, or of several sets of files of a folder."""

    number: int
    """From 1."""
    total: int

    def block(self, lines: int) -> LineRange:
        """Return the lines of the shard in a text of `lines` lines. Sizes of shards differ by at most one line."""
        first, last = (lines * number // self.total for number in (self.number - 1, self.number))
        return LineRange(first, None if self.number == self.total else last)

    def files(self, sizes: Sequence[int]) -> list[int]:
        """Return the indices of the files of the shard.

        Each file, largest first, joins the shard with the fewest bytes.

        Args:
            sizes: The size of each file in bytes.
        """
        totals = [(0, number) for number in range(1, self.total + 1)]
        chosen = []
        for index in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
            total, number = totals[0]
            heapq.heapreplace(totals, (total + max(1, sizes[index]), number))
            if number == self.number:
                chosen.append(index)
        return sorted(chosen)

    def part_name(self, output: Path) -> Path:
        """Return the name of the part in the folder of the shards of an output."""
        packed = output.suffix if output.suffix.lower() in PACKED else ""
        return Path(f"{self.number:05d}-of-{self.total:05d}{packed}")


def parse_shard(text: str) -> Shard:
    """Return the shard that a text of the form I/N names.

    Raises:
        UsageError: The text has another form, or the numbers are out of range.
    """
    match = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text)
    if match is None:
        raise UsageError(f"--shard: found {text!r}, expected I/N, such as 3/40.")
    shard = Shard(int(match[1]), int(match[2]))
    if not 1 <= shard.total <= MAX_SHARDS or not 1 <= shard.number <= shard.total:
        raise UsageError(f"--shard: found {text!r}, expected I/N with I from 1 to N, and N up to {MAX_SHARDS:,}.")
    return shard


def shards_folder(output: Path) -> Path:
    """Return the folder with the parts of an output."""
    return output.with_name(output.name + SUFFIX)


def join_shards(output: Path) -> int:
    """Join all parts of an output, in order. The output appears when it is complete.

    Returns:
        The number of shards.

    Raises:
        UsageError: There are no parts, or parts of several divisions.
        DataError: A part is missing, unfinished, changed, or of another text, model or option.
    """
    folder = shards_folder(output)
    count = _count_shards(folder)
    parts = [folder / Shard(number, count).part_name(output) for number in range(1, count + 1)]
    problems = _find_problems(folder, parts)
    if problems:
        more = [f"({len(problems) - SHOWN_PROBLEMS:,} more)"] if len(problems) > SHOWN_PROBLEMS else []
        raise DataError(
            "\n".join([f"{output} cannot be joined, because parts are not usable:", *problems[:SHOWN_PROBLEMS], *more])
        )
    with open_whole(output) as stream:
        for part in parts:
            for chunk in read_bytes(part):
                stream.write(chunk)
    return count


def _count_shards(folder: Path) -> int:
    """Return the number of shards, from the names of the parts."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder. Translate the shards first, with `nmt translate --shard`.")
    names = [*(path.name for path in folder.iterdir()), *(path.stem for path in (folder / RECORDS).glob("*.json"))]
    matches = [match for match in map(PART.fullmatch, names) if match is not None]
    counts = sorted({int(match[2]) for match in matches})
    if not counts:
        raise UsageError(f"{folder} has no parts. Translate the shards first, with `nmt translate --shard`.")
    if len(counts) > 1:
        found = " and ".join(f"{count:,}" for count in counts)
        raise UsageError(f"{folder} has parts of divisions into {found} shards. Delete the parts of all but one.")
    if not 1 <= counts[0] <= MAX_SHARDS:
        raise UsageError(f"{folder} has a part of {counts[0]:,} shards. At most {MAX_SHARDS:,} are possible.")
    return counts[0]


def _find_problems(folder: Path, parts: Sequence[Path]) -> list[str]:
    """Return a sentence for each part that is not usable."""
    problems = []
    first: RecordedFile | None = None
    for part in parts:
        record = record_path(folder, Path(part.name))
        if not part.is_file() or not record.is_file():
            problems.append(f"{part}: missing. Translate this shard.")
            continue
        try:
            found = read_record(record)
            if found.content is None:
                problems.append(f"{part}: not finished. Translate this shard again with the same command.")
                continue
            if found.content != read_content(part):
                problems.append(f"{part}: changed after it was translated. Delete it and translate this shard again.")
        except NMTError as error:
            problems.append(str(error))
            continue
        first = first or found
        names = first.origin.keys() | found.origin.keys()
        differing = sorted(name for name in names if first.origin.get(name) != found.origin.get(name))
        differing += ["text"] if first.text != found.text else []
        if differing:
            problems.append(f"{part}: of another {', '.join(differing)} than {parts[0].name}.")
    return problems
