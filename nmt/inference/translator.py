"""Translates lines: one translation for each line, in order."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.config.decoding_overrides import override_decoding
from nmt.config.schema import DecodingConfig
from nmt.data.familiarity import FamiliarityCheck, read_training_text
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.tokenizer import Tokenizers
from nmt.errors import UsageError
from nmt.inference.batch_search import BatchSearcher
from nmt.inference.constraints import ConstraintCompiler, SearchJob, Terminology
from nmt.inference.ensemble import Ensemble, RestrictableEnsemble, check_compatible, checked_weights
from nmt.inference.hardware import Hardware, choose_hardware
from nmt.inference.model_file import TRAINING_TEXT, ModelFile, load_models
from nmt.inference.nbest import NBestBuilder, RestoredTexts
from nmt.inference.networks import TranslationNetwork
from nmt.inference.placeholders import Masked, PlaceholderRestorer, SourceSegment, distribute, mask
from nmt.inference.protected_items import without_protected
from nmt.inference.results import Hypothesis, Translation
from nmt.inference.segmentation import Segmenter, clean, max_segment_pieces, sentence_separator
from nmt.inference.shortlist import RestrictableModel, RestrictableNetwork, Shortlist
from nmt.inference.streaming import WHOLE_TEXT, SourceLine, Windowing, number_lines, window_size, windows
from nmt.log import logger
from nmt.search import LengthNormalization, StepModel, TokenHypothesis, make_length_normalization

if TYPE_CHECKING:
    from nmt.inference.aligner import Aligner
    from nmt.inference.mbr import MbrReranker

SHOWN_LINES = 10
"""Line numbers in a summary."""

SearchResults = Mapping[SearchJob, Sequence[TokenHypothesis]]


class LongLines:
    """Warns of lines that were translated in segments: of the first at once, of all in a summary."""

    def __init__(self, text: str = "") -> None:
        """Take the name of the text for messages, such as "validation set"; empty if there is only one text."""
        self._prefix = text and f"{text}: "
        self._count = 0
        self._first: list[int] = []

    def report(self, number: int, *, pieces: int, segments: int) -> None:
        """Record that line `number` was too long."""
        if not self._count:
            logger.warning(
                "%sline %d has %d pieces, more than the model was trained on: translated in %d segments",
                self._prefix,
                number,
                pieces,
                segments,
            )
        self._count += 1
        if len(self._first) < SHOWN_LINES:
            self._first.append(number)

    def summarize(self) -> None:
        """Log the number of long lines if there was more than one."""
        if self._count > 1:
            shown = ", ".join(map(str, self._first))
            more = ", ..." if self._count > len(self._first) else ""
            logger.warning("%s%d long lines were translated in segments: %s%s", self._prefix, self._count, shown, more)


class Translator:
    """Translates lines with one model or an ensemble. May be used from several threads at once.

    A translation depends on its line and on the options alone: not on neighbouring lines, their number or order, or
    `batch_sentences`.
    """

    def __init__(
        self,
        model: StepModel[Any, Any],
        tokenizers: Tokenizers,
        *,
        decoding: DecodingConfig,
        hardware: Hardware,
        max_source_pieces: int | None = None,
        separator: str = " ",
        shortlist: Shortlist | None = None,
        aligner: Aligner | None = None,
        symbols: Sequence[str] = (),
        constraints: ConstraintCompiler | None = None,
        mbr: MbrReranker | None = None,
        familiarity: FamiliarityCheck | None = None,
    ) -> None:
        """Assemble a translator from its parts; `from_models` makes them from model files.

        Args:
            model: A network, or another model that can be searched.
            tokenizers: The subword models of both sides.
            decoding: The options of the search.
            hardware: The hardware of the model.
            max_source_pieces: Longer lines are translated in segments. None: no limit.
            separator: The text between the translations of two segments.
            shortlist: The pieces that translations may use, with the model restricted to them; it replaces `model`.
                None: the whole vocabulary.
            aligner: Computes the attention of translations. None: there are no alignments.
            symbols: Pieces of both vocabularies that stand for protected items.
            constraints: Constraints on all lines. None: none.
            mbr: Reranks the n-best lists. None: the order of the search.
            familiarity: Finds lines unlike the training text. None: no line is flagged as such.
        """
        self.tokenizers = tokenizers
        self.decoding = decoding
        self.aligner = aligner
        self.normalization: LengthNormalization = make_length_normalization(
            decoding.length_normalization, decoding.alpha
        )
        self._segmenter = Segmenter(
            tokenizers.source, max_pieces=max_source_pieces, split_sentences=decoding.split_sentences
        )
        self._restorer = PlaceholderRestorer(tokenizers, aligner, spaces=separator != "")
        self._symbols = symbols
        self._familiarity = familiarity
        self._mbr = mbr
        search = decoding if mbr is None else decoding.model_copy(update={"n_best": mbr.num_hypotheses})
        self._nbest = NBestBuilder(tokenizers.target, decoding=search, separator=separator)
        self._constraints = constraints or ConstraintCompiler(tokenizers.target)
        self._searcher = BatchSearcher(
            model,
            decoding=search,
            normalization=self.normalization,
            hardware=hardware,
            shortlist=shortlist,
            constraints=self._constraints,
        )

    @classmethod
    def load(cls, path: Path | str | None, *, decoding: Mapping[str, Any] | None = None) -> Translator:
        """Load a translator from a model file or the folder of a run; None: see `find_model`.

        See `from_models` for the options and for the errors raised.
        """
        return cls.from_models(load_models(None if path is None else [path]), decoding=decoding)

    @classmethod
    def from_models(
        cls,
        models: Sequence[ModelFile],
        *,
        weights: Sequence[float] | None = None,
        decoding: Mapping[str, Any] | None = None,
        mbr: str | None = None,
        avoid: Sequence[str] = (),
        terminology: Terminology | None = None,
        alignments: bool = False,
    ) -> Translator:
        """Make a translator of one model, or of an ensemble of several (see `Ensemble`).

        Args:
            models: At least one; a model may be listed twice.
            weights: The weight of each model, above zero. None: equal weights.
            decoding: Options that override those of the first model: beam_size, n_best, alpha, device and all others of
                the configuration's decoding section. None as a value means the model's own.
            mbr: Rerank the hypotheses of the beam, or the samples, by minimum Bayes risk with this metric: `chrf` or
                `bleu`. None: no reranking.
            avoid: Words or phrases that no translation may contain.
            terminology: Source terms with the target terms that their translations must contain.
            alignments: Whether to keep the networks for alignments (`aligner`).

        Raises:
            UsageError: The models are not compatible, or an option or constraint cannot be used.
            CheckpointError: The weights of a model do not fit its configuration.
            NMTError: The tokenizer that MBR with BLEU needs is not installed.
        """
        check_compatible(models)
        checked = checked_weights(weights, models)
        first = models[0]
        options = override_decoding(first.config.decoding, decoding or {})
        reranker = None
        if mbr is not None:
            from nmt.inference.mbr import make_reranker  # a plain translation needs no metrics

            reranker = make_reranker(mbr, options, first.config)
        table = _find_shortlist_table(models) if options.shortlist else None
        hardware = choose_hardware(options)
        networks = [model.network(hardware) for model in models]
        model, restrictable = _search_models(networks, checked, options)
        tokenizers = first.tokenizers
        shortlist = None
        if table is not None:
            shortlist = Shortlist(restrictable, table, target_size=tokenizers.target.size, hardware=hardware)
        return cls(
            model,
            tokenizers,
            decoding=options,
            hardware=hardware,
            max_source_pieces=max_segment_pieces([model.config for model in models], decoding or {}),
            separator=sentence_separator(first.config.data.target_language, tokenizers.target),
            shortlist=shortlist,
            aligner=_make_aligner(models, networks, checked, options, hardware)
            if alignments or options.protect
            else None,
            symbols=first.config.tokenizer.user_symbols,
            constraints=ConstraintCompiler(tokenizers.target, avoid=avoid, terminology=terminology),
            mbr=reranker,
            familiarity=FamiliarityCheck(
                tokenizers, read_training_text(first.provenance.get(TRAINING_TEXT), tokenizers)
            ),
        )

    def with_constraints(self, *, avoid: Sequence[str] = (), terminology: Terminology | None = None) -> Translator:
        """Return a translator with other constraints on all lines; this one does not change.

        Args:
            avoid: Words or phrases that no translation may contain.
            terminology: Source terms with the target terms that their translations must contain.

        Raises:
            UsageError: A phrase is empty after tokenization.
        """
        clone = copy.copy(self)
        clone._constraints = ConstraintCompiler(self.tokenizers.target, avoid=avoid, terminology=terminology)
        clone._searcher = self._searcher.with_constraints(clone._constraints)
        return clone

    def translate(
        self,
        lines: Iterable[str | SourceLine],
        *,
        long_lines: LongLines | None = None,
        windowing: Windowing = WHOLE_TEXT,
    ) -> Iterator[Translation]:
        """Translate lines: one translation for each, in order.

        Lines are processed in windows, sorted by length inside a window. A window ends early if the next line has not
        arrived yet. Lists and tuples are read directly, anything else in a thread.

        Args:
            lines: Strings, or lines with constraints. A single string is one line. Messages name lines by their number.
            long_lines: Collects warnings of lines that are translated in segments, over several calls. None: this call
                logs its own.
            windowing: How lines that are read in a thread are grouped. Results begin with the first window.

        Raises:
            UsageError: A constraint of a line cannot be used.
            NMTError: A single line does not fit into memory.
        """
        reported = LongLines() if long_lines is None else long_lines
        numbered = number_lines([lines] if isinstance(lines, str) else lines)
        for window in windows(numbered, window_size(self.decoding.batch_sentences), windowing):
            yield from self._translate_window(window, reported)
        if long_lines is None:
            reported.summarize()

    def _translate_window(self, window: Sequence[SourceLine], long_lines: LongLines) -> list[Translation]:
        lines = [replace(line, text=clean(line.text)) for line in window]
        # Equal lines are translated once.
        prepared = self._prepare([line for line in dict.fromkeys(lines) if line.text])
        for line in lines:
            if line.text and prepared[line].too_long:
                segments = prepared[line].segments
                pieces = sum(len(segment.job.ids) for segment in segments)
                long_lines.report(line.number, pieces=pieces, segments=len(segments))
        segments = [segment for each in prepared.values() for segment in each.segments]
        jobs = list(dict.fromkeys(segment.job for segment in segments))
        results = dict(zip(jobs, self._searcher.search(jobs), strict=True))
        restored = self._restore([segment for segment in segments if segment.spans], results)
        translations = {line: self._translation(each, results, restored) for line, each in prepared.items()}
        blank = Translation("", [])
        return [
            self._with_flags(replace(translations.get(line, blank), line=given.number, source=given.text))
            for given, line in zip(window, lines, strict=True)
        ]

    def _with_flags(self, translation: Translation) -> Translation:
        """Add the flags of a line that is unlike the training text."""
        check = self._familiarity
        if check is None or not translation.source_segments:
            return translation
        found = {
            "unknown_words": check.has_unknown_words(translation.source_segments),
            "wrong_script": check.has_wrong_script(
                without_protected(translation.source), without_protected(translation.text)
            ),
        }
        return replace(translation, familiarity_flags=tuple(flag for flag, holds in found.items() if holds))

    def _prepare(self, lines: Sequence[SourceLine]) -> dict[SourceLine, _PreparedLine]:
        """Mask protected items, encode the lines, and split them into segments."""
        texts = [line.text for line in lines]
        masked = [mask(text, self._symbols) if self.decoding.protect else Masked(text, []) for text in texts]
        encoded = self.tokenizers.source.encode([each.text for each in masked])
        prepared = {}
        for line, each, ids in zip(lines, masked, encoded, strict=True):
            split = self._segmenter.segment(each.text, ids)
            spans = distribute(each.spans, split.texts) if split.texts else []
            constraints = self._constraints.compile(line, split.texts)
            segments = [
                SourceSegment(text, SearchJob(tuple(row), required), protected)
                for text, row, required, protected in zip(split.texts, split.ids, constraints, spans, strict=True)
            ]
            untranslated = line.text.strip() if each.spans else ""
            prepared[line] = _PreparedLine(segments, split.too_long, untranslated)
        return prepared

    def _restore(self, segments: Sequence[SourceSegment], results: SearchResults) -> RestoredTexts:
        """Return the translations of segments with their protected items put back."""
        pairs = [
            (segment, hypothesis.ids) for segment in dict.fromkeys(segments) for hypothesis in results[segment.job]
        ]
        texts = self._restorer.texts(pairs) if pairs else []
        return {(segment, tuple(ids)): text for (segment, ids), text in zip(pairs, texts, strict=True)}

    def _translation(self, line: _PreparedLine, results: SearchResults, restored: RestoredTexts) -> Translation:
        if not line.segments:  # nothing is left for the model
            text = line.untranslated
            return Translation(text, [Hypothesis(text, [], [], 0.0, 0.0, [], True)] if text else [])
        hypotheses = self._nbest.build([(segment, results[segment.job]) for segment in line.segments], restored)
        source = [list(segment.job.ids) for segment in line.segments]
        translation = Translation(hypotheses[0].text, hypotheses, source)
        return translation if self._mbr is None else self._mbr(translation)


class _PreparedLine(NamedTuple):
    """A line in the segments that are translated."""

    segments: list[SourceSegment]
    too_long: bool
    """Whether it was split because it has more pieces than the model was trained on."""
    untranslated: str
    """The translation if there are no segments."""


def _search_models(
    networks: Sequence[TranslationNetwork], weights: Sequence[float], options: DecodingConfig
) -> tuple[StepModel[Any, Any], RestrictableModel]:
    """Return the model to search: with the whole vocabulary, and in a form that a shortlist can restrict."""
    restrictable = [RestrictableNetwork(network) for network in networks]
    if len(networks) == 1:
        return networks[0], restrictable[0]
    average = options.ensemble_average
    return (
        Ensemble(networks, weights=weights, average=average),
        RestrictableEnsemble(restrictable, weights=weights, average=average),
    )


def _find_shortlist_table(models: Sequence[ModelFile]) -> ShortlistTable:
    """Return the shortlist table of the first model that has one; all models have the same vocabularies.

    Raises:
        UsageError: No model has a table.
    """
    for model in models:
        if model.shortlist is not None:
            if len(models) > 1:
                logger.info("all models use the shortlist of %s", model.path)
            return model.shortlist
    missing = "the model file has no shortlist" if len(models) == 1 else "none of the model files has a shortlist"
    raise UsageError(
        f"--shortlist: {missing}. Add one with `nmt shortlist MODEL` in the folder where the model was trained, or "
        "use --no-shortlist."
    )


def _make_aligner(
    models: Sequence[ModelFile],
    networks: Sequence[TranslationNetwork],
    weights: Sequence[float],
    options: DecodingConfig,
    hardware: Hardware,
) -> Aligner | None:
    """Return an aligner of the models that have attention; None if no model has."""
    attending = [
        (network, weight)
        for model, network, weight in zip(models, networks, weights, strict=True)
        if model.config.model.attention.score != "none"
    ]
    if not attending:
        return None
    from nmt.inference.aligner import Aligner  # few translations need it

    return Aligner(
        [network for network, _ in attending],
        models[0].tokenizers,
        hardware=hardware,
        batch_sentences=options.batch_sentences,
        weights=[weight for _, weight in attending],
    )
