"""Turns lines into output. A writer is described by values that can be sent to another process, which then makes it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from nmt.cli.constraint_files import ConstraintFiles
from nmt.cli.loading import load_models
from nmt.cli.schema_options import COMPUTATION
from nmt.errors import UsageError
from nmt.inference.find_model import find_models, is_checkpoint
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

    def packed(self) -> PackedMaker:
        """Return a maker that has the content of its files, for machines without access to them.

        The weights of a checkpoint, which needs other files of its run, and folders of models stay paths.

        Raises:
            OSError: a file cannot be read.
        """
        models = [
            PackedFile.read(path) if path.is_file() and not is_checkpoint(path) else path
            for path in find_models(self.models)
        ]
        constraints = {
            name: PackedFile.read(path)
            for name, path in (("avoid", self.constraints.avoid), ("terminology", self.constraints.terminology))
            if path is not None
        }
        return PackedMaker(self, models, constraints)

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


class PackedFile(NamedTuple):
    """The name and the content of a file."""

    name: str
    content: bytes

    @classmethod
    def read(cls, path: Path) -> PackedFile:
        """Read a file."""
        return cls(path.name, path.read_bytes())

    def write(self, folder: Path) -> Path:
        """Write the file into a new folder below another one, and return its path."""
        path = Path(tempfile.mkdtemp(dir=folder), self.name)
        path.write_bytes(self.content)
        return path


@dataclass(frozen=True)
class PackedMaker:
    """Describes a line writer, with the content of its files.

    Attributes:
        maker: the writer. Its models are replaced.
        models: the model files. A path is the same on all machines.
        constraints: the constraint files by the name of their attribute in `ConstraintFiles`.
    """

    maker: WriterMaker
    models: Sequence[PackedFile | Path]
    constraints: Mapping[str, PackedFile]

    def __call__(self) -> LineWriter:
        """Write the files, and load the models. The files are deleted at once."""
        with tempfile.TemporaryDirectory(prefix="nmt-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            models = [model if isinstance(model, Path) else model.write(folder) for model in self.models]
            constraints = {name: file.write(folder) for name, file in self.constraints.items()}
            maker = replace(self.maker, models=models, constraints=ConstraintFiles(**constraints))
            return maker()


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
