"""A model in Python: what `nmt.load` returns.

It does what `nmt translate`, `nmt score` and `nmt attention` do, with the same results:

    >>> import nmt
    >>> model = nmt.load("runs/my", beam_size=4, n_best=2)

A string is one line, and gives one result; a list gives a list; anything else that can be iterated over, such as an
open file, is read as it comes and gives an iterator, in bounded memory:

    >>> translation = model.translate("The dog sleeps.")
    >>> translation.text
    '...'
    >>> [candidate.text for candidate in translation.hypotheses]
    [...]
    >>> [translation.text for translation in model.translate(["The dog sleeps.", ""])]
    ['...', '']
    >>> several = model.translate(line for line in ["A dog.", "A cat."])
    >>> next(several).text
    '...'

A request says more about its line: how the translation starts, and which words or phrases it has. What no translation
may have, and how terms are translated, is said of the model:

    >>> model.translate(nmt.Request("The dog sleeps.", prefix="Der", required=("Katze",))).text
    'Der...Katze...'
    >>> steered = model.with_options(avoid=["Hund"], terminology={"dog": "Katze"})
    >>> steered.translate("The dog sleeps.").text
    '...Katze...'

How probable a given translation is, and what the model looks at when it writes it:

    >>> score = model.score("The dog sleeps.", "Der Hund schläft.")
    >>> score.log_probability <= 0 and score.mean <= 0
    True
    >>> len(score.pieces) == len(score.piece_log_probabilities) - 1  # the last number is that of the end
    True
    >>> attended = model.attention("The dog sleeps.", "Der Hund schläft.")
    >>> attended.words.source.texts
    ['The', 'dog', 'sleeps.', '</s>']
    >>> attended.words.weights.shape == (len(attended.words.target.texts), 4)
    True

Other options are those of the configuration's decoding section; `mbr` chooses by minimum Bayes risk. The same model
with other options shares what was read from the file:

    >>> samples = model.with_options(sampling=True, top_k=10, n_best=5, seed=2).translate("The dog sleeps.")
    >>> len(samples.hypotheses)
    5
    >>> agreed = model.with_options(beam_size=8, mbr="chrf").translate("The dog sleeps.")
    >>> 0 <= agreed.hypotheses[0].score <= 1  # how well the others agree with it
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
from nmt.errors import DataError, UsageError
from nmt.evaluation.choosing import choosing_translator
from nmt.inference.aligner import Aligned
from nmt.inference.attention import AttentionExtractor, LineAttention
from nmt.inference.constraints import Request, Terminology, read_terminology
from nmt.inference.ensemble import EnsembleMember
from nmt.inference.model_file import ModelFile, find_model, load_model
from nmt.inference.results import SentencePair, Translation, TranslationScore
from nmt.inference.scorer import Scorer

Terms = Mapping[str, str] | Path | str
"""Source terms and their translations, or a file of them: a source term, a tab and a target term a line."""


class LoadedModel:
    """A model, or several that work together, ready to use. May be used from several threads at once."""

    def __init__(
        self,
        members: Sequence[EnsembleMember],
        *,
        weights: Sequence[float] | None = None,
        mbr: str | None = None,
        avoid: Iterable[str] = (),
        terminology: Terms | None = None,
        decoding: Mapping[str, Any],
    ) -> None:
        """Makes a translator of model files that have been read; see `nmt.load` for options and for what is raised."""
        _check_names(decoding)
        self._members = tuple(members)
        self._weights = weights
        self._mbr = mbr
        self._given = dict(decoding)
        self._plain = choosing_translator(members, weights=weights, mbr=mbr, decoding=decoding)
        self._scorer: Scorer | None = None
        self._steer(avoid, terminology)

    @property
    def config(self) -> Config:
        """The resolved configuration that the model was trained with; of an ensemble, that of its first member."""
        return self._members[0].file.config

    @property
    def decoding(self) -> DecodingConfig:
        """The options that translations are searched for with."""
        return self._plain.decoding

    def with_options(self, **options: Any) -> LoadedModel:
        """Return the same model with other options beside those that it was loaded with; this one stays as it is.

        Args:
            options: As of `nmt.load`: `mbr`, `avoid`, `terminology` and decoding options. None is the model's own.

        Raises:
            UsageError: The options cannot be used.
            DataError: A file of terms cannot be read.
        """
        avoid = options.pop("avoid", self._avoid)
        terminology = options.pop("terminology", self._terminology)
        if not options:
            clone = copy.copy(self)
            clone._steer(avoid, terminology)
            return clone
        return LoadedModel(
            self._members,
            weights=self._weights,
            mbr=options.pop("mbr", self._mbr),
            avoid=avoid,
            terminology=terminology,
            decoding={**self._given, **options},
        )

    @overload
    def translate(self, text: str | Request) -> Translation: ...  # type: ignore[overload-overlap]
    @overload
    def translate(  # type: ignore[overload-overlap]
        self, text: list[str] | list[Request] | list[str | Request] | tuple[str | Request, ...]
    ) -> list[Translation]: ...
    @overload
    def translate(self, text: Iterable[str | Request]) -> Iterator[Translation]: ...

    def translate(
        self, text: str | Request | Iterable[str | Request]
    ) -> Translation | list[Translation] | Iterator[Translation]:
        """Translate lines: one translation for each, in order; blank for blank.

        Args:
            text: A line, several, or an iterator, which is read in a thread while earlier lines are translated. Each
                is a string, or a request, which says more about its translation.

        Raises:
            UsageError: Something else is given, or what is wanted of a translation cannot be had.
            NMTError: Not even a single line fits into the machine's memory.
        """
        return same_shape_as(text, self._translator.translate(requests(text)))

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
        """Score given translations: one result for each pair, in order; None where the source is blank.

        Several models score as the ensemble that they are. What steers or changes a search has no part in it.

        Args:
            source: A line, several, or an iterator.
            target: As many translations.

        Raises:
            DataError: There are more of one than of the other.
            UsageError: One is a string, and the other is several.
            NMTError: Not even a single pair fits into the machine's memory.
        """
        return same_shape_as(source, self._the_scorer().score(pairs(source, target)))

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
        """Give the attention between lines and translations, in order; None where either is blank.

        Args:
            source: A line, several, or an iterator.
            target: The translations; None: the model's own.

        Raises:
            DataError: There are more lines than translations, or fewer.
            UsageError: The model has no attention, or there are several models.
        """
        attender = self._the_attender()
        if target is None:
            return same_shape_as(source, attender.attend(lines(source)))
        given = list(pairs(source, target))
        return same_shape_as(source, attender.attend([pair.source for pair in given], [pair.target for pair in given]))

    def align(self, translation: Translation) -> list[Aligned]:
        """Give the attention of each hypothesis of a translation that this model has made.

        `[aligned.words.links() for aligned in model.align(translation)]` are the alignments of words that the n-best
        lists of `nmt translate --alignment hard` have.

        Raises:
            UsageError: The model has no attention, or there are several models.
        """
        aligner = self._the_attender().aligner
        found = [aligner.align(translation.source_parts, candidate.parts) for candidate in translation.hypotheses]
        return [aligned for aligned in found if aligned is not None]

    def _steer(self, avoid: Iterable[str], terminology: Terms | None) -> None:
        """Make the translator, which heeds what is said of all lines."""
        if isinstance(avoid, str):
            raise UsageError(f"avoid is for several words or phrases: write avoid=[{avoid!r}]")
        self._avoid, self._terminology = tuple(avoid or ()), terminology
        for phrase in self._avoid:
            if not isinstance(phrase, str):
                raise UsageError(f"avoid is words or phrases, found {phrase!r}")
        terms = _terms(terminology)
        steered = self._avoid or terms
        self._translator = (
            self._plain.with_phrases(avoid=self._avoid, terminology=terms or None) if steered else self._plain
        )
        self._lock = threading.Lock()
        self._attender: AttentionExtractor | None = None

    def _the_scorer(self) -> Scorer:
        with self._lock:
            if self._scorer is None:
                self._scorer = Scorer.from_members(self._members, weights=self._weights, decoding=self._given)
            return self._scorer

    def _the_attender(self) -> AttentionExtractor:
        with self._lock:
            if self._attender is None:
                self._attender = AttentionExtractor(self._only(), decoding=self._given, translator=self._translator)
            return self._attender

    def _only(self) -> ModelFile:
        if len(self._members) > 1:
            raise UsageError(f"attention is of one model, and {len(self._members)} are loaded; load each by itself")
        return self._members[0].file


def load_ensemble(paths: Sequence[Path | str] | None) -> list[EnsembleMember]:
    """Read the model files that are meant; None: the one that `find_model` finds.

    Raises:
        UsageError: There is no such model.
        CheckpointError: A file is not a model file, or is damaged.
    """
    if paths is not None and not paths:
        raise UsageError("no model is named")
    found = [find_model(None)] if paths is None else [find_model(Path(path)) for path in paths]
    return [EnsembleMember(str(path), load_model(path)) for path in found]


def _check_names(decoding: Mapping[str, Any]) -> None:
    for name in decoding:
        if name not in DecodingConfig.model_fields:
            near = get_close_matches(name, DecodingConfig.model_fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(DecodingConfig.model_fields)}"
            raise UsageError(f"{name} is no decoding option{hint}")


def _terms(given: Terms | None) -> Terminology | None:
    if given is None:
        return None
    if isinstance(given, (str, Path)):
        return read_terminology(given)
    for text in (*given, *given.values()):
        if not isinstance(text, str):
            raise UsageError(f"terminology is texts and their translations, found {text!r}")
    terms = {" ".join(source.split()): " ".join(target.split()) for source, target in given.items()}
    for source, target in terms.items():
        if not (source and target):
            raise UsageError(f"terminology: {source!r} is translated as {target!r}; neither may be blank")
    return Terminology(terms)


ResultT = TypeVar("ResultT")
END = object()


def requests(text: str | Request | Iterable[str | Request]) -> Iterable[str | Request]:
    """Return lines to translate, without their line ends, which those of an open file have.

    Raises:
        UsageError: Something else is among them; for a stream, when it is reached.
    """
    if isinstance(text, (str, Request)):
        return [_request(text)]
    return _each(text, _request, "a string, a Request, or several of them")


def lines(text: str | Iterable[str]) -> Iterable[str]:
    """Return lines without their line ends; see `requests`."""
    return [_line(text)] if isinstance(text, str) else _each(text, _line, "a string, or several of them")


def pairs(source: str | Iterable[str], target: str | Iterable[str]) -> Iterator[SentencePair]:
    """Pair lines with translations.

    Raises:
        UsageError: One is a line, and the other is several.
        DataError: There are more of one than of the other; when that is reached.
    """
    if isinstance(source, str) != isinstance(target, str):
        raise UsageError("source and target go together: two strings, or several lines of each")
    return _paired(iter(lines(source)), iter(lines(target)))


def same_shape_as(given: object, results: Iterator[ResultT]) -> ResultT | list[ResultT] | Iterator[ResultT]:
    """Return results in the form in which the lines were given."""
    if isinstance(given, (str, Request)):
        (result,) = results
        return result
    return list(results) if isinstance(given, (list, tuple)) else results


def _each(given: Any, of_one: Callable[[Any], ResultT], expected: str) -> Iterable[ResultT]:
    """Return each of several, checked; lists stay lists, which are taken as they are, not read in a thread."""
    if not isinstance(given, Iterable) or isinstance(given, (bytes, bytearray)):
        raise UsageError(f"expected {expected}, found {type(given).__name__}")
    return [of_one(one) for one in given] if isinstance(given, (list, tuple)) else map(of_one, given)


def _line(line: Any) -> str:
    if not isinstance(line, str):
        raise UsageError(f"a line is a string, found {type(line).__name__}")
    return line.rstrip("\r\n")


def _request(line: Any) -> str | Request:
    if not isinstance(line, Request):
        return _line(line)
    required: Any = line.required  # whatever was given
    if isinstance(required, str):
        raise UsageError(f"required is for several words or phrases: write required=({required!r},)")
    phrases = tuple(required) if isinstance(required, Iterable) else (required,)
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise UsageError(f"required is words or phrases, found {phrase!r}")
    if not isinstance(line.prefix, str):
        raise UsageError(f"a prefix is a string, found {type(line.prefix).__name__}")
    return replace(line, text=_line(line.text), required=phrases)


def _paired(sources: Iterator[str], targets: Iterator[str]) -> Iterator[SentencePair]:
    count = 0
    while True:
        source, target = next(sources, END), next(targets, END)
        if source is END and target is END:
            return
        if not (isinstance(source, str) and isinstance(target, str)):
            longer = "translations than lines" if source is END else "lines than translations"
            raise DataError(f"There are more {longer}: {count} of those. Line n belongs to translation n.")
        count += 1
        yield SentencePair(source, target)
