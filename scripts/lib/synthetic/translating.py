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
from nmt.inference.constraints import Request
from nmt.inference.ensemble import EnsembleMember
from nmt.inference.model_file import load_model
from nmt.inference.output.processes import WINDOW, in_processes
from nmt.inference.output.quality_flags import find_flags
from nmt.inference.output.writer import continue_file, with_progress, write_blocks
from nmt.inference.results import LongLines, Translation
from nmt.inference.streaming import windows
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
            UsageError, CheckpointError: as `Translator.from_members`.
        """
        members = [EnsembleMember(str(path), load_model(path)) for path in self.models]
        return CandidateWriter(Translator.from_members(members, decoding=self.decoding))


class CandidateWriter:
    """Translates lines and writes their candidates down."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator

    def __call__(self, lines: Sequence[str | Request], before: int) -> list[str]:
        """Return what is written for each of `lines`, which `before` lines have preceded."""
        return list(self.write(lines, before))

    def write(self, lines: Iterable[str | Request], before: int) -> Iterator[str]:
        """Give what is written for each line, with its end, as soon as it is there."""
        noted = LongLines()
        for window in self._translator.windows(lines):
            translations = self._translator.translate(window, before=before, long_lines=noted)
            for line, translation in zip(window, translations, strict=True):
                yield _as_json(line if isinstance(line, str) else line.text, translation)
            before += len(window)
        noted.summarize()


def _as_json(source: str, translation: Translation) -> str:
    candidates = [
        {"text": one.text, "flags": find_flags(source, replace(translation, text=one.text, hypotheses=[one]))}
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
    lines = islice(read_lines(text, keep_broken=False), before, None)
    if processes == 1:
        blocks = method().write(lines, before)
    else:
        one = replace(method, decoding={**method.decoding, "threads": 1, "device": "cpu"})
        blocks = in_processes(one, windows(lines, WINDOW), processes=processes, before=before)
    write_blocks(with_progress(blocks, text, before=before), output, append=output.exists())


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
