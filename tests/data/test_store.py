from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.preprocess import duplicates
from nmt.data.store import Store, StoreWriter, TextReader, TextWriter, make_rows
from nmt.errors import DataError

rows_of_ids = st.lists(st.tuples(*[st.lists(st.integers(0, 65_535), max_size=9)] * 2), min_size=1, max_size=12)


def write_store(
    folder: Path, pairs: list[tuple[list[int], list[int]]], *, size: int = 65_536, blocks: int = 3
) -> Store:
    writer = StoreWriter(folder, source_size=size, target_size=size)
    for first in range(0, len(pairs), blocks):
        part = pairs[first : first + blocks]
        sides = [source for source, _ in part], [target for _, target in part]
        writer.add((make_rows(sides[0], np.uint32), make_rows(sides[1], np.uint32)))
    writer.close([0, len(pairs)])
    return Store(folder)


@settings(max_examples=25)
@given(rows_of_ids, st.randoms())
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[list[int], list[int]]], random: st.DataObject
) -> None:
    store = write_store(tmp_path_factory.mktemp("store"), pairs)
    assert len(store) == len(pairs)
    assert store.source_lengths.dtype == np.int32
    assert store.source_lengths.tolist() == [len(source) for source, _ in pairs]
    assert store.target_lengths.tolist() == [len(target) for _, target in pairs]
    for number, (source, target) in enumerate(pairs):
        assert store.source_ids(number).tolist() == source
        assert store.target_ids(number).tolist() == target
    indices = np.array([random.randrange(len(pairs)) for _ in range(20)])  # type: ignore[attr-defined]
    for side, rows in enumerate(store.rows(indices)):
        for number, index in enumerate(indices):
            row = rows.ids[rows.starts[number] : rows.starts[number] + rows.lengths[number]]
            assert row.tolist() == pairs[index][side]


def test_ids_take_two_bytes_when_they_can(tmp_path: Path) -> None:
    pairs = [([65_535], [1, 2])]
    for name, size, width in (("short", 65_536, 2), ("long", 65_537, 4)):
        (tmp_path / name).mkdir()
        store = write_store(tmp_path / name, pairs, size=size)
        assert store.source_ids(0).tolist() == [65_535]
        assert (tmp_path / name / "target.ids").stat().st_size == 2 * width


@pytest.mark.parametrize("name", ["store.json", "source.ids", "target.offsets", "source.lengths"])
@pytest.mark.parametrize("damage", ["missing", "short", "junk"])
def test_damaged_stores_are_refused(tmp_path: Path, name: str, damage: str) -> None:
    write_store(tmp_path, [([1, 2], [3, 4])] * 4)
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        path.write_bytes(b"{}" if name == "store.json" else path.read_bytes() + bytes(8))
    with pytest.raises(DataError):
        Store(tmp_path)


def test_gathering_takes_memory_by_the_rows_asked_for(tmp_path: Path) -> None:
    store = write_store(tmp_path, [([1] * 50, [2] * 50)] * 20_000, blocks=5000)
    tracemalloc.start()
    store.rows(np.arange(100))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_texts(tmp_path: Path) -> None:
    writer = TextWriter(tmp_path, "some")
    for part in (["", "é"], [], ["\U0001f600 x", "\u2028"]):
        writer.add(part)
    writer.close()
    texts = TextReader(tmp_path, "some")
    assert len(texts) == 4
    assert texts.lines(np.array([1, 2, 3])) == ["é", "\U0001f600 x", "\u2028"]
    assert texts.lines(np.array([0])) == [""]
    assert texts.lines(np.array([], dtype=np.int64)) == []
    assert texts.sizes(np.array([1, 2])).tolist() == [2, 6]


HASHES = st.tuples(st.sampled_from([0, 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1), st.integers(0, 2))
"""Both halves of a hash. Some hashes share one half."""


@given(at_once=st.sampled_from([3, 1000]), shards=st.lists(st.lists(HASHES, max_size=12), max_size=5))
@settings(max_examples=200)
def test_repeated_hashes(
    tmp_path_factory: pytest.TempPathFactory, at_once: int, shards: list[list[tuple[int, int]]]
) -> None:
    parent = Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp()))
    folders = [parent / str(number) for number in range(len(shards))]
    everything = [each for shard in shards for each in shard]
    starts = [sum(map(len, shards[:number])) for number in range(len(shards))]
    found = set()
    for folder, shard, start in zip(folders, shards, starts, strict=True):
        folder.mkdir()
        duplicates.write_hashes(folder, b"".join(half.to_bytes(8, "little") for each in shard for half in each))
        found |= {start + place for place in duplicates.read_repeated(folder).tolist()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "COMPARED_AT_ONCE", at_once)
        for bounds in duplicates.ranges(len(everything)) if shards else ():
            found |= set(duplicates.RepeatFinder(folders, starts)(bounds).tolist())
    assert found == {number for number, each in enumerate(everything) if each in everything[:number]}
