"""Translates a text into a file of hypotheses, and resumes after an interruption with the same result.

The file grows as that of `nmt translate -o FILE --resume`: one line for each line of the text, in order. A line is a
JSON object with the hypotheses of the n-best list, best first, each with its own quality flags.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from nmt.data.corpus import inspect_file
from nmt.data.lines import read_lines
from nmt.errors import DataError
from nmt.inference.model_file import load_models
from nmt.inference.output.quality_flags import find_flags
from nmt.inference.output.worker_pool import WINDOW, ProcessPool, in_processes
from nmt.inference.output.writer import continue_file, truncate_output, with_progress, write_blocks
from nmt.inference.results import Translation
from nmt.inference.streaming import (
    WHOLE_TEXT,
    SourceLine,
    Windowing,
    WindowSize,
    number_lines,
    window_size,
    windows,
)
from nmt.inference.translator import Translator
from nmt.log import logger
from nmt.small_files import parse_json


class FlaggedHypothesis(NamedTuple):
    """A hypothesis of the n-best list of a line."""

    text: str
    flags: list[str]
    """Its quality flags."""


@dataclass(frozen=True)
class TranslationMethod:
    """The models and options of translation; each process makes its own writer from them."""

    models: Sequence[Path]
    """Model files; several models translate together."""
    decoding: Mapping[str, Any]
    """Options in place of those of the first model."""

    def __call__(self) -> HypothesisWriter:
        """Load the models.

        Raises:
            UsageError, CheckpointError: As `Translator.from_models`.
        """
        return HypothesisWriter(Translator.from_models(load_models(self.models), decoding=self.decoding))


class HypothesisWriter:
    """Translates lines and serializes their hypotheses."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self.window_size = window_size(translator.decoding.batch_sentences)

    def __call__(self, lines: Sequence[SourceLine]) -> list[str]:
        """Return the output for each line."""
        return list(self.write(lines))

    def write(self, lines: Iterable[SourceLine], windowing: Windowing = WHOLE_TEXT) -> Iterator[str]:
        """Yield the output for each line, with a line end, as soon as it is translated."""
        yield from map(_as_json, self._translator.translate(lines, windowing=windowing))


def _as_json(translation: Translation) -> str:
    hypotheses = [
        {"text": one.text, "flags": find_flags(replace(translation, text=one.text, hypotheses=[one]))}
        for one in translation.hypotheses
    ]
    return json.dumps({"hypotheses": hypotheses}, ensure_ascii=False) + "\n"


def translate_text(method: TranslationMethod, text: Path, output: Path, *, processes: int) -> None:
    """Translate a text, or the lines that `output` does not have yet.

    Translation resumes with the window of lines that was interrupted, so that its batches are those of the whole text.

    Args:
        method: The models and options.
        text: The lines.
        output: Where the hypotheses are appended.
        processes: Number of processes with one thread each; 1: this process, with its own threads.

    Raises:
        NMTError: A file, a model or an option is not valid.
    """
    total, before = inspect_file(text).lines, continue_file(output, "jsonl")
    if before > total:
        raise DataError(f"{output} has translations of {before:,} lines, but {text} has only {total:,}.")
    if before == total and output.exists():
        logger.info("%s: all %s lines are translated", output, f"{total:,}")
        return
    writer = method() if processes == 1 else None
    size = WINDOW if writer is None else writer.window_size
    start = _window_start(text, size, before)
    if start < before:
        _keep_lines(output, start)
    logger.info("translating %s lines of %s", f"{total - start:,}", text)
    lines, windowing = number_lines(read_lines(text, keep_broken=False)), Windowing(after=start, complete=True)
    if writer is None:
        one = replace(method, decoding={**method.decoding, "threads": 1, "device": "cpu"})
        blocks = in_processes(ProcessPool(one, processes=processes), windows(lines, size, windowing))
    else:
        blocks = writer.write(lines, windowing)
    write_blocks(with_progress(blocks, text, skipped=start), output, append=output.exists())


def _window_start(text: Path, size: WindowSize, before: int) -> int:
    """Return the number of lines in the windows of a text that have only its first `before` lines."""
    start = 0
    if before == 0:
        return start
    lines = number_lines(read_lines(text, keep_broken=False))
    for window in windows(lines, size, Windowing(complete=True)):
        if start + len(window) > before:
            break
        start += len(window)
    return start


def _keep_lines(output: Path, count: int) -> None:
    with output.open("rb") as stream:
        size = sum(map(len, islice(stream, count)))
    truncate_output(output, size)


def read_hypotheses(output: Path) -> Iterator[list[FlaggedHypothesis]]:
    """Yield the hypotheses of each line.

    Raises:
        DataError: The file cannot be read, or is of another kind.
    """
    for number, line in enumerate(read_lines(output, keep_broken=False), 1):
        try:
            yield [FlaggedHypothesis(one["text"], one["flags"]) for one in parse_json(line)["hypotheses"]]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{output}, line {number}: the line has no hypotheses. Remove the file.") from error
