"""Files that were cut anywhere go on behind their last whole line."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from nmt.data.lines import read_lines
from nmt.errors import DataError
from nmt.inference.output.writer import continue_file, write_blocks

LINES = [f"Zeile {number} mit Üml\u2028auten" for number in range(60)]


def blocks(format: str) -> list[str]:
    """What a translator would write for each line."""
    if format in ("text", "jsonl"):
        return [line + "\n" for line in LINES]
    row = "{0}\t{1}\t-1.0\t-2.0\t{2}\n" if format == "tsv" else "{0} ||| {2} ||| logprob= -2.0 length= 2 ||| -1.0\n"
    number = 1 if format == "tsv" else 0
    return [
        "".join(row.format(place, rank, line) for rank in range(1, 2 + place % 3))
        for place, line in enumerate(LINES, number)
    ]


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("format", ["text", "tsv", "moses"])
def test_a_file_truncated_anywhere_is_continued_to_the_same_bytes(format: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    every = blocks(format)
    write_blocks(every, path, append=False)
    whole, text = path.read_bytes(), list(read_lines(path, keep_broken=False))
    assert text == "".join(every).removesuffix("\n").split("\n")
    for cut in (0, 1, 7, len(whole) // 3, len(whole) // 2, len(whole) - 5, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:cut])
        done = continue_file(path, format)  # type: ignore[arg-type]
        assert done <= len(LINES)
        assert done >= len(LINES) - 2 or cut < len(whole)
        write_blocks(islice(every, done, None), path, append=True)
        assert list(read_lines(path, keep_broken=False)) == text
        assert suffix or path.read_bytes() == whole


def test_there_is_nothing_to_continue(tmp_path: Path) -> None:
    assert continue_file(tmp_path / "none", "text") == 0
    (tmp_path / "damaged.gz").write_bytes(b"no gzip at all")
    assert continue_file(tmp_path / "damaged.gz", "text") == 0


def test_a_list_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("ein Satz\n", encoding="utf-8")
    for format in ("tsv", "moses"):
        with pytest.raises(DataError, match=f"out, line 1: not in the format {format}"):
            continue_file(path, format)  # type: ignore[arg-type]
    assert path.read_text(encoding="utf-8") == "ein Satz\n"
