"""A model in Python: what `nmt.load` returns.

It has the functions of `nmt translate`, `nmt score` and `nmt attention`, with the same results:

    >>> import nmt
    >>> model = nmt.load("runs/my", beam_size=4, n_best=2)

A string is one line and gives one result. A list gives a list. Any other iterable, such as an open file, gives an
iterator, and is read in bounded memory:

    >>> translation = model.translate("The dog sleeps.")
    >>> translation.text
    '...'
    >>> [hypothesis.text for hypothesis in translation.hypotheses]
    [...]
    >>> [translation.text for translation in model.translate(["The dog sleeps.", ""])]
    ['...', '']
    >>> several = model.translate(line for line in ["A dog.", "A cat."])
    >>> next(several).text
    '...'

A `SourceLine` has constraints on its translation: a prefix, and words or phrases that are required. Avoided phrases and
terminology are options of the model:

    >>> model.translate(nmt.SourceLine("The dog sleeps.", prefix="Der", required=("Katze",))).text
    'Der...Katze...'
    >>> constrained = model.with_options(avoid=["Hund"], terminology={"dog": "Katze"})
    >>> constrained.translate("The dog sleeps.").text
    '...Katze...'

The model scores given translations, and shows its attention:

    >>> score = model.score("The dog sleeps.", "Der Hund schläft.")
    >>> score.log_probability <= 0 and score.mean <= 0
    True
    >>> len(score.pieces) == len(score.piece_log_probabilities) - 1  # the last number is that of EOS
    True
    >>> line = model.attention("The dog sleeps.", "Der Hund schläft.")
    >>> line.words.source.texts
    ['The', 'dog', 'sleeps.', '</s>']
    >>> line.words.weights.shape == (len(line.words.target.texts), 4)
    True

Other options are those of the configuration's decoding section. `mbr` reranks by minimum Bayes risk. `with_options`
returns the same model with other options, without reading the file again:

    >>> samples = model.with_options(sampling=True, top_k=10, n_best=5, seed=2).translate("The dog sleeps.")
    >>> len(samples.hypotheses)
    5
    >>> reranked = model.with_options(beam_size=8, mbr="chrf").translate("The dog sleeps.")
    >>> 0 <= reranked.hypotheses[0].score <= 1  # the expected chrF
    True
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, overload

from nmt.config.schema import Config, DecodingConfig
from nmt.data.lines import without_surrogates
from nmt.data.words import comparable
from nmt.errors import DataError, UsageError
from nmt.inference.aligner import Aligned
from nmt.inference.attention import AttentionExtractor, LineAttention
from nmt.inference.constraints import Terminology, read_terminology
from nmt.inference.model_file import ModelFile
from nmt.inference.results import SentencePair, Translation, TranslationScore
from nmt.inference.scorer import Scorer
from nmt.inference.streaming import SourceLine
from nmt.inference.translator import Translator

Terms = Mapping[str, str] | Path | str
"""Source terms with their target terms, or a file with a source term, a tab and a target term per line."""


class LoadedModel:
    """A model or an ensemble, ready to use. May be used from several threads at once."""

    def __init__(
        self,
        models: Sequence[ModelFile],
        *,
        weights: Sequence[float] | None = None,
        mbr: str | None = None,
        avoid: Iterable[str] = (),
        terminology: Terms | None = None,
        decoding: Mapping[str, Any],
    ) -> None:
        """Make a translator of loaded models; see `nmt.load` for the options and the errors raised."""
        _check_names(decoding)
        self._models = tuple(models)
        self._weights = weights
        self._mbr = mbr
        self._overrides = dict(decoding)
        self._unconstrained = Translator.from_models(models, weights=weights, mbr=mbr, decoding=decoding)
        self._scorer: Scorer | None = None
        self._constrain(avoid, terminology)

    @property
    def config(self) -> Config:
        """The resolved configuration of the training; for an ensemble, of its first model."""
        return self._models[0].config

    @property
    def decoding(self) -> DecodingConfig:
        """The decoding options."""
        return self._unconstrained.decoding

    def with_options(self, **options: Any) -> LoadedModel:
        """Return the same model with changed options; this one does not change.

        Args:
            options: See `nmt.load`: `mbr`, `avoid`, `terminology` and decoding options. None means the model's own.
                Options that are left out stay as they are.

        Raises:
            UsageError: An option cannot be used.
            DataError: A terminology file cannot be read.
        """
        avoid = options.pop("avoid", self._avoid)
        terminology = options.pop("terminology", self._terminology)
        if not options:
            clone = copy.copy(self)
            clone._constrain(avoid, terminology)
            return clone
        return LoadedModel(
            self._models,
            weights=self._weights,
            mbr=options.pop("mbr", self._mbr),
            avoid=avoid,
            terminology=terminology,
            decoding={**self._overrides, **options},
        )

    @overload
    def translate(self, text: str | SourceLine) -> Translation: ...  # type: ignore[overload-overlap]
    @overload
    def translate(  # type: ignore[overload-overlap]
        self, text: list[str] | list[SourceLine] | list[str | SourceLine] | tuple[str | SourceLine, ...]
    ) -> list[Translation]: ...
    @overload
    def translate(self, text: Iterable[str | SourceLine]) -> Iterator[Translation]: ...

    def translate(
        self, text: str | SourceLine | Iterable[str | SourceLine]
    ) -> Translation | list[Translation] | Iterator[Translation]:
        """Translate lines: one translation for each, in order; blank for blank.

        Args:
            text: A line, a list or tuple of lines, or an iterable, which is read in a thread while earlier lines are
                translated. A line is a string, or a `SourceLine` with constraints on its translation.

        Raises:
            UsageError: A line has another type, or a constraint cannot be used.
            NMTError: A single line does not fit into memory.
        """
        return same_shape_as(text, self._translator.translate(source_lines(text)))

    @overload
    def score(self, source: str, target: str) -> TranslationScore | None: ...  # type: ignore[overload-overlap]
    @overload
    def score(  # type: ignore[overload-overlap]
        self, source: list[str] | tuple[str, ...], target: Iterable[str]
    ) -> list[TranslationScore | None]: ...
    @overload
    def score(self, source: Iterable[str], target: Iterable[str]) -> Iterator[TranslationScore | None]: ...

    def score(
        self, source: str | Iterable[str], target: str | Iterable[str]
    ) -> TranslationScore | list[TranslationScore | None] | Iterator[TranslationScore | None] | None:
        """Score given translations: one result for each pair, in order; None if the source is blank.

        Several models score as an ensemble. Constraints and logits processors have no effect on scores.

        Args:
            source: A line, a list or tuple of lines, or an iterable.
            target: As many translations.

        Raises:
            DataError: Source and target have different numbers of lines.
            UsageError: One side is a string, and the other is not.
            NMTError: A single pair does not fit into memory.
        """
        return same_shape_as(source, self._get_scorer().score(pairs(source, target)))

    @overload
    def attention(self, source: str, target: str | None = None) -> LineAttention | None: ...  # type: ignore[overload-overlap]
    @overload
    def attention(  # type: ignore[overload-overlap]
        self, source: list[str] | tuple[str, ...], target: Sequence[str] | None = None
    ) -> list[LineAttention | None]: ...
    @overload
    def attention(
        self, source: Iterable[str], target: Sequence[str] | None = None
    ) -> Iterator[LineAttention | None]: ...

    def attention(
        self, source: str | Iterable[str], target: str | Sequence[str] | None = None
    ) -> LineAttention | list[LineAttention | None] | Iterator[LineAttention | None] | None:
        """Return the attention between lines and translations, in order; None if either is blank.

        Args:
            source: A line, a list or tuple of lines, or an iterable.
            target: The translations. None: the model translates the lines.

        Raises:
            DataError: Source and target have different numbers of lines.
            UsageError: The model has no attention, or there are several models.
        """
        extractor = self._get_attention_extractor()
        if target is None:
            return same_shape_as(source, extractor.attend(lines(source)))
        paired = list(pairs(source, target))
        sources, targets = [pair.source for pair in paired], [pair.target for pair in paired]
        return same_shape_as(source, extractor.attend(sources, targets))

    def align(self, translation: Translation) -> list[Aligned]:
        """Return the attention of each hypothesis of a translation by this model.

        `[aligned.words.links() for aligned in model.align(translation)]` are the word alignments in the n-best lists of
        `nmt translate --alignment hard`.

        Raises:
            UsageError: The model has no attention, or there are several models.
        """
        aligner = self._get_attention_extractor().aligner
        segments, source = translation.source_segments, translation.source
        every = [aligner.align(segments, each.segments, (source, each.text)) for each in translation.hypotheses]
        return [aligned for aligned in every if aligned is not None]

    def _constrain(self, avoid: Iterable[str], terminology: Terms | None) -> None:
        """Make the translator with the constraints on all lines."""
        if isinstance(avoid, str):
            raise UsageError(f"avoid takes a list of words or phrases: write avoid=[{avoid!r}].")
        self._avoid, self._terminology = tuple(avoid or ()), terminology
        for phrase in self._avoid:
            if not isinstance(phrase, str):
                raise UsageError(f"avoid takes strings, found {phrase!r}.")
        terms = _terms(terminology) or None
        self._translator = self._unconstrained
        if self._avoid or terms:
            self._translator = self._unconstrained.with_constraints(avoid=self._avoid, terminology=terms)
        self._lock = threading.Lock()
        self._attention_extractor: AttentionExtractor | None = None

    def _get_scorer(self) -> Scorer:
        with self._lock:
            if self._scorer is None:
                self._scorer = Scorer.from_models(self._models, weights=self._weights, decoding=self._overrides)
            return self._scorer

    def _get_attention_extractor(self) -> AttentionExtractor:
        with self._lock:
            if self._attention_extractor is None:
                if len(self._models) > 1:
                    raise UsageError(f"attention requires a single model, found {len(self._models)}. Load one of them.")
                self._attention_extractor = AttentionExtractor(
                    self._models[0], decoding=self._overrides, translator=self._translator
                )
            return self._attention_extractor


def _check_names(decoding: Mapping[str, Any]) -> None:
    for name in decoding:
        if name not in DecodingConfig.model_fields:
            near = get_close_matches(name, DecodingConfig.model_fields, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"The options are {', '.join(DecodingConfig.model_fields)}."
            raise UsageError(f"unknown decoding option {name!r}. {hint}")


def _terms(given: Terms | None) -> Terminology | None:
    if given is None:
        return None
    if isinstance(given, (str, Path)):
        return read_terminology(given)
    for text in (*given, *given.values()):
        if not isinstance(text, str):
            raise UsageError(f"terminology takes strings, found {text!r}.")
    terms = {comparable(source): " ".join(target.split()) for source, target in given.items()}
    for source, target in terms.items():
        if not (source and target):
            raise UsageError(f"terminology: {source!r} is translated as {target!r}, but neither may be blank.")
    return Terminology(terms)


ResultT = TypeVar("ResultT")
END = object()


def source_lines(text: str | SourceLine | Iterable[str | SourceLine]) -> Iterable[str | SourceLine]:
    """Return lines to translate, without line breaks, which the lines of an open file have.

    Raises:
        UsageError: A line has another type; for a stream, when it is reached.
    """
    if isinstance(text, (str, SourceLine)):
        return [_source_line(text)]
    return _each(text, _source_line, "a string, a SourceLine, or an iterable of them")


def lines(text: str | Iterable[str]) -> Iterable[str]:
    """Return lines without line breaks; see `source_lines`."""
    return [_line(text)] if isinstance(text, str) else _each(text, _line, "a string, or an iterable of strings")


def pairs(source: str | Iterable[str], target: str | Iterable[str]) -> Iterator[SentencePair]:
    """Pair lines with translations.

    Raises:
        UsageError: One side is a string, and the other is not.
        DataError: The sides have different numbers of lines; raised when the shorter one ends.
    """
    if isinstance(source, str) != isinstance(target, str):
        raise UsageError("source and target must both be strings, or both be iterables of strings.")
    return _paired(iter(lines(source)), iter(lines(target)))


def same_shape_as(given: object, results: Iterator[ResultT]) -> ResultT | list[ResultT] | Iterator[ResultT]:
    """Return one result for one line, a list for a list or tuple, and an iterator for anything else."""
    if isinstance(given, (str, SourceLine)):
        (result,) = results
        return result
    return list(results) if isinstance(given, (list, tuple)) else results


def _each(given: Any, of_one: Callable[[Any], ResultT], expected: str) -> Iterable[ResultT]:
    """Check each item. Lists and tuples become lists, because a translator reads other iterables in a thread."""
    if not isinstance(given, Iterable) or isinstance(given, (bytes, bytearray)):
        raise UsageError(f"expected {expected}, found {type(given).__name__}.")
    return [of_one(one) for one in given] if isinstance(given, (list, tuple)) else map(of_one, given)


def _line(line: Any) -> str:
    if not isinstance(line, str):
        raise UsageError(f"a line must be a string, found {type(line).__name__}.")
    return without_surrogates(line.rstrip("\r\n"))


def _source_line(line: Any) -> str | SourceLine:
    if not isinstance(line, SourceLine):
        return _line(line)
    required: Any = line.required  # types are not checked at run time
    if isinstance(required, str):
        raise UsageError(f"required takes a tuple of words or phrases: write required=({required!r},).")
    phrases = tuple(required) if isinstance(required, Iterable) else (required,)
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise UsageError(f"required takes strings, found {phrase!r}.")
    if not isinstance(line.prefix, str):
        raise UsageError(f"a prefix must be a string, found {type(line.prefix).__name__}.")
    return replace(line, text=_line(line.text), required=phrases)


def _paired(sources: Iterator[str], targets: Iterator[str]) -> Iterator[SentencePair]:
    count = 0
    while True:
        source, target = next(sources, END), next(targets, END)
        if source is END and target is END:
            return
        if not (isinstance(source, str) and isinstance(target, str)):
            longer = "translations than lines" if source is END else "lines than translations"
            raise DataError(f"there are more {longer}, after {count} pairs. Each line needs one translation.")
        count += 1
        yield SentencePair(source, target)
