"""A text translated into a file of candidates: whatever interrupts it, the same file in the end.

As `nmt translate -o FILE --resume` does it: a line for each line of the text, in order, written as they come. A line is
a JSON object with the candidates, best first, each with its own flags (nmt.inference.output.quality_flags).
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
from nmt.inference.output.processes import WINDOW, in_processes
from nmt.inference.output.quality_flags import find_flags
from nmt.inference.output.writer import continue_file, with_progress, write_blocks
from nmt.inference.results import Translation
from nmt.inference.streaming import SourceLine, number_lines, windows
from nmt.inference.translator import Translator
from nmt.log import logger


class Candidate(NamedTuple):
    """A translation of a line."""

    text: str
    flags: list[str]
    """What is suspicious about it."""


@dataclass(frozen=True)
class Method:
    """What makes a writer of candidates, so that processes can make their own."""

    models: Sequence[Path]
    """Model files; several translate together."""
    decoding: Mapping[str, Any]
    """Options in place of those of the first model."""

    def __call__(self) -> CandidateWriter:
        """Load the models.

        Raises:
            UsageError, CheckpointError: as `Translator.from_models`.
        """
        return CandidateWriter(Translator.from_models(load_models(self.models), decoding=self.decoding))


class CandidateWriter:
    """Translates lines and writes their candidates down."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator

    def __call__(self, lines: Sequence[SourceLine]) -> list[str]:
        """Return the output of each line."""
        return list(self.write(lines))

    def write(self, lines: Iterable[SourceLine]) -> Iterator[str]:
        """Give what is written for each line, with its end, as soon as it is there."""
        yield from map(_as_json, self._translator.translate(lines))


def _as_json(translation: Translation) -> str:
    candidates = [
        {"text": one.text, "flags": find_flags(replace(translation, text=one.text, hypotheses=[one]))}
        for one in translation.hypotheses
    ]
    return json.dumps({"candidates": candidates}, ensure_ascii=False) + "\n"


def translate_text(method: Method, text: Path, output: Path, *, processes: int) -> None:
    """Translate a text, or the rest of it.

    Args:
        method: What translates.
        text: The lines.
        output: Where their candidates go, behind those that are there.
        processes: How many translate, with one thread each; 1: this one alone, with its own threads.

    Raises:
        NMTError: Something that the user can mend.
    """
    total, before = inspect_file(text).lines, continue_file(output, "jsonl")
    if before > total:
        raise DataError(f"{output} has translations of {before:,} lines, but {text} has only {total:,}")
    if before == total and output.exists():
        logger.info("%s: all %s lines are translated", output, f"{total:,}")
        return
    logger.info("translating %s lines of %s", f"{total - before:,}", text)
    lines = islice(number_lines(read_lines(text, keep_broken=False)), before, None)
    if processes == 1:
        blocks = method().write(lines)
    else:
        one = replace(method, decoding={**method.decoding, "threads": 1, "device": "cpu"})
        blocks = in_processes(one, windows(lines, WINDOW), processes=processes)
    write_blocks(with_progress(blocks, text, skipped=before), output, append=output.exists())


def read_candidates(output: Path) -> Iterator[list[Candidate]]:
    """Give the candidates of each line.

    Raises:
        DataError: The file cannot be read, or is another one.
    """
    for number, line in enumerate(read_lines(output, keep_broken=False), 1):
        try:
            yield [Candidate(one["text"], one["flags"]) for one in json.loads(line)["candidates"]]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{output}, line {number}: this is no line of candidates; remove the file") from error
