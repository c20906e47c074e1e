"""How lines become output: what a translator and a layout are made from, so that processes can make their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.cli.constraint_files import ConstraintFiles
from nmt.cli.options import Utilities
from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.inference.constraints import Request
    from nmt.inference.mbr import ConsensusTranslator
    from nmt.inference.output.formats import Layout
    from nmt.inference.translator import Translator


@dataclass(frozen=True)
class WriterMaker:
    """What makes a line writer."""

    models: Sequence[Path] | None
    """None: the one that is found."""
    weights: Sequence[float] | None
    mbr: Utilities | None
    decoding: Mapping[str, Any]
    layout: Layout
    steering: ConstraintFiles

    def __call__(self) -> LineWriter:
        """Load the models.

        Raises:
            UsageError, CheckpointError: as `choosing_translator`; or no alignment can be had.
        """
        from nmt.cli.loading import choosing_translator, open_models

        members = open_models(self.models)
        align = self.layout.alignment is not None
        if align and all(member.file.config.model.attention.score == "none" for member in members):
            raise UsageError("--alignment needs a model with attention (model.attention.score is not none)")
        translator = choosing_translator(members, self.weights, self.mbr, alignments=align, **self.decoding)
        return LineWriter(self.steering.translator(translator), self.layout)


class LineWriter:
    """Translates lines and writes them down."""

    def __init__(self, translator: Translator | ConsensusTranslator, layout: Layout) -> None:
        self._translator = translator
        self._layout = layout

    def __call__(self, lines: Sequence[str | Request], before: int) -> list[str]:
        """Return the output of each of `lines`, which `before` lines have preceded."""
        return list(self.write(lines, before))

    def write(self, lines: Iterable[str | Request], before: int) -> Iterator[str]:
        """Give the output of each line as soon as it is there: one line or several, each with its end."""
        from nmt.inference.output.formats import OutputLine, write_line

        sources: deque[str] = deque()
        noted = _noted(lines, sources)
        if isinstance(lines, (list, tuple)):
            noted = list(noted)
        for number, translation in enumerate(self._translator.translate(noted, before=before), before + 1):
            line = OutputLine(number, sources.popleft(), translation)
            yield write_line(line, self._layout, self._translator.tokenizers, self._translator.aligner)


def _noted(lines: Iterable[str | Request], sources: deque[str]) -> Iterable[str | Request]:
    """Pass lines on, and keep them until their translation comes."""
    for line in lines:
        sources.append(line if isinstance(line, str) else line.text)
        yield line
