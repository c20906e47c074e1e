"""The attention of a model between lines and their translations.

B sentences, T target length, S source length (both with EOS). Search keeps no weights. They come from running the
known translation through the decoder once more, all positions at once (forced decoding), which gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, Protocol

from nmt.config.decoding_overrides import override_decoding
from nmt.data.lines import is_blank
from nmt.device import choose_device, choose_dtype, set_threads
from nmt.errors import NMTError, UsageError
from nmt.inference.aligner import Aligner, Weights
from nmt.inference.attention_map import AttentionMap
from nmt.inference.forced_decoding import IdPair
from nmt.inference.model_file import ModelFile
from nmt.inference.results import Translation
from nmt.inference.segmentation import clean, max_segment_tokens, one_line
from nmt.inference.streaming import window_size, windows
from nmt.inference.translator import Translator
from nmt.log import logger


class LineAttention(NamedTuple):
    """A line, its translation, and the attention between them."""

    line: int
    """Its number, from 1."""
    source: str
    translation: str
    pieces: AttentionMap
    words: AttentionMap
    """The same between words: summed over the pieces of a source word, averaged over those of a target word."""
    parts: int
    """More than 1 for a long line that was translated in parts: no part looks at another, and each has its EOS."""


class _AttentionJob(NamedTuple):
    """A line, with all that it takes to compute its weights."""

    source: str
    translation: str
    pairs: list[IdPair]


class LineTranslator(Protocol):
    """What this needs of a translator."""

    def translate(self, lines: Iterable[str], *, before: int = 0) -> Iterator[Translation]:
        """Give the translation of each line, which `before` others have preceded."""


class AttentionExtractor:
    """Finds out what a model looks at. Keeps nothing between calls."""

    def __init__(
        self, file: ModelFile, *, decoding: Mapping[str, Any], translator: LineTranslator | None = None
    ) -> None:
        """Makes the network of a model file.

        Args:
            file: The model.
            decoding: Options in place of the model's own; see `Translator.load`.
            translator: One of the same model with the same options; None: it is made when it is needed.

        Raises:
            UsageError: The model has no attention, or the options cannot be used.
            CheckpointError: The weights do not fit the configuration.
        """
        if file.config.model.attention.score == "none":
            raise UsageError("The model has no attention (model.attention.score is none), so there is nothing to see.")
        options = override_decoding(file.config.decoding, decoding)
        if options.threads is not None:
            set_threads(options.threads)
        self._decoding = options
        self._device = choose_device(options.device)
        self.aligner = Aligner(
            [file.network(self._device)],
            file.tokenizers,
            device=self._device,
            dtype=choose_dtype(options.precision, self._device),
            batch_sentences=options.batch_sentences,
        )
        self._tokenizers = file.tokenizers
        self._max_pieces = max_segment_tokens([file.config], decoding)
        # Translations are those of `nmt translate`, however that searches.
        self._translator = translator
        self._make_translator: Callable[[], LineTranslator] = partial(
            Translator.from_model_file, file, decoding=decoding
        )

    def attend(self, lines: Iterable[str], targets: Sequence[str] | None = None) -> Iterator[LineAttention | None]:
        """Give the attention of each line, in order; None for a line that is blank or has a blank translation.

        Args:
            lines: Any strings. A window of them is worked on together, as in `Translator.translate`.
            targets: The translation of each line; None: the model translates them.

        Raises:
            NMTError: Not even a single line fits into the machine's memory.
        """
        size = window_size(self._decoding.batch_sentences)
        translator = (self._translator or self._make_translator()) if targets is None else None
        number = 0
        for window in windows(lines, size):
            texts = [clean(line) for line in window]
            if translator is not None:
                jobs = self._translated(texts, number, translator)
            else:
                assert targets is not None
                jobs = self._given(texts, [clean(line) for line in targets[number : number + len(texts)]], number)
            yield from self._attended(jobs, number)
            number += len(window)

    def _translated(self, texts: Sequence[str], before: int, translator: LineTranslator) -> list[_AttentionJob | None]:
        """Translate lines, which `before` lines have preceded; a long one in parts, as `nmt translate` does."""
        jobs: list[_AttentionJob | None] = []
        for text, translation in zip(texts, translator.translate(texts, before=before), strict=True):
            if translation.source_parts:
                pairs = list(map(IdPair, translation.source_parts, translation.hypotheses[0].parts))
                jobs.append(_AttentionJob(text, translation.text, pairs))
            else:
                jobs.append(None)
        return jobs

    def _given(self, texts: Sequence[str], targets: Sequence[str], before: int) -> list[_AttentionJob | None]:
        """Pair lines, which `before` lines have preceded, with given translations. These cannot be cut into parts."""
        jobs: list[_AttentionJob | None] = []
        sources, translations = self._tokenizers.source.encode(texts), self._tokenizers.target.encode(targets)
        for number, (text, target, source, ids) in enumerate(
            zip(texts, targets, sources, translations, strict=True), before + 1
        ):
            if len(source) > self._max_pieces:
                logger.warning("line %d has %d pieces, more than the model was trained on", number, len(source))
            jobs.append(
                _AttentionJob(text, one_line(target), [IdPair(source, ids)])
                if source and not is_blank(target)
                else None
            )
        return jobs

    def _attended(self, jobs: Sequence[_AttentionJob | None], before: int) -> Iterator[LineAttention | None]:
        weights = iter(self.aligner.weights([pair for job in jobs if job is not None for pair in job.pairs]))
        for number, job in enumerate(jobs, before + 1):
            parts = [] if job is None else list(islice(weights, len(job.pairs)))
            try:
                yield None if job is None else self._one(number, job, parts)
            except MemoryError:
                raise NMTError(f"There is not enough memory for the attention of line {number}: cut it up.") from None

    def _one(self, number: int, job: _AttentionJob, parts: Sequence[Weights]) -> LineAttention:
        """Put the parts of a line together; there are no weights between different ones."""
        pieces, words = self.aligner.put_together(job.pairs, parts)
        return LineAttention(number, job.source, job.translation, pieces, words, len(parts))
