"""Extracts the attention of a model between lines and their translations.

A search keeps no attention weights. They come from forced decoding: the known translation runs through the decoder once
more, all positions at once, which gives the same weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from nmt.config.decoding_overrides import override_decoding
from nmt.data.lines import is_blank
from nmt.errors import NMTError, UsageError
from nmt.inference.aligner import Aligner, Weights
from nmt.inference.attention_map import AttentionMap
from nmt.inference.forced_decoding import IdPair
from nmt.inference.hardware import choose_hardware
from nmt.inference.model_file import ModelFile
from nmt.inference.results import Translation
from nmt.inference.segmentation import clean, max_segment_pieces, one_line
from nmt.inference.streaming import SourceLine, number_lines, window_size, windows
from nmt.inference.translator import Translator
from nmt.log import logger


class LineAttention(NamedTuple):
    """A line, its translation, and the attention between them."""

    line: int
    """Line number from 1."""
    source: str
    translation: str
    pieces: AttentionMap
    words: AttentionMap
    """Attention between words: summed over the pieces of a source word, averaged over those of a target word."""
    segments: int
    """Number of segments of the line. There is no attention between different segments, and each has its own EOS."""


class PairedLine(NamedTuple):
    """A line and its translation, with the id pairs of its segments; none if it is blank."""

    line: int
    source: str
    translation: str
    pairs: list[IdPair]


class LineTranslator(Protocol):
    """The translator interface that attention requires."""

    def translate(self, lines: Iterable[SourceLine], /) -> Iterator[Translation]:
        """Return the translation of each line."""


class LinePairer:
    """Pairs lines with given translations or with those of the model, as ids. Threads may share it."""

    def __init__(
        self, model: ModelFile, *, decoding: Mapping[str, Any], translator: LineTranslator | None = None
    ) -> None:
        """Take the arguments of `AttentionExtractor`.

        Raises:
            UsageError: An option cannot be used.
        """
        self.options = override_decoding(model.config.decoding, decoding)
        self._model = model
        self._decoding = decoding
        self._window_size = window_size(self.options.batch_sentences)
        self._max_pieces = max_segment_pieces([model.config], decoding)
        self._translator = translator

    def pair(self, lines: Iterable[str], targets: Sequence[str] | None = None) -> Iterator[list[PairedLine]]:
        """Return the lines in windows, in order; see `AttentionExtractor.attend`."""
        translator = self._translator
        if targets is None and translator is None:
            translator = Translator.from_models([self._model], decoding=self._decoding)
        for window in windows(number_lines(lines), self._window_size):
            if targets is not None:
                yield self._given(window, [clean(targets[line.number - 1]) for line in window])
            else:
                assert translator is not None
                yield self._translated(window, translator)

    def _translated(self, lines: Sequence[SourceLine], translator: LineTranslator) -> list[PairedLine]:
        """Translate lines, as `nmt translate` does."""
        paired = []
        for translation in translator.translate(lines):
            segments = translation.hypotheses[0].segments if translation.source_segments else []
            pairs = list(map(IdPair, translation.source_segments, segments))
            paired.append(PairedLine(translation.line, clean(translation.source), translation.text, pairs))
        return paired

    def _given(self, lines: Sequence[SourceLine], targets: Sequence[str]) -> list[PairedLine]:
        """Pair lines with given translations, which cannot be split into segments."""
        paired = []
        texts = [clean(line.text) for line in lines]
        tokenizers = self._model.tokenizers
        sources, translations = tokenizers.source.encode(texts), tokenizers.target.encode(targets)
        for line, text, target, source, ids in zip(lines, texts, targets, sources, translations, strict=True):
            if len(source) > self._max_pieces:
                logger.warning("line %d has %d pieces, more than the model was trained on", line.number, len(source))
            pairs = [IdPair(source, ids)] if source and not is_blank(target) else []
            paired.append(PairedLine(line.number, text, one_line(target), pairs))
        return paired


class AttentionExtractor:
    """Computes the attention of lines. Threads may share it."""

    def __init__(
        self, model: ModelFile, *, decoding: Mapping[str, Any], translator: LineTranslator | None = None
    ) -> None:
        """Make the network of a model.

        Args:
            model: The model.
            decoding: Options that override the model's own; see `Translator.from_models`.
            translator: A translator of the same model with the same options. None: made when it is needed.

        Raises:
            UsageError: The model has no attention, or an option cannot be used.
            CheckpointError: The weights do not fit the configuration.
        """
        if model.config.model.attention.score == "none":
            raise UsageError(f"{model.path} has no attention: model.attention.score is none.")
        self._pairer = LinePairer(model, decoding=decoding, translator=translator)
        options = self._pairer.options
        hardware = choose_hardware(options)
        self.aligner = Aligner(
            [model.network(hardware)],
            model.tokenizers,
            hardware=hardware,
            batch_sentences=options.batch_sentences,
        )

    def attend(self, lines: Iterable[str], targets: Sequence[str] | None = None) -> Iterator[LineAttention | None]:
        """Return the attention of each line, in order; None for a blank line or a blank translation.

        Args:
            lines: Any strings, processed in windows as in `Translator.translate`.
            targets: The translation of each line. None: the model translates the lines.

        Raises:
            NMTError: A single line does not fit into memory.
        """
        for window in self._pairer.pair(lines, targets):
            yield from self._attend(window)

    def _attend(self, jobs: Sequence[PairedLine]) -> Iterator[LineAttention | None]:
        weights = iter(self.aligner.weights([pair for job in jobs for pair in job.pairs]))
        for job in jobs:
            segments = list(islice(weights, len(job.pairs)))
            try:
                yield self._line_attention(job, segments) if segments else None
            except MemoryError:
                raise NMTError(
                    f"line {job.line}: there is not enough memory for its attention. Split the line."
                ) from None

    def _line_attention(self, job: PairedLine, segments: Sequence[Weights]) -> LineAttention:
        pieces, words = self.aligner.combine(job.pairs, segments, (job.source, job.translation))
        return LineAttention(job.line, job.source, job.translation, pieces, words, len(segments))
