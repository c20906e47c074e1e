from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from data_files import write_pairs, write_text
from nmt.config.schema import PairConfig
from nmt.data.corpus import MalformedLine, inspect_file, inspect_pair, read_parallel, read_training
from nmt.errors import DataError

PAIRS = [("a dog", "ein Hund"), ("", "leer"), ("the\u2028cat", "die Katze")]


def test_two_files(tmp_path: Path) -> None:
    pair = PairConfig(**write_pairs(tmp_path, "set", PAIRS))
    assert read_parallel(pair) == PAIRS
    assert list(read_training(pair)) == PAIRS


def test_one_file_with_tabs(tmp_path: Path) -> None:
    pair = PairConfig(tsv=write_text(tmp_path / "set.tsv", [f"{source}\t{target}" for source, target in PAIRS]))
    assert read_parallel(pair) == PAIRS
    assert list(read_training(pair)) == PAIRS


def test_packed_text_counts_and_hashes_like_plain_text(tmp_path: Path) -> None:
    plain, packed = tmp_path / "text", tmp_path / "text.gz"
    plain.write_bytes("\ufeffone\ntwo".encode())
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert inspect_file(plain) == inspect_file(packed)
    assert inspect_file(plain).lines == 2


@pytest.mark.parametrize(("text", "lines"), [("", 0), ("\ufeff", 0), ("\n", 1), ("a", 1), ("a\n\n", 2), ("a\rb\n", 1)])
def test_counting_lines(tmp_path: Path, text: str, lines: int) -> None:
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    assert inspect_file(path).lines == lines


def test_unequal_files_are_refused_with_both_counts(tmp_path: Path) -> None:
    source = write_text(tmp_path / "source", ["x"] * 1200)
    target = write_text(tmp_path / "target", ["y"] * 1201)
    pair = PairConfig(source=source, target=target)
    for read in (inspect_pair, read_parallel, lambda pair: list(read_training(pair))):
        with pytest.raises(DataError, match=r"source has 1,200 lines, but .*target has 1,201"):
            read(pair)


def test_tsv_lines_need_exactly_one_tab(tmp_path: Path) -> None:
    pair = PairConfig(tsv=write_text(tmp_path / "set.tsv", ["a\tb", "no tab", "c\td", "too\tmany\ttabs"]))
    with pytest.raises(DataError, match=r"set\.tsv, line 2: 1 columns"):
        read_parallel(pair)
    assert list(read_training(pair)) == [
        ("a", "b"),
        MalformedLine("no tab"),
        ("c", "d"),
        MalformedLine("too\tmany\ttabs"),
    ]


def test_broken_text_is_an_error_in_held_out_sets_alone(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"good\nbad \xff\n")
    pair = PairConfig(source=str(tmp_path / "source"), target=write_text(tmp_path / "target", ["gut", "schlecht"]))
    with pytest.raises(DataError, match="source, line 2: the byte 0xff at offset 9"):
        read_parallel(pair)
    assert list(read_training(pair)) == [("good", "gut"), ("bad \udcff", "schlecht")]


@pytest.mark.parametrize("given", [{}, {"source": "a"}, {"source": "a", "target": "b", "tsv": "c"}, {"tsv": "-"}])
def test_what_is_not_a_pair_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(DataError, match="Parallel text"):
        inspect_pair(PairConfig(**given))


def test_empty_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no lines"):
        read_parallel(PairConfig(**write_pairs(tmp_path, "set", [])))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_refused_because_they_can_be_read_only_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        inspect_pair(PairConfig(tsv=str(tmp_path / "pipe")))
