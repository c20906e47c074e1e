"""Small files and JSON of strangers: each is read or refused in a sentence, in little time and memory."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damaged_files import flip
from nmt.augmentation.translations import read_hypotheses
from nmt.cli.score_inputs import read_items
from nmt.config import load_config
from nmt.config.schema import PairConfig
from nmt.data.corpus import inspect_file
from nmt.data.lines import read_lines
from nmt.data.preprocess.report import read_report
from nmt.data.sources import read_records
from nmt.data.store import Store
from nmt.errors import NMTError
from nmt.inference.model_file import load_model
from nmt.plots.run_records import read_records as read_metrics
from nmt.small_files import JSONError, is_sealed, parse_json, read_json, seal
from nmt.training.checkpoint import load_checkpoint

HOSTILE = {
    "deep list": "[" * 200_000 + "]" * 200_000,
    "open list": "[" * 200_000,
    "deep object": '{"source":' * 100_000 + "1" + "}" * 100_000,
    "deep value": '{"source": "a", "target": "b", "x": ' + "[" * 500 + "]" * 500 + "}",
    "digits": '{"source": ' + "9" * 10_000 + "}",
    "cut": '{"source": "a", "target": "b',
    "empty": "",
    "null": "null",
    "number": "3",
    "text": '"source"',
    "list": '["source", "target"]',
    "wrong types": '{"source": 1, "target": [], "hypotheses": 2, "format": {}, "pairs": null, "bounds": 3, "kind": []}',
    "nothing": "{}",
}
UNUSABLE = {
    "nan": '{"source": "a", "target": "b", "x": NaN}',
    "infinity": '{"source": "a", "target": "b", "x": -Infinity}',
    "too large": '{"source": "a", "target": "b", "x": 1e999}',
    "repeated key": '{"source": "a", "target": "b", "source": "c"}',
    "surrogate": '{"source": "a\\ud800", "target": "b"}',
}


def in_folder(name: str, read: Callable[[Path], object]) -> Callable[[Path], object]:
    """A reader of a folder that is given the bytes of one of its files."""

    def read_file(path: Path) -> object:
        folder = path.with_name("folder")
        folder.mkdir()
        (folder / name).write_bytes(path.read_bytes())
        return read(folder)

    return read_file


def corpus(path: Path) -> object:
    return list(
        read_records(PairConfig(jsonl=str(path), source_field="source", target_field="target"), keep_broken=True)
    )


STRICT: dict[str, Callable[[Path], object]] = {
    "any": read_json,
    "nmt score": lambda path: list(read_items(path, None, "jsonl")),
    "hypotheses": lambda path: list(read_hypotheses(path)),
    "metrics": read_metrics,
    "store": in_folder("store.json", Store),
    "report": in_folder("report.json", read_report),
}
READERS = {
    **STRICT,
    "corpus": corpus,
    "checkpoint": in_folder("state.json", load_checkpoint),
    "configuration": load_config,
    "model": load_model,
}


def check(name: str, read: Callable[[Path], object], path: Path) -> None:
    """Assert that a file is read, where its kind allows it, or refused in a short text."""
    try:
        read(path)
    except NMTError as error:
        text = str(error)
    else:
        assert name in ("corpus", "any") or not path.read_bytes().strip()
        return
    assert 10 < len(text) < (3000 if name == "configuration" else 700)


@pytest.mark.parametrize("kind", sorted(READERS))
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_json_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(HOSTILE[name] + "\n", encoding="utf-8")
    check(kind, READERS[kind], path)


@pytest.mark.parametrize("kind", sorted(STRICT))
@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_unusable_values_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(UNUSABLE[name] + "\n", encoding="utf-8")
    check(kind, READERS[kind], path)
    with pytest.raises(JSONError):
        parse_json(UNUSABLE[name])


def test_a_corpus_may_have_other_fields_that_are_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(UNUSABLE["nan"] + "\n" + UNUSABLE["repeated key"] + "\n", encoding="utf-8")
    assert corpus(path) == [("a", "b"), ("c", "b")]


def special_files(folder: Path) -> Iterator[Path]:
    os.mkfifo(folder / "pipe")
    yield folder / "pipe"
    yield Path("/dev/zero")
    (folder / "link.yaml").symlink_to("/dev/zero")
    yield folder / "link.yaml"
    yield folder
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
        yield folder / "s"


@pytest.mark.parametrize(
    "read",
    [
        read_json,
        load_model,
        load_config,
        read_metrics,
        inspect_file,
        lambda path: list(read_items(path, None, "jsonl")) if str(path).startswith("/dev") else load_model(path),
    ],
)
def test_special_files_are_refused_at_once(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    for path in special_files(Path(".")):
        with pytest.raises(NMTError) as error:
            read(path)
        assert len(str(error.value)) < 500


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.touch()
    os.truncate(path, 1 << 40)
    for read in (read_json, load_config, read_metrics, load_model):
        with pytest.raises(NMTError):
            read(path)


def test_the_pipe_of_another_command_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"a": 1}')
    os.close(writing)
    assert read_json(f"/dev/fd/{reading}") == {"a": 1}
    os.close(reading)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=40,
)


@given(values, st.booleans())
def test_json_is_read_as_python_reads_it(value: Any, ascii: bool) -> None:
    try:
        text = json.dumps(value, ensure_ascii=ascii)
        text.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert parse_json(text) == parse_json(text.encode()) == parse_json(text, strict=False) == value


@given(st.dictionaries(st.text('abc"\\[{}]'), st.text('crc"\\[]{}:0'), max_size=5))
def test_brackets_in_strings_do_not_count(value: dict[str, str]) -> None:
    padded = {**value, "many": [[], {}] * 64}
    assert parse_json(json.dumps(padded)) == padded


def test_a_seal_depends_on_every_bit() -> None:
    content = seal(json.dumps({"a": 'x "crc32": "12345678"', "crc32": "0" * 8, "b": 1.5}).encode(), "crc32")
    assert json.loads(content)["crc32"] != "0" * 8
    assert is_sealed(content, "crc32") is True
    assert is_sealed(b"{}", "crc32") is None
    for bit in range(8 * len(content)):
        assert is_sealed(flip(content, bit), "crc32") is not True
    assert is_sealed(content.replace(b'"crc32": "', b'"crc32": "g', 1), "crc32") is False


def test_lines_are_bounded() -> None:
    with pytest.raises(NMTError, match="MiB"):
        list(read_lines("/dev/zero", keep_broken=False))
