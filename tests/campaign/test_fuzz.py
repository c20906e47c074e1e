"""A short run of the fuzzers, and their tools."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from campaign.mutations import Mutator, damage, hostile_tensors, in_zip, json_nodes, lines, tags, yaml_nodes
from campaign.parsers import PARSERS, parse, seeds
from campaign.shrink import revert, shrink
from campaign.targets import documents
from campaign.test_kills import campaign
from nmt.data.tensor_file import check_tensors
from tiny_translator import save_tiny_model


@pytest.mark.slow
@pytest.mark.parametrize("part", ["files", "configurations", "inputs"])
def test_damaged_files_end_in_a_clear_error_or_the_right_result(part: str, tmp_path: Path) -> None:
    assert "cases: {" in campaign(part, "--count", "60", keep=tmp_path)


@pytest.mark.parametrize(
    ("mutate", "data"),
    [
        (damage, b"abc"),
        (lines, b"a\tb\nc\n"),
        (json_nodes, b'{"a": [1, {"b": null}]}'),
        (yaml_nodes, b"a: {b: [1, x]}"),
        (tags, documents(["a", "b"])["text.xlf"].encode()),
    ],
)
def test_changes_depend_on_the_random_choices_only(mutate: Mutator, data: bytes) -> None:
    first, again = ([mutate(random.Random(seed), data)[0] for seed in range(30)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 8


def test_damage_is_always_a_change() -> None:
    assert all(damage(random.Random(seed), bytes(10))[0] != bytes(10) for seed in range(300))


def test_hostile_tensors_have_right_checksums(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_tiny_model(path)
    data = path.read_bytes()
    for seed in range(40):
        path.write_bytes(hostile_tensors(random.Random(seed), data)[0])
        header = path.read_bytes()[8:].partition(b"}")[0]
        if b"header_crc32" in header:
            assert check_tensors(path).has_checksums


def test_archives_are_changed_inside(tmp_path: Path) -> None:
    import io
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.en", "x\ny\n")
    names = set()
    for seed in range(40):
        changed, what = in_zip(random.Random(seed), stream.getvalue())
        if what.startswith("name"):
            names |= set(zipfile.ZipFile(io.BytesIO(changed)).namelist())
    assert len(names) > 2


def test_the_smallest_input_is_found() -> None:
    text = b"".join(b"line %d\n" % number for number in range(300))
    assert shrink(text, lambda data: b"line 123" in data and b"7" in data, tests=2000) == b"line 1237"
    original, changed = bytes(400), bytes(100) + b"abc" + bytes(200) + b"xyz" + bytes(94)
    assert revert(original, changed, lambda data: b"y" in data) == bytes(304) + b"y" + bytes(95)


def test_a_changed_tree_is_a_copy() -> None:
    data = json.dumps({"a": {"b": [1, 2, 3]}}).encode()
    json_nodes(random.Random(1), data)
    assert json.loads(data) == {"a": {"b": [1, 2, 3]}}


@pytest.mark.parametrize("name", PARSERS)
def test_the_seeds_of_the_parsers_are_read_or_refused(name: str, tmp_path: Path) -> None:
    assert seeds(name)
    for data in seeds(name):
        parse(name, data, tmp_path)
        for seed in range(10):
            parse(name, damage(random.Random(seed), data)[0], tmp_path)
