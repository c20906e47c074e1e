from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from nmt.data import lines as lines_module
from nmt.data import streams
from nmt.data.lines import is_blank, read_blocks, read_lines, write_lines
from nmt.data.streams import open_output
from nmt.errors import DataError

BOM = "\ufeff"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".txt": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}
ODD_TEXT = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\rj\r\n\r\n \u00a0\n\n\U0001f600\nlast"
ODD_LINES = ["a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\rj", "", " \u00a0", "", "\U0001f600", "last"]


def read(path: Path, *, keep_broken: bool = False) -> list[str]:
    return list(read_lines(path, keep_broken=keep_broken))


def by_the_contract(data: bytes) -> list[str]:
    """The line contract, written out naively."""
    data = data.removeprefix(BOM.encode())
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [line.removesuffix(b"\r").decode(errors="surrogateescape") for line in lines]


@given(st.lists(st.sampled_from([*"ab\n\r\x0b\x0c\x85\u2028é日😀\t \x00", BOM])), st.integers(1, 5))
def test_lines_end_at_line_feeds_alone(tmp_path_factory: pytest.TempPathFactory, text: list[str], chunk: int) -> None:
    path = tmp_path_factory.getbasetemp() / "text"
    data = "".join(text).encode()
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_BYTES", chunk)
        assert read(path) == by_the_contract(data)


@given(st.binary(max_size=60))
def test_broken_lines_are_kept_apart(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "broken"
    path.write_bytes(data)
    assert read(path, keep_broken=True) == by_the_contract(data)


@pytest.mark.parametrize("suffix", PACKERS)
def test_files_are_unpacked_by_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(PACKERS[suffix]((BOM + ODD_TEXT).encode()))
    assert read(path) == ODD_LINES


@pytest.mark.parametrize("suffix", PACKERS)
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    write_lines(path, ODD_LINES)
    assert read(path) == ODD_LINES
    if suffix != ".txt":
        assert path.read_bytes() != "".join(line + "\n" for line in ODD_LINES).encode()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "junk"])
def test_damaged_packed_files_are_named(tmp_path: Path, suffix: str, damage: str) -> None:
    data = PACKERS[suffix](os.urandom(5000))
    path = tmp_path / f"text{suffix}"
    path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"this is not packed at all")
    with pytest.raises(DataError, match=r"text\.\w+: the packed data is damaged or incomplete"):
        read(path, keep_broken=True)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_packed_parts_in_one_file_are_all_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(PACKERS[suffix](b"one\n") + PACKERS[suffix](b"two\n"))
    assert read(path) == ["one", "two"]


@pytest.mark.parametrize(("data", "expected"), [(b"", []), (BOM.encode(), []), (b"\n", [""]), (b"\r\n", [""])])
def test_nearly_empty_files(tmp_path: Path, data: bytes, expected: list[str]) -> None:
    path = tmp_path / "text"
    path.write_bytes(data)
    assert read(path) == expected


def test_only_the_first_mark_of_byte_order_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(f"{BOM}{BOM}a\n{BOM}b\n".encode())
    assert read(path) == [f"{BOM}a", f"{BOM}b"]


@pytest.mark.parametrize("chunk", [1, 4, 1 << 20])
def test_a_byte_that_is_not_utf8_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(streams, "CHUNK_BYTES", chunk)
    path = tmp_path / "text"
    path.write_bytes(f"{BOM}good\nnaïve\n".encode() + b"caf\xe9\nmore\n")
    with pytest.raises(DataError, match=r"text, line 3: the byte 0xe9 at offset 18 is not UTF-8"):
        read(path)


def test_lines_without_end_are_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHUNK_BYTES", 10)
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 100)
    path = tmp_path / "text"
    path.write_bytes(b"short\n" + b"x" * 1000)
    with pytest.raises(DataError, match="line 2: longer than"):
        read(path)


def test_reading_is_streaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHUNK_BYTES", 1000)
    path = tmp_path / "text"
    path.write_bytes(b"a line of text\n" * 10_000)
    assert len(next(read_blocks(path, keep_broken=False))) < 100


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing: no such file"):
        read(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"is a folder"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"no such folder: .*missing"):
        write_lines(tmp_path / "missing" / "out", ["x"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="a superuser may read everything")
def test_unreadable_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x", encoding="utf-8")
    path.chmod(0)
    with pytest.raises(DataError, match="secret: permission denied"):
        read(path)


def test_whole_files_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("before", encoding="utf-8")

    def failing() -> Iterator[str]:
        yield "one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lines(path, failing())
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_output_as_it_comes_stays_when_the_writer_fails(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"

    def write_and_fail() -> None:
        with open_output(path) as stream:
            stream.write(b"one\n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert read(path) == ["one"]


def test_writing_goes_through_links_and_to_devices(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old", encoding="utf-8")
    link.symlink_to(real)
    write_lines(link, ["new"])
    assert link.is_symlink()
    assert read(real) == ["new"]
    write_lines(os.devnull, ["gone"])
    assert not Path(os.devnull).is_file()


def test_standard_streams_in_any_locale() -> None:
    script = (
        "from nmt.data.lines import *\nwrite_lines('-', (line.upper() for line in read_lines('-', keep_broken=False)))"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script], input=f"{BOM}é\r\nz\u2028\rz".encode(), capture_output=True, env=environment
    )
    assert (done.stdout, done.stderr) == ("É\nZ\u2028\rZ\n".encode(), b"")


def test_standard_input_is_given_as_it_comes() -> None:
    script = (
        "import sys\nfrom nmt.data.lines import read_lines\n"
        "for line in read_lines('-', keep_broken=False): print(line, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in (b"first\n", b"second\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert process.stdout.readline() == text
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.parametrize("line", ["", " ", "\t", "\u00a0", "\u200b", "\u2060\ufeff ", "\u3000\u00ad", "\u2028", "\x00"])
def test_blank_lines(line: str) -> None:
    assert is_blank(line)


@pytest.mark.parametrize("line", ["a", " .", "\u0301", "\U0001f600", "\u200ba", "\ue000", "日"])
def test_lines_that_are_not_blank(line: str) -> None:
    assert not is_blank(line)
