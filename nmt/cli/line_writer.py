"""Turns lines into output. A writer is described by values that can be sent to another process, which then makes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.cli.constraint_files import ConstraintFiles
from nmt.cli.loading import load_models
from nmt.cli.schema_options import COMPUTATION
from nmt.errors import UsageError
from nmt.inference.find_model import find_models
from nmt.inference.model_file import model_identity
from nmt.inference.output.formats import Layout, format_translation
from nmt.inference.streaming import WHOLE_TEXT, SourceLine, Windowing
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
        windowing: how lines are grouped; the output begins after the lines that it leaves out.
    """

    models: Sequence[Path] | None
    weights: Sequence[float] | None
    mbr: str | None
    decoding: Mapping[str, Any]
    layout: Layout
    constraints: ConstraintFiles
    windowing: Windowing = WHOLE_TEXT

    def origin(self) -> dict[str, Any]:
        """Return what determines the output, apart from the text and the constraints of its lines, as JSON values.

        Raises:
            CheckpointError: a model file is damaged.
        """
        decoding = {name: value for name, value in self.decoding.items() if name not in COMPUTATION}
        return {
            "--model": [model_identity(path) for path in find_models(self.models)],
            "--model-weight": self.weights,
            "--mbr": self.mbr,
            "--format": self.layout.format,
            "--alignment": self.layout.alignment,
            **self.constraints.digests(),
            **{f"--{name.replace('_', '-')}": value for name, value in decoding.items()},
        }

    def __call__(self) -> LineWriter:
        """Load the models.

        Raises:
            UsageError: there is no model, options conflict, or --alignment is given for a model without attention.
            CheckpointError: a model file is damaged.
        """
        models = load_models(self.models)
        align = self.layout.alignment is not None
        if align and all(model.config.model.attention.score == "none" for model in models):
            raise UsageError("--alignment requires a model with attention, but model.attention.score is none.")
        translator = Translator.from_models(
            models,
            weights=self.weights,
            decoding=self.decoding,
            mbr=self.mbr,
            avoid=self.constraints.read_avoided(),
            terminology=self.constraints.read_terminology(),
            alignments=align,
        )
        data = models[0].config.data
        languages = (data.source_language, data.target_language)
        return LineWriter(translator, self.layout, languages=languages, windowing=self.windowing)


class LineWriter:
    """Translates lines and formats the translations.

    Attributes:
        languages: language codes of source and target.
    """

    def __init__(
        self,
        translator: Translator,
        layout: Layout,
        *,
        languages: tuple[str, str],
        windowing: Windowing = WHOLE_TEXT,
    ) -> None:
        self.languages = languages
        self._windowing = windowing
        self._translator = translator
        self._layout = layout

    def __call__(self, lines: Sequence[SourceLine]) -> list[str]:
        """Return the output of each line."""
        return list(self.write(lines))

    def write(self, lines: Iterable[SourceLine], windowing: Windowing | None = None) -> Iterator[str]:
        """Yield the output of each line as soon as it is available: one or several lines, each with its line end.

        Lines that the windowing leaves out have no output. Without a windowing, that of the writer applies.
        """
        windowing = windowing or self._windowing
        for translation in self._translator.translate(lines, windowing=windowing):
            if translation.line <= windowing.first + windowing.after:
                continue
            yield format_translation(translation, self._layout, self._translator.tokenizers, self._translator.aligner)
