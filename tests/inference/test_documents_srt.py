"""SRT files: only the text of cues changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt.errors import DataError
from nmt.inference.documents.srt import break_lines
from upper_translator import translate, translated

SRT = """1
00:00:01,000 --> 00:00:02,500 X1:10 X2:20
Hello there,
big world.

2
00:00:03,000 --> 00:00:04,000
{\\an8}<i>Who is it?</i>

3
00:00:05,000 --> 00:00:06,000
- Me.
– And <b>you</b>?
...

4
00:00:07,000 --> 00:00:08,000

5
00:00:09,000 --> 00:00:10,000
♪ 42 ♪

00:00:11,000 --> 00:00:12,000
No number.

and a blank line


"""
EXPECTED = (
    SRT.replace("Hello there,\nbig world.", "HELLO THERE,\nBIG WORLD.")
    .replace("Who is it?", "WHO IS IT?")
    .replace("Me.", "ME.")
    .replace("And <b>you</b>?\n...", "AND <b>YOU</b>?\n...")
    .replace("No number.\n\nand a blank line", "NO NUMBER.\n\nAND A BLANK LINE")
)


def test_only_text_changes(tmp_path: Path) -> None:
    result, document = translate(tmp_path, "a.srt", SRT)
    assert result.decode() == EXPECTED
    assert document.counts.missing == 4
    assert document.lines[0] == "Hello there, big world."


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-32-be", b"\0\0\xfe\xff")],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends_stay(tmp_path: Path, encoding: str, mark: bytes, end: str) -> None:
    result, _ = translate(tmp_path, "a.srt", mark + SRT.replace("\n", end).encode(encoding))
    assert result == mark + EXPECTED.replace("\n", end).encode(encoding)


def test_mixed_line_ends_stay(tmp_path: Path) -> None:
    text = "1\r\n00:00:01,000 --> 00:00:02,000\nHello there,\r\nbig world.\n\r\n2\n00:00:03,000 --> 00:00:04,000\r\nYes"
    expected = text.replace("Hello there,\r\nbig world.", "HELLO THERE,\r\nBIG WORLD.").replace("Yes", "YES")
    assert translated(tmp_path, "a.srt", text) == expected


def test_another_encoding_is_suggested_and_never_guessed(tmp_path: Path) -> None:
    data = SRT.replace("Hello", "Déjà là").replace("♪", "*").encode("cp1252")
    with pytest.raises(DataError, match=r"line 3: the byte 0xe9 .* is not utf-8.*--encoding CP1252"):
        translate(tmp_path, "a.srt", data)
    result, _ = translate(tmp_path, "a.srt", data, encoding="cp1252")
    assert result == EXPECTED.replace("HELLO", "DÉJÀ LÀ").replace("♪", "*").encode("cp1252")
    for unknown in ("latin-x", "zip", "idna", "punycode", "undefined"):
        with pytest.raises(DataError, match=f"unknown encoding '{unknown}'"):
            translate(tmp_path, "a.srt", data, encoding=unknown)


def test_broken_files_are_refused_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: '00:00 --> later' is not a timing"):
        translate(tmp_path, "a.srt", "1\n00:00 --> later\nHello\n")
    with pytest.raises(DataError, match="line 1: text before the first cue: 'Hello'"):
        translate(tmp_path, "a.srt", "Hello\n")


def test_lines_are_broken_evenly() -> None:
    assert break_lines("aa bb cc dd", 1) == ["aa bb cc dd"]
    assert break_lines("aa bb cc dd", 2) == ["aa bb", "cc dd"]
    assert break_lines('aa <font color="red">bb</font> cc', 3) == ["aa", '<font color="red">bb</font>', "cc"]
    assert break_lines("word", 3) == ["word"]
    assert break_lines("你好，世界。大家再见！", 2) == ["你好，世界。", "大家再见！"]


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_a_file_without_cues_stays_as_it_is(tmp_path: Path, content: str) -> None:
    assert translate(tmp_path, "a.srt", content.encode())[0] == content.encode()


def test_a_row_of_many_words_takes_linear_time() -> None:
    words = [f"word{number}" for number in range(200_000)]
    rows = break_lines(" ".join(words), 1000)
    assert " ".join(rows) == " ".join(words)
    assert len(rows) == 1000
    assert max(map(len, rows)) < 2 * min(map(len, rows))
