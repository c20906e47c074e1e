"""Interrupted translation of a text for training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nmt.augmentation.translations import translate_text
from nmt.inference.streaming import WHOLE_TEXT, SourceLine, Windowing, WindowSize, windows

LINES = 61


class WindowRecorder:
    """Stands for a translator whose output depends on the window, as the last digits of numbers can."""

    window_size = WindowSize(lines=16, characters=100)

    def write(self, lines: Iterable[SourceLine], windowing: Windowing = WHOLE_TEXT) -> Iterator[str]:
        for window in windows(lines, self.window_size, windowing):
            for _ in window:
                yield json.dumps({"window": [window[0].text, len(window)]}) + "\n"


@pytest.mark.parametrize("written", [0, 1, 7, 8, 9, 30, 60, 61])
@pytest.mark.parametrize("half", [b"", b'{"win'])
def test_an_interruption_does_not_change_the_windows(tmp_path: Path, written: int, half: bytes) -> None:
    text, whole, output = tmp_path / "text", tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    text.write_text("".join(f"{number} {'word ' * (number % 7)}\n" for number in range(LINES)), encoding="utf-8")
    method: Any = WindowRecorder
    translate_text(method, text, whole, processes=1)
    lines = whole.read_bytes().splitlines(keepends=True)
    assert len(lines) == LINES
    assert len(set(lines)) > 4
    output.write_bytes(b"".join(lines[:written]) + half)
    translate_text(method, text, output, processes=1)
    assert output.read_bytes() == whole.read_bytes()
