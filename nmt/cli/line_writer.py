"""Turns lines into output. A writer is described by values that can be sent to another process, which then makes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.cli.constraint_files import ConstraintFiles
from nmt.cli.loading import make_ensemble_translator, open_models
from nmt.errors import UsageError
from nmt.inference.constraints import Request
from nmt.inference.mbr import ConsensusTranslator
from nmt.inference.output.formats import Layout, OutputLine, write_line
from nmt.inference.translator import Translator


@dataclass(frozen=True)
class WriterMaker:
    """Describes a line writer.

    Attributes:
        models: paths of the models. None means the model that `find_model` finds.
        weights: weights of the models in the ensemble.
        mbr: metric of minimum Bayes risk decoding.
        decoding: decoding options. None means the value stored in the model.
        layout: output format.
        constraints: constraint files.
    """

    models: Sequence[Path] | None
    weights: Sequence[float] | None
    mbr: str | None
    decoding: Mapping[str, Any]
    layout: Layout
    constraints: ConstraintFiles

    def __call__(self) -> LineWriter:
        """Load the models.

        Raises:
            UsageError: there is no model, options conflict, or --alignment is given for a model without attention.
            CheckpointError: a model file is damaged.
        """
        members = open_models(self.models)
        align = self.layout.alignment is not None
        if align and all(member.file.config.model.attention.score == "none" for member in members):
            raise UsageError("--alignment requires a model with attention, but model.attention.score is none.")
        translator = make_ensemble_translator(members, self.weights, self.mbr, self.decoding, alignments=align)
        return LineWriter(self.constraints.translator(translator), self.layout)


class LineWriter:
    """Translates lines and formats the translations."""

    def __init__(self, translator: Translator | ConsensusTranslator, layout: Layout) -> None:
        self._translator = translator
        self._layout = layout

    def __call__(self, lines: Sequence[str | Request], before: int) -> list[str]:
        """Return the output of each of `lines`. The text has `before` lines before them."""
        return list(self.write(lines, before))

    def write(self, lines: Iterable[str | Request], before: int) -> Iterator[str]:
        """Yield the output of each line as soon as it is available: one or several lines, each with its line end."""
        sources: deque[str] = deque()
        recorded = _record(lines, sources)
        if isinstance(lines, (list, tuple)):
            recorded = list(recorded)
        for number, translation in enumerate(self._translator.translate(recorded, before=before), before + 1):
            line = OutputLine(number, sources.popleft(), translation)
            yield write_line(line, self._layout, self._translator.tokenizers, self._translator.aligner)


def _record(lines: Iterable[str | Request], sources: deque[str]) -> Iterable[str | Request]:
    """Pass lines on, and keep their texts until the translations arrive."""
    for line in lines:
        sources.append(line if isinstance(line, str) else line.text)
        yield line
